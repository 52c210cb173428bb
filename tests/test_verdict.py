"""Sentences about runs: no winners, intervals, and what cannot be told; repairs for what failed."""

from __future__ import annotations

import json

import pytest
from run_folders import write_run

from bidora.config import RunConfig
from bidora.remedies import failure_of, remedies
from bidora.runs import read_json, write_json
from bidora.verdict import prediction_verdict, result_verdict


def with_scores(tmp_path, metric="accuracy", value=0.9, low=0.88, high=0.92, baseline=0.5):
    run = write_run(tmp_path)
    result = read_json(run.path / "result.json")
    write_json(
        run.path / "result.json",
        {
            **result,
            "primary": metric,
            "scores": {metric: dict(value=value, low=low, high=high)},
            "baseline": {metric: baseline},
        },
    )
    return run


@pytest.mark.parametrize(
    ("baseline", "words"), [(0.5, "whole interval is better"), (0.89, "too close to tell"), (0.95, "which is better")]
)
def test_a_score_is_held_against_the_constant_answer(tmp_path, baseline, words):
    sentence = result_verdict(with_scores(tmp_path, baseline=baseline))
    assert "90.0 % (95 % interval 88.0 % to 92.0 %) on 2,189 test examples" in sentence and words in sentence
    assert "win" not in sentence


@pytest.mark.parametrize(
    ("baseline", "words"), [(2.0, "whole interval is better"), (0.5, "which is better"), (0.9, "too close")]
)
def test_of_errors_the_smaller_is_better(tmp_path, baseline, words):
    assert words in result_verdict(with_scores(tmp_path, metric="mae", baseline=baseline))


@pytest.mark.parametrize(
    "result", ["{", "[]", '{"scores": 3}', '{"scores": {"accuracy": null}, "primary": "accuracy"}', '{"primary": []}']
)
def test_a_damaged_result_is_said_to_be_unreadable(tmp_path, result):
    run = write_run(tmp_path)
    (run.path / "result.json").write_text(result)
    assert "cannot be read" in result_verdict(run)


def test_without_a_prediction_there_is_nothing_to_say(tmp_path):
    assert prediction_verdict(write_run(tmp_path)) is None


@pytest.mark.parametrize(
    ("prediction", "kind"),
    [
        ("more than 80 %", "shown"),
        ({"question": "How much?", "answer": "80 to 95 %", "metric": "accuracy", "low": 0.8, "high": 0.95}, "met"),
        ({"answer": "little", "metric": "accuracy", "high": 0.5}, "missed"),
        ({"answer": "a lot", "metric": "accuracy", "low": 0.95}, "missed"),
        ({"answer": "x", "metric": "no such metric", "low": 0}, "open"),
        ({"answer": ["x"], "low": "a", "high": None}, "shown"),
    ],
)
def test_a_prediction_is_held_against_the_result(tmp_path, prediction, kind):
    run = write_run(tmp_path, accuracy=0.9)
    run.update_meta(prediction=prediction)
    assert prediction_verdict(run).kind == kind
    assert "You said" in prediction_verdict(run).sentence


def test_a_diverged_run_is_offered_a_tenth_of_its_learning_rate():
    (first, second) = remedies("diverged", RunConfig(learning_rate=0.02, max_gradient_norm=0))
    assert first.changes == {"learning_rate": 0.002} and second.changes == {"max_gradient_norm": 1.0}
    for remedy in (first, second):
        RunConfig().replace(**remedy.changes)


@pytest.mark.parametrize(
    ("kind", "settings", "count"),
    [
        ("memory", dict(batch_size=1), 0),
        ("memory", dict(batch_size=9, max_length=128), 2),
        ("data", {}, 0),
        ("disk", {}, 1),
        ("new", {}, 0),
    ],
)
def test_repairs_are_only_offered_where_they_can_help(kind, settings, count):
    config = RunConfig(**settings)
    found = remedies(kind, config)
    assert len(found) == count
    for remedy in found:
        assert remedy.resumes != bool(remedy.changes)
        config.replace(**remedy.changes)


@pytest.mark.parametrize("error", [None, 3, "x", {}, {"kind": ["a"], "message": {"b": 1}}])
def test_a_failure_that_says_nothing_does_no_harm(tmp_path, error):
    run = write_run(tmp_path, state="failed")
    (run.path / "status.json").write_text(json.dumps({"state": "failed", "error": error}))
    assert failure_of(run).cause and failure_of(run).kind
