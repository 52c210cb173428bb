"""Which runs a sweep has: every combination of settings, each once, and what to call them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import product
from typing import Any

from bidora.analysis.grouping import BOOKKEEPING, relevant_settings
from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.grid import at_equal_effort
from bidora.preview import names_of

MOST_RUNS = 2000
"""Runs of one sweep; more is a slip of the keyboard rather than a plan."""


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
    used = set(relevant_settings(config)) | BOOKKEEPING
    defaults = {each.name: each.default for each in fields(RunConfig)}
    return config.replace(**{name: defaults[name] for name in names if name not in used})


def names_of_sweep(configs: Sequence[RunConfig]) -> list[str]:
    """A name for each run: task, what sets it apart from the others of its task, seed."""
    names: dict[RunConfig, str] = {}
    for task in dict.fromkeys(config.task for config in configs):
        own = [config for config in configs if config.task == task]
        names |= dict(zip(own, names_of(own)))
    return [names[config] for config in configs]
