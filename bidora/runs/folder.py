"""Reading a run folder: tolerant of half-written lines, unknown or missing keys, and dead workers."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.runs.files import read_json, tamed
from bidora.runs.shapes import META, RESULT, STATUS, fitting
from bidora.runs.tables import read_table
from bidora.runs.workers import ACTIVE, worker_alive

if TYPE_CHECKING:
    import pandas


LONGEST_LINE = 1_000_000
"""Letters of one line of metrics.jsonl; what is longer is no record."""

LONGEST_TAIL = 200_000
"""Bytes at the end of log.txt in which its last lines are looked for."""

_WILD = re.compile(r"NaN|Infinity|[eE]\+?\d{3}|\d{19}|\\u[dD]|\[|\{.*\{")
"""In a line of metrics.jsonl: what a worker never writes."""


class RunFolder:
    """What can be read of a run; `Run` adds what can be done with it.

    Args:
        path: the folder; it must hold a config.json.

    Raises:
        LabError: the folder does not exist or is not a run.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "config.json").is_file():
            raise LabError(
                f"{self.path} is not a run: it has no config.json",
                hint="`bidora list` shows the runs there are",
                kind="run",
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @property
    def id(self) -> str:
        """The folder's name, which is the run's name in commands and links."""
        return self.path.name

    @property
    def config(self) -> RunConfig:
        """The settings."""
        return RunConfig.from_dict(read_json(self.path / "config.json"))

    @property
    def meta(self) -> dict[str, Any]:
        """Name, tags, note, group, versions, device, hashes of split and data; {} where unreadable."""
        return fitting(read_json(self.path / "meta.json", missing_ok=True), META)

    @property
    def status(self) -> dict[str, Any]:
        """What the worker wrote last, with `state` corrected to `lost` where the worker is dead."""
        status = fitting(read_json(self.path / "status.json", missing_ok=True), STATUS)
        status["state"] = status.get("state") or "queued"
        if status["state"] in ACTIVE and not worker_alive(status):
            status["state"] = "lost"
        return status

    @property
    def state(self) -> str:
        """One of STATES."""
        return str(self.status["state"])

    @property
    def result(self) -> dict[str, Any]:
        """The final scores, costs and dynamics (result.json); {} until the run is finished."""
        return fitting(read_json(self.path / "result.json", missing_ok=True), RESULT)

    @property
    def adapter_dir(self) -> Path:
        """Where the trained adapter lies, in PEFT's layout."""
        return self.path / "adapter"

    @property
    def checkpoints_dir(self) -> Path:
        """Where checkpoints lie, one folder per phase."""
        return self.path / "checkpoints"

    def records(self, *, most: int = 0) -> Iterator[dict[str, Any]]:
        """The lines of metrics.jsonl; unreadable ones (half-written, corrupt) are passed over.

        Args:
            most: about how many, evenly spaced, are enough, for a chart of a long run; the last one and, up to as many,
                those with test scores are among them. 0: all.
        """
        for line in self._spaced(most) if most else self.record_lines():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):  # the latter: brackets without end
                continue
            if isinstance(record, dict):
                yield tamed(record) if _WILD.search(line) else record

    def _spaced(self, most: int) -> Iterator[str]:
        """About so many lines, without parsing the others; how many there are is told from the length of the first."""
        step, scored, line, taken = 1, 0, "", True
        for place, line in enumerate(self.record_lines()):
            if not place:
                size = (self.path / "metrics.jsonl").stat().st_size
                step = max(1, round(size / len(line) / most))
            scored += '"test_' in line
            taken = place % step == 0 or ('"test_' in line and scored <= most)
            if taken:
                yield line
        if not taken:
            yield line

    def record_lines(self) -> Iterator[str]:
        """The lines of metrics.jsonl as they are, one at a time; none where there is no such file."""
        path = self.path / "metrics.jsonl"
        if not path.is_file():
            return
        try:
            with open(path, encoding="utf-8", errors="replace") as handle:
                while line := handle.readline(LONGEST_LINE):
                    yield line
        except OSError:
            return

    def metrics(self) -> pandas.DataFrame:
        """The metrics as a table, one row a line; empty where there are none."""
        import pandas

        return pandas.DataFrame(list(self.records()))

    def dynamics(self) -> pandas.DataFrame:
        """The weight dynamics as a table: step × layer × module; empty where there are none."""
        import pandas

        folder = self.path / "dynamics.parquet"
        joined = folder / "all.parquet"
        parts = [read_table(part) for part in ([joined] if joined.is_file() else sorted(folder.glob("*.parquet")))]
        parts = [part for part in parts if not part.empty]
        return pandas.concat(parts, ignore_index=True) if parts else pandas.DataFrame()

    def predictions(self) -> pandas.DataFrame:
        """The test predictions as a table; empty where there are none."""
        return read_table(self.path / "predictions.parquet")

    def units(self) -> pandas.DataFrame:
        """The final weights unit by unit: name, layer, module, unit, m0, m (weight units), delta_d (1 − cos).

        Empty where they were not written: unfinished runs, and runs of earlier versions.
        """
        return read_table(self.path / "units.parquet")

    def spectrum(self) -> pandas.DataFrame:
        """Singular values of W′ − W0: name, layer, module, index (from 1), singular_value, cumulative.

        cumulative is the share of ‖W′ − W0‖²_F in the values up to this one. Empty where it was not written.
        """
        return read_table(self.path / "spectrum.parquet")

    def log_tail(self, lines: int = 40) -> str:
        """The last lines of the worker's output."""
        path = self.path / "log.txt"
        if path.is_symlink() or not path.is_file():  # no worker makes links; this one could show any file
            return ""
        try:
            with open(path, "rb") as handle:
                handle.seek(max(0, handle.seek(0, os.SEEK_END) - LONGEST_TAIL))
                text = handle.read(LONGEST_TAIL).decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def stop_requested(self) -> bool:
        """Whether somebody asked the worker to stop."""
        return (self.path / "stop").exists()
