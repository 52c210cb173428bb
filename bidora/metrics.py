"""Scores of a model's outputs against the truth, with 95 % intervals, per kind of task. numpy only, no torch.

The intervals answer "how would this score vary with another test set of this size"; they say nothing of another seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidora.benchmark_scores import check_requested, on_request
from bidora.errors import LabError
from bidora.statistics import (
    multiplicities,
    proportion_interval,
    quantile_interval,
    weighted_correlation,
    weighted_ranks,
)

PRIMARY = {"classification": "accuracy", "regression": "spearman", "multilabel": "micro_f1"}
"""The one score that stands for a kind of task."""

METRICS = {
    "classification": ("accuracy", "macro_f1", "mcc"),
    "regression": ("spearman", "pearson", "rmse", "mae"),
    "multilabel": ("micro_f1", "macro_f1", "subset_accuracy"),
}
"""Every score of a kind of task, the primary one first."""

LOWER_IS_BETTER = frozenset({"rmse", "mae", "mse"})
"""Scores that are errors, in the target's units (mse: squared)."""

SHARES = frozenset({"accuracy", "macro_f1", "micro_f1", "subset_accuracy", "f1", "weighted_precision", "weighted_f1"})
"""Scores between 0 and 1 that are printed in %, and their differences in points."""

Array = NDArray[Any]
Weights = NDArray[np.float64]
Measure = Callable[[Weights], dict[str, NDArray[np.float64]]]


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
        kind: "classification", "regression" or "multilabel".
        outputs: logits (n, classes); (n,) or (n, 1) predictions for regression; a multilabel logit above 0 means yes.
        targets: int (n,); float (n,); 0/1 (n, classes).
        labels: names of the classes; () for regression.
        metrics: a benchmark's own scores, also those of `bidora.benchmark_scores.ON_REQUEST`; they come first.

    Returns:
        classification: accuracy, macro_f1 (mean over the classes that occur in targets or predictions), mcc;
        regression: spearman, pearson, rmse, mae (both in the target's units);
        multilabel: micro_f1, macro_f1, subset_accuracy.
        A score that is undefined, such as the correlation of constant predictions, is None.

    Raises:
        LabError: the kind is unknown, shapes do not fit, there are no items, or an output is NaN or infinite.
    """
    outputs, targets = _checked(kind, outputs, targets, labels)
    measured = _measure(kind, outputs, targets, metrics)(np.ones((1, len(targets))))
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
    measure, items = _measure(kind, outputs, targets, metrics), len(targets)
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
        if name in ("accuracy", "subset_accuracy"):
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
    carry, or the most frequent label where there is none.

    Raises:
        LabError: as `score`.
    """
    train, test = np.asarray(train_targets), np.asarray(test_targets)
    if len(train) == 0:
        raise LabError("no training targets", hint="give at least one training example", kind="data")
    if kind == "regression":
        constant: Array = np.full(len(test), float(np.mean(train)))
    elif kind == "classification":
        classes = max(len(labels), int(train.max()) + 1, int(test.max(initial=0)) + 1)
        constant = np.zeros((len(test), classes))
        constant[:, np.bincount(train, minlength=classes).argmax()] = 1.0
    else:
        share = np.asarray(train, dtype=np.float64).mean(axis=0)
        constant = np.tile(np.where(share >= min(0.5, share.max()), 1.0, -1.0), (len(test), 1))
    return score(kind, constant, test, labels, metrics=metrics)


def _measure(kind: str, outputs: Array, targets: Array, metrics: Sequence[str]) -> Measure:
    """All scores of a task for weighted samples, its own first."""
    usual, names = _MEASURES[kind](outputs, targets), names_of(kind, metrics)
    asked = [name for name in metrics if name not in METRICS[kind]]
    if not asked and tuple(metrics) == METRICS[kind][: len(metrics)]:
        return usual
    check_requested(kind, asked, classes=outputs.shape[1] if outputs.ndim == 2 else 0)
    extra: Measure = on_request(kind, outputs, targets) if asked else lambda weights: {}

    def measure(weights: Weights) -> dict[str, NDArray[np.float64]]:
        found = {**usual(weights), **extra(weights)}
        return {name: found[name] for name in names}

    return measure


def _classification(outputs: Array, targets: Array) -> Measure:
    predictions = outputs.argmax(axis=1)
    classes = outputs.shape[1]
    right = (predictions == targets).astype(np.float64)
    # One-hot (n, classes) matrices: counts per class of a weighted sample are then one matrix product.
    is_true, is_predicted = np.eye(classes)[targets], np.eye(classes)[predictions]

    def measure(weights: Weights) -> dict[str, NDArray[np.float64]]:
        total = weights.sum(axis=1)
        hits = weights @ (is_true * right[:, None])
        true, predicted = weights @ is_true, weights @ is_predicted
        accuracy = weights @ right / total
        # Matthews correlation of any number of classes (Gorodkin's R_K).
        covariance = hits.sum(axis=1) * total - (true * predicted).sum(axis=1)
        spread = (total**2 - (true**2).sum(axis=1)) * (total**2 - (predicted**2).sum(axis=1))
        with np.errstate(invalid="ignore", divide="ignore"):
            mcc = np.where(spread > 0, covariance / np.sqrt(spread), 0.0)
        return {"accuracy": accuracy, "macro_f1": _macro_f1(hits, true + predicted), "mcc": mcc}

    return measure


def _multilabel(outputs: Array, targets: Array) -> Measure:
    predicted, true = (outputs > 0).astype(np.float64), np.asarray(targets, dtype=np.float64)
    hit, claims = predicted * true, predicted + true
    exact = (predicted == true).all(axis=1).astype(np.float64)
    absent = int((claims.sum(axis=0) == 0).sum())

    def measure(weights: Weights) -> dict[str, NDArray[np.float64]]:
        hits, claimed = weights @ hit, weights @ claims
        all_hits, all_claimed = hits.sum(axis=1), claimed.sum(axis=1)
        return {
            "micro_f1": np.where(all_claimed > 0, 2 * all_hits / np.maximum(all_claimed, 1), 0.0),
            # A label that nobody carries and nobody predicts counts as 0 for the whole set, as in scikit-learn, but a
            # sample that happens to miss a rare label is not punished for it.
            "macro_f1": _macro_f1(hits, claimed, absent=absent),
            "subset_accuracy": weights @ exact / weights.sum(axis=1),
        }

    return measure


def _regression(outputs: Array, targets: Array) -> Measure:
    predicted, true = np.asarray(outputs, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    error = predicted - true
    # Spread relative to the largest value below rounding is no spread: a constant output must not correlate.
    constant = any(np.ptp(each) <= 1e-12 * np.abs(each).max() for each in (predicted, true))

    def measure(weights: Weights) -> dict[str, NDArray[np.float64]]:
        total = weights.sum(axis=1)
        undefined = np.full(len(weights), np.nan)
        ranks = weighted_ranks(predicted, weights), weighted_ranks(true, weights)
        return {
            "spearman": undefined if constant else weighted_correlation(*ranks, weights),
            "pearson": undefined if constant else weighted_correlation(predicted, true, weights),
            "rmse": np.sqrt(weights @ error**2 / total),
            "mae": weights @ np.abs(error) / total,
        }

    return measure


_MEASURES: dict[str, Callable[[Array, Array], Measure]] = {
    "classification": _classification,
    "regression": _regression,
    "multilabel": _multilabel,
}


def _macro_f1(hits: Weights, claimed: Weights, *, absent: int = 0) -> NDArray[np.float64]:
    """Mean of 2·hits / (true + predicted) over the classes of a sample; (samples, classes) → (samples,).

    `absent` classes count as 0 in every sample.
    """
    occurs = claimed > 0
    per_class = np.where(occurs, 2 * hits / np.where(occurs, claimed, 1), 0.0)
    return np.asarray(per_class.sum(axis=1) / np.maximum(occurs.sum(axis=1) + absent, 1))


def _why_undefined(outputs: Array, targets: Array) -> str:
    if len(targets) < 2:
        return "one item only"
    return "the targets are constant" if np.ptp(targets) == 0 else "the predictions are constant"


def _checked(kind: str, outputs: Array, targets: Array, labels: Sequence[str]) -> tuple[Array, Array]:
    if kind not in METRICS:
        raise LabError(f"kind={kind!r} is not one of {', '.join(METRICS)}", hint="see the task's kind")
    outputs, targets = np.asarray(outputs), np.asarray(targets)
    if kind == "regression" and outputs.ndim == 2 and outputs.shape[1] == 1:
        outputs = outputs[:, 0]
    wide = 1 if kind == "regression" else 2
    fits = outputs.ndim == wide and outputs.shape[: targets.ndim] == targets.shape[:wide]
    if not fits or targets.ndim != (2 if kind == "multilabel" else 1):
        raise LabError(
            f"outputs {outputs.shape} do not fit targets {targets.shape} of a {kind} task",
            hint="one row of outputs per target",
            kind="model",
        )
    if len(targets) == 0:
        raise LabError("there are no items to score", hint="give at least one", kind="data")
    if kind == "classification" and (targets.min() < 0 or targets.max() >= outputs.shape[1]):
        raise LabError(
            f"targets from {targets.min()} to {targets.max()} for {outputs.shape[1]} classes",
            hint=f"they must lie between 0 and {outputs.shape[1] - 1}",
            kind="data",
        )
    if len(labels) and wide == 2 and outputs.shape[1] < len(labels):
        raise LabError(
            f"{outputs.shape[1]} outputs per item for {len(labels)} labels", hint="one output per label", kind="model"
        )
    usable = np.isfinite(outputs).reshape(len(outputs), -1).all(axis=1)
    if not usable.all():
        raise LabError(
            f"{int((~usable).sum())} of {len(outputs)} outputs are NaN or infinite",
            hint="lower the learning rate, or use precision float32",
            kind="diverged",
        )
    return outputs, targets
