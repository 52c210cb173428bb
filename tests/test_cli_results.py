"""What the command line shows of runs: lists, one run, comparisons."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest

from bidora.cli import main
from bidora.cli.formatting import duration, facts, number, score, size, table
from bidora.cli.side_by_side import comparison_table
from bidora.config import RunConfig
from bidora.methods import METHODS
from bidora.runs import Run, runs_root, worker_identity, write_json

pytestmark = pytest.mark.usefixtures("own_places")


def finished(tmp_path, accuracy, **settings):
    """A run folder as training leaves it."""
    group = settings.pop("group", "g")
    run = Run.create(RunConfig(**{"examples_per_class": 16, **settings}), tmp_path / "runs", group=group)
    run.update_meta(data={name: {"count": 100, "sha256": name} for name in ("train", "test")})
    write_json(
        run.path / "result.json",
        {
            "kind": "classification",
            "primary": "accuracy",
            "n_train": 128,
            "n_lower": 104,
            "n_upper": 24,
            "n_test": 2189,
            "scores": {
                "accuracy": {"value": accuracy, "low": accuracy - 0.02, "high": accuracy + 0.01},
                "macro_f1": {"value": accuracy - 0.1, "low": 0.1, "high": 0.9},
            },
            "baseline": {"accuracy": 0.495},
            "cost": {
                "seconds_training": 83.2,
                "peak_memory_bytes": 1.21e9,
                "gradient_evaluations": 300,
                "trainable_parameters": 81416,
            },
            "dynamics": {"delta_m": 0.0213, "delta_d": 0.0083, "slope": 1.5},
        },
    )
    run.update_status(state="finished", step=300, total=300, exit_code=0)
    return run


# -- numbers and tables -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number(None), "–"),
        (number(float("nan")), "–"),
        (number(81416), "81,416"),
        (number(0.0083123), "0.008312"),
        (number(12345.0), "12,345"),
        (score(0.91234, 0.9, 0.92), "0.912 [0.900, 0.920]"),
        (score(0.5), "0.500"),
        (score(0.5, None, 0.6), "0.500"),
        (score(None), "–"),
        (duration(0.04), "0.0 s"),
        (duration(9.94), "9.9 s"),
        (duration(59.6), "1 min 0 s"),
        (duration(200), "3 min 20 s"),
        (duration(7500), "2 h 5 min"),
        (duration(3 * 86400), "3 days"),
        (duration(float("inf")), "–"),
        (size(999), "999 bytes"),
        (size(83_506_384), "83.5 MB"),
        (size(None), "–"),
        (size(1.2e13), "12,000 GB"),
    ],
)
def test_numbers_in_words(shown, expected):
    assert shown == expected


def test_a_table_aligns_numbers_right_and_text_left():
    text = table(["name", "n"], [["a", 5], ["longer", 1200]])
    assert text.splitlines() == ["name        n", "──────  ─────", "a           5", "longer  1,200"]


def test_a_table_without_rows_and_facts_without_values():
    assert table(["a", "b"], []).splitlines() == ["a  b", "─  ─"]
    assert facts([("name", "x"), ("none", None), ("note", ""), ("n", 0)]) == "name  x\nn     0"


# -- list and show ----------------------------------------------------------------------------------------------------


def test_list_shows_state_progress_score_and_age(tmp_path, capsys):
    run = finished(tmp_path, 0.9)
    Run.create(RunConfig(method="lora"), tmp_path / "runs", name="waiting")
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if run.id in line]
    assert "reuters bidora seed 0" in line
    assert "finished" in line
    assert "300/300" in line
    assert "accuracy 0.9" in line
    (other,) = [line for line in lines if "waiting" in line]
    assert "queued" in other
    assert "0/150" in other


def test_a_run_that_cannot_be_read_is_named_by_list_and_by_a_part_of_its_id(tmp_path, capsys):
    finished(tmp_path, 0.9)
    broken = Run.create(RunConfig(), tmp_path / "runs")
    write_json(broken.path / "config.json", {**RunConfig().to_dict(), "learning_rate": -5})
    assert main(["list"]) == 0
    shown = capsys.readouterr()
    assert f"left out: {broken.id} (" in shown.err and "learning_rate" in shown.err and broken.id not in shown.out
    assert main(["show", broken.id[-4:]]) == 2
    assert "learning_rate" in capsys.readouterr().err


def test_an_incomplete_result_and_an_empty_place_of_runs_spoil_nothing(tmp_path, capsys, monkeypatch):
    run = finished(tmp_path, 0.9)
    write_json(run.path / "result.json", {"value": 1.0})
    assert main(["show", run.id]) == 0
    monkeypatch.setenv("BIDORA_RUNS", "")
    assert str(runs_root()) == "runs"


def test_list_as_json_holds_what_programs_need(tmp_path, capsys):
    run = finished(tmp_path, 0.9, seed=2)
    assert main(["list", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["id"], row["state"], row["score"], row["group"], row["seed"]) == (run.id, "finished", 0.9, "g", 2)
    assert 0 <= row["age_seconds"] < 60


def test_list_as_csv_holds_settings_scores_and_costs_of_every_run(tmp_path, capsys):
    runs = [finished(tmp_path, 0.9, seed=2), Run.create(RunConfig(method="lora"), tmp_path / "runs")]
    assert main(["list", "--csv", str(tmp_path / "runs.csv")]) == 0
    with open(tmp_path / "runs.csv", encoding="utf-8-sig", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert set(rows) == {run.id for run in runs}
    assert (rows[runs[0].id]["accuracy"], rows[runs[0].id]["seed"], rows[runs[1].id]["accuracy"]) == ("0.9", "2", "")
    assert main(["list", "tasks", "--csv", str(tmp_path / "tasks.csv")]) == 2
    assert "--csv is for runs" in capsys.readouterr().err


@pytest.mark.parametrize(("what", "name"), [("tasks", "peptides"), ("models", "esm2")])
def test_the_registries_say_source_licence_and_size(what, name, capsys):
    assert main(["list", what]) == 0
    text = capsys.readouterr().out
    entry = next(part for part in text.split("\n\n") if part.split() and part.split()[1] == name)
    assert {line.split()[0] for line in entry.splitlines()} >= {"name", "title", "source", "licence", "size"}
    assert main(["list", what, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(row["source"] and row["licence"] for row in rows)


def test_every_method_is_listed_with_its_paper_and_usual_learning_rates(capsys):
    assert main(["list", "methods"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for method in METHODS.values():
        place = next(i for i, line in enumerate(lines) if line.split()[:1] == [method.name])
        assert method.summary in lines[place]
        assert method.paper.address in lines[place + 1] and f"{method.rates.low:g} to" in lines[place + 1]
    assert main(["list", "methods", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == list(METHODS)


def test_show_tells_settings_scores_cost_and_weights(tmp_path, capsys):
    finished(tmp_path, 0.9, rank=4, seed=7)
    assert main(["show", "last"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in (
        "state finished",
        "step 300 of 300",
        "rank 4",
        "seed 7",
        "test accuracy 0.900 [0.880, 0.910] baseline 0.495",
        "train 128, lower 104, upper 24, test 2,189",
        "1 min 23 s, peak memory 1.21 GB",
        "trainable parameters 81,416",
        "ΔM 0.0213",
        "ΔD 0.0083",
    ):
        assert words in text
    assert "alpha" not in text  # it has its default


def test_show_of_a_failed_run_tells_cause_next_step_and_the_end_of_the_log(tmp_path, capsys):
    run = Run.create(RunConfig(), tmp_path / "runs")
    run.update_status(
        state="failed", error={"kind": "diverged", "message": "loss=nan", "hint": "lower the learning rate"}
    )
    (run.path / "log.txt").write_text("".join(f"line {i}\n" for i in range(100)))
    assert main(["show", run.id]) == 0
    text = capsys.readouterr().out
    assert "error (diverged): loss=nan" in text
    assert "next step: lower the learning rate" in text
    assert "line 99" in text
    assert "line 10\n" not in text
    assert f"bidora resume {run.id}" in text


def test_show_of_a_lost_run_says_where_it_was_interrupted(tmp_path, capsys):
    run = Run.create(RunConfig(), tmp_path / "runs")
    run.update_status(
        state="running", step=87, total=300, pid=2**22 + 1, process_start=1.0, host=worker_identity(1)["host"]
    )
    assert main(["show", run.id]) == 0
    assert "interrupted at step 87" in capsys.readouterr().out


def test_show_of_a_run_at_work_tells_time_left_and_loss(tmp_path, capsys):
    run = Run.create(RunConfig(), tmp_path / "runs")
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        run.update_status(
            **{
                "state": "running",
                "phase": "search",
                "step": 5,
                "total": 300,
                "eta_seconds": 90,
                **worker_identity(process.pid),
            }
        )
        run.append_metrics({"step": 5, "loss": 0.25})
        assert main(["show", run.id]) == 0
        text = " ".join(capsys.readouterr().out.split())
    finally:
        process.kill()
        process.wait()
    assert "state running step 5 of 300, search time left 1 min 30 s loss 0.25" in text


def test_show_as_json(tmp_path, capsys):
    run = finished(tmp_path, 0.9)
    assert main(["show", run.id, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["id"], shown["status"]["state"], shown["config"]["task"]) == (run.id, "finished", "reuters")
    assert shown["result"]["scores"]["accuracy"]["value"] == 0.9


# -- compare ----------------------------------------------------------------------------------------------------------


def test_compare_prints_a_table_per_task_and_what_may_be_said(tmp_path, capsys):
    for seed, (first, second) in enumerate([(0.90, 0.91), (0.88, 0.90), (0.91, 0.915)]):
        finished(tmp_path, first, method="dora", seed=seed)
        finished(tmp_path, second, method="bidora", seed=seed)
    finished(tmp_path, 0.8, method="lora", task="peptides")
    finished(tmp_path, 0.5, method="lora", group="another")
    assert main(["compare", "--group", "g"]) == 0
    text = capsys.readouterr().out
    assert "reuters r8, 16 examples per class" in text
    assert "peptides amp, 16 examples per class" in text
    (row,) = [line for line in text.splitlines() if line.startswith("BiDoRA  ")]
    assert "0, 1, 2" in row
    assert "0.908 [" in row
    assert "1 min 23 s" in row
    assert "1.21 GB" in row
    assert "81,416" in row
    assert "BiDoRA higher than DoRA in 3 of 3 seeds, difference 0.5 to 2.0 points" in text
    assert "baseline without training: accuracy 0.495" in text
    assert "t over 3 seeds" in text
    assert "Seeds:" in text
    assert sum(line.startswith("LoRA") for line in text.splitlines()) == 1  # the other group's run is not there


def test_compare_as_json_and_csv_has_all_metrics(tmp_path, capsys):
    runs = [finished(tmp_path, 0.9, method=method) for method in ("lora", "dora")]
    path = tmp_path / "table.csv"
    assert main(["compare", *(run.id for run in runs), "--csv", str(path), "--json"]) == 0
    out = capsys.readouterr().out
    shown = json.loads(out[: out.rindex("}") + 1])
    assert [row["method"] for row in shown["rows"]] == ["lora", "dora"]
    assert shown["pairs"][0]["pairs"] == 1
    assert shown["fairness"]
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [float(row["accuracy"]) for row in rows] == [0.9, 0.9]
    assert float(rows[0]["macro_f1_low"]) == 0.1


def test_compare_without_final_scores_says_so(tmp_path, capsys):
    run = Run.create(RunConfig(), tmp_path / "runs")
    assert main(["compare", run.id]) == 2
    assert f"{run.id} is queued" in capsys.readouterr().err


def test_compare_into_a_file_that_cannot_be_written(tmp_path, capsys):
    run = finished(tmp_path, 0.9)
    assert main(["compare", run.id, "--csv", str(tmp_path / "no" / "table.csv")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_regression_is_shown_by_rank_correlation_and_error():
    nan = float("nan")
    row = {"label": "LoRA", "seeds": "0", "primary": "spearman", "spearman": 0.5, "rmse": 0.7, "mae": 0.6}
    cost = dict.fromkeys(["seconds_training", "peak_memory_bytes", "trainable_parameters", "gradient_evaluations"], nan)
    headers, _, line = comparison_table([{**row, **cost, "delta_m": nan, "delta_d": nan}]).splitlines()
    assert "spearman" in headers
    assert "rmse" in headers
    assert "mae" not in headers
    assert line.split()[-1] == "–"
