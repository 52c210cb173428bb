"""When the rest of a sweep would fail, too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bidora.runs import Run
from bidora.wording import counted

SAME_FOR_ALL = ("setting", "data", "model", "download", "disk")
"""Kinds of errors that the other runs will meet, too, if the very first run meets them."""

OF_THE_RUN = ("diverged",)
"""Kinds of errors that are findings about settings: a sweep of learning rates goes on over them."""


@dataclass(frozen=True)
class Failure:
    """How a run failed: kind, message and hint of its error; `lost` where its worker is gone without a word."""

    run: Run
    kind: str
    message: str
    hint: str

    @property
    def signature(self) -> tuple[str, str]:
        """Equal for errors that are the same but for numbers and names of runs."""
        return self.kind, re.sub(r"\d[\d.e+-]*|[0-9a-f]{4,}", "#", self.message)


def failure_of(run: Run) -> Failure:
    """What a failed or lost run says about its end."""
    status = run.status
    error = status.get("error") or {}
    if status["state"] == "lost":
        hint = "a kernel that runs out of memory ends processes so: lower batch_size or --parallel"
        return Failure(run, "lost", "the worker process is gone without a word", hint)
    kind, message, hint = (str(error.get(name) or "") for name in ("kind", "message", "hint"))
    return Failure(run, kind or "unexpected", message or "no error was recorded", hint)


def systematic(failures: Sequence[Failure], ended: int) -> str:
    """Why the rest of a sweep would fail, too, in words; empty where it need not.

    Args:
        failures: in the order in which they happened.
        ended: how many runs of this call are over, the failed ones included.
    """
    if not failures:
        return ""
    last = failures[-1]
    if last.kind in OF_THE_RUN:
        return "the first three runs all diverged" if ended == len(failures) == 3 else ""
    if ended == 1 and last.kind in SAME_FOR_ALL:
        return "the very first run failed in a way that the others would, too"
    same = sum(each.signature == last.signature for each in failures)
    return f"{counted(same, 'run')} failed in the same way" if same > 1 else ""
