"""Import of a run that somebody exported, by upload."""

from __future__ import annotations

import streamlit as st

from app.charts import plain
from app.page import explained, link, root
from bidora.runs.exchange import read_run
from bidora.runs.unpacking import MOST_BYTES
from bidora.wording import counted, size

_ROUND, _CAME = "import-round", "import-came"


def import_box() -> None:
    """Take a .zip in; what is refused says why."""
    with st.expander("Import a run", icon=":material/upload_file:", expanded=_CAME in st.session_state):
        _came()
        upload = st.file_uploader(
            "A .zip that was made with Export",
            type="zip",
            key=f"import-{st.session_state.get(_ROUND, 0)}",
            help=f"Up to {size(MOST_BYTES)} unpacked. Only files that belong to a run are taken; nothing in it is run.",
        )
        if upload is None:
            return
        with explained():
            run, ignored = read_run(upload, root(), title=upload.name)
            st.session_state[_CAME] = (run.id, str(run.meta.get("name") or run.id), ignored)
            st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1  # an empty field for the next one
            st.rerun()


def _came() -> None:
    if _CAME not in st.session_state:
        return
    run_id, name, ignored = st.session_state.pop(_CAME)
    left = (
        f" Left out, as no run has them: {counted(len(ignored), 'file')} ({', '.join(ignored[:5])})." if ignored else ""
    )
    st.success(plain(f"Imported: {name}.{left}"), icon=":material/upload_file:")
    link("runs", "Open it", icon=":material/open_in_full:", run=run_id)
