"""What a run is beside others: a repetition, or more work than they have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

from bidora.config import RunConfig, gradient_evaluations, is_bilevel
from bidora.errors import LabError
from bidora.methods import METHODS, get_method, unused_settings
from bidora.preflight.check import Check
from bidora.preview import kinds_of
from bidora.runs import RUN_ID, Run
from bidora.tasks import get_task
from bidora.wording import number


def check_repetition(config: RunConfig, folder: Path) -> Check | None:
    """The newest run with equal settings that is not over without a result; None where there is none."""
    wanted = config.digest()
    for name in sorted(os.listdir(folder), reverse=True) if folder.is_dir() else ():
        if RUN_ID.match(name) and _digest(folder / name, _stamp(folder / name / "config.json")) == wanted:
            state = Run(folder / name).state
            if state not in ("failed", "stopped", "lost"):
                words = f"Seed {config.seed}: a run with equal settings is there ({name}, {state})."
                hint = "on one machine it ends with the same bits: another seed tells more than a repetition"
                return Check("equal run", None, words, hint, name)
    return None


@lru_cache(maxsize=4096)
def _digest(path: Path, stamp: int) -> str:
    """Digest of a run's settings, read once; empty where they cannot be read."""
    try:
        return Run(path).config.digest() if stamp else ""
    except (LabError, OSError):
        return ""


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def check_rate(config: RunConfig) -> Check | None:
    """Whether the learning rate is one that is usual for the method; None where it is."""
    method, rate = get_method(config.method), config.learning_rate
    low, high = method.rates
    if low <= rate <= high:
        return None
    words = f"learning_rate={rate:g} lies outside {low:g} to {high:g}, which is usual for {method.title}."
    return Check("learning rate", None, words, "choose it on a selection split, with as many tries for each method")


def check_unused(config: RunConfig, others: Sequence[RunConfig] = ()) -> Check | None:
    """Settings that were changed although neither this method nor another of the group uses them; None where there are none."""
    unused = frozenset.intersection(*(unused_settings(each.method) for each in (config, *others)))
    changed = [each.name for each in fields(RunConfig) if getattr(config, each.name) != each.default]
    ignored = [name for name in changed if name in unused]
    if not ignored:
        return None
    chosen = {each.method for each in (config, *others)}
    methods = ", ".join(method.title for name, method in METHODS.items() if name in chosen)
    listed = ", ".join(f"{name}={getattr(config, name)}" for name in ignored)
    return Check("unused", None, f"{listed} makes no difference under {methods}.")


def check_writing(config: RunConfig) -> Check | None:
    """Settings of written texts that were changed for a task that writes none; None where there are none."""
    task = get_task(config.task)
    changed = [each for each in fields(RunConfig) if each.name in _WRITING and each.name not in task.settings]
    listed = [f"{each.name}={value}" for each in changed if (value := getattr(config, each.name)) != each.default]
    if not listed:
        return None
    words = f"{', '.join(listed)} makes no difference: task {task.name} writes no texts."
    return Check("unused", None, words)


_WRITING = ("beams", "max_new_tokens")


def check_effort(config: RunConfig, others: Sequence[RunConfig]) -> Check | None:
    """Gradient evaluations, beside those of the group's other methods."""
    counts = {label: gradient_evaluations(kind) for kind, label in kinds_of([*others, config]).items()}
    if len(counts) < 2:
        where = " in search and retraining" if is_bilevel(config) and config.steps_of_retraining else ""
        return Check("effort", True, f"{number(gradient_evaluations(config))} gradient evaluations{where}.")
    listed = "; ".join(f"{label}: {number(count)}" for label, count in counts.items())
    ratio = max(counts.values()) / min(counts.values())
    if ratio < 1.05:
        return Check("effort", True, f"About equal gradient evaluations for all ({listed}).")
    return Check(
        "effort",
        None,
        f"Gradient evaluations are not equal for all ({listed}); the most is {number(ratio, 2)} times the least.",
        "choose equal gradient evaluations, or say so beside the result",
    )
