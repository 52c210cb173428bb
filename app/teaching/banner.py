"""The question of a lesson link above any view, and the controls that it hides or fixes there."""

from __future__ import annotations

import streamlit as st

from app.charts import plain
from bidora.lessons.controls import SANDBOXES, label_of
from bidora.lessons.links import LessonLink, read_link


def lesson_banner(view: str) -> None:
    """Show what a lesson link asks of a view; nothing where the address is an ordinary one.

    New run obeys hide and lock itself. In the sandboxes a hidden control is taken off the page, and a locked one stands
    as text instead of as a control.
    """
    link = read_link(view, st.query_params)
    if link is None or not (link.question or link.hide or link.lock):
        return
    if link.question and view != "new_run":
        with st.container(border=True, key="lesson-question"):
            st.markdown(f":material/school: **{plain(link.question)}**")
    if view in SANDBOXES:
        _take_away(link)


def _take_away(link: LessonLink) -> None:
    fixed = [
        f"{label_of(link.view, name)}: {plain(link.settings[name])}" for name in link.lock if name in link.settings
    ]
    if fixed:
        st.caption(f":material/lock: Fixed for this lesson: {'; '.join(fixed)}")
    gone = ", ".join(f".st-key-{name}" for name in (*link.hide, *link.lock))
    if gone:
        st.html(f"<style>{gone} {{display: none;}}</style>")
