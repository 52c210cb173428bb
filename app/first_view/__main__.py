"""`python -m app.first_view`: draw the first page's comparison anew, after the recordings changed (needs kaleido and a browser)."""

from __future__ import annotations

import json

from app.first_view.drawing import view_of_recordings
from app.first_view.stored import FILE
from bidora.recordings import recordings_root

if __name__ == "__main__":
    view = view_of_recordings()
    if view is None:
        raise SystemExit("there is nothing to compare among the recordings")
    target = recordings_root() / FILE
    target.write_text(json.dumps(view._asdict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")
