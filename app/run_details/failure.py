"""A run that failed: kind, cause, next step, a repair as a button, the end of the log."""

from __future__ import annotations

import streamlit as st

from app.charts import plain
from app.page import begun, explained, go, is_recording, worded
from app.run_details.actions import resume_now
from bidora.queueing import enqueue, start_next
from bidora.remedies import Remedy, failure_of
from bidora.runs import Run
from bidora.runs.standing import Standing


def failure_box(run: Run, standing: Standing) -> None:
    """Why it failed and what may help."""
    failure = failure_of(run)
    where = f" at step {standing.step} of {standing.total}" if standing.step else ""
    st.error(
        f"**Failed{where} ({plain(failure.kind)}).** {worded(begun(failure.cause))}."
        + (f"\n\n**What to do:** {worded(begun(failure.hint))}." if failure.hint else ""),
        icon=":material/error:",
    )
    if not is_recording(run):
        with st.container(horizontal=True):
            for number, remedy in enumerate(failure.remedies):
                _button(run, remedy, first=number == 0, key=f"remedy-{number}")
    tail = run.log_tail(40)
    with st.expander("The last 40 lines of the log", icon=":material/terminal:", expanded=not failure.remedies):
        st.code(tail or "log.txt is empty or missing.", language=None, wrap_lines=True)


def _button(run: Run, remedy: Remedy, *, first: bool, key: str) -> None:
    words = ", ".join(f"{name}={value:g}" for name, value in remedy.changes.items())
    help_text = f"Starts a new run with the same settings but {words}" if words else "Goes on from the last checkpoint"
    pressed = st.button(
        remedy.label, key=key, type="primary" if first else "secondary", icon=":material/build:", help=help_text
    )
    if not pressed:
        return
    with explained():
        if remedy.resumes:
            resume_now(run)
            st.rerun()
        meta = run.meta
        (made,) = enqueue(
            [run.config.replace(**remedy.changes)],
            run.path.parent,
            name=f"{str(meta.get('name') or run.id)[:150]}, {words}",
            group=str(meta.get("group") or ""),
            meta={"cloned_from": run.id},
        )
        start_next(run.path.parent)
        go("runs", run=made.id)
