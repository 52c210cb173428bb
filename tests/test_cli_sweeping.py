"""bidora sweep as a command: what it says, real small runs with tuning, Ctrl-C, and the same command again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
import warm
from test_sweeping import workers  # noqa: F401 - a fixture

from bidora.analysis import fairness_findings
from bidora.cli import main
from bidora.cli.carrying_out import _Telling
from bidora.cli.ordering import Order, foretold
from bidora.config import RunConfig
from bidora.runs import Run, list_runs
from bidora.sweeping import planned

pytestmark = pytest.mark.usefixtures("own_places")


@pytest.fixture
def own(tiny_bert, table):
    """Flags for a task and a model that are here."""
    return ["--task", "csv", "--data", str(table), "--model", str(tiny_bert), "--device", "cpu"]


def test_it_says_what_will_happen(own, capsys, tmp_path):
    words = ["sweep", *own, "--method", "lora,dora", "bidora", "--seed", "0-2", "--learning-rate", "1e-3", "3e-3"]
    assert main([*words, "--steps", "10", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "18 runs with 3 seeds (0, 1, 2)" in out
    assert "unknown for 18 runs until the first steps: 240 steps with 360 gradient evaluations" in out
    assert "Disk: unknown until one has finished" in out and "group sweep-csv" in out
    assert not list_runs(tmp_path / "runs")


def test_the_trials_are_counted_beforehand(own, capsys):
    words = ["sweep", *own, "--method", "lora", "dora", "--seed", "0-4", "--tune", "learning_rate=1e-3,3e-3,1e-2"]
    assert main([*words, "--selection-fraction", "0.2", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "10 runs and 18 trial runs with 5 seeds" in out  # 2 methods × 3 values × the first 3 seeds
    assert "First 3 trials of learning_rate for each method and task, 3 seeds each" in out
    assert main([*words, "--dry-run"]) == 2
    assert "selection_fraction=0 leaves no data to choose settings on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to vary was named"),
        (["--seed", "x"], "seeds='x'"),
        (["--method", "lora", "dorra"], "method='dorra'"),
        (["--rank", "0"], "rank=0 is outside"),
        (["--seed", "0", "--parallel", "0"], "parallel=0 is outside"),
        (["--task", "peptids"], "there is no task 'peptids'"),
        (
            ["--learning-rate", "1e-3", "3e-3", "--selection-fraction", "0.2", "--tune", "learning_rate=1,0.1"],
            "both tuned and",
        ),
        (["--seed", "0", "--tune", "nonsense=1,2"], "names no setting"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(words, said, capsys, tmp_path):
    assert main(["sweep", *words, "--dry-run"]) == 2
    assert said in capsys.readouterr().err
    assert not list_runs(tmp_path / "runs")


def test_one_line_for_each_run_and_the_same_again(own, capsys, tmp_path, workers):  # noqa: F811
    words = ["sweep", *own, "--method", "lora", "dora", "--seed", "0", "1", "--group", "mine", "--steps", "5"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "[1/4]  csv LoRA, seed 0  accuracy 0.500 [0.400, 0.600]" in out and "[4/4]  csv DoRA, seed 1" in out
    assert "4 of 4 runs finished" in out and "bidora compare --group mine" in out
    assert main([*words[:-4], "--group", "mine", "--steps", "5", "--seed", "0", "1", "2"]) == 0
    out = capsys.readouterr().out
    assert "6 runs with 3 seeds (0, 1, 2); 4 finished already" in out and "[5/6]  csv LoRA, seed 2" in out
    assert len(list_runs(tmp_path / "runs")) == 6


def test_ctrl_c_says_how_to_go_on(own, capsys, workers):  # noqa: F811
    workers.fates = {1: ("interrupt", "")}
    words = ["sweep", *own, "--seed", "0", "1", "--steps", "5"]
    assert main(words) == 130
    captured = capsys.readouterr()
    assert (
        "everything is saved. The same command goes on:" in captured.err and "bidora sweep --task csv" in captured.err
    )


def test_a_systematic_failure_is_shown_with_its_error(own, capsys, workers):  # noqa: F811
    workers.fates = {0: ("data", "column 'x' is missing")}
    assert main(["sweep", *own, "--seed", "0", "1", "--steps", "5"]) == 2
    captured = capsys.readouterr()
    assert "failed: column 'x' is missing" in captured.out
    assert "the sweep stops: the very first run failed" in captured.err and "the same command goes on" in captured.err


def test_a_single_odd_failure_does_not_stop_it(own, capsys, workers):  # noqa: F811
    workers.fates = {1: ("diverged", "loss is NaN at step 3")}
    assert main(["sweep", *own, "--seed", "0", "1", "2", "--steps", "5"]) == 1
    captured = capsys.readouterr()
    assert "2 of 3 runs finished" in captured.out and "is failed: bidora show" in captured.err


def test_a_finished_order_needs_no_time(tmp_path):
    assert "Time: unknown" in foretold(Order([RunConfig(task="peptides")], "g", str(tmp_path), 1))


def test_the_first_steps_say_what_all_of_it_takes(tmp_path, capsys):
    """Where nothing is known beforehand: 10 steps of 2 runs at half a second each."""
    configs = [RunConfig(task="peptides", method="lora", steps=10, seed=seed) for seed in (0, 1)]
    order = Order(configs, "g", str(tmp_path / "runs"), 1)
    run = Run.create(configs[0], tmp_path / "runs", name="the first")
    telling = _Telling(order, planned(configs, "g", tmp_path / "runs"), "g")
    run.update_status(state="running", seconds_per_step=0.5)
    telling._watched([run])
    assert capsys.readouterr().err == ""  # fewer than five steps
    run.update_status(seconds_per_step=0.5, eta_seconds=2.0)
    telling._watched([run])
    telling._watched([run])
    assert capsys.readouterr().err == (
        "the first: 0.5 s a step so far; at this pace all of it takes about 10 s, one after the other\n"
    )


@pytest.mark.slow
def test_tuning_then_the_runs_that_count(own, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["bidora.launch"], "_spawn", lambda run, threads: warm.worker(run))
    words = ["sweep", *own, "--method", "lora", "bidora", "--seed", "0", "--steps", "3", "--batch-size", "4"]
    words += ["--selection-fraction", "0.2", "--tune", "learning_rate=1e-3,1e-2", "--tune-seed", "0", "--parallel", "2"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "chosen for csv LoRA: learning_rate" in out and "selection accuracy" in out
    assert "Tuning: each method tuned with 2 trials of learning_rate, 1 seed each on the selection split" in " ".join(
        out.split()
    )
    runs = list_runs(tmp_path / "runs")
    assert [run.meta["group"] for run in runs].count("sweep-csv-tuning") == 4 and len(runs) == 6
    final = [run for run in runs if run.meta["group"] == "sweep-csv"]
    assert all(run.meta["tuning"]["trials"] == 2 for run in final)
    assert next(each for each in fairness_findings(final) if each.topic == "tuning").fair
    assert main(words) == 0
    assert len(list_runs(tmp_path / "runs")) == 6


@pytest.mark.slow
def test_an_interrupted_sweep_saves_its_run_and_finds_it_again(own, tmp_path, capsys):
    """A real process, a real SIGINT in the middle of training."""
    words = [sys.executable, "-m", "bidora", "sweep", *own, "--method", "lora", "--seed", "0", "1", "--steps", "4000"]
    words += ["--batch-size", "4", "--checkpoint-every", "20", "--record-every", "2000", "--evaluate-every", "2000"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ})
    end = time.monotonic() + 120
    while time.monotonic() < end:
        runs = list_runs(tmp_path / "runs")
        if runs and (runs[0].status.get("step") or 0) > 50:
            break
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130 and "The same command goes on" in errors
    (stopped,) = list_runs(tmp_path / "runs")
    assert stopped.state == "stopped" and 50 < stopped.status["step"] < 4000
    assert (stopped.checkpoints_dir / "train").is_dir()
    assert main([*words[3:], "--dry-run"]) == 0
    assert "2 runs with 2 seeds (0, 1); 1 begun: gone on with" in capsys.readouterr().out
