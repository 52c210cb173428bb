"""What the scores of one kind of task are made of. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidora.errors import LabError

Array = NDArray[Any]
Weights = NDArray[np.float64]
Measure = Callable[[Weights], dict[str, NDArray[np.float64]]]
"""Scores of samples of the items: weights (samples, items), how often each item was drawn → name → (samples,)."""


@dataclass(frozen=True)
class Scoring:
    """How the outputs of one kind of task are scored.

    Args:
        names: of every score, the primary one first.
        check: outputs, targets, labels → the same as arrays with one row per item; raises LabError where they do not fit.
        measure: outputs, targets, labels → the scores of any samples of the items.
        constant: training targets, test targets, labels → outputs for the test items that an answer which does not look
            at its input would give, learnt from the training targets alone.
        proportions: scores that are the share of right items, which have an exact interval.
        sample: so many items are scored on the way where the settings say 0.
        train_sample: so many training items are scored at the end.
    """

    names: tuple[str, ...]
    check: Callable[[Array, Array, Sequence[str]], tuple[Array, Array]]
    measure: Callable[[Array, Array, Sequence[str]], Measure]
    constant: Callable[[Array, Array, Sequence[str]], Array]
    proportions: frozenset[str] = frozenset()
    sample: int = 128
    train_sample: int = 1000


def objects(items: Sequence[Any] | Array) -> Array:
    """A one-dimensional array whose items are whatever they are: lists of different or of equal length, too."""
    made = np.empty(len(items), dtype=object)
    for place, item in enumerate(items):
        made[place] = item
    return made


def check_counts(outputs: Array, targets: Array) -> None:
    """One output per target, and at least one.

    Raises:
        LabError: it is not so.
    """
    if len(outputs) != len(targets):
        raise LabError(f"{len(outputs)} outputs for {len(targets)} targets", hint="one output per target", kind="model")
    if len(targets) == 0:
        raise LabError("there are no items to score", hint="give at least one", kind="data")
