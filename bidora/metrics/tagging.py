"""Scores of named entities: an entity counts where its first word, its last word and its type are all right. No torch.

Tags are IOB2, read strictly by seqeval: an I- tag that does not go on from a B- or I- tag of its type opens no entity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bidora.errors import LabError
from bidora.metrics.scoring import Array, Measure, Scoring, Weights, check_counts, objects

OUTSIDE = "O"
"""The tag of words outside any entity."""

Entity = tuple[str, int, int]
"""Type, first word, word after the last."""


def entities_of(sentences: Sequence[Sequence[str]]) -> list[set[Entity]]:
    """The entities of each sentence, by seqeval, from its IOB2 tags.

    Raises:
        LabError: seqeval is not installed.

    >>> entities_of([["B-PER", "I-PER", "O", "I-LOC"]])
    [{('PER', 0, 2)}]
    """
    check_installed()
    from seqeval.scheme import IOB2, Entities

    found = Entities([list(tags) for tags in sentences], scheme=IOB2).entities
    return [{(each.tag, each.start, each.end) for each in sentence} for sentence in found]


def check_installed() -> None:
    """Make sure that seqeval is there, before anything is trained.

    Raises:
        LabError: it is not.
    """
    try:
        import seqeval.scheme  # noqa: F401
    except ImportError as error:
        raise LabError(
            "entities are scored by seqeval, which is not installed",
            hint="pip install seqeval, or bidora-lab[tagging]",
            kind="data",
        ) from error


def named(sentences: Array, labels: Sequence[str]) -> list[list[str]]:
    """Tags in words from indices into the labels."""
    return [[labels[tag] for tag in sentence] for sentence in sentences]


def _measure(outputs: Array, targets: Array, labels: Sequence[str]) -> Measure:
    predicted, true = entities_of(named(outputs, labels)), entities_of(named(targets, labels))
    hit = np.array([len(one & other) for one, other in zip(predicted, true, strict=True)], dtype=np.float64)
    claims = np.array([len(each) for each in predicted], dtype=np.float64)
    wanted = np.array([len(each) for each in true], dtype=np.float64)

    def measure(weights: Weights) -> dict[str, NDArray[np.float64]]:
        hits, claimed, there = weights @ hit, weights @ claims, weights @ wanted
        return {
            "entity_f1": _share(2 * hits, claimed + there),
            "entity_precision": _share(hits, claimed),
            "entity_recall": _share(hits, there),
        }

    return measure


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """part / whole; 0 where there is nothing, as in seqeval."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), 0.0)


def _check(outputs: Array, targets: Array, labels: Sequence[str]) -> tuple[Array, Array]:
    """One tag for each word of each sentence, as indices into the labels."""
    check_counts(outputs, targets)
    if not labels:
        raise LabError("the tags have no names", hint="give labels, such as O, B-PER, I-PER", kind="data")
    for place, (tags, wanted) in enumerate(zip(outputs, targets, strict=True)):
        if len(tags) != len(wanted):
            raise LabError(
                f"{len(tags)} tags for {len(wanted)} words in item {place}", hint="one tag for each word", kind="model"
            )
        both = [*tags, *wanted]
        if both and (min(both) < 0 or max(both) >= len(labels)):
            raise LabError(
                f"tags from {min(both)} to {max(both)} for {len(labels)} labels",
                hint=f"they must lie between 0 and {len(labels) - 1}",
                kind="data",
            )
    return objects(outputs), objects(targets)


def _outside(train: Array, test: Array, labels: Sequence[str]) -> Array:
    """No entity anywhere."""
    outside = list(labels).index(OUTSIDE)
    return objects([np.full(len(tags), outside, dtype=np.int64) for tags in test])


TAGGING = Scoring(("entity_f1", "entity_precision", "entity_recall"), _check, _measure, _outside)
