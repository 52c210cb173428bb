"""What one call of the benchmark was asked for, and what a part of it hands back."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from benchmarks.workloads import Size


@dataclass(frozen=True)
class Settings:
    """Settings that every part reads.

    Args:
        device: where to compute.
        quick: tiny random models and few rounds; checks that everything runs, its times mean nothing.
        scratch: an empty folder for models and runs.
        rounds: timings of each contestant; 0: chosen by the part.
        sizes: keep to these, by their printed name, such as "minilm 16×128"; empty: all.
        brief: steps only: keep to the contestants of the README's table.
    """

    device: torch.device
    quick: bool
    scratch: Path
    rounds: int = 0
    sizes: tuple[str, ...] = ()
    brief: bool = False

    def sizes_of(self, part: tuple[Size, ...], quick: tuple[Size, ...]) -> tuple[Size, ...]:
        """The sizes on which a part works."""
        if self.quick:
            return quick
        return tuple(size for size in part if not self.sizes or str(size) in self.sizes)

    def rounds_or(self, default: int) -> int:
        """Number of rounds of a part whose own choice is `default`."""
        return self.rounds or (2 if self.quick else default)

    @property
    def calls(self) -> int:
        """Calls per timing: a GPU works on a queue, so several steps are timed together, as in training."""
        return 5 if self.device.type == "cuda" and not self.quick else 1


class Progress:
    """Tells on stderr what is being measured, and after the first piece how long the rest will take.

    Args:
        part: the part's name.
        pieces: how many pieces of about the same length there are.
    """

    def __init__(self, part: str, pieces: int) -> None:
        self.part, self.pieces, self.done, self.began = part, pieces, 0, time.perf_counter()

    def next(self, text: str) -> None:
        """The next piece begins."""
        spent = time.perf_counter() - self.began
        left = f", about {spent / self.done * (self.pieces - self.done):.0f} s left" if self.done else ""
        print(f"{self.part} {self.done + 1}/{self.pieces}: {text} · {spent:.0f} s{left}", file=sys.stderr, flush=True)
        self.done += 1


@dataclass(frozen=True)
class Part:
    """Results of one part.

    Args:
        title: what was measured.
        columns: key of a row → its heading, in the order of the printed table.
        rows: JSON-ready values; keys that are no column are kept in the file only.
        group: key whose value starts a table of its own; "" for one table.
        notes: what a reader must know.
    """

    title: str
    columns: dict[str, str]
    rows: list[dict[str, Any]]
    group: str = ""
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "title": self.title,
            "columns": self.columns,
            "group": self.group,
            "rows": self.rows,
            "notes": self.notes,
        }
