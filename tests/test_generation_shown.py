"""Runs whose answers are texts, wherever kinds are shown: command line, preview, preflight, glossary, figures, the app."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
from tiny_causal import needs_scores, save_causal_model, write_e2e
from visiting import visit

from bidora import figures
from bidora.analysis import comparison, paired_differences, sampled
from bidora.analysis.examples import examples_of
from bidora.analysis.parts import measured
from bidora.analysis.readable import readable_comparison
from bidora.cli import main
from bidora.config import RunConfig
from bidora.estimate import estimate
from bidora.glossary import entry_of
from bidora.metrics import METRICS, SHARES
from bidora.preflight import preflight, worst
from bidora.runs import Run
from bidora.wording import score_name

pytestmark = needs_scores


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """E2E's files and a tiny GPT-2."""
    place = tmp_path_factory.mktemp("material")
    return write_e2e(place / "e2e"), save_causal_model(place / "gpt2", "gpt2")


def config_of(material: tuple[Path, Path], **settings) -> RunConfig:
    values = dict(method="lora", rank=2, steps=3, batch_size=4, threads=1, max_length=60, max_new_tokens=10)
    return RunConfig(task="e2e", data=str(material[0]), model=str(material[1]), **{**values, **settings})


@pytest.fixture(scope="module")
def finished(material, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with LoRA on two seeds and BiDoRA on one, finished."""
    from bidora.train import train

    root = tmp_path_factory.mktemp("runs")
    for settings in (dict(seed=0), dict(seed=1), dict(method="bidora")):
        train(Run.create(config_of(material, evaluation_examples=2, **settings), root, group="texts"))
    return root


def runs_in(root: Path) -> list[Run]:
    return [Run(path) for path in sorted(root.iterdir()) if (path / "result.json").exists()]


@pytest.fixture
def shown(finished, tmp_path) -> list[Run]:
    """The same runs where the app looks for them."""
    shutil.copytree(finished, tmp_path / "runs")
    return runs_in(tmp_path / "runs")


# -- words -----------------------------------------------------------------------------------------------------------------


def test_every_score_has_its_name_and_its_entry():
    assert [score_name(name) for name in METRICS["generation"]] == ["BLEU", "NIST", "METEOR", "ROUGE-L", "chrF"]
    for name in METRICS["generation"]:
        assert entry_of(f"test_{name}").key == name
    assert set(METRICS["generation"]) - SHARES == {"nist"}


def test_the_task_is_listed(capsys):
    assert main(["list", "tasks"]) == 0
    assert "E2E NLG" in capsys.readouterr().out


def test_a_dry_run_says_what_would_happen(material, capsys):
    data, model = material
    words = ["--data", str(data), "--model", str(model), "--method", "bidora", "--beams", "4", "--dry-run"]
    assert main(["run", "--task", "e2e", *words]) == 0
    out = capsys.readouterr().out
    assert "60 to train on" in out and "8 to test on (generation)" in out and "--beams 4" in out
    assert "for the lower and" in out


def test_a_preflight_finds_what_is_missing(material, tmp_path, monkeypatch):
    config = config_of(material)
    assert worst(preflight(config, tmp_path, memory=1e6)) is True
    from bidora.metrics import generated

    monkeypatch.setitem(generated.LIBRARIES, "no_such_library", "no-such-library")
    failed = [check for check in preflight(config.replace(seed=1, upper_fraction=0.3), tmp_path) if check.ok is False]
    assert [check.topic for check in failed] == ["splits"] and "no-such-library" in failed[0].sentence
    assert "bidora-lab[generation]" in failed[0].hint


def test_a_preflight_of_a_folder_that_is_no_e2e(material, tmp_path):
    (tmp_path / "other").mkdir()
    failed = [check for check in preflight(config_of((tmp_path / "other", material[1])), tmp_path) if check.ok is False]
    assert "holds no trainset.csv" in failed[0].sentence


# -- tables and figures ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_tables_figures_and_estimates_of_finished_runs(finished, material):
    runs = runs_in(finished)
    table = comparison(runs)
    assert set(table["primary"]) == {"bleu"} and {"bleu_low", "nist", "rouge_l", "chrf"} <= set(table.columns)
    two = table[table["runs"] == 2].iloc[0]
    assert two["nist_high"] >= two["nist"] >= two["nist_low"] >= 0
    assert {"BLEU", "NIST"} <= {name.split(" ")[0] for name in readable_comparison(table).columns}
    assert len(paired_differences(runs)) == 1
    found = measured(runs)
    assert found.metric == "bleu" and found.loss_unit == "nats" and found.examples == 2
    shown = sampled(runs)
    assert shown.kind == "generation" and shown.predictions["rouge_l"].between(0, 1).all()
    figure = figures.samples(shown.predictions, kind=shown.kind)
    assert sum(figure.data[0].y) == 8 and "8 test items" in figure.layout.meta["alt"]
    for draw in (figures.scores, figures.cost):
        assert draw(table, metric="nist").layout.meta["alt"]
    assert estimate(config_of(material), runs).seconds > 0


def test_worst_and_best_texts():
    table = pandas.DataFrame(
        dict(id=list("abc"), input=list("xyz"), target=["t\nu"] * 3, prediction=["p"] * 3, probability=np.nan)
    ).assign(rouge_l=[0.5, 0.1, 0.9])
    assert list(examples_of(table, "worst", kind="generation")["id"]) == ["b", "a", "c"]
    assert list(examples_of(table, "best", kind="generation")["rouge_l"]) == [0.9, 0.5, 0.1]
    assert len(examples_of(table, "random", kind="generation", count=2)) == 2
    damaged = table.drop(columns="rouge_l")
    assert len(examples_of(damaged, "worst", kind="generation")) == 3
    assert "no texts" in figures.samples(damaged, kind="generation").layout.meta["alt"]


@pytest.mark.parametrize("template", ["light", "dark"])
def test_the_figure_of_texts(template):
    table = pandas.DataFrame(dict(target="t", prediction="p", rouge_l=[0.02, 0.5, 0.51, 1.0]))
    figure = figures.samples(table, kind="generation", template=template)
    assert list(np.flatnonzero(figure.data[0].y)) == [0, 10, 19]
    assert "median, 50.5 %" in str(figure.layout.annotations)


# -- the command line and the app, from beginning to end -----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_from_the_command_line(material, tmp_path):
    data, model = material
    command = [sys.executable, "-m", "bidora", "run", "--task", "e2e", "--data", str(data), "--model", str(model)]
    command += "--steps 2 --batch-size 4 --rank 2 --max-length 60 --max-new-tokens 8 --threads 1 --beams 2".split()
    surroundings = {**os.environ, "BIDORA_RUNS": str(tmp_path / "runs"), "BIDORA_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "bleu" in done.stdout.lower() and "testing" in done.stderr
    show = subprocess.run(
        [sys.executable, "-m", "bidora", "show", "last"], capture_output=True, text=True, env=surroundings, check=False
    )
    assert show.returncode == 0 and "bleu" in show.stdout.lower()


@pytest.mark.slow
def test_compare_in_the_terminal(finished, capsys):
    assert main(["compare", "--group", "texts", "--root", str(finished)]) == 0
    out = capsys.readouterr().out
    assert "bleu" in out and "nist" in out and "rouge" in out


@pytest.mark.slow
def test_the_app_shows_texts_with_their_references(app, shown):
    for run in shown:
        visit(app, "runs", run=run.id, tab="Samples")
        table = app.dataframe[-1].value
        assert list(table.columns) == ["input", "prediction", "target", "rouge_l", "id"] and len(table) == 8
        assert any("farthest from a reference" in str(each.value) for each in app.caption)
        for tab in ("Live", "Weights", "Config"):
            visit(app, "runs", run=run.id, tab=tab)
    for part in ("Scores", "Settings", "Curves", "Weights", "Cost", "Samples"):
        visit(app, "compare", group="texts", part=part)
    visit(app, "start")


@pytest.mark.slow
def test_the_report_of_such_runs(finished, tmp_path):
    from bidora.report import write_report

    path = tmp_path / "report.html"
    write_report(runs_in(finished), path)
    assert "BLEU" in path.read_text(encoding="utf-8")
