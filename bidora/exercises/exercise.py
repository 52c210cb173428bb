"""One exercise: what is asked is in the notebook; here are its hints, its solution and its check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class Misconception(Exception):
    """A wrong answer whose cause is known; the message names it and says where to look."""


class Unanswered(Exception):
    """The exercise has not been tried yet."""


@dataclass(frozen=True)
class Exercise:
    """One exercise of a notebook.

    Args:
        key: notebook and name, such as "01-length".
        level: "core" (the rest builds on it) or "deeper".
        difficulty: 1 (look it up above) to 3 (derive it).
        minutes: for somebody who meets it for the first time.
        hints: three, from a nudge to nearly the answer.
        solution: the code of the whole exercise cell.
        verify: called with the answers; returns one sentence on what was shown, raises Misconception for a wrong answer.
    """

    key: str
    level: str
    difficulty: int
    minutes: int
    hints: tuple[str, str, str]
    solution: str
    verify: Callable[..., str]

    @property
    def heading(self) -> str:
        """Level, difficulty and time in one line."""
        return f"{self.level} · {'★' * self.difficulty}{'☆' * (3 - self.difficulty)} · {self.minutes} min"
