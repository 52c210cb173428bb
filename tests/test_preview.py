"""Words and code of a preview: they say what will be done, and repeat it when they are run."""

from __future__ import annotations

import shlex

import pytest

import bidora.queueing
from bidora.cli import main
from bidora.cli.flags import Parser, add_settings, config_from
from bidora.config import RunConfig
from bidora.presets import PRESETS
from bidora.preview import (
    command_lines,
    kinds_in_words,
    kinds_of,
    names_of,
    notebook_cell,
    phases_in_words,
    sweep_line,
    work_in_words,
)


def test_the_commands_repeat_the_runs():
    for preset in PRESETS.values():
        configs = preset.configs("30 s")
        lines = command_lines(configs, group="a b").splitlines()
        assert len(lines) == len(configs)
        for line, config in zip(lines, configs, strict=True):
            words = shlex.split(line)
            assert words[:2] == ["bidora", "run"]
            parser = Parser(prog="test")
            parser.add_argument("--config")
            parser.add_argument("--group")
            add_settings(parser)
            args = parser.parse_args(words[2:])
            assert (config_from(args), args.group) == (config, "a b")


def test_a_full_grid_is_one_sweep_and_nothing_else_is(capsys, tmp_path):
    shared = RunConfig(task="peptides", examples_per_class=8, steps=20)
    grid = [
        shared.replace(method=method, seed=seed, learning_rate=rate)
        for method in ("lora", "bidora")
        for seed in (0, 1, 2)
        for rate in (1e-3, 3e-3)
    ]
    line = sweep_line(grid, group="a b")
    assert line.startswith("bidora sweep --task peptides") and "--seed 0 1 2" in line and "'a b'" in line
    words = shlex.split(line)
    assert main([*words[1:], "--root", str(tmp_path), "--dry-run"]) == 0
    assert "12 runs with 3 seeds (0, 1, 2)" in capsys.readouterr().out
    assert sweep_line(grid[:-1]) == ""
    assert sweep_line([*grid, shared.replace(method="bidora", seed=0, steps=7)]) == ""


@pytest.mark.parametrize("name", PRESETS)
def test_the_notebook_cell_repeats_the_runs(monkeypatch, name):
    asked = []
    monkeypatch.setattr(bidora.queueing, "enqueue", lambda configs, *, group: asked.append((configs, group)))
    monkeypatch.setattr(bidora.queueing, "start_next", lambda: asked.append("started"))
    configs = PRESETS[name].configs("2 min")
    exec(notebook_cell(configs, group="it's"), {})
    assert asked == [(configs, "it's"), "started"]


def test_kinds_are_named_by_what_sets_them_apart():
    assert list(kinds_of(PRESETS["methods"].configs()).values()) == ["LoRA", "DoRA", "BiDoRA"]
    names = list(kinds_of(PRESETS["implicit"].configs()).values())
    assert names == ["BiDoRA, unroll scale 0", "BiDoRA, unroll scale lr", "BiDoRA, unroll scale adam"]
    assert len(kinds_in_words(PRESETS["examples"].configs())) == 6
    assert names_of(PRESETS["implicit"].configs(seeds=(4,)))[0] == "peptides BiDoRA, unroll scale 0, seed 4"


def test_phases_and_work_in_words():
    config = RunConfig(steps=100, unroll_steps=2)
    words = phases_in_words(config)
    assert words.startswith(
        "search, 100 steps of 16 examples and an upper step after every 2 steps; then retraining, 100"
    )
    assert work_in_words([config]).startswith("300 gradient evaluations")
    assert "LoRA: 100; BiDoRA: 400" in work_in_words([RunConfig(method=m, steps=100) for m in ("lora", "bidora")])
    assert "every weight" in kinds_in_words([RunConfig(method="full")])[0]
