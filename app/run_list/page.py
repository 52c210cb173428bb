"""All runs: filter, table, what is done with chosen runs; refreshed only while one of them is at work."""

from __future__ import annotations

import streamlit as st

from app.charts import plain
from app.page import explained, go, link, root
from app.run_list.chosen import with_chosen
from app.run_list.importing import import_box
from app.run_list.reading import all_rows
from app.run_list.table import OPEN, filters, table
from app.run_list.trash import trash_box, undo_box
from bidora.runs import ACTIVE
from bidora.runs.trash import move_to_trash
from bidora.wording import counted

REFRESH_SECONDS = 2


def run_list() -> None:
    """The list, and below it import and trash."""
    st.title("Runs")
    rows, _ = all_rows()
    at_work = any(row.state in ACTIVE for row in rows)
    st.fragment(_body, run_every=REFRESH_SECONDS if at_work else None)(at_work)
    import_box()
    trash_box()


def _body(at_work: bool) -> None:
    rows, broken = all_rows()
    active = [row for row in rows if row.state in ACTIVE]
    if bool(active) != at_work:
        st.rerun()  # from now on the page polls, or polls no more
    undo_box()
    _broken(broken)
    if not rows:
        _empty()
        return
    own = sum(row.origin != "recording" for row in rows)
    words = f"{counted(own, 'run')} of yours, {counted(len(rows) - own, 'recording')}"
    st.caption(f"{words}; {counted(len(active), 'run')} at work." if active else f"{words}; nothing is running.")
    shown = filters(rows)
    chosen = table(rows, shown)
    if OPEN in st.session_state:
        go("runs", run=st.session_state.pop(OPEN))
    with explained():
        with_chosen([row for row in rows if row.id in chosen])


def _empty() -> None:
    st.info("There are no runs yet. Train one, or import one that somebody exported.", icon=":material/list:")
    link("new_run", "New run", icon=":material/play_arrow:")


def _broken(broken: list[tuple[str, str]]) -> None:
    """Name the folders that are no readable runs, and offer to put them away."""
    if not broken:
        return
    with st.expander(f"{counted(len(broken), 'folder')} cannot be read as a run", icon=":material/broken_image:"):
        for name, why in broken[:20]:
            st.markdown(f"**{plain(name)}**: {plain(why)}")
        if len(broken) > 20:
            st.caption(f"… and {len(broken) - 20} more")
        names = st.multiselect("Put away", [name for name, _ in broken], key="broken", placeholder="Choose folders")
        if st.button("Move to the trash", key="broken-away", disabled=not names, icon=":material/delete:"):
            done = 0
            for name in names:
                with explained():
                    move_to_trash(root() / name)
                    done += 1
            if done == len(names):
                st.rerun()
