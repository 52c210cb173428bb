"""Buttons of a run, by its state: stop, cancel, resume, clone, delete, downloads."""

from __future__ import annotations

import io

import streamlit as st

from app.page import explained, go, is_recording, link
from bidora.launch import stop, terminate
from bidora.queueing import cancel, put, read_queue, start_next
from bidora.runs import ACTIVE, Run
from bidora.runs.contents import write_adapter
from bidora.runs.exchange import write_run
from bidora.runs.standing import Standing

DELETED = "runs-deleted"
"""Session key: ids of what was deleted last, for undo."""


def actions(run: Run, standing: Standing) -> None:
    """The buttons that make sense in this state."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"), explained():
        if not is_recording(run):
            _course(run, standing.state)
        link("new_run", "Clone", icon=":material/content_copy:", clone=run.id)
        link("compare", "Compare", icon=":material/balance:", runs=run.id)
        _downloads(run, standing.state)
        if not is_recording(run) and standing.state not in ACTIVE:
            _delete(run)


def resume_now(run: Run) -> None:
    """Put a run into the queue and start what may start.

    Raises:
        LabError: it is at work or finished, or no process can be started.
    """
    put(run)
    start_next(run.path.parent)


def _course(run: Run, state: str) -> None:
    if state in ("preparing", "running") and st.button(
        "Stop and keep",
        key="stop",
        icon=":material/stop_circle:",
        help="Saves after this step; can be resumed",
        disabled=run.stop_requested(),
    ):
        stop(run)
        st.rerun()
    if state in ACTIVE:
        _cancel(run)
    if state == "queued":
        _waiting(run)
    if state in ("stopped", "failed", "lost") and st.button(
        "Resume", key="resume", icon=":material/play_arrow:", help="Goes on from the last checkpoint, in its turn"
    ):
        resume_now(run)
        st.rerun()


def _cancel(run: Run) -> None:
    with st.popover("Cancel", icon=":material/cancel:", help="Ends the process at once", key="cancel-box"):
        st.markdown("The process ends at once; what came after the last checkpoint is lost. The run stays in the list.")
        if st.button("End it now", key="cancel", type="primary"):
            stop(run)
            if not terminate(run):
                st.warning("Its process cannot be reached from here; it stops after its present step.")
            else:
                st.rerun()


def _waiting(run: Run) -> None:
    if run.id in {each.id for each in read_queue(run.path.parent).waiting}:
        if st.button("Take out of the queue", key="unqueue", icon=":material/playlist_remove:"):
            cancel(run)
            st.rerun()
    elif st.button("Start", key="start", icon=":material/play_arrow:", type="primary"):
        resume_now(run)
        st.rerun()


def _downloads(run: Run, state: str) -> None:
    if run.adapter_dir.is_dir() and state not in ACTIVE:
        st.download_button(
            "Download adapter",
            lambda: packed(write_adapter, run),
            file_name=f"{run.id}-adapter.zip",
            mime="application/zip",
            key="download-adapter",
            icon=":material/download:",
            on_click="ignore",
            help="PEFT's layout: unpacked, PeftModel.from_pretrained opens the folder",
        )
    export_button(run)


def export_button(run: Run) -> None:
    """Offer a run as .zip."""
    with st.popover("Export", icon=":material/archive:", help="The run as .zip, without checkpoints", key="export-box"):
        inputs = st.checkbox(
            "Include the beginnings of the test inputs",
            value=False,
            key=f"export-inputs-{run.id}",
            help="Predictions hold the first 200 characters of each test input. Leave them out where texts are private.",
        )
        st.download_button(
            "Download .zip",
            lambda: packed(write_run, run, inputs=inputs),
            file_name=f"{run.id}.zip",
            mime="application/zip",
            key=f"export-{run.id}",
            icon=":material/download:",
            on_click="ignore",
        )


def packed(write: object, run: Run, **options: bool) -> bytes:
    """What a function of bidora writes about a run, as bytes."""
    buffer = io.BytesIO()
    write(run.path, buffer, **options)  # type: ignore[operator]
    return buffer.getvalue()


def _delete(run: Run) -> None:
    if st.button(
        "Delete", key="delete", icon=":material/delete:", help="Moves it to the trash, from where it comes back"
    ):
        place = run.delete()
        st.session_state[DELETED] = [place.name]
        go("runs")
