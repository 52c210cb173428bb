"""The one exception that a user is meant to see."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LabError(ValueError):
    """A problem that the user can solve: what is wrong, with the value and the allowed range, and what to do next.

    Args:
        message: what is wrong; names the offending value and what is allowed.
        hint: the next step, as an instruction.
        kind: one word for programs: setting, data, model, download, disk, diverged, checkpoint, run.
    """

    def __init__(self, message: str, *, hint: str = "", kind: str = "setting") -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.message = message
        self.hint = hint
        self.kind = kind


def did_you_mean(name: str, known: Iterable[str], otherwise: str, *, cutoff: float = 0.6) -> str:
    """The hint of a name that is unknown: the nearest of the known ones, or another next step where none is near.

    >>> did_you_mean("dorra", ["lora", "dora"], "list them"), did_you_mean("x", ["lora", "dora"], "list them")
    ("did you mean 'dora'?", 'list them')
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"did you mean {near[0]!r}?" if near else otherwise
