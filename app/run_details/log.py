"""Tab Log: the end of what the worker wrote, errors and warnings told apart."""

from __future__ import annotations

import streamlit as st

from app.page import is_recording
from bidora.runs import Run
from bidora.runs.standing import log_lines
from bidora.wording import counted

LINES = 40


def log_tab(run: Run) -> None:
    """The last lines of log.txt."""
    lines = log_lines(run.log_tail(LINES))
    if not lines:
        st.info(
            "Recordings come without the output of their worker; what it measured is under Live."
            if is_recording(run)
            else "There is no log: the run was never started, or in a terminal or a notebook, which showed its output.",
            icon=":material/terminal:",
        )
        return
    levels = [level for level, _ in lines]
    errors, warnings = levels.count("error"), levels.count("warning")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(
            f"{counted(errors, 'line')} of errors" if errors else "no errors",
            icon=":material/error:" if errors else ":material/check:",
            color="red" if errors else "green",
        )
        if warnings:
            st.badge(f"{counted(warnings, 'line')} of warnings", icon=":material/warning:", color="orange")
    only = st.toggle("Errors and warnings only", key="log-only", disabled=not errors and not warnings)
    marks = {"error": "E ", "warning": "W ", "info": "  "}
    shown = [marks[level] + line for level, line in lines if not only or level != "info"]
    st.code("\n".join(shown) or "Nothing.", language=None, wrap_lines=True)
    st.caption(f"The last {LINES} lines of log.txt; E marks errors, W warnings. The whole file is under Files.")
