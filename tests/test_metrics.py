"""Scores and intervals against scikit-learn, scipy, and a bootstrap that really copies the items."""

import math
import time

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from bidora.errors import LabError
from bidora.metrics import METRICS, PRIMARY, baseline, score, score_intervals
from bidora.statistics import multiplicities, proportion_interval

LABELS = ("acq", "crude", "earn", "grain")


def classification(items: int = 300, classes: int = 4, seed: int = 0):
    draw = np.random.default_rng(seed)
    targets = draw.choice(classes, items, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    return draw.normal(size=(items, classes)) + 1.5 * np.eye(classes)[targets], targets


def regression(items: int = 200, seed: int = 0):
    draw = np.random.default_rng(seed)
    targets = np.round(draw.normal(size=items), 1)  # rounded, so that ranks have ties
    return targets + draw.normal(scale=0.7, size=items), targets


def multilabel(items: int = 200, classes: int = 5, seed: int = 0):
    draw = np.random.default_rng(seed)
    targets = (draw.uniform(size=(items, classes)) < np.linspace(0.05, 0.6, classes)).astype(np.float32)
    return draw.normal(size=(items, classes)) + 2 * targets - 1, targets


DATA = {"classification": classification, "regression": regression, "multilabel": multilabel}


def reference(kind, outputs, targets):
    if kind == "classification":
        predictions = outputs.argmax(axis=1)
        return {
            "accuracy": sklearn.metrics.accuracy_score(targets, predictions),
            "macro_f1": sklearn.metrics.f1_score(targets, predictions, average="macro"),
            "mcc": sklearn.metrics.matthews_corrcoef(targets, predictions),
        }
    if kind == "regression":
        return {
            "spearman": scipy.stats.spearmanr(outputs, targets).statistic,
            "pearson": scipy.stats.pearsonr(outputs, targets).statistic,
            "rmse": sklearn.metrics.root_mean_squared_error(targets, outputs),
            "mae": sklearn.metrics.mean_absolute_error(targets, outputs),
        }
    predictions = (outputs > 0).astype(int)
    return {
        "micro_f1": sklearn.metrics.f1_score(targets, predictions, average="micro", zero_division=0),
        "macro_f1": sklearn.metrics.f1_score(targets, predictions, average="macro", zero_division=0),
        "subset_accuracy": sklearn.metrics.accuracy_score(targets, predictions),
    }


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("seed", range(3))
def test_scores_are_scikit_learns(kind, seed):
    outputs, targets = DATA[kind](seed=seed)
    found = score(kind, outputs, targets)
    assert found == pytest.approx(reference(kind, outputs, targets), rel=1e-12)
    assert tuple(found) == METRICS[kind]
    assert next(iter(found)) == PRIMARY[kind]


def test_binary_mcc_and_a_class_that_nobody_predicts():
    targets = np.array([0, 0, 1, 1, 2, 2])
    outputs = np.eye(4)[[0, 1, 1, 1, 0, 0]]
    assert score("classification", outputs, targets, LABELS) == pytest.approx(
        reference("classification", outputs, targets), rel=1e-12
    )


@pytest.mark.parametrize("kind", DATA)
def test_the_bootstrap_equals_one_that_copies_the_items(kind):
    outputs, targets = DATA[kind](items=60)
    found = score_intervals(kind, outputs, targets, resamples=200, seed=5)
    copies = [
        reference(kind, np.repeat(outputs, counts, axis=0), np.repeat(targets, counts, axis=0))
        for counts in multiplicities(60, 200, seed=5).astype(int)
    ]
    for name in METRICS[kind]:
        assert found[name]["value"] == pytest.approx(reference(kind, outputs, targets)[name], rel=1e-12)
        if name in ("accuracy", "subset_accuracy"):
            expected = proportion_interval(round(found[name]["value"] * 60), 60)[:2]
        else:
            expected = np.quantile([copy[name] for copy in copies], [0.025, 0.975])
        assert (found[name]["low"], found[name]["high"]) == pytest.approx(tuple(expected), rel=1e-9)


@pytest.mark.parametrize(("kind", "classes"), [("classification", 52), ("multilabel", 90), ("regression", 0)])
def test_a_thousand_resamples_of_a_real_test_set_take_less_than_a_second(kind, classes):
    outputs, targets = DATA[kind](items=2189, **({"classes": classes} if classes else {}))
    score_intervals(kind, outputs[:10], targets[:10], resamples=10)  # what is imported on first use is not counted
    best = math.inf
    for _ in range(3):  # the best of three: another process may hold the machine
        start = time.process_time()
        score_intervals(kind, outputs, targets, resamples=1000)
        best = min(best, time.process_time() - start)
    assert best < 1.0


def test_constant_predictions_have_errors_but_no_correlation():
    targets = np.array([0.5, 1.5, 2.5, 3.5])
    found = score("regression", np.full(4, 0.1), targets)
    assert found["spearman"] is None and found["pearson"] is None
    assert found["mae"] == pytest.approx(1.9)
    intervals = score_intervals("regression", np.full((4, 1), 0.1), targets)
    assert intervals["spearman"] == {"value": None, "low": None, "high": None, "reason": "the predictions are constant"}
    assert intervals["rmse"]["low"] <= intervals["rmse"]["value"] <= intervals["rmse"]["high"]
    assert score_intervals("regression", targets, np.ones(4))["pearson"]["reason"] == "the targets are constant"
    assert score_intervals("regression", np.ones(1), np.ones(1))["pearson"]["reason"] == "one item only"


def test_one_class_predicted_throughout_does_not_crash():
    outputs, targets = np.tile([1.0, 0, 0, 0], (5, 1)), np.array([0, 0, 1, 2, 3])
    found = score_intervals("classification", outputs, targets, LABELS)
    assert found["mcc"]["value"] == 0.0
    assert found["accuracy"]["value"] == pytest.approx(0.4)


def test_a_perfect_score_has_an_interval_that_admits_doubt():
    found = score_intervals("classification", np.eye(4), np.arange(4), LABELS)
    assert found["accuracy"]["high"] == 1.0
    assert found["accuracy"]["low"] == pytest.approx(4 / (4 + 1.959963984540054**2))
    assert found["mcc"] == {"value": 1.0, "low": None, "high": None, "reason": "every resample gives the same score"}


def test_baselines_by_hand():
    found = baseline("classification", np.array([2, 2, 1, 0]), np.array([2, 2, 2, 1]), LABELS)
    assert found["accuracy"] == 0.75
    assert found["mcc"] == 0.0
    found = baseline("regression", np.array([1.0, 3.0]), np.array([2.0, 4.0]))
    assert (found["rmse"], found["mae"]) == (math.sqrt(2), 1.0)
    assert found["spearman"] is None
    train = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    assert baseline("multilabel", train, np.array([[1, 0], [0, 1]], dtype=np.float32))["micro_f1"] == 0.5
    rare = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=np.float32)
    assert baseline("multilabel", rare, np.array([[0, 1, 0]], dtype=np.float32))["micro_f1"] == 1.0


@pytest.mark.parametrize(
    ("kind", "outputs", "targets", "words"),
    [
        ("ranking", np.ones(2), np.ones(2), "kind='ranking'"),
        ("classification", np.ones((3, 2)), np.zeros(2, dtype=int), "(3, 2) do not fit targets (2,)"),
        ("regression", np.ones((2, 2)), np.ones(2), "(2, 2) do not fit"),
        ("multilabel", np.ones((2, 3)), np.ones((2, 2)), "(2, 3) do not fit targets (2, 2)"),
        ("classification", np.ones((0, 2)), np.zeros(0, dtype=int), "no items"),
        ("classification", np.ones((2, 2)), np.array([0, 2]), "targets from 0 to 2 for 2 classes"),
        ("classification", np.array([[1, np.nan], [0, 1]]), np.array([0, 1]), "1 of 2 outputs are NaN"),
        ("regression", np.array([1, np.inf]), np.array([0.0, 1]), "1 of 2 outputs are NaN"),
    ],
)
def test_what_cannot_be_scored_is_refused(kind, outputs, targets, words):
    with pytest.raises(LabError) as caught:
        score(kind, outputs, targets)
    assert words in caught.value.message
    assert caught.value.hint
