"""Finding runs: all of a folder, or one by its id."""

from __future__ import annotations

import os
from pathlib import Path

from bidora.errors import LabError
from bidora.runs.ids import RUN_ID, runs_root
from bidora.runs.run import Run


def list_runs(root: str | Path | None = None) -> list[Run]:
    """All readable runs in a folder, newest first; what is not a run is passed over."""
    root = Path(root) if root is not None else runs_root()
    if not root.is_dir():
        return []
    found = []
    for path in sorted(root.iterdir(), reverse=True):
        if not RUN_ID.match(path.name):
            continue
        try:
            run = Run(path)
            run.config  # noqa: B018 - reading it shows whether it is readable
        except (LabError, OSError):
            continue
        found.append(run)
    return found


def find_run(name: str, root: str | Path | None = None) -> Run:
    """The run of that id or unique part of one, the last one for `last`, or the run folder of that path.

    Raises:
        LabError: none or more than one fits.
    """
    if os.sep in name and (Path(name) / "config.json").is_file():
        return Run(name)
    runs = list_runs(root)
    fitting = runs[:1] if name == "last" else [run for run in runs if name and name in run.id]
    if len(fitting) == 1:
        return fitting[0]
    where = Path(root) if root is not None else runs_root()
    if fitting:
        raise LabError(
            f"{name!r} fits {len(fitting)} runs: {', '.join(run.id for run in fitting[:4])}",
            hint="write more of the id",
            kind="run",
        )
    raise LabError(f"no run {name!r} in {where}", hint="`bidora list` shows the runs there are", kind="run")
