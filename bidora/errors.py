"""The one exception that a user is meant to see."""

from __future__ import annotations


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
