"""Examples in order, and the parts of a task."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy


@dataclass(frozen=True)
class Split:
    """Examples of one part of a task.

    Args:
        inputs: n texts or sequences; of pairs the first.
        targets: classification int64 (n,) indices into the labels; regression float64 (n,) in the data's unit;
            multilabel float32 (n, classes) of 0 and 1; other kinds objects (n,): tagging an int64 array (words,) each.
        ids: n names, unique within the task.
        seconds: n second texts where each example is a pair; else empty.
        words: the n inputs as words, where targets stand at words; else empty.
    """

    inputs: tuple[str, ...]
    targets: numpy.ndarray
    ids: tuple[str, ...]
    seconds: tuple[str, ...] = ()
    words: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        if not len(self.inputs) == len(self.targets) == len(self.ids):
            raise ValueError(f"{len(self.inputs)} inputs, {len(self.targets)} targets and {len(self.ids)} ids")
        if self.seconds and len(self.seconds) != len(self.inputs):
            raise ValueError(f"{len(self.inputs)} inputs and {len(self.seconds)} second texts")
        if self.words and [len(each) for each in self.words] != [len(each) for each in self.targets]:
            raise ValueError("each word needs a target, and each target a word")

    @property
    def keys(self) -> tuple[str, ...]:
        """One text per example by which it is told from others: its input, or both texts of a pair."""
        return tuple(map("\0".join, zip(self.inputs, self.seconds))) if self.seconds else self.inputs

    def shown(self, length: int) -> list[str]:
        """The beginning of each example, for people: of a pair half the length of either text."""
        if not self.seconds:
            return [text[:length] for text in self.inputs]
        half = (length - 3) // 2
        return [f"{one[:half]} | {two[:half]}" for one, two in zip(self.inputs, self.seconds)]

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, indices: Sequence[int] | numpy.ndarray) -> Split:
        """The examples at some positions, in that order."""
        chosen = numpy.asarray(indices, dtype=numpy.int64)
        inputs = tuple(self.inputs[index] for index in chosen)
        seconds = tuple(self.seconds[index] for index in chosen) if self.seconds else ()
        words = tuple(self.words[index] for index in chosen) if self.words else ()
        return Split(inputs, self.targets[chosen], tuple(self.ids[index] for index in chosen), seconds, words)

    def digest(self) -> str:
        """sha256 over ids, texts and targets, as hex: equal exactly for equal examples in equal order."""
        total = hashlib.sha256()
        for texts in (self.ids, self.inputs, self.seconds, *self.words):
            for text in texts:
                data = text.encode("utf-8", "surrogatepass")
                total.update(len(data).to_bytes(8, "little") + data)
        if self.targets.dtype == object:  # whose bytes are addresses
            for target in self.targets:
                data = json.dumps(target.tolist() if isinstance(target, numpy.ndarray) else target).encode()
                total.update(len(data).to_bytes(8, "little") + data)
            return total.hexdigest()
        targets = numpy.ascontiguousarray(self.targets)
        total.update(f"{targets.dtype.newbyteorder('<').str}{targets.shape}".encode())
        total.update(targets.astype(targets.dtype.newbyteorder("<"), copy=False).tobytes())
        return total.hexdigest()


@dataclass(frozen=True)
class TaskData:
    """What a loader returns.

    Args:
        kind: "classification", "regression", "multilabel", or another of `bidora.metrics.SCORINGS`.
        labels: names of the classes in the order of the targets; empty for regression.
        train: everything that may be trained on.
        test: what is scored in the end.
        notes: remarks on the data that belong beside every result.
        groups: one name per training example; those of equal name resemble each other and are kept together when a
            selection split is cut. Empty where each stands for itself.
        metrics: a benchmark's own scores, the primary one first; empty for those of the kind (`bidora.metrics`).
    """

    kind: str
    labels: tuple[str, ...]
    train: Split
    test: Split
    notes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """The data of one run.

    Args:
        kind: as in TaskData.
        labels: as in TaskData.
        train: the drawn training examples, without those kept aside for selection.
        lower: what the lower level trains on.
        upper: what the upper level trains on; None for one-level methods.
        selection: kept aside to choose settings on; None where nothing was asked to be.
        test: never trained on, never chosen on.
        notes: remarks on the data and on how it was cut.
        metrics: as in TaskData.
    """

    kind: str
    labels: tuple[str, ...]
    train: Split
    lower: Split
    upper: Split | None
    selection: Split | None
    test: Split
    notes: tuple[str, ...]
    metrics: tuple[str, ...] = ()
