"""Testing: outputs of a split, scores with intervals, predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bidora.classifier import Classifier, loss_of
from bidora.encoding import EncodedSplit, PaddingCollator, TargetScale
from bidora.metrics import score, score_intervals
from bidora.recorder import Progress
from bidora.tasks.splits import Split

if TYPE_CHECKING:
    import pandas

BATCH = 64
SAMPLE_SEED = 20_250_701
"""Draws the sample of a split for scores on the way; the same in every run, so that curves can be compared."""


@dataclass(frozen=True)
class Evaluation:
    """Outputs of a model on a split.

    Attributes:
        kind: classification, regression or multilabel.
        outputs: logits (n, classes), or predictions (n,) in the task's own unit.
        targets: as in the split.
        loss: mean loss as in training (nats, or squared standardised error).
        scores: metric → value.
        metrics: a benchmark's own scores, the primary one first; empty for those of the kind.
    """

    kind: str
    outputs: np.ndarray
    targets: np.ndarray
    loss: float
    scores: dict[str, float | None]
    metrics: tuple[str, ...] = ()

    def intervals(self, labels: tuple[str, ...]) -> dict[str, Any]:
        """metric → value and 95 % interval over test examples."""
        return score_intervals(self.kind, self.outputs, self.targets, labels, metrics=self.metrics)

    def predictions(self, split: Split, labels: tuple[str, ...]) -> pandas.DataFrame:
        """One row for each example: id, input (its first 200 characters), target, prediction, probability, correct."""
        import pandas

        frame = pandas.DataFrame({"id": split.ids, "input": split.shown(200)})
        if self.kind == "regression":
            return frame.assign(target=self.targets, prediction=self.outputs, probability=np.nan, correct=None)
        if self.kind == "multilabel":
            chosen = self.outputs > 0
            words = [", ".join(label for label, on in zip(labels, row, strict=True) if on) for row in chosen]
            wanted = [", ".join(label for label, on in zip(labels, row, strict=True) if on) for row in self.targets > 0]
            correct = (chosen == (self.targets > 0)).all(axis=1)
            return frame.assign(target=wanted, prediction=words, probability=np.nan, correct=correct)
        shifted = np.exp(self.outputs - self.outputs.max(axis=1, keepdims=True))
        probability = shifted / shifted.sum(axis=1, keepdims=True)
        chosen = self.outputs.argmax(axis=1)
        names = np.asarray(labels)
        return frame.assign(
            target=names[self.targets],
            prediction=names[chosen],
            probability=probability.max(axis=1),
            correct=chosen == self.targets,
        )


@torch.no_grad()
def evaluate(
    model: Classifier,
    split: EncodedSplit,
    *,
    kind: str,
    labels: tuple[str, ...],
    scale: TargetScale | None,
    pad_id: int,
    limit: int = 0,
    bfloat16: bool = False,
    metrics: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> Evaluation:
    """Run a split through the model, longest inputs first; draws no random numbers.

    Args:
        model: the classifier; its mode is put back afterwards.
        split: what to run.
        kind: classification, regression or multilabel.
        labels: names of the classes.
        scale: brings a regression's outputs back to the task's own unit.
        pad_id: token id of padding.
        limit: examples at most, a fixed sample of the split; 0 for all.
        bfloat16: use bf16 autocast, as in training.
        metrics: as in Evaluation.
        progress: told after each batch.
    """
    order = split.by_length()
    if 0 < limit < len(split):
        sample = np.random.default_rng(SAMPLE_SEED).permutation(len(split))[:limit]
        order = order[np.isin(order, sample)]
    device = next(model.parameters()).device
    collate = PaddingCollator(pad_id)
    was_training = model.training
    model.eval()
    parts, losses = [], []
    for start in range(0, len(order), BATCH):
        batch = {
            name: tensor.to(device)
            for name, tensor in collate([split[int(i)] for i in order[start : start + BATCH]]).items()
        }
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
            logits = model(**{name: tensor for name, tensor in batch.items() if name != "labels"}).float()
        losses.append(float(loss_of(logits, batch["labels"], kind)) * len(logits))
        parts.append(logits.cpu().numpy())
        if progress is not None:
            progress("testing", min(start + BATCH, len(order)), len(order))
    model.train(was_training)
    outputs = np.concatenate(parts)
    if kind == "regression":
        outputs = (scale or TargetScale()).restore(outputs[:, 0].astype(np.float64))
    targets = split.split.targets[order]
    back = np.argsort(order, kind="stable")
    outputs, targets = outputs[back], targets[back]
    scores = score(kind, outputs, targets, labels, metrics=metrics)
    return Evaluation(kind, outputs, targets, sum(losses) / len(order), scores, metrics)
