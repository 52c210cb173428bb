"""Undo of the last deletion, and the trash."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from app.charts import plain
from app.page import explained, root
from app.run_details.actions import DELETED
from bidora.runs.trash import DAYS, Deleted, deleted_runs, purge, restore
from bidora.wording import counted, size


def undo_box() -> None:
    """Offer to bring back what was deleted last."""
    deleted = st.session_state.get(DELETED)
    if not deleted:
        return
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        st.markdown(f":material/delete: {counted(len(deleted), 'run')} moved to the trash.")
        undo = st.button("Undo", key="undo", icon=":material/undo:")
        if st.button("Dismiss", key="undo-dismiss", type="tertiary"):
            del st.session_state[DELETED]
            st.rerun()
    if undo:
        del st.session_state[DELETED]
        if _restored(deleted):
            st.rerun()


def _restored(ids: Sequence[str]) -> bool:
    """Bring runs back; whether all of them came. What does not come is said, and keeps none of the others back."""
    done = 0
    for each in ids:
        with explained():
            restore(each, root())
            done += 1
    return done == len(ids)


def trash_box() -> None:
    """What lies in the trash: bring back, or remove for good."""
    with st.expander("Trash", icon=":material/delete:"):
        if not st.toggle("Show deleted runs", key="trash-shown", help="Their sizes are measured, which takes a moment"):
            return
        deleted = deleted_runs(root())
        if not deleted:
            st.markdown("The trash is empty.")
            return
        st.dataframe(
            [{"name": each.name, "deleted": _when(each), "size": size(each.size), "id": each.id} for each in deleted],
            hide_index=True,
            width="stretch",
            key="trash-table",
        )
        _bring_back(deleted)
        _remove(deleted)


def _bring_back(deleted: list[Deleted]) -> None:
    names = {each.id: each.name for each in deleted}
    ids = st.multiselect("Bring back", list(names), key="trash-ids", format_func=lambda each: f"{names[each]} · {each}")
    if st.button("Restore", key="restore", disabled=not ids, icon=":material/restore_from_trash:"):
        st.session_state.pop(DELETED, None)
        if _restored(ids):
            st.rerun()


def _remove(deleted: list[Deleted]) -> None:
    old = [each for each in deleted if each.when <= time.time() - DAYS * 86400]
    st.caption(
        f"{counted(len(deleted), 'run')}, {size(sum(each.size for each in deleted))}; {len(old)} of them deleted more than "
        f"{DAYS} days ago. Nothing is removed by itself."
    )
    sure = st.checkbox("Remove for good; there is no undo", key="trash-sure")
    with st.container(horizontal=True):
        some = st.button(f"Remove what is older than {DAYS} days", key="purge", disabled=not sure or not old)
        every = st.button("Empty the trash", key="purge-all", disabled=not sure, icon=":material/delete_forever:")
    if some or every:
        gone = purge(root(), older_than_days=0 if every else DAYS)
        st.session_state.pop(DELETED, None)
        st.toast(plain(f"Removed: {counted(len(gone), 'run')}"))
        st.rerun()


def _when(deleted: Deleted) -> str:
    return datetime.fromtimestamp(deleted.when).strftime("%Y-%m-%d %H:%M")
