"""Testing: outputs of a split, scores with intervals, predictions."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bidora.classifier import Classifier
from bidora.encoding import Encoded, TargetScale
from bidora.kinds import get_kind
from bidora.metrics import score, score_intervals
from bidora.recorder import STATUS_SECONDS, Progress
from bidora.runs import Run
from bidora.tasks.splits import Split

if TYPE_CHECKING:
    import pandas

SAMPLE_SEED = 20_250_701
"""Draws the sample of a split for scores on the way; the same in every run, so that curves can be compared."""


class StopWished(Exception):
    """Somebody wishes the run to stop in the middle of a test; what was trained is saved."""


@dataclass(frozen=True)
class Evaluation:
    """Outputs of a model on a split.

    Attributes:
        kind: name of one of `bidora.kinds`.
        outputs: logits (n, classes), or predictions (n,) in the task's own unit; see `bidora.metrics.score`.
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
        """One row for each example: id, input (its beginning), target, prediction, probability, correct."""
        return get_kind(self.kind).predictions(self.outputs, self.targets, split, labels)


@torch.no_grad()
def evaluate(
    model: Classifier,
    split: Encoded,
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
        split: what to run; of written texts each distinct input once, with all its references.
        kind: name of one of `bidora.kinds`.
        labels: names of the classes.
        scale: brings a regression's outputs back to the task's own unit.
        pad_id: token id of padding.
        limit: examples at most, a fixed sample of the split; 0 for all.
        bfloat16: use bf16 autocast, as in training.
        metrics: as in Evaluation.
        progress: told after each batch.
    """
    asked = get_kind(kind)
    split = asked.scored(split)
    order = split.by_length()
    if 0 < limit < len(split):
        sample = np.random.default_rng(SAMPLE_SEED).permutation(len(split))[:limit]
        order = order[np.isin(order, sample)]
    device = next(model.parameters()).device
    collate = asked.collator(pad_id)
    was_training = model.training
    model.eval()
    parts, losses, terms = [], [], 0
    for start in range(0, len(order), asked.batch):
        indices = order[start : start + asked.batch]
        batch = {name: tensor.to(device) for name, tensor in collate([split[int(i)] for i in indices]).items()}
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
            logits = model(**{name: tensor for name, tensor in batch.items() if name != "labels"}).float()
            parts.append(asked.answers(model, batch, logits, split, indices))
        count = asked.terms(batch["labels"])
        losses.append(float(asked.loss(logits, batch["labels"])) * count)
        terms += count
        if progress is not None:
            progress("testing", min(start + asked.batch, len(order)), len(order))
    model.train(was_training)
    outputs = asked.gather(parts, scale)
    targets = split.split.targets[order]
    back = np.argsort(order, kind="stable")
    outputs, targets = outputs[back], targets[back]
    scores = score(kind, outputs, targets, labels, metrics=metrics)
    return Evaluation(kind, outputs, targets, sum(losses) / max(terms, 1), scores, metrics)


def watched(run: Run, progress: Progress | None) -> Progress:
    """Progress of a long test: the time left goes into status.json, and a wish to stop is granted before the next batch.

    Args:
        run: what is tested.
        progress: told, too.

    Returns:
        A progress that raises StopWished.
    """
    began = written = time.perf_counter()
    before = 0.0

    def tell(what: str, done: float, total: float) -> None:
        nonlocal began, before, written
        now = time.perf_counter()
        if done <= before:  # the next split
            began, before = written, 0.0
        if progress is not None:
            progress(what, done, total)
        if done < total and run.stop_requested():
            raise StopWished
        before = done
        if now - written > STATUS_SECONDS or done >= total:
            written = now
            left = (now - began) / done * (total - done) if done else None
            run.update_status(eta_seconds=None if left is None or done >= total else round(left, 1))

    return tell
