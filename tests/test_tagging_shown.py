"""Runs of named entities wherever kinds are shown: command line, preview, preflight, glossary, figures, exports, the app."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas
import pyarrow.parquet
import pytest
from tagged import write_tagged
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
from bidora.metrics import METRICS
from bidora.preflight import preflight, worst
from bidora.recordings import record
from bidora.runs import Run
from bidora.runs.exchange import write_run
from bidora.wording import score_name

PREDICTIONS = pandas.DataFrame(
    {
        "id": ["a", "b", "c"],
        "input": ["T cells in blood", "IL - 2", "none here"],
        "target": ["CELL 1–2, Body part 4", "GENE 1–3", ""],
        "prediction": ["CELL 2", "GENE 1–3", ""],
        "target_words": ["T cells [CELL]; blood [Body part]", "IL - 2 [GENE]", ""],
        "predicted_words": ["cells [CELL]", "IL - 2 [GENE]", ""],
        "correct": [False, True, True],
    }
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tagged(tmp_path_factory.mktemp("tagged"), train=40, devel=4, test=12)


def config_of(data: Path, model: Path, **settings) -> RunConfig:
    values = dict(method="lora", rank=2, steps=3, batch_size=4, threads=1, max_length=40)
    return RunConfig(task="conll2003", data=str(data), model=str(model), **{**values, **settings})


@pytest.fixture(scope="module")
def finished(data, tiny_bert, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with LoRA on two seeds and BiDoRA on one, finished."""
    from bidora.train import train

    root = tmp_path_factory.mktemp("runs")
    for settings in (dict(seed=0), dict(seed=1), dict(method="bidora")):
        train(Run.create(config_of(data, tiny_bert, evaluation_examples=5, **settings), root, group="entities"))
    return root


def runs_in(root: Path) -> list[Run]:
    return [Run(path) for path in sorted(root.iterdir()) if (path / "result.json").exists()]


@pytest.fixture
def shown(finished, tmp_path) -> list[Run]:
    """The same runs where the app looks for them."""
    shutil.copytree(finished, tmp_path / "runs")
    return runs_in(tmp_path / "runs")


# -- words ----------------------------------------------------------------------------------------------------------


def test_every_score_has_its_name_and_its_entry():
    assert [score_name(name) for name in METRICS["tagging"]] == ["entity F1", "entity precision", "entity recall"]
    for name in METRICS["tagging"]:
        assert entry_of(f"test_{name}").key == name


def test_the_tasks_are_listed(capsys):
    assert main(["list", "tasks"]) == 0
    out = capsys.readouterr().out
    assert "conll2003" in out and "jnlpba" in out and "bionlp13cg" in out


def test_a_dry_run_says_what_would_happen(data, tiny_bert, capsys):
    words = ["--data", str(data), "--model", str(tiny_bert), "--method", "bidora", "--dry-run"]
    assert main(["run", "--task", "conll2003", *words]) == 0
    out = capsys.readouterr().out
    assert "40 to train on" in out and "12 to test on (tagging, 5 labels)" in out and "for the lower and" in out


def test_a_preflight_finds_what_is_wrong(data, tiny_bert, tmp_path):
    assert worst(preflight(config_of(data, tiny_bert), tmp_path, memory=1e6)) is True
    write_tagged(tmp_path / "broken", test=3)
    (tmp_path / "broken" / "test.tsv").write_text("one\tO\ntwo\n")
    failed = [check for check in preflight(config_of(tmp_path / "broken", tiny_bert), tmp_path) if check.ok is False]
    assert [check.topic for check in failed] == ["splits"] and "Line 2 of test.tsv: 1 column" in failed[0].sentence


# -- tables, figures and copies ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_tables_figures_and_estimates_of_finished_runs(finished, data, tiny_bert):
    runs = runs_in(finished)
    table = comparison(runs)
    assert set(table["primary"]) == {"entity_f1"} and {"entity_f1_low", "entity_recall"} <= set(table.columns)
    assert "entity F1" in " ".join(readable_comparison(table).columns)
    assert len(paired_differences(runs)) == 1
    found = measured(runs)
    assert (found.metric, found.loss_unit, found.examples, found.baseline) == ("entity_f1", "nats", 5, 0.0)
    shown = sampled(runs)
    assert shown.kind == "tagging" and figures.samples(shown.predictions, kind=shown.kind).layout.meta["alt"]
    for draw in (figures.scores, figures.cost):
        assert draw(table, metric="entity_f1").layout.meta["alt"]
    assert estimate(config_of(data, tiny_bert), runs).seconds > 0


@pytest.mark.slow
def test_words_of_the_test_set_stay_at_home_where_inputs_are_left_out(finished, tmp_path):
    run = runs_in(finished)[0]
    assert {"input", "target_words", "predicted_words"} <= set(run.predictions().columns)
    for inputs in (True, False):
        write_run(run.path, tmp_path / "run.zip", inputs=inputs)
        with zipfile.ZipFile(tmp_path / "run.zip") as archive:
            archive.extract(f"{run.path.name}/predictions.parquet", tmp_path / str(inputs))
        columns = pyarrow.parquet.read_schema(tmp_path / str(inputs) / run.path.name / "predictions.parquet").names
        copy = record(run, tmp_path / f"recordings-{inputs}", inputs=inputs).predictions().columns
        for names in (columns, copy):
            assert ({"input", "target_words", "predicted_words"} <= set(names)) is inputs
            assert {"id", "target", "prediction"} <= set(names)


def test_worst_and_best_sentences():
    worst_ones = examples_of(PREDICTIONS, "worst", kind="tagging")
    assert list(worst_ones["wrong_entities"]) == [3, 0, 0] and worst_ones["id"][0] == "a"
    wanted = ["input", "target_words", "predicted_words", "target", "prediction", "wrong_entities", "id"]
    assert list(worst_ones.columns) == wanted
    assert examples_of(PREDICTIONS, "best", kind="tagging")["wrong_entities"].iloc[0] == 0
    bare = PREDICTIONS.drop(columns=["input", "target_words", "predicted_words"])
    assert list(examples_of(bare, "random", kind="tagging").columns) == ["target", "prediction", "wrong_entities", "id"]


@pytest.mark.parametrize("template", ["light", "dark"])
def test_the_figure_counts_entities_by_type(template):
    figure = figures.samples(PREDICTIONS, kind="tagging", template=template)
    found, missed, invented = figure.data
    assert list(found.y) == ["CELL", "Body part", "GENE"] or set(found.y) == {"CELL", "Body part", "GENE"}
    counts = {bar.name: dict(zip(bar.y, bar.x)) for bar in figure.data}
    assert counts["found"] == {"CELL": 0, "Body part": 0, "GENE": 1}
    assert counts["missed"] == {"CELL": 1, "Body part": 1, "GENE": 0}
    assert counts["invented"] == {"CELL": 1, "Body part": 0, "GENE": 0}
    assert (missed.name, invented.name) == ("missed", "invented")
    assert "entities" in figure.layout.title.text and "3 sentences" in str(figure.layout.annotations)


# -- the command line and the app -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_from_the_command_line(data, tiny_bert, tmp_path):
    command = [sys.executable, "-m", "bidora", "run", "--task", "conll2003", "--data", str(data)]
    command += ["--model", str(tiny_bert), *"--steps 2 --batch-size 4 --rank 2 --max-length 40 --threads 1".split()]
    surroundings = {**os.environ, "BIDORA_RUNS": str(tmp_path / "runs"), "BIDORA_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "entity" in done.stdout


@pytest.mark.slow
def test_compare_in_the_terminal(finished, capsys):
    assert main(["compare", "--group", "entities", "--root", str(finished)]) == 0
    out = capsys.readouterr().out
    assert "entity-f1" in out and "entity-precision" in out and "entity-recall" in out


@pytest.mark.slow
def test_the_app_shows_sentences_with_their_entities(app, shown):
    for run in shown:
        visit(app, "runs", run=run.id, tab="Samples")
        table = app.dataframe[-1].value
        assert {"input", "target_words", "predicted_words", "wrong_entities"} <= set(table.columns) and len(table) == 10
        assert any("most wrong ones" in str(each.value) for each in app.caption)
        for tab in ("Live", "Weights", "Config"):
            visit(app, "runs", run=run.id, tab=tab)
    for part in ("Scores", "Settings", "Curves", "Weights", "Cost", "Samples"):
        visit(app, "compare", runs=f"{shown[0].id},{shown[1].id}", part=part)
    visit(app, "compare", group="entities", part="Scores")
    visit(app, "start")
    visit(app, "glossary", term="entity_f1")
    assert any("its first word, its last word and its type" in str(each.value) for each in app.markdown)
    visit(app, "new_run", task="conll2003")
    assert any("entities are scored by" in str(each.value) for each in app.markdown)
    visit(app, "new_run", clone=shown[0].id)
    assert any("bidora run --task conll2003" in str(each.value) for each in app.code)


@pytest.mark.slow
def test_the_report_of_such_runs(finished, tmp_path):
    from bidora.report import write_report

    path = tmp_path / "report.html"
    write_report(runs_in(finished), path)
    assert "entity F1" in path.read_text(encoding="utf-8")
