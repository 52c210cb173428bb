"""What a kind of task decides on the way from examples to scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from bidora.classifier import Classifier, build_classifier, loss_of
from bidora.config import RunConfig
from bidora.encoding import Encoded, EncodedSplit, PaddingCollator, TargetScale
from bidora.tasks.splits import Split

if TYPE_CHECKING:
    import pandas

Collator = Callable[[list[dict[str, Any]]], dict[str, Tensor]]


class Kind:
    """One kind of task. What is written here is right for one row of logits per input; other kinds override it.

    Attributes:
        name: as in TaskData.kind.
        batch: inputs that are tested at once.
    """

    name = ""
    batch = 64

    def scale(self, targets: np.ndarray) -> TargetScale | None:
        """How targets are standardised for training; None where they are not."""
        return None

    def outputs(self, labels: tuple[str, ...]) -> int:
        """Number of logits."""
        return len(labels)

    def encode(self, split: Split, tokenizer: Any, *, max_length: int, scale: TargetScale | None) -> Encoded:
        """A split as token ids and targets."""
        return EncodedSplit(split, tokenizer, max_length=max_length, scale=scale)

    def scored(self, split: Encoded) -> Encoded:
        """What of an encoded split is tested, where that is not example by example."""
        return split

    def remarks(self, splits: Mapping[str, Encoded]) -> list[str]:
        """What is to be said about encoded splits beside the notes of the task."""
        return []

    def collator(self, pad_id: int, *, multiple: int = 1) -> Collator:
        """Items of an encoded split → one batch; its "labels" are what `loss` reads, the rest goes into the model."""
        return PaddingCollator(pad_id, multiple=multiple)

    def build(self, folder: str, config: RunConfig, *, labels: tuple[str, ...], attention: str | None) -> Classifier:
        """The pretrained model with what this kind needs on top, drawn from the global RNG.

        Raises:
            LabError: the folder holds no model that can be loaded so.
        """
        return build_classifier(folder, config, outputs=self.outputs(labels), attention=attention)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of a batch; can be differentiated twice."""
        return loss_of(logits, labels, self.name)

    def terms(self, labels: Tensor) -> int:
        """How many terms that mean is over, so that batches of different size can be averaged."""
        return len(labels)

    def answers(
        self, model: Classifier, batch: dict[str, Tensor], logits: Tensor, split: Encoded, indices: np.ndarray
    ) -> Any:
        """What the model says to each input of a batch.

        Args:
            model: in evaluation mode, without gradients.
            batch: on the model's device.
            logits: the model's output for the batch, float32.
            split: whose examples these are.
            indices: which of them, in the order of the batch.
        """
        return logits.cpu().numpy()

    def gather(self, parts: list[Any], scale: TargetScale | None) -> np.ndarray:
        """The answers of all batches as one array (n, …), in the form that `bidora.metrics.score` reads."""
        return np.concatenate(parts)

    def predictions(
        self, outputs: np.ndarray, targets: np.ndarray, split: Split, labels: tuple[str, ...]
    ) -> pandas.DataFrame:
        """predictions.parquet, one row per example: id, input (its beginning), target, prediction, probability, correct.

        Args:
            outputs: as `gather` gives them.
            targets: of the split.
            split: what was tested.
            labels: names of the classes.
        """
        raise NotImplementedError
