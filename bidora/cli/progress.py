"""Progress on stderr: phase, step, loss and time left; one line rewritten on a terminal, else a line per tenth."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from bidora.cli.formatting import duration, number, size

REWRITE_SECONDS = 0.2
PHASES = ("train", "search", "retrain")
"""What goes on when losses are written."""

BYTES_FROM = 1_000_000
"""A total of at least this is counted in bytes; no phase has so many steps."""


class ProgressLine:
    """A Progress callable: call it with what is going on, how much is done, and how much there is.

    What follows " · " in the first of them ("search · loss 0.412") may change from call to call.

    Args:
        metrics: a run's metrics.jsonl, from whose last line the loss is read where the text does not tell it.
        stream: where to write; by default stderr.
    """

    def __init__(self, metrics: Path | None = None, *, stream: TextIO | None = None) -> None:
        self.metrics = metrics
        self.stream = stream if stream is not None else sys.stderr
        self.rewriting = self.stream.isatty()
        self._what = ""
        self._began = (0.0, 0.0)
        self._written = 0.0
        self._tenth = -1
        self._open = False

    def __call__(self, what: str, done: float, total: float) -> None:
        """Show where things stand; cheap enough to be called at every step."""
        now = time.monotonic()
        what, _, detail = what.partition(" · ")
        if what != self._what:
            self.close()
            self._what, self._began, self._tenth, self._written = what, (now, done), -1, 0.0
        last = total > 0 and done >= total
        tenth = int(10 * done / total) if total > 0 else 0
        due = now - self._written >= REWRITE_SECONDS or last if self.rewriting else tenth > self._tenth
        if not due:
            return
        self._written, self._tenth = now, tenth
        self._write(self._line(detail, done, total, now))
        if last:
            self.close()

    def say(self, text: str) -> None:
        """Write a line of its own, below the progress line."""
        self.close()
        print(text, file=self.stream, flush=True)

    def close(self) -> None:
        """End the line that is being rewritten."""
        if self._open:
            print(file=self.stream, flush=True)
            self._open = False

    def _line(self, detail: str, done: float, total: float, now: float) -> str:
        what = self._what
        if total <= 0:
            return f"{what}  {detail}".rstrip()
        as_bytes = total >= BYTES_FROM
        amount = f"{size(done)} of {size(total)}" if as_bytes else f"{number(int(done))}/{number(int(total))}"
        parts = [what, amount]
        if detail:
            parts.append(detail)
        elif what in PHASES and (loss := last_loss(self.metrics)) is not None:
            parts.append(f"loss {number(loss)}")
        began, first = self._began
        if first < done < total and now > began:
            parts.append(f"{duration((now - began) / (done - first) * (total - done))} left")
        return "  ".join(parts)

    def _write(self, line: str) -> None:
        if not self.rewriting:
            print(line, file=self.stream, flush=True)
            return
        width = shutil.get_terminal_size().columns - 1
        self.stream.write("\r" + line[:width].ljust(width))
        self.stream.flush()
        self._open = True


def last_loss(path: Path | None) -> float | None:
    """The loss in the last line of a metrics.jsonl that has one; looks at the end of the file only."""
    record = last_record(path, "loss")
    return None if record is None else float(record["loss"])


def last_record(path: Path | None, name: str) -> dict[str, Any] | None:
    """The last line of a metrics.jsonl that holds a value of that name; looks at the end of the file only."""
    if path is None:
        return None
    try:
        with open(path, "rb") as handle:
            handle.seek(max(0, handle.seek(0, 2) - 8192))
            lines = handle.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get(name) is not None:
            return record
    return None
