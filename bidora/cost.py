"""What a run costs: gradient evaluations, examples, seconds, bytes."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch


@dataclass
class Cost:
    """Counters of one run, saved with its checkpoints.

    Attributes:
        gradient_evaluations: batches that went forward and backward through the model, whatever the gradient was for.
        examples_seen: training examples drawn, of both levels; a perturbed pass repeats a batch and draws none.
        seconds_training: time inside training steps, evaluation left out.
        seconds_before: time of earlier sessions, where the run was stopped and gone on with.
        peak_before: most bytes of memory in them.
    """

    gradient_evaluations: int = 0
    examples_seen: int = 0
    seconds_training: float = 0.0
    seconds_before: float = 0.0
    peak_before: int = 0
    _session: float = field(default_factory=time.perf_counter, repr=False)
    _began: float | None = field(default=None, repr=False)

    def count(self, *, passes: int, examples: int) -> None:
        """Add some passes over batches and the examples drawn for them."""
        self.gradient_evaluations += passes
        self.examples_seen += examples

    def start_clock(self) -> None:
        """A training step begins, or goes on with its next batch."""
        if self._began is None:
            self._began = time.perf_counter()

    def stop_clock(self) -> None:
        """A training step ended."""
        if self._began is not None:
            self.seconds_training += time.perf_counter() - self._began
            self._began = None

    def to_dict(self) -> dict[str, float]:
        """The counters as JSON-ready numbers."""
        return {
            "gradient_evaluations": self.gradient_evaluations,
            "examples_seen": self.examples_seen,
            "seconds_training": round(self.seconds_training, 3),
            "seconds_total": round(self.seconds_before + time.perf_counter() - self._session, 3),
            "peak_memory_bytes": max(self.peak_before, peak_memory_bytes()),
        }

    def load(self, values: dict[str, float]) -> None:
        """Continue from the counters that an earlier session saved."""
        self.gradient_evaluations = int(values.get("gradient_evaluations", 0))
        self.examples_seen = int(values.get("examples_seen", 0))
        self.seconds_training = float(values.get("seconds_training", 0.0))
        self.seconds_before = float(values.get("seconds_total", 0.0))
        self.peak_before = int(values.get("peak_memory_bytes", 0))


def reset_peak_memory() -> None:
    """Begin a new measurement of peak memory (on Linux also for the CPU; elsewhere the CPU peak is the process's)."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def peak_memory_bytes() -> int:
    """Peak memory since the reset: of the GPU where one is in use, else of the process (resident, libraries included)."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated() > 0:
        return torch.cuda.max_memory_allocated()
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes there
    import psutil

    return int(getattr(psutil.Process().memory_info(), "peak_wset", psutil.Process().memory_info().rss))
