"""Methods × seeds: what is written becomes the right runs, or a sentence."""

from __future__ import annotations

import pytest

from bidora.config import RunConfig, gradient_evaluations
from bidora.errors import LabError
from bidora.grid import MOST_RUNS, arm_in_words, arms_of, at_equal_effort, grid, group_name, parse_seeds


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("0, 1, 2", (0, 1, 2)),
        ("0 1 2", (0, 1, 2)),
        ("3-5", (3, 4, 5)),
        ("3 – 5; 9", (3, 4, 5, 9)),
        ("3..5", (3, 4, 5)),
        ("2, 2, 1", (2, 1)),
        ("3 seeds", (0, 1, 2)),
        ("1 seed", (0,)),
        (" 7 ", (7,)),
        ("2147483647", (2147483647,)),
    ],
)
def test_seeds_are_read(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text",
    ["", "  ", "-1", "1-", "5-3", "a", "1.5", "²", "0-9999999", "2147483648", "9" * 5000, "0 seeds", "999 seeds"],
)
def test_what_is_no_list_of_seeds_is_a_sentence(text):
    with pytest.raises(LabError, match="is not a list of 1 to 200 whole numbers"):
        parse_seeds(text)


def test_all_methods_of_a_seed_come_before_the_next_seed():
    runs = grid({"steps": 7, "task": "peptides"}, arms=arms_of(["dora", "bidora", "dora"]), seeds=(3, 1))
    assert [(run.seed, run.method, run.steps) for run in runs] == [
        (3, "dora", 7),
        (3, "bidora", 7),
        (1, "dora", 7),
        (1, "bidora", 7),
    ]


def test_equal_effort_gives_more_steps_to_those_who_need_fewer_passes():
    runs = grid({"steps": 100}, arms=arms_of(["lora", "bidora"]), seeds=(0,), equal_effort=True)
    assert [run.steps for run in runs] == [400, 100]
    assert len({gradient_evaluations(run) for run in runs}) == 1
    first_order = RunConfig(steps=100, unroll_scale="0", retrain="none")
    raised, kept = at_equal_effort([first_order, RunConfig(steps=100)])
    assert kept.steps == 100
    assert gradient_evaluations(raised) == 400


@pytest.mark.parametrize("arms", [[], arms_of(["lora"])])
def test_no_runs_and_too_many_runs_are_sentences(arms):
    with pytest.raises(LabError, match=r"runs? \(allowed: 1 to 200\)"):
        grid({}, arms=arms, seeds=range(MOST_RUNS + 1))


def test_settings_that_a_method_refuses_and_unknown_ones_are_sentences():
    with pytest.raises(LabError, match="gradient_accumulation=2 is not supported"):
        grid({"gradient_accumulation": 2}, arms=arms_of(["lora", "bidora"]), seeds=(0,))
    with pytest.raises(LabError, match="unknown setting 'ranks'"):
        grid({"ranks": 2}, arms=arms_of(["lora"]), seeds=(0,))


def test_names():
    assert arm_in_words({"method": "bidora", "unroll_scale": "0"}) == "BiDoRA, unroll scale 0"
    assert group_name("split").startswith("split-2")
