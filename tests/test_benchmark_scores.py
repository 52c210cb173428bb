"""Scores on request against scikit-learn, their intervals against copies of the items, and what stays as it was."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics

from bidora.errors import LabError
from bidora.metrics import METRICS, PRIMARY, baseline, names_of, primary_of, score, score_intervals
from bidora.statistics import multiplicities


def classification(classes: int, items: int = 80, seed: int = 0):
    draw = np.random.default_rng(seed)
    targets = draw.integers(0, classes, items)
    return draw.normal(size=(items, classes)) + np.eye(classes)[targets], targets


def expected(outputs, targets):
    predictions = outputs.argmax(axis=1)
    options = dict(average="weighted", zero_division=0)
    found = {
        "weighted_precision": sklearn.metrics.precision_score(targets, predictions, **options),
        "weighted_f1": sklearn.metrics.f1_score(targets, predictions, **options),
    }
    if outputs.shape[1] == 2:
        found["f1"] = sklearn.metrics.f1_score(targets, predictions, zero_division=0)
    return found


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_are_scored_as_by_scikit_learn(classes):
    outputs, targets = classification(classes)
    outputs[:, 0] -= 5.0 if classes == 3 else 0.0  # nobody predicts the first class
    wanted = expected(outputs, targets)
    found = score("classification", outputs, targets, metrics=tuple(wanted))
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, rel=1e-12)
    recall = sklearn.metrics.recall_score(targets, outputs.argmax(axis=1), average="weighted")
    assert recall == pytest.approx(found["accuracy"]), "recall averaged by class size is the accuracy"


def test_the_squared_error():
    outputs, targets = np.array([1.0, 2.0, 4.0]), np.array([1.0, 1.0, 1.0])
    found = score("regression", outputs, targets, metrics=("mse",))
    assert found["mse"] == pytest.approx(10 / 3) == pytest.approx(found["rmse"] ** 2)


def test_intervals_are_those_of_copied_items():
    outputs, targets = classification(2, items=50)
    found = score_intervals("classification", outputs, targets, metrics=("f1",), resamples=150, seed=3)["f1"]
    copies = [
        expected(np.repeat(outputs, counts, axis=0), np.repeat(targets, counts, axis=0))["f1"]
        for counts in multiplicities(50, 150, seed=3).astype(int)
    ]
    assert (found["low"], found["high"]) == pytest.approx(tuple(np.quantile(copies, [0.025, 0.975])))


def test_a_tasks_own_scores_come_first_and_the_others_stay():
    outputs, targets = classification(2)
    found = score("classification", outputs, targets, metrics=("mcc", "f1"))
    assert list(found) == ["mcc", "f1", "accuracy", "macro_f1"] == list(names_of("classification", ("mcc", "f1")))
    plain = score("classification", outputs, targets)
    assert tuple(plain) == METRICS["classification"] and {**found, **plain} == pytest.approx(found)
    assert primary_of("classification", ("mcc",)) == "mcc" and primary_of("regression") == PRIMARY["regression"]
    assert list(baseline("classification", targets, targets, metrics=("accuracy", "f1")))[:2] == ["accuracy", "f1"]


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("classification", "f1", "f1 is defined for 2 classes, not for 3"),
        ("classification", "mse", "no score 'mse' for classification"),
        ("regression", "bleu", "no score 'bleu' for regression"),
    ],
)
def test_scores_that_the_kind_does_not_have(kind, name, words):
    outputs, targets = classification(3) if kind == "classification" else (np.ones(3), np.arange(3.0))
    with pytest.raises(LabError, match=words):
        score(kind, outputs, targets, metrics=(name,))
