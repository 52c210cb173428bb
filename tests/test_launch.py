"""Worker processes: detached, found, stopped, resumed, and never two on one run."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import stand_in

from bidora.cli import main
from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.queueing import enqueue
from bidora.runs import ACTIVE, Run

launch = importlib.import_module("bidora.launch")  # `bidora.launch` is the function that it is named after
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="sessions and signals of POSIX systems")


@pytest.fixture(autouse=True)
def standing_in(tmp_path_factory, monkeypatch):
    stand_in.install(tmp_path_factory.mktemp("stand-in"), monkeypatch)


@pytest.fixture
def root(tmp_path):
    yield tmp_path / "runs"
    for worker in launch._WORKERS:
        worker.kill()
        worker.wait()
    launch.reap()


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return value


def over(run):
    until(lambda: run.state not in (*ACTIVE, "queued"))
    return run.state


def at_step(run, step, seconds=60.0):
    until(lambda: (run.status.get("step") or 0) >= step, seconds)


def test_a_launched_run_is_at_work_at_once_and_finishes_by_itself(root):
    run = launch.launch(RunConfig(steps=5), root, name="mine", group="g", tags=("t",))
    assert run.state in ACTIVE
    assert run.status["pid"] != os.getpid()
    assert (run.meta["name"], run.meta["group"], run.meta["tags"]) == ("mine", "g", ["t"])
    assert over(run) == "finished"
    assert run.status["exit_code"] == 0
    assert [record["step"] for record in run.records()] == [1, 2, 3, 4, 5]


@POSIX
def test_a_worker_steps_back_behind_the_app_and_no_further_when_it_starts_another(root):
    first = launch.launch(RunConfig(steps=500), root)
    at_step(first, 1)
    pid = first.status["pid"]
    niceness = importlib.import_module("bidora.cli.running").NICENESS
    assert psutil.Process(pid).nice() == niceness
    if os.path.exists(f"/proc/{pid}/autogroup"):
        with open(f"/proc/{pid}/autogroup", encoding="ascii") as autogroup:
            assert autogroup.read().split()[-1] == str(niceness)
    second = enqueue([RunConfig(steps=500)], root)[0]
    launch.stop(first)
    at_step(second, 1)
    assert psutil.Process(second.status["pid"]).nice() == niceness
    launch.stop(second)
    over(second)


@POSIX
def test_a_worker_has_a_session_of_its_own_and_writes_to_a_file_only(root):
    run = launch.launch(RunConfig(steps=500), root)
    at_step(run, 1)
    pid = run.status["pid"]
    assert os.getsid(pid) == pid != os.getsid(0)
    if sys.platform == "linux":
        log = str((run.path / "log.txt").resolve())
        assert [os.readlink(f"/proc/{pid}/fd/{number}") for number in (0, 1, 2)] == [os.devnull, log, log]
    launch.stop(run)
    over(run)
    assert "train" in run.log_tail()


@POSIX
def test_a_worker_outlives_the_process_that_started_it(root):
    code = (
        "import sys; from bidora.config import RunConfig; from bidora.launch import launch\n"
        f"print(launch(RunConfig(steps=30), {str(root)!r}).path)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=os.getcwd())
    run = Run(done.stdout.strip())
    assert over(run) == "finished"


def test_a_run_at_work_is_not_started_twice(root):
    run = launch.launch(RunConfig(steps=500), root)
    with pytest.raises(LabError, match="is being worked on by process"):
        launch.start(run)
    with pytest.raises(LabError, match="is being worked on by process"):
        launch.resume(Run(run.path))
    assert len(launch._WORKERS) == 1
    launch.stop(run)
    assert over(run) == "stopped"


def test_a_second_worker_is_refused_and_does_not_touch_the_status(root):
    run = launch.launch(RunConfig(steps=500), root)
    at_step(run, 1)
    pid = run.status["pid"]
    done = subprocess.run(
        launch.worker_command(run), capture_output=True, text=True, check=False, env=launch._environment()
    )
    assert done.returncode == 2
    assert f"is being worked on by process {pid}" in done.stderr
    assert "Traceback" not in done.stderr
    assert (run.state, run.status["pid"], run.status["error"]) == ("running", pid, None)
    launch.stop(run)
    over(run)


def test_a_stopped_run_resumes_where_it_was(root):
    run = launch.launch(RunConfig(steps=60), root)
    at_step(run, 3)
    assert launch.stop(run) == "stopping"
    assert over(run) == "stopped"
    reached = run.status["step"]
    assert 3 <= reached < 60
    launch.resume(run)
    assert over(run) == "finished"
    assert [record["step"] for record in run.records()] == list(range(1, 61))


@POSIX
def test_a_killed_worker_is_found_as_lost_and_resumes(root):
    run = launch.launch(RunConfig(steps=20), root)
    at_step(run, 2)
    os.kill(run.status["pid"], signal.SIGKILL)
    until(lambda: run.state == "lost")
    launch.resume(run)
    assert over(run) == "finished"


@POSIX
def test_a_worker_that_dies_by_itself_leaves_no_zombie_behind(root):
    run = launch.launch(RunConfig(steps=20, data="die"), root)
    assert over(run) == "lost"
    pid = run.status["pid"]
    launch.stop(run)  # any later call takes note of it
    launch.reap()
    until(lambda: launch.reap() or not psutil.pid_exists(pid))


def test_a_worker_that_cannot_even_begin_is_lost_and_its_log_says_why(root, monkeypatch):
    monkeypatch.setattr(
        launch, "worker_command", lambda run: [sys.executable, "-c", "raise SystemExit('no such module')"]
    )
    run = launch.launch(RunConfig(), root)
    assert over(run) == "lost"
    assert "no such module" in run.log_tail()


def test_a_worker_that_cannot_be_started_is_a_sentence_and_the_run_stays_queued(root, monkeypatch):
    monkeypatch.setattr(launch, "worker_command", lambda run: [str(root / "no-such-python")])
    run = Run.create(RunConfig(), root)
    with pytest.raises(LabError, match="no worker process can be started"):
        launch.start(run)
    assert run.state == "queued"


def test_a_finished_run_is_neither_started_nor_stopped(root):
    run = launch.launch(RunConfig(steps=1), root)
    assert over(run) == "finished"
    with pytest.raises(LabError, match="is finished"):
        launch.resume(run)
    assert launch.stop(run) == "finished"
    assert not run.stop_requested()


def test_a_queued_run_is_stopped_without_a_process_and_can_be_started_later(root):
    run = Run.create(RunConfig(steps=2), root)
    assert launch.stop(run) == "stopped"
    launch.start(run)
    assert over(run) == "finished"


def test_an_old_wish_to_stop_does_not_stop_a_new_start(root):
    run = Run.create(RunConfig(steps=2), root)
    run.request_stop()
    launch.start(run)
    assert over(run) == "finished"


@POSIX
def test_stop_with_a_wait_ends_a_worker_that_does_not_listen(root):
    run = launch.launch(RunConfig(steps=5000, data="deaf"), root)
    at_step(run, 1)
    pid = run.status["pid"]
    assert launch.stop(run) == "stopping"
    assert launch.stop(run, wait=0.5) == "stopped"
    until(lambda: launch.reap() or not psutil.pid_exists(pid))


@POSIX
def test_sigterm_lets_the_worker_save_first(root):
    run = launch.launch(RunConfig(steps=5000), root)
    at_step(run, 1)
    assert launch.terminate(run)
    assert over(run) == "stopped"
    assert run.stop_requested()


def test_only_the_very_process_of_the_run_is_ended(root):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        run = Run.create(RunConfig(), root)
        run.update_status(**{"state": "running", **launch.worker_identity(other.pid)})
        for change in (
            {"process_start": run.status["process_start"] - 50, "process_ticks": None},
            {"host": "elsewhere"},
            {"pid": None},
        ):
            copy = Run.create(RunConfig(), root)
            copy.update_status(**{**run.status, **change})
            assert not launch.terminate(copy)
        own = Run.create(RunConfig(), root)
        own.update_status(**{"state": "running", **launch.worker_identity(os.getpid())})
        assert not launch.terminate(own)  # a notebook that trains in its own process does not end itself
        assert other.poll() is None
        assert launch.terminate(run)
        other.wait(timeout=10)
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize(
    ("data", "kind", "code", "words"),
    [
        ("user-error", "model", 2, "rank=8 is above"),
        ("crash", "unexpected", 1, "RuntimeError: matrices of another world"),
        ("no-memory", "memory", 2, "memory is too small"),
        ("full-disk", "disk", 2, "the disk is full"),
    ],
)
def test_what_went_wrong_is_in_the_run_folder(root, data, kind, code, words):
    run = launch.launch(RunConfig(data=data), root)
    assert over(run) == "failed"
    error = run.status["error"]
    assert words in error["message"]
    assert error["hint"]
    assert (error["kind"], run.status["exit_code"]) == (kind, code)
    until(lambda: words in run.log_tail())
    assert ("Traceback" in run.log_tail()) == (kind == "unexpected")


def test_launch_needs_no_torch(root):
    code = "import sys, bidora.launch; assert not {'torch', 'numpy', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_real_training_in_a_worker_stops_resumes_and_is_shown(root, tiny_bert, table, monkeypatch, capsys):
    monkeypatch.delenv("PYTHONPATH")  # no stand-in here
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    settings = {"task": "csv", "data": str(table), "model": str(tiny_bert), "steps": 25, "batch_size": 4, "threads": 1}
    run = launch.launch(RunConfig(method="bidora", **settings), root, group="g")
    at_step(run, 1, 120)  # importing torch takes long on a busy machine
    launch.stop(run)
    until(lambda: run.state not in (*ACTIVE, "queued"), 120)
    assert run.state in ("stopped", "finished"), run.log_tail()
    if run.state == "stopped":
        launch.resume(run)
        until(lambda: run.state not in ACTIVE, 120)
    assert run.state == "finished", run.log_tail()
    steps = [(record["phase_index"], record["step"]) for record in run.records() if "loss" in record]
    assert steps == sorted(set(steps))
    assert steps[-1] == (1, 25)
    for words in (["show", run.id], ["compare", "--group", "g"], ["analyse", run.id]):
        assert main([*words, "--root", str(root)]) == 0
    text = capsys.readouterr().out
    assert "test accuracy" in text
    assert "BiDoRA" in text
    assert "query" in text
