"""Scores of a model's outputs against the truth, with 95 % intervals, per kind of task. numpy only, no torch.

The intervals answer "how would this score vary with another test set of this size"; they say nothing of another seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidora.benchmark_scores import check_requested, on_request
from bidora.errors import LabError
from bidora.metrics.generated import GENERATION
from bidora.metrics.scoring import Array, Measure, Scoring, Weights
from bidora.metrics.tagging import TAGGING
from bidora.metrics.whole import CLASSIFICATION, MULTILABEL, REGRESSION
from bidora.statistics import multiplicities, proportion_interval, quantile_interval

SCORINGS: dict[str, Scoring] = {
    "classification": CLASSIFICATION,
    "regression": REGRESSION,
    "multilabel": MULTILABEL,
    "tagging": TAGGING,
    "generation": GENERATION,
}
"""How each kind of task is scored."""

METRICS = {kind: scoring.names for kind, scoring in SCORINGS.items()}
"""Every score of a kind of task, the primary one first."""

PRIMARY = {kind: names[0] for kind, names in METRICS.items()}
"""The one score that stands for a kind of task."""

LOWER_IS_BETTER = frozenset({"rmse", "mae", "mse"})
"""Scores that are errors, in the target's units (mse: squared)."""

UNBOUNDED = LOWER_IS_BETTER | {"nist"}
"""Scores that may be larger than 1."""

SHARES = frozenset(
    {
        *("accuracy", "macro_f1", "micro_f1", "subset_accuracy", "f1", "weighted_precision", "weighted_f1"),
        *("entity_f1", "entity_precision", "entity_recall"),
        *("bleu", "meteor", "rouge_l", "chrf"),
    }
)
"""Scores between 0 and 1 that are printed in %, and their differences in points."""


def primary_of(kind: str, metrics: Sequence[str] = ()) -> str:
    """The one score that stands for a task: the first of its own, else that of its kind."""
    return metrics[0] if metrics else PRIMARY[kind]


def names_of(kind: str, metrics: Sequence[str] = ()) -> tuple[str, ...]:
    """Every score of a task: its own first, then those of its kind.

    >>> names_of("regression", ("pearson", "mse"))
    ('pearson', 'mse', 'spearman', 'rmse', 'mae')
    """
    return tuple(dict.fromkeys((*metrics, *METRICS[kind])))


def score(
    kind: str, outputs: Array, targets: Array, labels: Sequence[str] = (), *, metrics: Sequence[str] = ()
) -> dict[str, float | None]:
    """Scores of one set of outputs.

    Args:
        kind: one of `SCORINGS`.
        outputs: logits (n, classes); (n,) or (n, 1) predictions for regression; a multilabel logit above 0 means yes;
            tagging: n arrays of tags, indices into the labels; generation: n texts.
        targets: int (n,); float (n,); 0/1 (n, classes); n arrays of tags; n tuples of references.
        labels: names of the classes or tags; () for regression.
        metrics: a benchmark's own scores, also those of `bidora.benchmark_scores.ON_REQUEST`; they come first.

    Returns:
        classification: accuracy, macro_f1 (mean over the classes that occur in targets or predictions), mcc;
        regression: spearman, pearson, rmse, mae (both in the target's units);
        multilabel: micro_f1, macro_f1, subset_accuracy;
        tagging: entity_f1, entity_precision, entity_recall;
        generation: bleu, nist (no share: from 0 on), meteor (where WordNet is found), rouge_l, chrf.
        A score that is undefined, such as the correlation of constant predictions, is None.

    Raises:
        LabError: the kind is unknown, shapes do not fit, there are no items, or an output is NaN or infinite.
    """
    outputs, targets = _checked(kind, outputs, targets, labels)
    measured = _measure(kind, outputs, targets, labels, metrics)(np.ones((1, len(targets))))
    return {name: float(values[0]) if np.isfinite(values[0]) else None for name, values in measured.items()}


def score_intervals(
    kind: str,
    outputs: Array,
    targets: Array,
    labels: Sequence[str] = (),
    *,
    metrics: Sequence[str] = (),
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Scores with 95 % intervals over test items: Wilson's for accuracies, a percentile bootstrap for the others.

    Args:
        kind: as for `score`; so outputs, targets and labels.
        outputs: see `score`.
        targets: see `score`.
        labels: see `score`.
        metrics: see `score`.
        resamples: bootstrap samples of the items.
        seed: of the draws.

    Returns:
        {metric: {"value", "low", "high"}}; where a score is undefined all three are None and "reason" says why; where
        the bootstrap cannot vary it (a perfect score), low and high are None.

    Raises:
        LabError: as `score`.
    """
    outputs, targets = _checked(kind, outputs, targets, labels)
    measure, items = _measure(kind, outputs, targets, labels, metrics), len(targets)
    values = {name: float(each[0]) for name, each in measure(np.ones((1, items))).items()}
    # Samples are worked off in parts, so that 10,000 items need megabytes and not gigabytes.
    part = max(1, min(resamples, 2_000_000 // items))
    drawn: dict[str, list[NDArray[np.float64]]] = {name: [] for name in values}
    for number, start in enumerate(range(0, resamples, part)):
        counts = multiplicities(items, min(part, resamples - start), seed=seed + 1_000_003 * number)
        for name, each in measure(counts).items():
            drawn[name].append(each)
    found: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        if not np.isfinite(value):
            found[name] = {"value": None, "low": None, "high": None, "reason": _why_undefined(outputs, targets)}
            continue
        if name in SCORINGS[kind].proportions:
            low, high, _ = proportion_interval(round(value * items), items)
        else:
            low, high = quantile_interval(np.concatenate(drawn[name]))
        found[name] = {"value": value, "low": low, "high": high}
        if low == high:
            # A bootstrap of a perfect score knows no mistakes to draw; [1, 1] would claim certainty.
            found[name] |= {"low": None, "high": None, "reason": "every resample gives the same score"}
    return found


def baseline(
    kind: str, train_targets: Array, test_targets: Array, labels: Sequence[str] = (), *, metrics: Sequence[str] = ()
) -> dict[str, float | None]:
    """What a constant answer learnt from the training targets alone would score on the test set.

    The answer is the most frequent class; the mean; for multilabel the labels that at least half of the training items
    carry, or the most frequent label where there is none; for tagging no entity.

    Raises:
        LabError: as `score`.
    """
    train, test = np.asarray(train_targets), np.asarray(test_targets)
    if len(train) == 0:
        raise LabError("no training targets", hint="give at least one training example", kind="data")
    constant = _scoring(kind).constant(train, test, labels)
    return score(kind, constant, test, labels, metrics=metrics)


def _measure(kind: str, outputs: Array, targets: Array, labels: Sequence[str], metrics: Sequence[str]) -> Measure:
    """All scores of a task for weighted samples, its own first."""
    usual, names = SCORINGS[kind].measure(outputs, targets, labels), names_of(kind, metrics)
    asked = [name for name in metrics if name not in METRICS[kind]]
    if not asked and tuple(metrics) == METRICS[kind][: len(metrics)]:
        return usual
    check_requested(kind, asked, classes=outputs.shape[1] if outputs.ndim == 2 else 0)
    extra: Measure = on_request(kind, outputs, targets) if asked else lambda weights: {}

    def measure(weights: Weights) -> dict[str, NDArray[np.float64]]:
        found = {**usual(weights), **extra(weights)}
        return {name: found[name] for name in names}

    return measure


def _why_undefined(outputs: Array, targets: Array) -> str:
    if len(targets) < 2:
        return "one item only"
    if targets.dtype == object:
        return "it is not defined for these items"
    return "the targets are constant" if np.ptp(targets) == 0 else "the predictions are constant"


def _checked(kind: str, outputs: Array, targets: Array, labels: Sequence[str]) -> tuple[Array, Array]:
    return _scoring(kind).check(outputs, targets, labels)


def _scoring(kind: str) -> Scoring:
    if kind not in SCORINGS:
        raise LabError(f"kind={kind!r} is not one of {', '.join(METRICS)}", hint="see the task's kind")
    return SCORINGS[kind]
