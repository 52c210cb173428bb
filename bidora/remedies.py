"""What to do about a run that failed: the cause in one line, and a repair that one click can start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bidora.config import RunConfig
from bidora.runs import Run


@dataclass(frozen=True)
class Remedy:
    """A repair.

    Attributes:
        label: for the button, as an instruction.
        changes: settings of a clone that would be tried; empty where the run itself goes on.
        resumes: whether the run itself goes on, from its last checkpoint or from the beginning.
    """

    label: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    resumes: bool = False


@dataclass(frozen=True)
class Failure:
    """Why a run failed: kind (one word), cause and next step in a sentence each, and repairs, the likeliest first."""

    kind: str
    cause: str
    hint: str
    remedies: tuple[Remedy, ...]


AGAIN = Remedy("Try again", resumes=True)


def failure_of(run: Run) -> Failure:
    """Why a run failed, and what may help; tolerant of a status that says nothing."""
    error = run.status.get("error")
    found: Mapping[str, Any] = error if isinstance(error, Mapping) else {}
    kind = str(found.get("kind") or "unexpected")
    cause = " ".join(str(found.get("message") or "the worker ended without saying why").split())[:500]
    return Failure(kind, cause, str(found.get("hint") or "")[:500], remedies(kind, run.config))


def remedies(kind: str, config: RunConfig) -> tuple[Remedy, ...]:
    """Repairs for a kind of failure.

    Args:
        kind: of a LabError: diverged, memory, disk, download, data, model, setting, checkpoint, run; or unexpected.
        config: the settings that failed.
    """
    if kind == "diverged":
        found = [
            Remedy(
                "Clone with a tenth of the learning rate", {"learning_rate": float(f"{config.learning_rate / 10:.6g}")}
            )
        ]
        if config.max_gradient_norm == 0:
            found.append(Remedy("Clone with gradients clipped to norm 1", {"max_gradient_norm": 1.0}))
        return tuple(found)
    if kind == "memory":
        found = []
        if config.batch_size > 1:
            found.append(Remedy("Clone with half the batch size", {"batch_size": config.batch_size // 2}))
        if config.max_length > 32:
            found.append(Remedy("Clone with half the input length", {"max_length": config.max_length // 2}))
        return tuple(found)
    return (AGAIN,) if kind in ("disk", "download", "run", "unexpected") else ()
