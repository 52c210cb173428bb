"""What is done with chosen runs: open, compare, clone, change words, export, delete."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.page import explained, link
from app.run_details.actions import DELETED, export_button
from bidora.analysis.overview import RECORDING, Row
from bidora.runs import ACTIVE, Run
from bidora.runs.labels import relabel
from bidora.wording import counted


def with_chosen(rows: Sequence[Row]) -> None:
    """The buttons for the chosen runs."""
    if not rows:
        return
    own = [row for row in rows if row.origin != RECORDING]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if len(rows) == 1:
            link("runs", "Open", icon=":material/open_in_full:", run=rows[0].id)
            link("new_run", "Clone", icon=":material/content_copy:", clone=rows[0].id)
        else:
            link("compare", f"Compare {len(rows)}", icon=":material/balance:", runs=",".join(row.id for row in rows))
        if own:
            with st.popover("Name, tags, group, note", icon=":material/edit:"):
                _words(own)
        if len(rows) == 1:
            export_button(Run(rows[0].path))
        if own:
            _delete(own)
    if len(own) < len(rows):
        st.caption("Recordings can be opened, compared and cloned; they cannot be changed or deleted.")


def _words(rows: Sequence[Row]) -> None:
    """Change the words by which runs are found; of several, only what they may share."""
    single = rows[0] if len(rows) == 1 else None
    mark = "-".join(row.id for row in rows)[:120]
    with st.form(f"words-{mark}", border=False):
        st.caption(rows[0].name if single else f"{len(rows)} runs; a field that is left empty changes nothing")
        name = st.text_input("Name", value=single.name, max_chars=200, key=f"name-{mark}") if single else ""
        group = st.text_input(
            "Group",
            value=single.group if single else "",
            max_chars=100,
            key=f"group-{mark}",
            help="Runs of one comparison",
        )
        tags = st.text_input(
            "Tags" if single else "Tags to add",
            value=", ".join(single.tags) if single else "",
            key=f"tags-{mark}",
            max_chars=1000,
            help="Words with commas between them",
        )
        note = st.text_area("Note", value=single.note, max_chars=5000, key=f"note-{mark}") if single else ""
        if not st.form_submit_button("Save", icon=":material/save:"):
            return
    for row in rows:
        if single:
            relabel(Run(row.path), name=name, group=group, tags=tags, note=note)
        else:
            relabel(Run(row.path), group=group or None, more_tags=tags)
    st.toast(f"Saved: {counted(len(rows), 'run')}", icon=":material/save:")
    st.rerun()


def _delete(rows: Sequence[Row]) -> None:
    free = [row for row in rows if row.state not in ACTIVE]
    label = "Delete" if len(free) == 1 else f"Delete {len(free)}"
    if st.button(
        label,
        key="delete-chosen",
        icon=":material/delete:",
        disabled=not free,
        help="Moves them to the trash, from where they come back. Runs at work must be stopped first.",
    ):
        gone: list[str] = []
        for row in free:
            with explained():
                gone.append(Run(row.path).delete().name)
        if gone:
            st.session_state[DELETED] = gone
        if len(gone) == len(free):
            st.rerun()
