"""What of a sweep is there already, and what the rest will need."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bidora.config import RunConfig
from bidora.runs import ACTIVE, Run, list_runs
from bidora.runs.contents import size_of
from bidora.sweeping.combinations import names_of_sweep


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


def equal_run(runs: Iterable[Run], group: str, config: RunConfig) -> Run | None:
    """The run of that group with equal settings: a finished one, one at work, the newest of the rest, or None."""
    equal = [run for run in runs if run.meta.get("group") == group and run.config.digest() == config.digest()]
    return _best(equal)


def _best(equal: Sequence[Run]) -> Run | None:
    finished = [run for run in equal if run.state == "finished"]
    at_work = [run for run in equal if run.state in ACTIVE]
    return next(iter([*finished, *at_work, *equal]), None)
