"""How each state of a run looks: word, icon and colour, never colour alone."""

from __future__ import annotations

from typing import Literal, NamedTuple

import streamlit as st


class Sign(NamedTuple):
    """The look of a state: the word for people, an icon, the badge's colour, and a glyph for tables."""

    word: str
    icon: str
    colour: Literal["red", "orange", "yellow", "blue", "green", "violet", "gray"]
    glyph: str


SIGNS = {
    "queued": Sign("queued", "hourglass_empty", "gray", "◌"),
    "preparing": Sign("preparing", "downloading", "blue", "◔"),
    "running": Sign("running", "play_arrow", "blue", "▶"),
    "stopping": Sign("stopping", "front_hand", "orange", "◧"),
    "stopped": Sign("stopped", "stop_circle", "orange", "■"),
    "finalising": Sign("finalising", "hourglass_bottom", "blue", "◕"),
    "finished": Sign("finished", "check_circle", "green", "✔"),
    "failed": Sign("failed", "error", "red", "✖"),
    "lost": Sign("interrupted", "heart_broken", "red", "⚡"),
}

IN_TABLES = {state: f"{sign.glyph} {sign.word}" for state, sign in SIGNS.items()}
"""State → how it reads in a table."""


def sign_of(state: str) -> Sign:
    """The sign of a state; one that is unknown (of a newer version, or damaged) says so."""
    return SIGNS.get(state, Sign("state unknown", "help", "gray", "?"))


def state_badge(state: str) -> None:
    """Show a state."""
    sign = sign_of(state)
    st.badge(sign.word, icon=f":material/{sign.icon}:", color=sign.colour)
