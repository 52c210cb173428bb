"""Small facts about some runs that figures need beside their tables: which score, which unit, which baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bidora.analysis.grouping import Facts, facts_of, number
from bidora.analysis.tables import dynamics_fits, dynamics_table, fits_of
from bidora.benchmark_scores import ON_REQUEST
from bidora.metrics import METRICS, PRIMARY, SCORINGS
from bidora.runs import Run

if TYPE_CHECKING:
    import pandas

    from bidora.statistics import DynamicsFit


@dataclass(frozen=True)
class Measured:
    """What the curves of some runs of one task mean.

    Attributes:
        metric: name of the score on the way.
        loss_unit: of the losses.
        examples: how many test examples each score on the way was measured on; 0 where runs differ.
        baseline: score of the constant answer on the whole test set; None where unknown.
    """

    metric: str
    loss_unit: str
    examples: int
    baseline: float | None


def measured(runs: Sequence[Run]) -> Measured:
    """What the curves of runs of one task mean; of unfinished runs as far as their records tell."""
    facts = facts_of(runs)
    kind = next((str(each.meta["kind"]) for each in facts if each.meta.get("kind") in PRIMARY), "classification")
    kind = next((str(each.result["kind"]) for each in facts if each.result.get("kind") in PRIMARY), kind)
    known = {name for names in (*METRICS.values(), *ON_REQUEST.values()) for name in names}
    planned = [str(each.meta.get("primary")) for each in facts]
    named = [each.primary for each in facts] + [name for name in planned if name in known]
    metric = next(filter(None, named), PRIMARY[kind])
    counts = {_examples(each, SCORINGS[kind].sample) for each in facts}
    return Measured(
        metric,
        "squared standardised error" if kind == "regression" else "nats",
        counts.pop() if len(counts) == 1 else 0,
        _baseline(facts, metric),
    )


def _examples(facts: Facts, usual: int) -> int:
    wanted, there = facts.config.evaluation_examples or usual, facts.at("n_test")
    return int(min(wanted, there)) if math.isfinite(there) else wanted


def baseline_of(runs: Sequence[Run], *, metric: str) -> float | None:
    """Score of the constant answer, mean over runs; None where none was recorded."""
    return _baseline(facts_of(runs), metric)


def _baseline(facts: Sequence[Facts], metric: str) -> float | None:
    values = [number(each.at("baseline", metric)) for each in facts]
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else None


def scored_metrics(table: pandas.DataFrame) -> list[str]:
    """Names of the scores in a table as `comparison` gives it, the primary one first."""
    names = [name.removesuffix("_low") for name in table.columns if name.endswith("_low")]
    primary = str(table["primary"].iloc[0]) if len(table) else ""
    return sorted(names, key=lambda name: name != primary)


def fits_of_runs(runs: Sequence[Run]) -> tuple[dict[str, DynamicsFit], pandas.DataFrame]:
    """The lines through ΔM against ΔD of some runs, and their table (`dynamics_fits`)."""
    points = dynamics_table(runs)
    fits = fits_of(points)
    return fits, dynamics_fits(points, fits)


@dataclass(frozen=True)
class Sampled:
    """The test predictions of one run, their kind and the unit of the target."""

    predictions: pandas.DataFrame
    kind: str
    unit: str


def sampled(runs: Sequence[Run]) -> Sampled:
    """The test predictions of the first of these runs; an empty table where there are none."""
    run = runs[0]
    return Sampled(run.predictions(), str(run.result.get("kind") or ""), str(run.meta.get("unit") or ""))
