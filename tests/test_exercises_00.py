import pytest
from exercise_answers import said, solved, text_problems

from bidora.errors import LabError
from bidora.exercises import nb00
from bidora.exercises.nb00 import EXERCISES, LONGER, RIGHT, TESTED


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda each: each.key)
def test_the_solution_passes(exercise):
    assert solved(exercise).startswith("✓")


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda each: each.key)
def test_no_answer_yet_is_friendly(exercise):
    assert said(exercise.key, ...).startswith("○")


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (20, "lower steps of the search alone"),
        (40, "the upper steps are not"),
        (60, "two gradients"),
        (100, "reuses"),
        (48, "first run took"),
        (47, "add up"),
        ("48", "give one number"),
    ],
)
def test_cost(answer, named):
    assert LONGER.steps == 20
    words = said("00-cost", answer)
    assert words.startswith("✗") and named in words


def test_interval():
    p, n = RIGHT / TESTED, TESTED
    error = (p * (1 - p) / n) ** 0.5
    for answer, named in (
        (100 * error, "one standard error"),
        (1.96 * error, "percentage points"),
        (2 * 196 * error, "whole width"),
        (196 * error**2, "square root"),
        (196 * (p * (1 - p)) ** 0.5, "divide by n"),
        (5.0, "is not it"),
    ):
        words = said("00-interval", answer)
        assert words.startswith("✗") and named in words, answer


def test_the_number_in_the_interval_is_a_recorded_one():
    run = nb00.recorded("peptides", method="bidora", seed=0)[0]
    assert run.result["n_test"] == TESTED
    assert round(run.result["scores"]["accuracy"]["value"] * TESTED) == RIGHT


def test_recorded_runs_are_those_of_the_method():
    assert {run.config.method for run in nb00.recorded("peptides", method="bidora")} == {"bidora"}
    assert len(nb00.recorded("reuters")) == 12


@pytest.mark.parametrize("task", ["peptides", "reuters"])
@pytest.mark.parametrize("quantity", ["loss", "test accuracy"])
def test_learning_draws_three_methods(task, quantity):
    figure = nb00.learning(task, quantity)
    assert figure.layout.meta["alt"]
    assert {"LoRA", "DoRA", "BiDoRA"} <= {(trace.name or "").split(",")[0].split(" ")[0] for trace in figure.data}


def test_recordings_that_are_not_there_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("BIDORA_RECORDINGS", str(tmp_path))
    with pytest.raises(LabError, match="no recordings of peptides"):
        nb00.recorded("peptides")


def test_text():
    assert text_problems("00", EXERCISES) == []
