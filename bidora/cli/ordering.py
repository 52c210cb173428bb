"""What a batch of runs is, and what a command says before it begins: runs, steps, time, disk. For sweep and reproduce."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bidora.cli.formatting import duration, number, size, table
from bidora.config import RunConfig, gradient_evaluations
from bidora.estimate import estimate
from bidora.runs import ACTIVE, Run, list_runs, runs_root
from bidora.sweeping import Planned, disk_of, planned
from bidora.tuning import Tuning, arms_of_sweep
from bidora.wording import METHOD_NAMES, counted


@dataclass(frozen=True)
class Order:
    """A batch of runs as a command asks for it.

    Attributes:
        configs: of the runs that count.
        group: of these; trials are in a group of their own.
        root: where runs are kept; None for the default.
        parallel: how many at once.
        tags: of the runs.
        tuning: which settings are chosen first; None where nothing is.
        words: the command, to be shown where it may be given again.
        notes: sentences that belong beside what will happen.
    """

    configs: Sequence[RunConfig]
    group: str
    root: str | None
    parallel: int
    tags: tuple[str, ...] = ()
    tuning: Tuning | None = None
    words: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def tuning_group(self) -> str:
        """The group of the trials."""
        return f"{self.group}-tuning"

    @property
    def trials(self) -> list[RunConfig]:
        """The runs by which settings are chosen."""
        arms = arms_of_sweep(self.configs) if self.tuning else []
        return list(
            dict.fromkeys(config for arm in arms for config in (self.tuning.configs(arm) if self.tuning else ()))
        )


def with_notes(order: Order, *notes: str) -> Order:
    """The same order with more sentences beside what will happen."""
    return replace(order, notes=(*order.notes, *notes))


def foretold(order: Order) -> str:
    """What will happen, as text: runs by method and task, steps, time, disk.

    Raises:
        LabError: task or model is unknown, or settings cannot be tuned.
    """
    trials = planned(order.trials, order.tuning_group, order.root)
    final = planned(list(order.configs), order.group, order.root)
    there = [run for run in list_runs(order.root) if run.state == "finished"]
    open_ = [each.config for each in (*trials, *final) if each.state != "finished"]
    lines = [_counts(order, trials, final), "", _kinds(order.configs)]
    if order.tuning:
        names = " × ".join(order.tuning.values)
        lines += [
            "",
            f"First {counted(len(order.tuning.trials), 'trial')} of {names} for each method and task, "
            f"{counted(len(order.tuning.seeds), 'seed')} each; the best by the selection score is run with every seed.",
        ]
    lines += ["", f"Time: {_time(open_, there, order.parallel)}", f"Disk: {_disk(open_, there, order.root)}"]
    lines += [f"Runs: in {order.root or runs_root()}, group {order.group}", *order.notes]
    return "\n".join(lines)


def _counts(order: Order, trials: Sequence[Planned], final: Sequence[Planned]) -> str:
    seeds = list(dict.fromkeys(config.seed for config in order.configs))
    words = counted(len(final), "run") + (f" and {counted(len(trials), 'trial run')}" if trials else "")
    words += f" with {counted(len(seeds), 'seed')} ({', '.join(map(str, seeds))})"
    states = [each.state for each in (*trials, *final)]
    done, begun = states.count("finished"), sum(state in ("stopped", "lost", "failed") for state in states)
    at_work = sum(state in ACTIVE for state in states)
    told = [f"{done} finished already"] if done else []
    told += [f"{begun} begun: gone on with"] if begun else []
    told += [f"{at_work} at work: waited for"] if at_work else []
    return words + (f"; {', '.join(told)}" if told else "")


def _kinds(configs: Sequence[RunConfig]) -> str:
    """Task × method: how many runs, steps, gradient evaluations each."""
    rows: dict[tuple[Any, ...], int] = {}
    for config in configs:
        name = METHOD_NAMES.get(config.method, config.method)
        key = (config.task, name, config.total_steps, gradient_evaluations(config))
        rows[key] = rows.get(key, 0) + 1
    cells = [[*key[:2], count, *key[2:]] for key, count in rows.items()]
    return table(["task", "method", "runs", "steps each", "gradient evaluations each"], cells)


def _time(configs: Sequence[RunConfig], there: Sequence[Run], parallel: int) -> str:
    """Seconds as far as they are known, and what is known where they are not."""
    if not configs:
        return "none; everything is finished"
    found = [estimate(config, there) for config in configs]
    unknown = [config for config, each in zip(configs, found) if each.seconds is None]
    seconds = sum(each.seconds or 0.0 for each in found)
    basis = next((each.basis for each in found if each.seconds is not None), "")
    words = [f"about {duration(seconds)} one after the other ({basis})"] if seconds else []
    if unknown:
        steps = sum(config.total_steps for config in unknown)
        passes = sum(map(gradient_evaluations, unknown))
        words.append(
            f"unknown for {counted(len(unknown), 'run')} until the first steps: {number(steps)} steps with {number(passes)} "
            f"gradient evaluations; each second per gradient evaluation makes {duration(float(passes))}"
        )
    if parallel > 1:
        words.append(f"{parallel} at once share the cores")
    return "; ".join(words)


def _disk(configs: Sequence[RunConfig], there: Sequence[Run], root: str | None) -> str:
    if not configs:
        return "none"
    needed = disk_of(configs, there)
    place = Path(root or runs_root()).expanduser().resolve()
    free = shutil.disk_usage(next(each for each in (place, *place.parents) if each.exists())).free
    known = "unknown until one has finished" if needed is None else f"about {size(needed)}"
    warning = "; that is not enough" if needed and needed > free else ""
    return f"{known}; {size(free)} are free{warning}"
