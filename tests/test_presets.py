"""Presets: each makes valid runs that differ in what its question is about, and in nothing else."""

from __future__ import annotations

import pytest

from bidora.config import RunConfig, differences, gradient_evaluations
from bidora.errors import LabError
from bidora.presets import PRESETS, SEEDS, SIZES, get_preset
from bidora.tasks import TASKS

ABOUT = {
    "methods": {"method"},
    "equal-effort": {"method", "steps"},
    "implicit": {"unroll_scale"},
    "alternation": {"method", "upper_data"},
    "retrain": {"retrain"},
    "examples": {"method", "examples_per_class"},
    "split": {"upper_fraction"},
    "alive": {"upper_learning_rate_ratio"},
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_varies_what_it_asks_about_and_the_seed(name, size):
    preset = get_preset(name)
    configs = preset.configs(size)
    assert set(differences(configs)) == ABOUT[name] | {"seed"}
    assert len(configs) == len(preset.arms) * len(SEEDS[size])
    assert len({config.digest() for config in configs}) == len(configs)
    assert {config.task for config in configs} <= set(TASKS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_asks_before_it_shows(name):
    preset = PRESETS[name]
    assert preset.question.endswith("?")
    assert len(preset.options) >= 3
    assert len(set(preset.options)) == len(preset.options)
    for words in (preset.title, preset.why, preset.ask, preset.look):
        assert words.strip()
    assert preset.is_grid == (ABOUT[name] <= {"method", "steps"})


def test_sizes_grow():
    work = [gradient_evaluations(RunConfig(**values)) * values["batch_size"] for values in SIZES.values()]
    assert work == sorted(work)
    assert get_preset("methods").configs("30 s", seeds=(5,))[0].seed == 5


def test_equal_effort_is_equal():
    configs = get_preset("equal-effort").configs("2 min")
    assert len({gradient_evaluations(config) for config in configs}) == 1


def test_unknown_names_are_sentences():
    with pytest.raises(LabError, match="there is no preset 'x'"):
        get_preset("x")
    with pytest.raises(LabError, match="size='1 h' is not one of"):
        get_preset("methods").configs("1 h")
