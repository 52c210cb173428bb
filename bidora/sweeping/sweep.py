"""A sweep at work: workers are started, a few at a time, and watched until all are over."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.launch import start, stop, thread_share
from bidora.runs import ACTIVE, Run
from bidora.sweeping.failures import Failure, failure_of, systematic
from bidora.sweeping.planning import Planned

POLL_SECONDS = 0.5

STOP_SECONDS = 60.0
"""How long an interrupted sweep waits for its workers to save."""


@dataclass
class Sweep:
    """A sweep at work: starts workers, a few at a time, and watches them until all are over.

    Args:
        group: of its runs.
        root: where they are kept.
        parallel: how many at once; each gets its share of the cores.
        tags: of runs that are made.
        ended: called with each run that is over, and with how many are to come.
        watched: called now and then with the runs at work.
    """

    group: str
    root: str | Path | None = None
    parallel: int = 1
    tags: tuple[str, ...] = ()
    ended: Callable[[Planned, int], None] = lambda each, left: None
    watched: Callable[[Sequence[Run]], None] = lambda runs: None
    failures: list[Failure] = field(default_factory=list)
    over: int = 0

    def carry_out(self, plan: Sequence[Planned]) -> list[Run]:
        """Train what is not finished yet; returns all runs of the plan, in its order.

        Raises:
            LabError: a systematic failure; what was at work has been asked to save and stop.
            KeyboardInterrupt: after what was at work has been asked to save and stop.
        """
        waiting = [each for each in plan if each.state != "finished"]
        runs: dict[RunConfig, Run | None] = {each.config: each.run for each in plan}
        active: list[Planned] = []
        try:
            while waiting or active:
                while waiting and len(active) < self.parallel:
                    each = self._begun(waiting.pop(0))
                    runs[each.config] = each.run
                    active.append(each)
                for each in [each for each in active if each.state not in (*ACTIVE, "queued")]:
                    active.remove(each)
                    self._take_note(each, len(waiting) + len(active))
                self.watched([each.run for each in active if each.run])
                if active:
                    time.sleep(POLL_SECONDS)
        except BaseException:
            _stop_all([each.run for each in active if each.run])
            raise
        return [run for each in plan if (run := runs.get(each.config)) is not None]

    def _begun(self, each: Planned) -> Planned:
        run = each.run or Run.create(each.config, self.root, name=each.name, group=self.group, tags=self.tags)
        if each.meta:
            run.update_meta(**each.meta)
        try:
            if run.state not in (*ACTIVE, "finished"):  # else somebody has started it already: it is waited for
                start(run, threads=thread_share(self.parallel))
        except LabError:
            if run.state not in (*ACTIVE, "finished"):  # somebody was quicker by a moment
                raise
        return Planned(each.config, each.name, run, each.meta)

    def _take_note(self, each: Planned, left: int) -> None:
        assert each.run is not None
        self.over += 1
        if each.state in ("failed", "lost"):
            self.failures.append(failure_of(each.run))
        self.ended(each, left)
        reason = systematic(self.failures, self.over) if each.state in ("failed", "lost") else ""
        if reason:
            last = self.failures[-1]
            raise LabError(
                f"the sweep stops: {reason}. {each.run.id} ({last.kind}): {last.message}",
                hint=(f"{last.hint}; then " if last.hint else "mend it; then ") + "the same command goes on",
                kind=last.kind,
            )


def _stop_all(runs: Sequence[Run]) -> None:
    """Ask all workers first, so that they save at the same time; then wait for each."""
    for run in runs:
        stop(run)
    for run in runs:
        stop(run, wait=STOP_SECONDS)
