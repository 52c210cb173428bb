"""Settings chosen on the selection split, with the same number of trials for each method; made-up scores."""

from __future__ import annotations

import math

import pytest

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.runs import Run, write_json
from bidora.tuning import Tuning, arms_of_sweep, parse_tuning

ARM = RunConfig(task="peptides", method="lora", selection_fraction=0.2)
RATES = Tuning({"learning_rate": (1e-3, 3e-3)}, (0, 1))


def trial(root, config, selection, *, test=0.5, metric="accuracy", state="finished"):
    """A run with a score on the selection split and another on the test data."""
    run = Run.create(config, root)
    scores = {metric: {"value": test, "low": test, "high": test}}
    result = {"primary": metric, "scores": scores, "selection_scores": {metric: selection}}
    write_json(run.path / "result.json", result)
    run.update_status(state=state)
    return run


def trials(root, scores, **options):
    """Runs of RATES: scores by (learning rate, seed)."""
    return [trial(root, ARM.replace(learning_rate=r, seed=s), score, **options) for (r, s), score in scores.items()]


def test_the_best_mean_selection_score_is_chosen_whatever_the_test_says(tmp_path):
    runs = trials(tmp_path, {(1e-3, 0): 0.7, (1e-3, 1): 0.9, (3e-3, 0): 0.85, (3e-3, 1): 0.74}, test=0.1)
    write_json(runs[2].path / "result.json", {**runs[2].result, "scores": {"accuracy": {"value": 1.0}}})
    chosen = RATES.choose(ARM, runs)
    assert chosen.values == {"learning_rate": 1e-3}
    assert chosen.scores == pytest.approx((0.8, 0.795))
    note = RATES.note(chosen, ARM, "g-tuning")
    assert note["chosen"] == {"learning_rate": 1e-3} and note["trials"] == 2 and note["seeds"] == [0, 1]
    assert note["values"] == {"learning_rate": [1e-3, 3e-3]} and note["score"] == "accuracy"


def test_where_lower_is_better_the_lowest_is_chosen_and_ties_go_to_the_first(tmp_path):
    errors = trials(tmp_path / "a", {(1e-3, 0): 2.0, (1e-3, 1): 2.0, (3e-3, 0): 1.0, (3e-3, 1): 1.0}, metric="mse")
    assert RATES.choose(ARM, errors).values == {"learning_rate": 3e-3}
    equal = trials(tmp_path / "b", dict.fromkeys([(1e-3, 0), (1e-3, 1), (3e-3, 0), (3e-3, 1)], 0.5))
    assert RATES.choose(ARM, equal).values == {"learning_rate": 1e-3}


def test_a_trial_without_a_score_for_every_seed_is_not_chosen(tmp_path):
    runs = trials(tmp_path, {(1e-3, 0): 0.9, (3e-3, 0): 0.6, (3e-3, 1): 0.6})
    runs += trials(tmp_path, {(1e-3, 1): 0.9}, state="failed")
    chosen = RATES.choose(ARM, runs)
    assert chosen.values == {"learning_rate": 3e-3} and math.isnan(chosen.scores[0])
    assert RATES.note(chosen, ARM, "g")["scores"] == [None, pytest.approx(0.6)]
    with pytest.raises(LabError, match="none of the 2 trials of peptides, lora is finished for every seed"):
        RATES.choose(ARM, runs[:2])


def test_every_method_gets_the_same_trials():
    arms = arms_of_sweep([ARM.replace(method=m, seed=s) for s in (0, 1) for m in ("lora", "dora")])
    assert [arm.method for arm in arms] == ["lora", "dora"]
    for arm in arms:
        configs = RATES.configs(arm)
        assert [(c.learning_rate, c.seed) for c in configs] == [(1e-3, 0), (3e-3, 0), (1e-3, 1), (3e-3, 1)]
    both = Tuning({"learning_rate": (1e-3, 3e-3), "alpha": (8.0, 16.0)}, (0,))
    assert len(both.trials) == len(both.configs(ARM)) == 4


def test_what_cannot_be_tuned_fairly_is_refused():
    with pytest.raises(LabError, match="selection_fraction=0 leaves no data to choose settings on"):
        RATES.configs(ARM.replace(selection_fraction=0.0))
    with pytest.raises(LabError, match="unroll_scale is not used by method=lora"):
        Tuning({"unroll_scale": ("0", "lr")}, (0,)).configs(ARM)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("learning_rate", "names no setting"),
        ("lerning_rate=1,2", "names no setting"),
        ("seed=0,1", "seed cannot be tuned"),
        ("method=lora,dora", "method cannot be tuned"),
        ("learning_rate=1e-3", "gives 1 value"),
        ("learning_rate=1e-3,0.001", "gives 1 value"),
        ("learning_rate=1e-3,fast", "is not a number"),
        ("learning_rate=1e-3,7", "is outside"),
        ("target_modules=query,value", "target_modules cannot be tuned"),
    ],
)
def test_texts_that_are_no_tuning(text, words):
    with pytest.raises(LabError, match=words):
        parse_tuning([text], [0])
