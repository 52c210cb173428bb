"""Entity scores against seqeval's own and against a small reading of IOB2 that shares no code with either."""

from __future__ import annotations

import numpy as np
import pytest
import seqeval.metrics
from seqeval.scheme import IOB2

from bidora.errors import LabError
from bidora.kinds import get_kind
from bidora.metrics import METRICS, PRIMARY, SHARES, baseline, score, score_intervals
from bidora.metrics.scoring import objects
from bidora.metrics.tagging import entities_of
from bidora.statistics import multiplicities
from bidora.tasks.splits import Split

LABELS = ("O", "B-CELL", "I-CELL", "B-GENE", "I-GENE")


def tagged(count: int, seed: int, *, right: float = 0.7):
    """Random tags, also impossible ones, and predictions that agree with most of them."""
    draw = np.random.default_rng(seed)
    targets = [draw.choice(5, draw.integers(1, 12), p=[0.4, 0.15, 0.15, 0.15, 0.15]) for _ in range(count)]
    outputs = [np.where(draw.uniform(size=len(each)) < right, each, draw.integers(0, 5, len(each))) for each in targets]
    return objects(outputs), objects(targets)


def spans(tags: list[str]) -> set[tuple[str, int, int]]:
    """Strict IOB2 by a walk from the right: an entity is B-X and all I-X that follow at once."""
    found, end = set(), len(tags)
    for place in range(len(tags) - 1, -1, -1):
        if tags[place].startswith("B-"):
            kind, stop = tags[place][2:], place + 1
            while stop < end and tags[stop] == f"I-{kind}":
                stop += 1
            found.add((kind, place, stop))
            end = place
    return found


def reference(outputs, targets) -> dict[str, float]:
    hits = claimed = there = 0
    for output, target in zip(outputs, targets):
        predicted, true = (spans([LABELS[tag] for tag in tags]) for tags in (output, target))
        hits, claimed, there = hits + len(predicted & true), claimed + len(predicted), there + len(true)
    precision, recall = hits / claimed if claimed else 0.0, hits / there if there else 0.0
    both = precision + recall
    return {
        "entity_f1": 2 * precision * recall / both if both else 0.0,
        "entity_precision": precision,
        "entity_recall": recall,
    }


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_seqeval_s_and_those_of_an_independent_reading(seed):
    outputs, targets = tagged(60, seed)
    found = score("tagging", outputs, targets, LABELS)
    assert found == pytest.approx(reference(outputs, targets), rel=1e-12)
    true, predicted = ([[LABELS[tag] for tag in tags] for tags in each] for each in (targets, outputs))
    options = dict(mode="strict", scheme=IOB2)
    assert found["entity_f1"] == pytest.approx(seqeval.metrics.f1_score(true, predicted, **options))
    assert found["entity_precision"] == pytest.approx(seqeval.metrics.precision_score(true, predicted, **options))
    assert found["entity_recall"] == pytest.approx(seqeval.metrics.recall_score(true, predicted, **options))
    assert tuple(found) == METRICS["tagging"] and PRIMARY["tagging"] == "entity_f1" and set(found) <= SHARES


@pytest.mark.parametrize(
    ("tags", "entities"),
    [
        (["B-GENE", "I-GENE", "O"], {("GENE", 0, 2)}),
        (["I-GENE", "I-GENE"], set()),
        (["B-GENE", "I-CELL", "I-CELL"], {("GENE", 0, 1)}),
        (["B-GENE", "B-GENE", "I-GENE"], {("GENE", 0, 1), ("GENE", 1, 3)}),
        (["O", "I-CELL", "B-CELL"], {("CELL", 2, 3)}),
        ([], set()),
    ],
)
def test_strict_iob2(tags, entities):
    assert entities_of([tags]) == [entities] == [spans(tags)]


def test_the_interval_is_a_bootstrap_over_sentences():
    outputs, targets = tagged(40, 7)
    found = score_intervals("tagging", outputs, targets, LABELS, resamples=200, seed=5)
    copies = []
    for counts in multiplicities(40, 200, seed=5).astype(int):
        drawn = np.repeat(np.arange(40), counts)
        copies.append(reference(outputs[drawn], targets[drawn]))
    for name in METRICS["tagging"]:
        expected = np.quantile([copy[name] for copy in copies], [0.025, 0.975])
        assert (found[name]["low"], found[name]["high"]) == pytest.approx(tuple(expected), rel=1e-9)
        assert found[name]["low"] < found[name]["value"] < found[name]["high"]


def test_no_entity_anywhere_is_the_constant_answer_and_scores_nothing():
    _, targets = tagged(20, 1)
    assert baseline("tagging", targets, targets, LABELS) == dict.fromkeys(METRICS["tagging"], 0.0)
    empty = objects([np.zeros(3, dtype=int)])
    assert score("tagging", empty, empty, LABELS) == dict.fromkeys(METRICS["tagging"], 0.0)
    perfect = score_intervals("tagging", targets, targets, LABELS, resamples=20)["entity_f1"]
    assert perfect["value"] == 1.0 and perfect["low"] is None


@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        ([[0, 1]], [[0]], "2 tags for 1 words in item 0"),
        ([[0], [0]], [[0]], "2 outputs for 1 targets"),
        ([[7]], [[0]], "tags from 0 to 7 for 5 labels"),
        ([], [], "no items"),
    ],
)
def test_what_does_not_fit_is_refused(outputs, targets, message):
    with pytest.raises(LabError, match=message):
        score("tagging", objects(outputs), objects(targets), LABELS)


def test_a_missing_library_is_named_with_the_way_to_get_it(monkeypatch):
    import sys

    from bidora.metrics.tagging import check_installed

    monkeypatch.setitem(sys.modules, "seqeval.scheme", None)
    monkeypatch.setitem(sys.modules, "seqeval", None)
    with pytest.raises(LabError, match="pip install seqeval"):
        check_installed()


def test_predictions_name_entities_by_place_and_in_words():
    words = (("TGF", "-", "beta", "in", "T", "cells"), ("none", "here"))
    split = Split(tuple(map(" ".join, words)), objects([[3, 4, 4, 0, 1, 2], [0, 0]]), ("a", "b"), words=words)
    outputs = objects([np.array([3, 4, 4, 0, 0, 1]), np.array([0, 0])])
    frame = get_kind("tagging").predictions(outputs, split.targets, split, LABELS)
    assert frame["target"].tolist() == ["GENE 1–3, CELL 5–6", ""]
    assert frame["prediction"].tolist() == ["GENE 1–3, CELL 6", ""]
    assert frame["target_words"].tolist() == ["TGF - beta [GENE]; T cells [CELL]", ""]
    assert frame["predicted_words"].tolist() == ["TGF - beta [GENE]; cells [CELL]", ""]
    assert frame["correct"].tolist() == [False, True]
    assert frame["input"].tolist() == list(split.inputs) and frame["id"].tolist() == ["a", "b"]
