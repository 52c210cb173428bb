"""RunConfig: every setting checked, described, and carried through JSON and flags without loss."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidora.cli.flags import Parser, add_settings, config_from
from bidora.config import RunConfig, allowed_range, differences
from bidora.errors import LabError
from bidora.methods import get_method

FIELDS = {each.name: each for each in dataclasses.fields(RunConfig)}
NUMERIC = [n for n, f in FIELDS.items() if f.metadata["minimum"] is not None or f.metadata["maximum"] is not None]
CHOICES = [n for n, f in FIELDS.items() if f.metadata["choices"]]
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)


def numbers(field: dataclasses.Field[Any]) -> st.SearchStrategy[Any]:
    low, high = field.metadata["minimum"], field.metadata["maximum"]
    if isinstance(field.default, int):
        return st.integers(int(low), int(high) if high is not None else 10**9)
    return st.floats(
        low,
        high if high is not None else 1e12,
        exclude_min=field.metadata["open_minimum"],
        exclude_max=field.metadata["open_maximum"],
        allow_nan=False,
    )


def values(field: dataclasses.Field[Any]) -> st.SearchStrategy[Any]:
    if field.name == "unroll_scale":
        return st.sampled_from(["lr", "adam", "0"]) | st.floats(0, 1e6).map(str)
    if field.metadata["choices"]:
        return st.sampled_from(field.metadata["choices"])
    if isinstance(field.default, bool):
        return st.booleans()
    if isinstance(field.default, tuple):
        return st.lists(st.sampled_from(["query", "value", "key", "dense", "fc1", "-odd"]), min_size=1).map(tuple)
    if isinstance(field.default, str):
        return TEXT
    return numbers(field)


NOT_FOR_BIDORA = ("gradient_accumulation", "gradient_checkpointing")


def allowed(chosen: dict[str, Any]) -> RunConfig:
    method = get_method(chosen.get("method", "bidora"))
    if method.name == "adalora":
        chosen = {**chosen, "initial_rank": 0, "steps": max(2, chosen.get("steps", 2))}
    if method.bilevel:
        chosen = {name: value for name, value in chosen.items() if name not in NOT_FOR_BIDORA}
        chosen["steps"] = max(chosen.get("steps", 1), chosen.get("unroll_steps", 1))
    return RunConfig(**chosen)


CONFIGS = st.fixed_dictionaries({}, optional={name: values(field) for name, field in FIELDS.items()}).map(allowed)


def through_flags(words: list[str]) -> RunConfig:
    parser = Parser(prog="test")
    parser.add_argument("--config")
    add_settings(parser)
    return config_from(parser.parse_args(words))


@given(CONFIGS)
@settings(max_examples=150, deadline=None)
def test_flags_repeat_the_run(config):
    assert through_flags(config.flags()) == config


@given(CONFIGS)
@settings(max_examples=50, deadline=None)
def test_json_keeps_every_setting_and_the_digest(config):
    again = RunConfig.from_dict(json.loads(json.dumps(config.to_dict())), strict=True)
    assert again == config
    assert again.digest() == config.digest()


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_changes_the_digest_and_is_described(name):
    field = FIELDS[name]
    other = {
        "unroll_scale": "adam",
        **{each: FIELDS[each].metadata["choices"][-1] for each in CHOICES},
    }.get(name)
    if name in CHOICES and other == field.default:
        other = field.metadata["choices"][0]
    if other is None:
        default = field.default
        other = (
            not default
            if isinstance(default, bool)
            else ("other",)
            if isinstance(default, tuple)
            else "other"
            if isinstance(default, str)
            else default + 1
            if isinstance(default, int)
            else default / 2 + 0.01
        )
    method = {"method": "lora"} if name in NOT_FOR_BIDORA else {}
    assert RunConfig(**{**method, name: other}).digest() != RunConfig(**method).digest()
    assert field.metadata["help"]
    assert field.metadata["group"]


def outside(field: dataclasses.Field[Any]) -> list[Any]:
    low, high = field.metadata["minimum"], field.metadata["maximum"]
    tiny = 1 if isinstance(field.default, int) else 1e-3
    found = []
    if low is not None:
        found.append(low if field.metadata["open_minimum"] else low - tiny)
    if high is not None:
        found.append(high if field.metadata["open_maximum"] else high + tiny)
    if isinstance(field.default, float):
        found += [math.nan, math.inf, -math.inf]
    return found


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in NUMERIC for value in outside(FIELDS[name])])
def test_a_value_outside_its_range_is_refused_with_value_range_and_next_step(name, value):
    with pytest.raises(LabError) as caught:
        RunConfig(**{name: value})
    assert f"{name}=" in caught.value.message
    assert allowed_range(FIELDS[name]) in caught.value.message
    assert "default" in caught.value.hint
    shown = caught.value.message.split("=", 1)[1].split(" ", 1)[0]
    assert math.isnan(value) if shown == "nan" else float(shown) == value


@pytest.mark.parametrize("name", NUMERIC)
def test_the_ends_of_a_closed_range_are_allowed(name):
    field = FIELDS[name]
    ends = [(field.metadata[f"{end}imum"], field.metadata[f"open_{end}imum"]) for end in ("min", "max")]
    extra = {"method": "lora"} if name in NOT_FOR_BIDORA else {}
    for value, is_open in ends:
        if value is not None and not is_open:
            assert getattr(RunConfig(**{name: value, **extra}), name) == value


@pytest.mark.parametrize("name", CHOICES)
def test_an_unknown_choice_names_the_near_one(name):
    choice = FIELDS[name].metadata["choices"][-1]
    with pytest.raises(LabError, match=f"did you mean {choice!r}") as caught:
        RunConfig(**{name: choice[:-1] + "_"} if len(choice) > 3 else {name: choice + "x"})
    for each in FIELDS[name].metadata["choices"]:
        assert each in caught.value.message


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("rank", "eight", "a whole number"),
        ("rank", 2.5, "a whole number"),
        ("rank", True, "a whole number"),
        ("rank", math.inf, "a whole number"),
        ("alpha", "much", "a number"),
        ("alpha", True, "a number"),
        ("alpha", None, "a number"),
        ("gradient_checkpointing", "perhaps", "true or false"),
        ("target_modules", "", "names with commas"),
        ("target_modules", (), "names with commas"),
        ("target_modules", [1, 2], "names with commas"),
        ("task", 7, "text"),
        ("unroll_scale", "half", "0, lr, adam"),
        ("unroll_scale", -1, "0, lr, adam"),
        ("unroll_scale", math.nan, "0, lr, adam"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(name, value, word):
    with pytest.raises(LabError, match=word) as caught:
        RunConfig(**{name: value})
    assert name in caught.value.message
    assert caught.value.hint


def test_text_numpy_and_paths_become_the_settings_own_types():
    config = RunConfig(
        rank="4", alpha=numpy.float32(2), seed=numpy.int64(3), data=Path("a/b.csv"), target_modules="key, value"
    )
    assert (config.rank, config.alpha, config.seed, config.target_modules) == (4, 2.0, 3, ("key", "value"))
    assert config.data == str(Path("a/b.csv"))
    assert [type(each) for each in (config.rank, config.alpha, config.seed)] == [int, float, int]
    assert RunConfig(method="lora", gradient_checkpointing="true").gradient_checkpointing is True


def test_the_unroll_scale_keeps_all_digits_and_has_one_spelling():
    assert RunConfig(unroll_scale=0.123456789).unroll_scale == "0.123456789"
    assert RunConfig(unroll_scale="0.0") == RunConfig(unroll_scale=0)
    assert RunConfig(unroll_scale="1e-3") == RunConfig(unroll_scale=0.001)


def test_large_whole_numbers_are_shown_in_full():
    with pytest.raises(LabError, match=r"seed=2147483648 is outside 0 <= seed <= 2147483647"):
        RunConfig(seed=2**31)


@pytest.mark.parametrize(("name", "value"), [("gradient_accumulation", 2), ("gradient_checkpointing", True)])
def test_what_the_search_phase_cannot_do_is_refused_for_bidora_only(name, value):
    assert getattr(RunConfig(method="dora", **{name: value}), name) == value
    with pytest.raises(LabError, match=f"{name}={value}") as caught:
        RunConfig(method="bidora", **{name: value})
    assert caught.value.hint


@pytest.mark.parametrize(
    ("changes", "retraining", "total"),
    [
        ({"method": "bidora", "steps": 10}, 10, 20),
        ({"method": "bidora", "steps": 10, "retrain_steps": 3}, 3, 13),
        ({"method": "bidora", "steps": 10, "retrain": "continue"}, 10, 20),
        ({"method": "bidora", "steps": 10, "retrain": "none", "retrain_steps": 3}, 0, 10),
        ({"method": "dora", "steps": 10, "retrain_steps": 3}, 0, 10),
    ],
)
def test_steps_of_all_phases(changes, retraining, total):
    config = RunConfig(**changes)
    assert (config.steps_of_retraining, config.total_steps) == (retraining, total)


def test_unknown_names_are_ignored_from_newer_versions_and_refused_when_strict():
    newer = {"schema_version": 99, "rank": 3, "invented_later": 1}
    assert RunConfig.from_dict(newer).rank == 3
    with pytest.raises(LabError, match="did you mean 'rank'"):
        RunConfig.from_dict({"rnk": 3}, strict=True)


def test_missing_names_take_the_defaults():
    assert RunConfig.from_dict({}) == RunConfig()


def test_replace_checks_and_differences_lists_only_what_differs():
    first = RunConfig(seed=1)
    second = first.replace(rank=4)
    assert differences([first, second, first]) == {"rank": [8, 4, 8]}
    with pytest.raises(LabError, match="rank=0"):
        first.replace(rank=0)


def test_a_flag_on_top_of_a_file(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(RunConfig(rank=3, seed=5).to_dict()))
    config = through_flags(["--config", str(path), "--seed", "6"])
    assert (config.rank, config.seed) == (3, 6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("[1]", "is not a JSON object"),
        ('{"rnk": 3}', "unknown setting 'rnk'"),
        (None, "cannot be read"),
    ],
)
def test_a_settings_file_that_is_no_good(tmp_path, text, words):
    path = tmp_path / "settings.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(LabError, match=words) as caught:
        config_from(argparse.Namespace(config=str(path)))
    assert caught.value.hint


def test_help_of_a_setting_may_hold_a_percent_sign():
    parser = Parser(prog="test")
    add_settings(parser)
    shown = parser.format_help()
    for name in FIELDS:
        assert f"--{name.replace('_', '-')}" in shown
    assert "0 < upper_fraction < 1" in " ".join(shown.split())


def test_a_search_without_any_upper_step_is_refused():
    with pytest.raises(LabError, match="unroll_steps=10 leaves no upper step in steps=3"):
        RunConfig(method="bidora", steps=3, unroll_steps=10)
    assert RunConfig(method="dora", steps=3, unroll_steps=10).steps == 3
