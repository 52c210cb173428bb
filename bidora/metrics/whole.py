"""Scores of tasks with one answer per input: a class, a number, or a set of labels. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bidora.errors import LabError
from bidora.metrics.scoring import Array, Measure, Scoring, Weights
from bidora.statistics import weighted_correlation, weighted_ranks


def _classification(outputs: Array, targets: Array, labels: Sequence[str]) -> Measure:
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


def _multilabel(outputs: Array, targets: Array, labels: Sequence[str]) -> Measure:
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


def _regression(outputs: Array, targets: Array, labels: Sequence[str]) -> Measure:
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


def _macro_f1(hits: Weights, claimed: Weights, *, absent: int = 0) -> NDArray[np.float64]:
    """Mean of 2·hits / (true + predicted) over the classes of a sample; (samples, classes) → (samples,).

    `absent` classes count as 0 in every sample.
    """
    occurs = claimed > 0
    per_class = np.where(occurs, 2 * hits / np.where(occurs, claimed, 1), 0.0)
    return np.asarray(per_class.sum(axis=1) / np.maximum(occurs.sum(axis=1) + absent, 1))


def _most_frequent(train: Array, test: Array, labels: Sequence[str]) -> Array:
    classes = max(len(labels), int(train.max()) + 1, int(test.max(initial=0)) + 1)
    constant = np.zeros((len(test), classes))
    constant[:, np.bincount(train, minlength=classes).argmax()] = 1.0
    return constant


def _usual_labels(train: Array, test: Array, labels: Sequence[str]) -> Array:
    share = np.asarray(train, dtype=np.float64).mean(axis=0)
    return np.tile(np.where(share >= min(0.5, share.max()), 1.0, -1.0), (len(test), 1))


def _mean(train: Array, test: Array, labels: Sequence[str]) -> Array:
    return np.full(len(test), float(np.mean(train)))


def _check_classification(outputs: Array, targets: Array, labels: Sequence[str]) -> tuple[Array, Array]:
    outputs, targets = _fitting("classification", outputs, targets, wide=2)
    if targets.min() < 0 or targets.max() >= outputs.shape[1]:
        raise LabError(
            f"targets from {targets.min()} to {targets.max()} for {outputs.shape[1]} classes",
            hint=f"they must lie between 0 and {outputs.shape[1] - 1}",
            kind="data",
        )
    return _usable(outputs, labels), targets


def _check_multilabel(outputs: Array, targets: Array, labels: Sequence[str]) -> tuple[Array, Array]:
    outputs, targets = _fitting("multilabel", outputs, targets, wide=2)
    return _usable(outputs, labels), targets


def _check_regression(outputs: Array, targets: Array, labels: Sequence[str]) -> tuple[Array, Array]:
    outputs = np.asarray(outputs)
    if outputs.ndim == 2 and outputs.shape[1] == 1:
        outputs = outputs[:, 0]
    outputs, targets = _fitting("regression", outputs, targets, wide=1)
    return _usable(outputs, ()), targets


def _fitting(kind: str, outputs: Array, targets: Array, *, wide: int) -> tuple[Array, Array]:
    outputs, targets = np.asarray(outputs), np.asarray(targets)
    fits = outputs.ndim == wide and outputs.shape[: targets.ndim] == targets.shape[:wide]
    if not fits or targets.ndim != (2 if kind == "multilabel" else 1):
        raise LabError(
            f"outputs {outputs.shape} do not fit targets {targets.shape} of a {kind} task",
            hint="one row of outputs per target",
            kind="model",
        )
    if len(targets) == 0:
        raise LabError("there are no items to score", hint="give at least one", kind="data")
    return outputs, targets


def _usable(outputs: Array, labels: Sequence[str]) -> NDArray[np.generic]:
    if len(labels) and outputs.shape[1] < len(labels):
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
    return outputs


CLASSIFICATION = Scoring(
    ("accuracy", "macro_f1", "mcc"),
    _check_classification,
    _classification,
    _most_frequent,
    proportions=frozenset({"accuracy"}),
)
REGRESSION = Scoring(("spearman", "pearson", "rmse", "mae"), _check_regression, _regression, _mean)
MULTILABEL = Scoring(
    ("micro_f1", "macro_f1", "subset_accuracy"),
    _check_multilabel,
    _multilabel,
    _usual_labels,
    proportions=frozenset({"subset_accuracy"}),
)
