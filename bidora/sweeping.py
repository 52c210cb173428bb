"""A grid of runs: methods × tasks × seeds × settings, carried out by worker processes, a few at a time.

Where a sweep stands is in its run folders alone: same settings = same run of the group. So the same command again passes
over what is finished and goes on with what was stopped or lost. This module imports no torch.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import product
from pathlib import Path
from typing import Any

from bidora.analysis.grouping import relevant_settings
from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.grid import at_equal_effort
from bidora.launch import start, stop, thread_share
from bidora.preview import names_of
from bidora.runs import ACTIVE, Run, list_runs
from bidora.runs.contents import size_of
from bidora.wording import counted

MOST_RUNS = 2000
"""Runs of one sweep; more is a slip of the keyboard rather than a plan."""

POLL_SECONDS = 0.5
STOP_SECONDS = 60.0
"""How long an interrupted sweep waits for its workers to save."""

SAME_FOR_ALL = ("setting", "data", "model", "download", "disk")
"""Kinds of errors that the other runs will meet, too, if the very first run meets them."""

OF_THE_RUN = ("diverged",)
"""Kinds of errors that are findings about settings: a sweep of learning rates goes on over them."""

_ALWAYS_MATTERS = {"seed", "device", "threads", "kernel", "gradient_checkpointing"}
_ALWAYS_MATTERS |= {"evaluate_every", "evaluation_examples", "record_every", "checkpoint_every"}


# -- which runs -----------------------------------------------------------------------------------------------------


def combinations_of(
    axes: Mapping[str, Sequence[Any]], base: Mapping[str, Any] | None = None, *, equal_effort: bool = False
) -> list[RunConfig]:
    """Every combination of settings, each once; all of one seed before those of the next, so that pairs are complete early.

    A setting that a method does not use has its default there, so that it makes no second, equal run.

    Args:
        axes: setting → its values.
        base: settings that all share.
        equal_effort: give methods with fewer gradient evaluations as many steps as the one with most needs.

    Raises:
        LabError: there are too many, or settings are not allowed (together).
    """
    base = dict(base or {})
    outer = [name for name in ("seed", "task") if name in axes]
    inner = [name for name in axes if name not in ("seed", "task", "method")]
    methods: Sequence[Any] = axes.get("method") or [base.get("method", RunConfig.method)]
    count = len(methods)
    for name in (*outer, *inner):
        count *= len(axes[name])
    if not 1 <= count <= MOST_RUNS:
        sizes = " × ".join(f"{len(values)} {name}" for name, values in axes.items())
        raise LabError(f"{sizes} = {count:,} runs (allowed: 1 to {MOST_RUNS:,})", hint="name fewer values")
    found: dict[RunConfig, None] = {}
    for values in product(*(axes[name] for name in (*outer, *inner))):
        here = base | dict(zip((*outer, *inner), values))
        configs = [RunConfig.from_dict({**here, "method": method}, strict=True) for method in methods]
        configs = [without_unused(config, inner) for config in configs]
        found |= dict.fromkeys(at_equal_effort(configs) if equal_effort else configs)
    return list(found)


def without_unused(config: RunConfig, names: Iterable[str]) -> RunConfig:
    """The settings with the default in place of those of the given names that the method does not use."""
    used = set(relevant_settings(config)) | _ALWAYS_MATTERS
    defaults = {each.name: each.default for each in fields(RunConfig)}
    return config.replace(**{name: defaults[name] for name in names if name not in used})


def names_of_sweep(configs: Sequence[RunConfig]) -> list[str]:
    """A name for each run: task, what sets it apart from the others of its task, seed."""
    names: dict[RunConfig, str] = {}
    for task in dict.fromkeys(config.task for config in configs):
        own = [config for config in configs if config.task == task]
        names |= dict(zip(own, names_of(own)))
    return [names[config] for config in configs]


def equal_run(runs: Iterable[Run], group: str, config: RunConfig) -> Run | None:
    """The run of that group with equal settings: a finished one, one at work, the newest of the rest, or None."""
    equal = [run for run in runs if run.meta.get("group") == group and run.config.digest() == config.digest()]
    return _best(equal)


def _best(equal: Sequence[Run]) -> Run | None:
    finished = [run for run in equal if run.state == "finished"]
    at_work = [run for run in equal if run.state in ACTIVE]
    return next(iter([*finished, *at_work, *equal]), None)


# -- what is there, and what it will need ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Planned:
    """One run of a sweep.

    Attributes:
        config: its settings.
        name: in words.
        run: its folder, where there is one already.
        meta: further entries of its meta.json.
    """

    config: RunConfig
    name: str
    run: Run | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """The run's state; `new` where there is none yet."""
        return self.run.state if self.run else "new"


def planned(
    configs: Sequence[RunConfig],
    group: str,
    root: str | Path | None = None,
    *,
    meta: Mapping[RunConfig, Mapping[str, Any]] | None = None,
) -> list[Planned]:
    """The runs of a sweep in order, each with its folder where the group has one with equal settings."""
    by_digest: dict[str, list[Run]] = {}
    for run in list_runs(root):
        if run.meta.get("group") == group:
            by_digest.setdefault(run.config.digest(), []).append(run)
    found = [_best(by_digest.get(config.digest(), ())) for config in configs]
    notes = [(meta or {}).get(config, {}) for config in configs]
    return [Planned(*each) for each in zip(configs, names_of_sweep(configs), found, notes)]


def disk_of(configs: Iterable[RunConfig], runs: Iterable[Run]) -> float | None:
    """Bytes that the run folders will take, from finished ones with the same model; None where there are none.

    A median over runs of the same method, else over all of the model.
    """
    sizes: dict[tuple[str, str, str], list[int]] = {}
    for run in runs:
        config = run.config
        sizes.setdefault((config.task, config.model, config.method), []).append(size_of(run.path))
    total = 0.0
    for config in configs:
        same = sizes.get((config.task, config.model, config.method))
        same = same or [n for (task, model, _), all_ in sizes.items() for n in all_ if _alike(task, model, config)]
        if not same:
            return None
        total += statistics.median(same)
    return total


def _alike(task: str, model: str, config: RunConfig) -> bool:
    return model == config.model and (bool(model) or task == config.task)


# -- doing it -------------------------------------------------------------------------------------------------------


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
        if run.state not in ACTIVE:  # else somebody has started it already: it is waited for
            start(run, threads=thread_share(self.parallel))
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
