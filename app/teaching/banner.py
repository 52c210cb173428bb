"""The question of a lesson link above any view, and the controls that it hides or fixes there."""

from __future__ import annotations

import streamlit as st

from app.charts import plain
from bidora.lessons.controls import SANDBOXES, buttons_of, label_of, starts_of
from bidora.lessons.links import LessonLink, read_link


def lesson_banner(view: str) -> None:
    """Show what a lesson link asks of a view; nothing where the address is an ordinary one.

    New run obeys hide and lock itself. In the sandboxes a hidden control is taken off the page, and a locked one stands
    as text instead of as a control, without the buttons that would change it.
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
    values = starts_of(link.view, link.lock) | dict(link.settings)
    fixed = [f"{label_of(link.view, name)}: {plain(values[name])}" for name in link.lock]
    if fixed:
        st.caption(f":material/lock: Fixed for this lesson: {'; '.join(fixed)}")
    gone = ", ".join(f".st-key-{name}" for name in (*link.hide, *link.lock, *buttons_of(link.view, link.lock)))
    if gone:
        st.html(f"<style>{gone} {{display: none;}}</style>")
