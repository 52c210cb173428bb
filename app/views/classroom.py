"""Classroom: lessons, projector, lesson links, prediction votes, replay of recordings."""

from __future__ import annotations

import streamlit as st

from app.teaching.lessons import lessons_part
from app.teaching.linking import links_part
from app.teaching.projector import project
from app.teaching.replaying import replay_part
from app.teaching.voting import vote_part, votes_part
from bidora.lessons import lesson

PARTS = {"lessons": lessons_part, "links": links_part, "votes": votes_part, "replay": replay_part}
TITLES = {"lessons": "Lessons", "links": "Lesson links", "votes": "Votes", "replay": "Replay"}


def parts() -> None:
    """The four parts; only the chosen one is computed."""
    st.title("Classroom")
    asked = "replay" if "replay" in st.query_params else st.query_params.get("tab", "lessons")
    part = st.segmented_control(
        "Part",
        list(PARTS),
        default=asked if asked in PARTS else "lessons",
        required=True,
        key=f"classroom-part-{asked if asked in PARTS else ''}",
        format_func=TITLES.__getitem__,
        label_visibility="collapsed",
    )
    PARTS[part]()


shown = lesson(st.query_params.get("lesson", ""))
if "vote" in st.query_params:
    vote_part(st.query_params["vote"])
elif shown is not None and st.query_params.get("project") == "1":
    project(shown)
else:
    parts()
