"""Replay of a finished run: what was on record after so many seconds of training. Drawing only, nothing is trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bidora.analysis import curves, dynamics_table
from bidora.errors import LabError
from bidora.runs import Run

if TYPE_CHECKING:
    import pandas

SPEEDS = (1, 5, 20)
"""How many recorded seconds pass in one second."""

MOST_RUNS = 4


@dataclass(frozen=True)
class Recording:
    """Curves and weights of a few runs on one clock, the seconds of training.

    Attributes:
        curves: as `bidora.analysis.curves`.
        drift: as `bidora.analysis.dynamics_table` with every record, and the column seconds.
        times: (n,) seconds at which the weights were recorded, the stops of stepping; 0 first, the end last.
    """

    curves: pandas.DataFrame
    drift: pandas.DataFrame
    times: tuple[float, ...]

    @property
    def duration(self) -> float:
        """Seconds of training of the longest run."""
        return self.times[-1]

    @property
    def last_tenth(self) -> float:
        """The duration rounded up to tenths of a second, at least one: where a slider ends."""
        return max(float(np.ceil(10 * self.duration)) / 10, 0.1)

    def covered(self, seconds: float) -> float:
        """Which part of the drawing is still to come, in per cent of its width."""
        return 100.0 * (1.0 - min(max(seconds / self.duration, 0.0), 1.0)) if self.duration else 0.0

    def before(self, seconds: float) -> float:
        """The last stop before a moment; 0 at the beginning."""
        return max((time for time in self.times if time < seconds - 1e-6), default=0.0)

    def after(self, seconds: float) -> float:
        """The next stop after a moment; the end at the end."""
        return min((time for time in self.times if time > seconds + 1e-6), default=self.duration)


@dataclass(frozen=True)
class Clock:
    """A tape: where it stands, and since when it runs. Times of day are handed in, so that a test can make them up.

    Attributes:
        position: recorded seconds at `since`.
        speed: recorded seconds per second.
        since: when it was started (time.monotonic), or None while it stands still.
    """

    position: float = 0.0
    speed: float = 5.0
    since: float | None = None

    @property
    def playing(self) -> bool:
        """Whether it runs."""
        return self.since is not None

    def at(self, now: float, duration: float) -> float:
        """Where it stands now, at most at the end."""
        moved = 0.0 if self.since is None else self.speed * max(0.0, now - self.since)
        return min(max(0.0, self.position + moved), duration)

    def play(self, now: float, duration: float) -> Clock:
        """Run; from the beginning where it stands at the end."""
        position = self.at(now, duration)
        return replace(self, position=0.0 if position >= duration else position, since=now)

    def pause(self, now: float, duration: float) -> Clock:
        """Stand still."""
        return replace(self, position=self.at(now, duration), since=None)

    def seek(self, seconds: float) -> Clock:
        """Stand still at a moment."""
        return replace(self, position=max(0.0, seconds), since=None)

    def faster(self, speed: float, now: float, duration: float) -> Clock:
        """Go on from where it is at another speed."""
        return replace(self, position=self.at(now, duration), speed=speed, since=None if self.since is None else now)


def replayable(runs: Iterable[Run]) -> list[Run]:
    """Finished runs with a metrics file, in the given order."""
    return [run for run in runs if (run.path / "metrics.jsonl").is_file() and run.state == "finished"]


def recording_of(runs: Sequence[Run]) -> Recording:
    """Read one to four finished runs for replay.

    Raises:
        LabError: there are none or too many, or a run holds no times.
    """
    if not 0 < len(runs) <= MOST_RUNS:
        raise LabError(f"{len(runs)} runs (allowed: 1 to {MOST_RUNS})", hint="choose one to four finished runs")
    found = curves(runs)
    found = found[found["seconds"].notna()]
    missing = [run.id for run in runs if run.id not in set(found["run"])]
    if missing:
        raise LabError(
            f"run {missing[0]} holds no training times, so it cannot be replayed",
            hint="choose a finished run whose metrics.jsonl is there",
            kind="run",
        )
    drift = dynamics_table(runs, checkpoints=0, every_phase=True)
    drift = drift.assign(seconds=_seconds(drift, found))
    times = sorted({0.0, *drift["seconds"], *found.groupby("run")["seconds"].max()})
    return Recording(found, drift, tuple(float(time) for time in times))


def _seconds(drift: pandas.DataFrame, found: pandas.DataFrame) -> np.ndarray:
    """When each record of the weights was made: its step, looked up among the steps of the curves."""
    seconds = np.zeros(len(drift))
    keys = list(zip(drift["run"], drift["phase_index"])) if len(drift) else []
    for run, phase in set(keys):
        chosen = [key == (run, phase) for key in keys]
        own = found[found["run"] == run]
        known = own[own["phase_index"] == phase].groupby("step")["seconds"].max()
        earlier = own[own["phase_index"] < phase]["seconds"].max()
        steps = [0.0, *known.index]
        times = [float(earlier) if earlier == earlier else 0.0, *known]
        seconds[chosen] = np.interp(drift["step"][chosen].to_numpy(dtype=float), steps, times)
    return seconds
