"""Tasks with one answer per input: a class, a number, or a set of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bidora.encoding import TargetScale
from bidora.kinds.kind import Kind
from bidora.tasks.splits import Split

if TYPE_CHECKING:
    import pandas

SHOWN = 200
"""Characters of an input that predictions keep."""


class Classification(Kind):
    """One class out of several; cross entropy in nats."""

    name = "classification"

    def predictions(
        self, outputs: np.ndarray, targets: np.ndarray, split: Split, labels: tuple[str, ...]
    ) -> pandas.DataFrame:
        """One row per example, with the probability of the predicted class."""
        shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        probability = shifted / shifted.sum(axis=1, keepdims=True)
        chosen = outputs.argmax(axis=1)
        names = np.asarray(labels)
        return shown(split).assign(
            target=names[targets],
            prediction=names[chosen],
            probability=probability.max(axis=1),
            correct=chosen == targets,
        )


class Regression(Kind):
    """A number; mean squared error of standardised targets, answers in the task's own unit."""

    name = "regression"

    def scale(self, targets: np.ndarray) -> TargetScale | None:
        """Mean and deviation of the targets."""
        return TargetScale.of(targets)

    def outputs(self, labels: tuple[str, ...]) -> int:
        """One."""
        return 1

    def gather(self, parts: list[Any], scale: TargetScale | None) -> np.ndarray:
        """Predictions (n,) in the task's own unit."""
        return (scale or TargetScale()).restore(np.concatenate(parts)[:, 0].astype(np.float64))

    def predictions(
        self, outputs: np.ndarray, targets: np.ndarray, split: Split, labels: tuple[str, ...]
    ) -> pandas.DataFrame:
        """One row per example, numbers in the task's own unit."""
        return shown(split).assign(target=targets, prediction=outputs, probability=np.nan, correct=None)


class Multilabel(Kind):
    """Any number of labels; binary cross entropy in nats."""

    name = "multilabel"

    def predictions(
        self, outputs: np.ndarray, targets: np.ndarray, split: Split, labels: tuple[str, ...]
    ) -> pandas.DataFrame:
        """One row per example, labels separated by commas."""
        chosen = outputs > 0
        words = [", ".join(label for label, on in zip(labels, row, strict=True) if on) for row in chosen]
        wanted = [", ".join(label for label, on in zip(labels, row, strict=True) if on) for row in targets > 0]
        correct = (chosen == (targets > 0)).all(axis=1)
        return shown(split).assign(target=wanted, prediction=words, probability=np.nan, correct=correct)


def shown(split: Split) -> pandas.DataFrame:
    """id and the beginning of each input."""
    import pandas

    return pandas.DataFrame({"id": split.ids, "input": split.shown(SHOWN)})
