"""Drafts: a link fills the form as far as it is valid, and what is not is said."""

from __future__ import annotations

import pytest

from bidora.config import RunConfig
from bidora.drafts import BASIC, FIELDS, GROUPS, LONGEST_QUESTION, fresh, of_config, of_preset, of_query
from bidora.presets import PRESETS


def test_a_fresh_draft_is_small_and_complete():
    configs = fresh().configs()
    assert {config.task for config in configs} == {"peptides"}
    assert len(configs) == 6


@pytest.mark.parametrize("name", PRESETS)
def test_the_draft_of_a_preset_makes_its_very_runs(name):
    assert of_preset(name, "2 min").configs() == PRESETS[name].configs("2 min")


def test_a_draft_repeats_a_run():
    config = RunConfig(task="reuters", method="dora", rank=3, seed=7, target_modules=("key",), unroll_scale="0.5")
    assert of_config(config).configs() == [config]


def test_a_link_fills_the_form():
    query = {
        "preset": "methods",
        "size": "2 min",
        "rank": "4",
        "target_modules": "key,value",
        "group_by_length": "false",
    }
    query |= {
        "seed": "0-2",
        "method": "dora,bidora",
        "lock": "rank,seed",
        "hide": "running",
        "question": "  why \n this? ",
    }
    draft, remarks = of_query(query)
    assert remarks == []
    assert (draft.values["rank"], draft.values["target_modules"]) == (4, ("key", "value"))
    assert draft.values["group_by_length"] is False
    assert (draft.seeds, draft.methods, draft.question) == ("0-2", ("dora", "bidora"), "why this?")
    assert draft.lock == {"rank", "seed"}
    assert draft.hide == set(GROUPS["running"])
    assert len(draft.configs()) == 6


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("rank", "0", "rank=0 is outside"),
        ("rank", "9" * 30, "larger than any machine"),
        ("rank", "<script>", "is not a whole number"),
        ("learning_rate", "nan", "is outside"),
        ("unroll_scale", "-1", "is not 0, lr, adam or a number above 0"),
        ("method", "dora,pickle", "is not one of"),
        ("seed", "-4", "is not a list"),
        ("task", "../../etc", "is not one of"),
        ("model", "/etc/passwd", "is not one of"),
        ("model", "someone/else", "is not one of"),
        ("variant", "x", "is not one of"),
        ("data", "/etc/passwd", "cannot name a file"),
        ("test_data", "a.csv", "cannot name a file"),
        ("preset", "x", "there is no preset"),
        ("foo", "1", "it is no setting"),
    ],
)
def test_what_a_link_may_not_say_is_passed_over_with_a_sentence(name, text, words):
    draft, remarks = of_query({name: text})
    assert draft.values == fresh().values
    assert (draft.methods, draft.seeds, draft.preset) == (fresh().methods, fresh().seeds, "")
    assert len(remarks) == 1
    assert f"The link's {name} was passed over" in remarks[0]
    assert words in remarks[0]


def test_hide_and_lock_know_settings_groups_and_advanced():
    draft, remarks = of_query({"hide": "advanced, two levels,nonsense,code", "lock": "__class__"})
    assert draft.hide == (set(FIELDS) - set(BASIC)) | {"code"}
    assert draft.lock == frozenset()
    assert len(remarks) == 2
    assert "'nonsense'" in remarks[0]


def test_long_texts_of_a_link_are_cut():
    draft, remarks = of_query({"question": "x" * 100_000, "hide": "y" * 100_000, "z" * 1000: "1"})
    assert len(draft.question) == LONGEST_QUESTION
    assert all(len(remark) < 200 for remark in remarks)


def test_a_run_with_a_number_that_no_form_shows_gets_the_default():
    assert of_config(RunConfig(steps=10**15)).values["steps"] == RunConfig().steps
