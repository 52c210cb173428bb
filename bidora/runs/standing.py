"""How a run stands: phase, steps, time left and time spent, as far as its folder tells."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

from bidora.runs.folder import RunFolder
from bidora.runs.workers import ACTIVE


class Standing(NamedTuple):
    """How a run stands.

    Attributes:
        state: one of STATES.
        phase: train, search or retrain; empty before the first step.
        step: steps of all phases that are done.
        total: steps of all phases.
        left: seconds left; None until it is known, which is after five steps.
        elapsed: seconds since the worker began, or that all of it took; None where unknown.
    """

    state: str
    phase: str
    step: int
    total: int
    left: float | None
    elapsed: float | None

    @property
    def share(self) -> float:
        """The part that is done, from 0 to 1."""
        return min(1.0, max(0.0, self.step / self.total)) if self.total > 0 else 0.0


def standing_of(run: RunFolder) -> Standing:
    """How a run stands; words where numbers should be count as nothing."""
    status = run.status
    state = str(status["state"])
    step, total = _number(status.get("step")), _number(status.get("total"))
    left = _number(status.get("eta_seconds")) if state == "running" else None
    return Standing(
        state=state,
        phase=str(status.get("phase") or "")[:40],
        step=int(step or 0),
        total=int(total or run.config.total_steps),
        left=left,
        elapsed=_elapsed(run, status),
    )


def log_lines(text: str) -> list[tuple[str, str]]:
    """Lines of a worker's output with their level: error, warning or info; a traceback is an error to its last line."""
    found = []
    inside = False
    for line in text.splitlines():
        lowered = line.lower()
        if line.startswith("Traceback"):
            inside = True
        level = "info"
        if inside or "error" in lowered or "exception" in lowered or lowered.startswith("killed"):
            level = "error"
        elif "warn" in lowered:
            level = "warning"
        if inside and line and not line[0].isspace() and not line.startswith("Traceback"):
            inside = False  # the exception itself ends its traceback
        found.append((level, line))
    return found


def has_checkpoint(folder: Path) -> bool:
    """Whether a run has anything to go on from; else resuming begins anew."""
    return any((folder / "checkpoints").glob("*/*/complete"))


def half_checkpoints(folder: Path) -> list[Path]:
    """Checkpoints that were cut off: their file `complete`, written last, is missing."""
    found = (folder / "checkpoints").glob("*/*")
    return [each for each in found if each.is_dir() and not (each / "complete").exists()]


def _elapsed(run: RunFolder, status: dict[str, Any]) -> float | None:
    if status["state"] in ACTIVE:
        began = _number(status.get("process_start"))
        return max(0.0, time.time() - began) if began else None
    cost = run.result.get("cost")
    total = _number(cost.get("seconds_total")) if isinstance(cost, dict) else None
    if total is not None:
        return total
    seconds = [_number(record.get("seconds")) for record in run.records()]
    return max((each for each in seconds if each is not None), default=None)


def _number(value: Any) -> float | None:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if usable else None
