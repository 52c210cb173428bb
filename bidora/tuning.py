"""Settings chosen on the selection split, with the same number of trials for each method. Imports no torch.

The selection split is cut from the training data and never trained on; the test data are scored in every run, but nothing
here looks at that score.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import Any

from bidora.analysis.grouping import number, relevant_settings
from bidora.config import RunConfig, checked
from bidora.errors import LabError
from bidora.metrics import LOWER_IS_BETTER
from bidora.runs import Run
from bidora.wording import counted

NOT_TUNED = (
    "task",
    "variant",
    "data",
    "test_data",
    "method",
    "seed",
    "selection_fraction",
    "examples_per_class",
    "model",
)
"""What a comparison is about, or what a choice is made on: choosing among these would compare different things."""


@dataclass(frozen=True)
class Chosen:
    """What came of the trials of one method.

    Attributes:
        values: setting → the value with the best mean selection score.
        metric: name of that score.
        scores: for every trial, in their order, the mean over seeds; NaN where a seed has none.
    """

    values: dict[str, Any]
    metric: str
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Tuning:
    """Which settings are tried, and on which seeds.

    Attributes:
        values: setting → the values to try.
        seeds: each trial is run with all of them.
    """

    values: dict[str, tuple[Any, ...]]
    seeds: tuple[int, ...]

    @property
    def trials(self) -> list[dict[str, Any]]:
        """Every combination of the values."""
        return [dict(zip(self.values, each)) for each in product(*self.values.values())]

    def configs(self, arm: RunConfig) -> list[RunConfig]:
        """The trials of one method: all of a seed before those of the next.

        Raises:
            LabError: no selection split is asked for, or the method does not use a tuned setting.
        """
        if arm.selection_fraction == 0:
            raise LabError(
                "selection_fraction=0 leaves no data to choose settings on (allowed with --tune: 0 < fraction <= 0.9)",
                hint="give --selection-fraction 0.2",
            )
        for name in self.values:
            if name not in relevant_settings(arm):
                raise LabError(
                    f"{name} is not used by method={arm.method}, so that its trials would all be equal",
                    hint="tune a setting that every method has, such as learning_rate",
                )
        return [arm.replace(seed=seed, **trial) for seed in self.seeds for trial in self.trials]

    def choose(self, arm: RunConfig, runs: Iterable[Run]) -> Chosen:
        """The trial with the best mean selection score; of equal ones the first.

        Args:
            arm: settings of the method.
            runs: of its trials.

        Raises:
            LabError: no trial has a selection score for every seed.
        """
        by_config = {run.config: run for run in runs}
        metric, scores = "", []
        for trial in self.trials:
            members = [by_config.get(arm.replace(seed=seed, **trial)) for seed in self.seeds]
            results = [run.result if run is not None and run.state == "finished" else {} for run in members]
            metric = next((str(each["primary"]) for each in results if each.get("primary")), metric)
            found = [_selection_score(each) for each in results]
            scores.append(math.fsum(found) / len(found))
        known = [place for place, score in enumerate(scores) if math.isfinite(score)]
        if not known:
            raise LabError(
                f"none of the {counted(len(scores), 'trial')} of {arm.task}, {arm.method} is finished for every seed",
                hint="see why with `bidora list`; the same command goes on",
                kind="run",
            )
        sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
        best = max(known, key=lambda place: (sign * scores[place], -place))
        return Chosen(self.trials[best], metric, tuple(scores))

    def note(self, chosen: Chosen, arm: RunConfig, group: str) -> dict[str, Any]:
        """What the runs with the chosen settings say in their meta.json under `tuning`."""
        return {
            "chosen": {name: _plain(value) for name, value in chosen.values.items()},
            "trials": len(self.trials),
            "values": {name: [_plain(each) for each in values] for name, values in self.values.items()},
            "seeds": list(self.seeds),
            "score": chosen.metric,
            "scores": [score if math.isfinite(score) else None for score in chosen.scores],
            "selection_fraction": arm.selection_fraction,
            "group": group,
        }


def parse_tuning(texts: Sequence[str], seeds: Sequence[int]) -> Tuning:
    """A Tuning from texts such as `learning_rate=1e-3,3e-3`; several settings make every combination.

    Raises:
        LabError: a setting is unknown or must not be tuned, a value is not allowed, or there is only one.

    >>> parse_tuning(["learning-rate=1e-3,3e-3"], [0]).trials
    [{'learning_rate': 0.001}, {'learning_rate': 0.003}]
    """
    known = {each.name: each for each in fields(RunConfig)}
    values: dict[str, tuple[Any, ...]] = {}
    for text in texts:
        name, equals, listed = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in known:
            raise LabError(f"--tune {text!r} names no setting", hint="write --tune learning_rate=1e-3,3e-3")
        if name in NOT_TUNED or isinstance(known[name].default, tuple):
            raise LabError(f"{name} cannot be tuned", hint="tune a setting such as learning_rate, alpha or steps")
        parts = [part.strip() for part in listed.split(",") if part.strip()]
        found = tuple(dict.fromkeys(checked(known[name], part) for part in parts))
        if len(found) < 2:
            raise LabError(f"--tune {text!r} gives {counted(len(found), 'value')}", hint="give two or more")
        values[name] = found
    return Tuning(values, tuple(seeds))


def arms_of_sweep(configs: Iterable[RunConfig]) -> list[RunConfig]:
    """The settings of a sweep without their seeds, each once: each arm gets trials of its own."""
    return list(dict.fromkeys(config.replace(seed=0) for config in configs))


def _selection_score(result: Mapping[str, Any]) -> float:
    scores = result.get("selection_scores")
    return number(scores.get(result.get("primary"))) if isinstance(scores, Mapping) else math.nan


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
