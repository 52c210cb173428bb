"""Scores that some benchmarks report beside those of their kind of task; computed where a task asks for them. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidora.errors import LabError

Array = NDArray[Any]
Weights = NDArray[np.float64]
Measure = Callable[[Weights], dict[str, NDArray[np.float64]]]

ON_REQUEST = {
    "classification": ("f1", "weighted_precision", "weighted_f1"),
    "regression": ("mse",),
    "multilabel": (),
}
"""Names by kind of task."""


def check_requested(kind: str, names: Sequence[str], *, classes: int) -> None:
    """Refuse a score that the kind of task does not have.

    Raises:
        LabError: names it.
    """
    for name in names:
        allowed = ON_REQUEST.get(kind, ())
        if name not in allowed:
            raise LabError(f"there is no score {name!r} for {kind}", hint=f"on request: {', '.join(allowed) or 'none'}")
        if name == "f1" and classes != 2:
            raise LabError(f"f1 is defined for 2 classes, not for {classes}", hint="use macro_f1")


def on_request(kind: str, outputs: Array, targets: Array) -> Measure:
    """The scores of `ON_REQUEST` for samples that are given as weights of the items.

    Args:
        kind: "classification", "regression" or "multilabel".
        outputs: logits (n, classes), or predictions (n,).
        targets: int (n,) or float (n,).
    """
    if kind == "classification":
        return _classification(outputs, targets)
    if kind == "regression":
        squared = (np.asarray(outputs, dtype=np.float64) - np.asarray(targets, dtype=np.float64)) ** 2
        return lambda weights: {"mse": weights @ squared / weights.sum(axis=1)}
    return lambda weights: {}


def _classification(outputs: Array, targets: Array) -> Measure:
    """Scores per class averaged with the classes' sizes as weights; F1 of the second class where there are two.

    A precision or F1 without any prediction or example counts as 0, as in scikit-learn.
    """
    classes = outputs.shape[1]
    predictions = outputs.argmax(axis=1)
    is_true, is_predicted = np.eye(classes)[targets], np.eye(classes)[predictions]
    right = is_true * is_predicted

    def measure(weights: Weights) -> dict[str, NDArray[np.float64]]:
        hits, true, predicted = weights @ right, weights @ is_true, weights @ is_predicted
        share = true / true.sum(axis=1, keepdims=True)
        precision = hits / np.maximum(predicted, 1)
        f1 = 2 * hits / np.maximum(true + predicted, 1)
        found = {
            "weighted_precision": (share * precision).sum(axis=1),
            "weighted_f1": (share * f1).sum(axis=1),  # recall, averaged so, is the accuracy
        }
        return {**found, "f1": f1[:, 1]} if classes == 2 else found

    return measure
