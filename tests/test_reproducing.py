"""The official scripts' settings by name, and ours: every number against the list that they were read from."""

from __future__ import annotations

import itertools
import json

import pytest

from bidora.cli import main
from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.phases import phases_of, training_arguments
from bidora.reproducing import REPRODUCTIONS, SEEDS, get_reproduction
from bidora.runs import list_runs
from bidora.tasks import TASKS

pytestmark = pytest.mark.usefixtures("own_places")

# task | base: lr, wd/upper wd, search, retrain lr, iters | large: the same; as the official scripts were read
SCRIPTS = """
cola | 5e-5, .1/.1, 20000, 3e-5, 30000 | 1e-5, 1/1, 20000, 1e-5, 40000
mnli | 5e-5, .1/.1, 30000, 7e-5, 40000 | 1e-5, .5/.5, 55000, 3e-5, 50000
mrpc | 2e-5, .1/.1, 28000 | 1e-5, 0/0, 40000, 1e-5, 30000
qnli | 2e-5, .1/0, 20000 | 1e-5, .5/.5, 60000, 2e-5, 60000
qqp | 5e-5, .1/.1, 30000, 5e-5, 30000 | 1e-5, .5/.5, 50000, 2e-5, 60000
rte | 1e-5, .1/.1, 15000, 3e-5, 15000 | 1e-5, .5/.5, 15000, 1e-5, 30000
sst2 | 1e-5, .12/0, 12000 | 1e-5, .5/.5, 20000, 3e-5, 20000
stsb | 1e-5, .1/.01, 12000 | 1e-5, .5/.5, 14000, 3e-5, 30000
"""


TRIPLES = list(itertools.product("ACDEF", "GHIKL", "MNP"))
"""Parts of made-up peptides."""


@pytest.mark.parametrize("line", SCRIPTS.strip().splitlines())
def test_every_script_is_there_with_its_numbers(line):
    task, *sizes = (part.strip() for part in line.split("|"))
    for size, text in zip(("base", "large"), sizes):
        rate, decays, steps, *retraining = (part.strip() for part in text.split(","))
        config = get_reproduction(f"glue-{size}-{task}").configs()[0]
        assert (config.learning_rate, config.steps) == (float(rate), int(steps))
        assert [config.weight_decay, config.magnitude_decay] == [float(each) for each in decays.split("/")]
        if retraining:
            assert [config.retrain_learning_rate, config.retrain_steps] == [float(retraining[0]), int(retraining[1])]
            assert config.retrain == "restart"
        else:
            assert config.retrain == "none"
        assert config.batch_size == (64 if (size, task) == ("large", "qnli") else 32)
        assert config.max_length == (512 if size == "base" else 128)


def test_what_all_scripts_share():
    for found in REPRODUCTIONS.values():
        if not found.official:
            continue
        configs = found.configs()
        assert [config.seed for config in configs] == [0, 1, 2, 3, 4]
        config = configs[0]
        assert (config.method, config.rank, config.alpha, config.unroll_steps) == ("bidora", 4, 4.0, 1)
        assert (config.adam_beta1, config.adam_beta2, config.adam_epsilon) == (0.9, 0.98, 1e-6)
        assert (config.regularizer, config.warmup_fraction, config.precision) == (1e-5, 0.1, "float32")
        assert (config.upper_fraction, config.upper_learning_rate_ratio) == (0.2, 1.0)
        assert config.magnitude_decay_target == "zero" and config.target_modules == ("query", "value")
        assert "another initialisation" in found.notes[0] and "Not expressible here" in found.notes[1]


def test_ours_say_whether_they_are_tuned():
    ours = {name: found for name, found in REPRODUCTIONS.items() if not found.official}
    assert set(ours) == {f"{task}-ours" for task in TASKS if task != "csv"}
    for name, found in ours.items():
        assert found.methods == ("lora", "dora", "bidora") and found.seeds == SEEDS
        assert ("untuned" in found.notes[0]) == (name not in ("reuters-ours", "peptides-ours"))
    assert ours["cola-ours"].configs()[0] == RunConfig(task="cola", method="lora", seed=0)


def test_names_that_are_none():
    with pytest.raises(LabError, match="did you mean 'glue-base-cola'"):
        get_reproduction("glue-base-cla")
    with pytest.raises(LabError, match="--list"):
        get_reproduction("x" * 500)


def test_the_settings_reach_the_optimisers(tmp_path):
    config = get_reproduction("glue-base-cola").configs()[0].replace(device="cpu")
    search, retrain = (training_arguments(config, phase, tmp_path) for phase in phases_of(config))
    assert (search.learning_rate, retrain.learning_rate) == (5e-5, 3e-5)
    for arguments in (search, retrain):
        assert (arguments.adam_beta1, arguments.adam_beta2, arguments.adam_epsilon) == (0.9, 0.98, 1e-6)
    plain = RunConfig(device="cpu")
    for phase in phases_of(plain):
        arguments = training_arguments(plain, phase, tmp_path)
        assert (arguments.learning_rate, arguments.adam_beta2, arguments.adam_epsilon) == (3e-3, 0.999, 1e-8)


# -- the command ----------------------------------------------------------------------------------------------------


def test_what_it_costs_is_said_beforehand(capsys, tmp_path):
    assert main(["reproduce", "glue-base-cola", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "5 runs with 5 seeds (0, 1, 2, 3, 4)" in out
    assert "unknown for 5 runs until the first steps: 250,000 steps with 550,000 gradient evaluations" in out
    assert "another initialisation" in out and "Nothing was done" in out
    assert not list_runs(tmp_path / "runs")


def test_flags_change_it_and_are_named(capsys):
    assert (
        main(["reproduce", "glue-large-rte", "--seed", "3", "--steps", "20", "--method", "dora", "bidora", "--dry-run"])
        == 0
    )
    out = capsys.readouterr().out
    assert "2 runs with 1 seed (3)" in out
    assert "Changed by flags: steps 20 (there: 15000), method dora/bidora (there: bidora)" in " ".join(out.split()) or (
        "Changed by flags" in out and "steps 20 (there: 15000)" in out
    )


def test_the_list_and_what_is_refused(capsys):
    assert main(["reproduce", "--list"]) == 0
    out = capsys.readouterr().out
    assert "glue-base-cola" in out and "glue-large-stsb" in out and "peptides-ours" in out
    assert main(["reproduce"]) == 2
    assert main(["reproduce", "glue-base-cola", "--task", "rte", "--dry-run"]) == 2
    assert "--task does not fit glue-base-cola" in capsys.readouterr().err


@pytest.mark.slow
def test_an_official_setting_runs_end_to_end_on_glue_shaped_data(tmp_path, tiny_roberta, capsys):
    """Tiny random RoBERTa, CoLA-shaped files, a few steps: search with betas, ξ = 1 and decay to zero, then retraining."""
    folder = tmp_path / "glue_data" / "CoLA"
    folder.mkdir(parents=True)
    for name, count in (("train", 40), ("dev", 12)):
        lines = [
            f"gj04\t{row % 2}\t{'*' * (1 - row % 2)}\tword{row % 2} word{10 + row % 9} word{20 + row % 7}"
            for row in range(count)
        ]
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = [
        "reproduce",
        "glue-base-cola",
        "--data",
        str(folder.parent),
        "--model",
        str(tiny_roberta),
        "--max-length",
        "16",
    ]
    words += ["--steps", "3", "--retrain-steps", "2", "--batch-size", "4", "--seed", "0", "--device", "cpu"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "[1/1]  cola BiDoRA, seed 0  MCC" in out
    assert "The published scores beside these: bidora published --task cola" in out
    (run,) = list_runs(tmp_path / "runs")
    assert run.meta["group"] == "glue-base-cola" and run.state == "finished"
    assert (run.config.adam_beta2, run.config.unroll_scale, run.config.retrain_learning_rate) == (0.98, "1", 3e-5)
    rates = [
        record["learning_rate"]
        for record in run.records()
        if record.get("phase") == "retrain" and "learning_rate" in record
    ]
    assert rates and max(rates) <= 3e-5
    assert main(words) == 0
    assert "1 finished already" in capsys.readouterr().out and len(list_runs(tmp_path / "runs")) == 1
    assert main(["published", "--task", "cola"]) == 0
    assert "Published scores and ours" in capsys.readouterr().out
    assert json.loads((run.path / "config.json").read_text())["adam_epsilon"] == 1e-6


def test_commands_for_the_other_published_tables_are_there_and_work(tmp_path, capsys):
    from bidora.cli.reproducing import OTHER_TABLES

    (tmp_path / "bbp.csv").write_text(
        "sequence,label\n" + "".join(f"{a}{b}{a}{c}{b}W,{i % 2}\n" for i, (a, b, c) in enumerate(TRIPLES)),
    )
    lines = [line.partition("bidora ")[2].split() for line in OTHER_TABLES.splitlines() if "bidora reproduce" in line]
    assert len(lines) == 3
    for words in lines:
        words = [
            str(tmp_path / "bbp.csv") if word == "FOLDER" else "esm2" if word == "aligner" else word for word in words
        ]
        assert main([*words, "--seed", "0", "--dry-run", "--root", str(tmp_path / "runs")]) == 0
        told = capsys.readouterr().out
        methods = words[words.index("--method") + 1 :]
        methods = methods[: next((i for i, word in enumerate(methods) if word.startswith("--")), len(methods))]
        assert f"{len(methods)} runs with 1 seed (0)" in told
    assert main(["reproduce", "--list"]) == 0
    assert OTHER_TABLES in capsys.readouterr().out
