"""The command line: what it imports, what it says, its exit codes, and what Ctrl-C leaves behind."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest
import stand_in

from bidora.cli import COMMANDS, main
from bidora.cli.flags import config_from
from bidora.cli.progress import ProgressLine, last_record
from bidora.config import RunConfig
from bidora.runs import ACTIVE, Run, list_runs

pytestmark = pytest.mark.usefixtures("own_places")

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX systems")
VISIBLE = ("run", "resume", "stop", "list", "show", "compare", "analyse", "fetch", "doctor", "demo")
HEAVY = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "datasets",
    "numpy",
    "pandas",
    "pyarrow",
    "sklearn",
    "scipy",
    "streamlit",
)


@pytest.fixture
def training(monkeypatch):
    stand_in.install_here(monkeypatch)


def the_run(tmp_path) -> Run:
    (run,) = list_runs(tmp_path / "runs")
    return run


# -- what is imported -------------------------------------------------------------------------------------------


def imported_by(*words):
    code = f"""
import io, json, sys, time
began = time.perf_counter()
from bidora.cli import main
out, sys.stdout = sys.stdout, io.StringIO()
try:
    code = main({list(words)!r})
except SystemExit as end:
    code = end.code
print(json.dumps([time.perf_counter() - began, code, sorted(set({HEAVY!r}) & set(sys.modules))]), file=out)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in VISIBLE), ["list"]], ids=" ".join)
def test_help_and_an_empty_list_import_nothing_heavy(words):
    seconds, code, heavy = imported_by(*words)
    print(f"bidora {' '.join(words)}: {seconds:.2f} s")
    assert (code or 0, heavy) == (0, [])


def test_list_and_show_of_a_finished_run_import_nothing_heavy(training, capsys):
    assert main(["run", "--steps", "2", "--data", "x"]) == 0
    for words in (["list"], ["list", "--json"], ["show", "last"], ["show", "last", "--json"]):
        _, code, heavy = imported_by(*words)
        assert (code, heavy) == (0, [])


def test_the_module_runs_as_a_program():
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "bidora", "--help"], capture_output=True, text=True, check=True)
    print(f"python -m bidora --help: {time.perf_counter() - started:.2f} s")
    for name in VISIBLE:
        assert f"\n    {name} " in done.stdout
    assert "\n    work " not in done.stdout  # for worker processes only


def test_without_a_command_it_shows_its_help(capsys):
    assert main([]) == 2
    assert "commands:" in capsys.readouterr().out


def test_every_file_of_commands_is_used():
    assert len(COMMANDS) == len(set(COMMANDS))


# -- errors of the user -----------------------------------------------------------------------------------------

WRONG = {
    "unknown command": (["lst"], "did you mean 'list'"),
    "unknown flag": (["run", "--rnk", "3"], "did you mean --rank"),
    "unknown flag with a value": (["run", "--stpes=3"], "did you mean --steps"),
    "no abbreviations": (["run", "--learning", "1"], "unexpected '--learning'"),
    "a value is missing": (["run", "--rank"], "--rank"),
    "outside the range": (["run", "--rank", "0"], "rank=0 is outside 1 <= rank"),
    "not a number": (["run", "--alpha", "much"], "alpha='much' is not a number"),
    "unknown choice": (["run", "--method", "dorra"], "did you mean 'dora'"),
    "settings that do not go together": (["run", "--gradient-accumulation", "2"], "gradient_accumulation=2"),
    "unknown task": (["run", "--task", "reuter"], "reuters"),
    "unknown model folder": (["run", "--model", "./no/such/folder"], "no/such/folder"),
    "settings file missing": (["run", "--config", "no.json"], "--config no.json cannot be read"),
    "no such run": (["show", "zzzz"], "no run 'zzzz'"),
    "no such run to resume": (["resume", "zzzz"], "no run 'zzzz'"),
    "no such run to stop": (["stop", "zzzz"], "no run 'zzzz'"),
    "nothing to compare": (["compare"], "--group"),
    "empty group": (["compare", "--group", "nobody"], "group 'nobody'"),
    "nothing to analyse": (["analyse", "no/such/adapter"], "neither a file, a folder nor a run"),
    "nothing to fetch": (["fetch", "minilmm"], "did you mean 'minilm'"),
    "unknown list": (["list", "taskss"], "did you mean 'tasks'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_command_is_one_sentence_and_exit_code_2(name, capsys, tmp_path):
    words, expected = WRONG[name]
    assert main(words) == 2
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert line.startswith("error: ")
    assert expected in line
    assert "; " in line  # what to do next
    assert shown.out == ""
    assert list_runs(tmp_path / "runs") == []


def test_debug_shows_where_an_error_came_from():
    done = subprocess.run(
        [sys.executable, "-m", "bidora", "show", "zzzz", "--debug"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "LabError: no run 'zzzz'" in done.stderr


def test_an_unexpected_error_is_exit_code_1_without_traceback(monkeypatch, capsys):
    monkeypatch.setattr("bidora.cli.listing.list_runs", lambda root: 1 / 0)
    assert main(["list"]) == 1
    shown = capsys.readouterr().err
    assert "unexpected error: ZeroDivisionError" in shown
    assert "--debug" in shown
    assert "Traceback" not in shown


@POSIX
def test_a_closed_pipe_is_no_error(training, tmp_path):
    for _ in range(3):
        Run.create(RunConfig(), tmp_path / "runs")
    done = subprocess.run(
        f"{shlex.quote(sys.executable)} -m bidora list --json | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


# -- running ----------------------------------------------------------------------------------------------------


def test_a_run_in_the_foreground_finishes_and_shows_its_scores(training, tmp_path, capsys):
    words = ["run", "--data", "x", "--steps", "20", "--seed", "3", "--name", "mine", "--group", "g", "--tags", "a, b"]
    assert main(words) == 0
    run = the_run(tmp_path)
    shown = capsys.readouterr()
    assert (run.state, run.config.seed, run.config.steps) == ("finished", 3, 20)
    assert (run.meta["name"], run.meta["group"], run.meta["tags"]) == ("mine", "g", ["a", "b"])
    assert "test accuracy  0.750 [0.700, 0.800]" in shown.out
    assert "baseline 0.500" in shown.out
    steps = [line for line in shown.err.splitlines() if line.startswith("train ")]
    assert 10 <= len(steps) <= 12  # a line each tenth, as stderr is no terminal
    assert "20/20" in steps[-1]
    assert "loss 0.05" in steps[-1]
    assert "left" in steps[5]


def test_a_run_takes_its_settings_from_a_file_and_flags_go_on_top(training, tmp_path):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(RunConfig(steps=2, rank=3, data="x").to_dict()))
    assert main(["run", "--config", str(path), "--rank", "5"]) == 0
    config = the_run(tmp_path).config
    assert (config.steps, config.rank) == (2, 5)


def test_runs_are_kept_where_root_says(training, tmp_path, capsys):
    elsewhere = str(tmp_path / "else where")
    assert main(["run", "--data", "x", "--steps", "1", "--root", elsewhere]) == 0
    (run,) = list_runs(elsewhere)
    assert f"bidora show {run.id} --root {shlex.quote(elsewhere)}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "code", "words", "kind"),
    [
        ("user-error", 2, "error: rank=8 is above the layer's width 4; use a rank of at most 4", "model"),
        ("no-memory", 2, "error: the memory is too small", "memory"),
        ("full-disk", 2, "error: the disk is full", "disk"),
        ("crash", 1, "unexpected error: RuntimeError: matrices of another world", "unexpected"),
    ],
)
def test_an_error_while_training_is_said_and_kept(training, tmp_path, capsys, data, code, words, kind):
    assert main(["run", "--data", data]) == code
    shown = capsys.readouterr().err
    assert words in shown
    assert "Traceback" not in shown
    run = the_run(tmp_path)
    assert (run.state, run.status["error"]["kind"], run.status["exit_code"]) == ("failed", kind, code)
    if code == 1:
        assert str(run.path / "log.txt") in shown
        assert "matrices of another world" in run.log_tail()
        assert "Traceback" in run.log_tail()


def test_an_import_that_fails_is_kept_too(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "bidora.train", None)  # importing it raises
    assert main(["run", "--data", "x"]) == 1
    run = the_run(tmp_path)
    assert run.state == "failed"
    assert "ModuleNotFoundError" in run.status["error"]["message"]


def test_a_run_in_the_background_returns_at_once_and_can_be_followed(tmp_path, monkeypatch, capsys):
    stand_in.install(tmp_path / "stand-in", monkeypatch)
    monkeypatch.setattr("bidora.cli.listing.FOLLOW_SECONDS", 0.05)
    assert main(["run", "--data", "x", "--steps", "40", "--background"]) == 0
    run = the_run(tmp_path)
    assert run.state in ACTIVE
    assert f"bidora show {run.id} --follow" in capsys.readouterr().out
    assert main(["show", run.id, "--follow"]) == 0
    shown = capsys.readouterr()
    assert "finished" in shown.out
    assert "train  " in shown.err


def test_stop_and_resume_of_a_background_run(tmp_path, monkeypatch, capsys):
    stand_in.install(tmp_path / "stand-in", monkeypatch)
    assert main(["run", "--data", "x", "--steps", "100", "--background"]) == 0
    run = the_run(tmp_path)
    assert main(["resume", run.id]) == 2
    assert "is being worked on by process" in capsys.readouterr().err
    assert main(["stop", run.id, "--wait", "20"]) == 0
    assert f"run {run.id} is stopped" in capsys.readouterr().out
    assert main(["stop", run.id]) == 0
    assert "there is nothing to stop" in capsys.readouterr().out
    assert main(["resume", "last", "--background"]) == 0
    while run.state in ACTIVE:
        time.sleep(0.05)
    assert run.state == "finished"
    assert main(["resume", run.id]) == 2
    assert "is finished" in capsys.readouterr().err


# -- Ctrl-C -----------------------------------------------------------------------------------------------------


def started(tmp_path, monkeypatch, *words):
    """A command in a process of its own, and the run it works on once it has made some steps."""
    stand_in.install(tmp_path / "stand-in", monkeypatch)
    process = subprocess.Popen(
        [sys.executable, "-m", "bidora", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    return process


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def training_at_step(tmp_path, step):
    return lambda: any((run.status.get("step") or 0) >= step for run in list_runs(tmp_path / "runs"))


@POSIX
def test_one_of_several_processes_is_refused_before_a_run_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["run", "--task", "peptides"]) == 2
    assert "a run trains in one process" in capsys.readouterr().err and not list_runs(tmp_path / "runs")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_go_on(tmp_path, monkeypatch, number, code):
    process = started(tmp_path, monkeypatch, "run", "--data", "x", "--steps", "120")
    wait_for(training_at_step(tmp_path, 2))
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    run = the_run(tmp_path)
    assert (process.returncode, run.state) == (code, "stopped")
    assert "once more: leave at once" in err
    assert f"stopped at step {run.status['step']} of" in err
    last = err.splitlines()[-1]
    assert last == f"go on with: bidora resume {run.id}"
    process = started(tmp_path, monkeypatch, *shlex.split(last.split("bidora ")[1]))
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, run.state) == (0, "finished")
    assert [record["step"] for record in run.records()] == list(range(1, 121))
    assert "accuracy" in out


@POSIX
def test_a_second_ctrl_c_leaves_at_once(tmp_path, monkeypatch):
    process = started(tmp_path, monkeypatch, "run", "--data", "deaf", "--steps", "5000")
    wait_for(training_at_step(tmp_path, 2))
    run = the_run(tmp_path)
    process.send_signal(signal.SIGINT)
    wait_for(run.stop_requested)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, run.state) == (130, "stopped")
    assert f"bidora resume {run.id}" in err
    assert "Traceback" not in err


@POSIX
def test_ctrl_c_before_the_first_step_leaves_at_once(tmp_path, monkeypatch):
    process = started(tmp_path, monkeypatch, "run", "--data", "slow")
    wait_for(lambda: any(run.state == "preparing" for run in list_runs(tmp_path / "runs")))
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, the_run(tmp_path).state) == (130, "stopped")
    assert "Traceback" not in err


@POSIX
def test_ctrl_c_while_following_ends_the_showing_only(tmp_path, monkeypatch, capsys):
    stand_in.install(tmp_path / "stand-in", monkeypatch)
    assert main(["run", "--data", "x", "--steps", "5000", "--background"]) == 0
    run = the_run(tmp_path)
    process = started(tmp_path, monkeypatch, "show", run.id, "--follow")
    wait_for(training_at_step(tmp_path, 2))
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert run.state in ACTIVE
    assert main(["stop", run.id, "--wait", "20"]) == 0


# -- progress ---------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_one_line_is_rewritten_and_ended(monkeypatch):
    monkeypatch.setattr("bidora.cli.progress.REWRITE_SECONDS", 0.0)
    monkeypatch.setenv("COLUMNS", "40")
    line = ProgressLine(stream=Terminal())
    for step in range(1, 4):
        line(f"search · loss {1 / step:.3f}", step, 3)
    line("retrain", 0, 3)
    line.say("done")
    text = line.stream.getvalue()
    assert text.count("\n") == 3  # after search, after retrain, after done
    assert text.count("\r") == 4
    pieces = [piece.rstrip() for piece in text.split("\n")[0].split("\r")[1:]]
    assert [piece.split("  ")[:3] for piece in pieces] == [
        ["search", "1/3", "loss 1.000"],
        ["search", "2/3", "loss 0.500"],
        ["search", "3/3", "loss 0.333"],
    ]
    assert all(len(piece) < 40 for piece in text.replace("\n", "\r").split("\r"))


def test_without_a_terminal_each_tenth_is_a_line():
    line = ProgressLine(stream=io.StringIO())
    for step in range(1, 1001):
        line("train", step, 1000)
    lines = line.stream.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[-1].startswith("train  1,000/1,000")


def test_bytes_are_told_in_megabytes_and_the_unknown_without_numbers():
    line = ProgressLine(stream=io.StringIO())
    line("fetching", 41_750_000, 83_500_000)
    line("asking", 0, 0)
    assert line.stream.getvalue().splitlines() == ["fetching  41.8 MB of 83.5 MB", "asking"]


def test_the_time_left_follows_the_pace(monkeypatch):
    clock = iter([0.0, 10.0, 20.0])
    monkeypatch.setattr("bidora.cli.progress.time.monotonic", lambda: next(clock))
    line = ProgressLine(stream=io.StringIO())
    for done in (0, 10, 20):
        line("train", done, 100)
    shown = line.stream.getvalue().splitlines()
    assert "left" not in shown[0]
    assert shown[1].endswith("1 min 30 s left")  # 10 in 10 s, 90 to go
    assert shown[2].endswith("1 min 20 s left")


def test_the_last_record_is_found_behind_broken_lines(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"loss": 1.0}\n' * 2000 + '{"loss": 0.5}\n{"test_accuracy": 1}\n{"loss": null}\n{"lo')
    assert last_record(path, "loss") == {"loss": 0.5}
    assert last_record(path, "unknown") is None
    assert last_record(tmp_path / "none", "loss") is None
    assert last_record(None, "loss") is None


def test_a_flag_without_value_switches_on(monkeypatch):
    from bidora.cli import parser

    args = parser().parse_args(["run", "--method", "dora", "--gradient-checkpointing"])
    assert config_from(args) == RunConfig(method="dora", gradient_checkpointing=True)


def test_worker_output_is_readable_where_the_console_knows_no_greek(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "bidora", "analyse", "--help"], capture_output=True, check=True, env=environment
    )
    assert b"(?M)" in done.stdout
