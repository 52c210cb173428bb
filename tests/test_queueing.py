"""The queue: in order, never more than the limit, never one run twice, and on without anybody watching."""

from __future__ import annotations

import importlib
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import stand_in
from test_launch import over, until

from bidora.cli import main
from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.queueing import (
    LARGEST_LIMIT,
    cancel,
    enqueue,
    go_on,
    move_up,
    pause,
    put,
    read_queue,
    set_limit,
    start_next,
)
from bidora.runs import ACTIVE, Run, read_json

launch = importlib.import_module("bidora.launch")
thread_share = launch.thread_share
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX systems")


@pytest.fixture(autouse=True)
def standing_in(tmp_path_factory, monkeypatch):
    stand_in.install(tmp_path_factory.mktemp("stand-in"), monkeypatch)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "runs"
    yield folder
    pause(folder)
    for run in read_queue(folder).active:
        launch.terminate(run)
    until(lambda: launch.reap() or not read_queue(folder).active)


def configs(*seeds, **settings):
    return [RunConfig(seed=seed, **{"steps": 5, **settings}) for seed in seeds]


def began(run):
    return run.status["process_start"]


def assert_each_started_the_next(runs):
    """A worker starts the next run when its own is over, and says so in its log."""
    for before, after in itertools.pairwise(runs):
        assert f"next in the queue: run {after.id}" in before.log_tail()


def test_waiting_runs_stand_in_order_and_nothing_starts_by_itself(root):
    runs = enqueue(configs(0, 1, 2), root, group="g", tags=("t",), meta={"prediction": {"choice": "yes"}})
    queue = read_queue(root)
    assert [run.id for run in queue.waiting] == [run.id for run in runs]
    assert (queue.limit, queue.paused, queue.active) == (1, False, ())
    assert runs[0].meta["group"] == "g"
    assert runs[0].meta["prediction"] == {"choice": "yes"}
    assert {run.state for run in runs} == {"queued"}


def test_runs_may_have_names_of_their_own_and_stand_behind_those_that_wait(root):
    first = enqueue(configs(0), root, name="all")
    later = enqueue(configs(1, 2), root, names=["b", "c"])
    assert [run.meta["name"] for run in read_queue(root).waiting] == ["all", "b", "c"]
    assert [run.id for run in read_queue(root).waiting] == [run.id for run in first + later]


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="no run can be made in"):
        enqueue(configs(0), tmp_path / "file" / "runs")


def test_an_empty_or_missing_folder_has_an_empty_queue_and_gets_no_files(root):
    assert read_queue(root).waiting == ()
    assert start_next(root) == []
    assert not root.exists()


def test_a_run_that_was_only_made_is_not_started(root):
    made = Run.create(RunConfig(steps=1), root)
    (waiting,) = enqueue(configs(0, steps=1), root)
    assert [run.id for run in start_next(root)] == [waiting.id]
    assert over(waiting) == "finished", waiting.log_tail()
    assert start_next(root) == []
    assert made.state == "queued"


def test_two_methods_times_two_seeds_are_worked_off_in_order_though_nobody_asks_again(root):
    group = [RunConfig(method=method, seed=seed, steps=4) for method in ("dora", "bidora") for seed in (0, 1)]
    runs = enqueue(group, root)
    assert [run.id for run in start_next(root)] == [runs[0].id]
    until(lambda: all(run.state not in (*ACTIVE, "queued") for run in runs))
    assert [run.state for run in runs] == ["finished"] * 4
    assert_each_started_the_next(runs)
    assert sorted(runs, key=began) == runs
    assert "next in the queue" in runs[0].log_tail()


@POSIX
def test_the_queue_goes_on_when_the_process_that_filled_it_is_gone(root):
    code = (
        "from bidora.config import RunConfig; from bidora.queueing import enqueue, start_next\n"
        f"enqueue([RunConfig(steps=5, seed=s) for s in (0, 1, 2)], {str(root)!r}); start_next({str(root)!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=os.getcwd())
    runs = sorted((Run(path) for path in root.iterdir() if path.is_dir()), key=lambda run: run.config.seed)
    until(lambda: all(run.state == "finished" for run in runs))
    assert sorted(runs, key=began) == runs


@pytest.mark.parametrize("data", ["user-error", "crash"])
def test_a_run_that_fails_makes_room_for_the_next(root, data):
    first, second = enqueue([RunConfig(data=data), RunConfig(steps=2)], root)
    start_next(root)
    assert over(second) == "finished", second.log_tail()
    assert first.state == "failed"


def test_a_run_that_is_stopped_makes_room_for_the_next(root):
    first, second = enqueue([RunConfig(steps=5000), RunConfig(steps=2)], root)
    start_next(root)
    until(lambda: first.status.get("step"))
    launch.stop(first)
    assert over(second) == "finished", second.log_tail()
    assert first.state == "stopped"


@POSIX
def test_a_lost_worker_does_not_block_the_queue(root):
    first, second = enqueue([RunConfig(steps=5000), RunConfig(steps=2)], root)
    start_next(root)
    until(lambda: first.status.get("step"))
    os.kill(first.status["pid"], signal.SIGKILL)
    until(lambda: first.state == "lost")
    until(lambda: second.state != "queued")  # nobody looks at the queue here
    until(lambda: f"the worker was killed; next in the queue: run {second.id}" in first.log_tail())  # said afterwards
    assert over(second) == "finished", second.log_tail()
    assert put(first).state == "queued"
    assert [run.id for run in read_queue(root).waiting] == [first.id]


@POSIX
def test_the_machine_was_switched_off_and_whoever_looks_at_the_queue_starts_it_again(root):
    first, second = enqueue([RunConfig(steps=5000), RunConfig(steps=2)], root)
    start_next(root)
    until(lambda: first.status.get("step"))
    worker = psutil.Process(first.status["pid"])
    for process in (*worker.children(recursive=True), worker):  # the one beside it, too
        process.kill()
    until(lambda: first.state == "lost")
    assert second.state == "queued"
    assert [run.id for run in start_next(root)] == [second.id]
    assert over(second) == "finished", second.log_tail()


@POSIX
def test_a_worker_that_ends_leaves_no_process_behind(root):
    (run,) = enqueue([RunConfig(steps=100)], root)
    start_next(root)
    until(lambda: run.status.get("step"))
    beside = psutil.Process(run.status["pid"]).children()
    assert len(beside) == 1 and beside[0].memory_full_info().uss < 60e6
    assert over(run) == "finished", run.log_tail()
    until(lambda: not beside[0].is_running())


def test_a_limit_of_two_lets_two_run_with_a_part_of_the_threads_each(root, monkeypatch):
    for name in launch._THREADS:
        monkeypatch.delenv(name, raising=False)
    set_limit(2, root)
    runs = enqueue(configs(0, 1, 2, steps=200), root)
    assert [run.id for run in start_next(root)] == [run.id for run in runs[:2]]
    assert start_next(root) == []
    assert runs[2].state == "queued"
    assert {run.status["threads"] for run in runs[:2]} == {thread_share(2)}
    until(lambda: all(run.status.get("step") for run in runs[:2]))
    if sys.platform == "linux":
        environment = Path(f"/proc/{runs[0].status['pid']}/environ").read_bytes().split(b"\0")
        assert f"OMP_NUM_THREADS={thread_share(2)}".encode() in environment
    launch.stop(runs[0])
    until(lambda: runs[2].state in ACTIVE)
    assert len(read_queue(root).active) <= 2
    for run in runs[1:]:
        launch.stop(run)
        over(run)


def test_threads_set_here_do_not_go_on_to_the_next_worker_but_those_of_the_user_do(monkeypatch):
    for name in launch._THREADS:
        monkeypatch.delenv(name, raising=False)
    shared = launch._environment(3)
    assert shared["OMP_NUM_THREADS"] == shared["MKL_NUM_THREADS"] == "3"
    monkeypatch.setattr(os, "environ", shared)
    assert "OMP_NUM_THREADS" not in launch._environment(0)
    assert launch._environment(5)["OMP_NUM_THREADS"] == "5"
    monkeypatch.setattr(os, "environ", {"OMP_NUM_THREADS": "7"})
    assert launch._environment(2)["OMP_NUM_THREADS"] == "7"
    assert launch._environment(0)["OMP_NUM_THREADS"] == "7"


def test_threads_that_the_settings_name_are_not_shared_out_and_a_resumed_run_keeps_its_number(root):
    set_limit(2, root)
    own, shared = enqueue([RunConfig(steps=500, threads=1), RunConfig(steps=500)], root)
    start_next(root)
    assert own.status["threads"] == 0
    until(lambda: all(run.status.get("step") for run in (own, shared)))
    for run in (own, shared):
        launch.stop(run)
        over(run)
    shared.checkpoints_dir.mkdir()
    launch.start(shared, threads=0)
    assert shared.status["threads"] == thread_share(2)
    launch.stop(shared)
    over(shared)


RACE = """
import sys, time
from bidora.queueing import start_next
while time.time() < float(sys.argv[2]):
    pass
print(*[run.id for run in start_next(sys.argv[1])])
"""


def test_processes_that_race_start_each_run_once_and_keep_the_limit(root):
    set_limit(3, root)
    runs = enqueue(configs(*range(6), steps=5000), root)
    moment = str(time.time() + 2.0)
    words = [sys.executable, "-c", RACE, str(root), moment]
    racing = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    started = [run_id for each in racing for run_id in each.communicate(timeout=60)[0].split()]
    assert sorted(started) == sorted(run.id for run in runs[:3])
    assert [run.state for run in runs[3:]] == ["queued"] * 3
    pause(root)
    for run in runs[:3]:
        launch.stop(run)
    until(lambda: not read_queue(root).active)


@pytest.mark.parametrize("meanwhile", ["stopped", "deleted"])
def test_what_is_stopped_or_deleted_while_the_queue_starts_others_is_passed_over(root, monkeypatch, meanwhile):
    set_limit(3, root)
    first, second, third = enqueue(configs(0, 1, 2, steps=1), root)
    started = []

    def start(run: Run, *, threads: int) -> None:
        started.append(run.id)
        if run.id == first.id and meanwhile == "stopped":
            launch.stop(second)
        elif run.id == first.id:
            second.delete()

    monkeypatch.setattr("bidora.queueing.start", start)
    assert [run.id for run in start_next(root)] == started == [first.id, third.id]
    assert meanwhile == "deleted" or second.state == "stopped"


def test_a_cancelled_run_is_not_started_and_can_be_put_back(root):
    first, second = enqueue(configs(0, 1, steps=1), root)
    cancel(first)
    assert first.state == "stopped"
    assert [run.id for run in start_next(root)] == [second.id]
    with pytest.raises(LabError, match="does not wait in the queue"):
        cancel(first)
    assert over(second) == "finished", second.log_tail()
    with pytest.raises(LabError, match="is finished and cannot wait"):
        put(second)
    put(first)
    assert [run.id for run in start_next(root)] == [first.id]
    assert over(first) == "finished"


def test_a_run_moves_up_one_place_at_a_time(root):
    runs = enqueue(configs(0, 1, 2), root)
    move_up(runs[2])
    assert [run.config.seed for run in read_queue(root).waiting] == [0, 2, 1]
    move_up(runs[2])
    move_up(runs[2])
    assert [run.config.seed for run in read_queue(root).waiting] == [2, 0, 1]
    with pytest.raises(LabError, match="does not wait"):
        move_up(Run.create(RunConfig(), root))


def test_a_paused_queue_starts_nothing_until_it_goes_on(root):
    (run,) = enqueue(configs(0, steps=1), root)
    pause(root)
    assert start_next(root) == []
    assert read_queue(root).paused
    go_on(root)
    assert start_next(root)
    assert over(run) == "finished"


def test_runs_started_without_the_queue_take_a_place(root):
    outside = launch.launch(RunConfig(steps=5000), root)
    (run,) = enqueue(configs(0, steps=1), root)
    assert start_next(root) == []
    launch.stop(outside)
    assert over(run) == "finished"


@pytest.mark.parametrize("limit", [0, -1, LARGEST_LIMIT + 1])
def test_a_limit_outside_its_range_is_a_sentence(root, limit):
    with pytest.raises(LabError, match="is outside 1 <= limit <= 32"):
        set_limit(limit, root)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"limit": "many", "paused": 1}', '{"limit": true}', '{"limit": 999}'])
def test_an_unreadable_file_of_the_queue_counts_as_the_defaults(root, text):
    enqueue(configs(0), root)
    (root / ".queue.json").write_text(text)
    assert (read_queue(root).limit, read_queue(root).paused) == (1, False)
    set_limit(2, root)
    assert read_json(root / ".queue.json")["limit"] == 2


def test_a_run_with_unreadable_settings_fails_and_does_not_hold_up_the_others(root):
    broken, whole = enqueue(configs(0, 1, steps=1), root)
    (broken.path / "config.json").write_text("{")
    assert [run.id for run in start_next(root)] == [whole.id]
    assert broken.state == "failed"
    assert broken.status["error"]["message"]
    assert over(whole) == "finished"


def test_a_worker_that_cannot_be_started_leaves_its_run_in_the_queue(root, monkeypatch):
    (run,) = enqueue(configs(0), root)
    monkeypatch.setattr(launch, "worker_command", lambda run: [str(root / "no-such-python")])
    with pytest.raises(LabError, match="no worker process can be started"):
        start_next(root)
    assert [each.id for each in read_queue(root).waiting] == [run.id]


def test_cores_are_shared_by_the_limit():
    assert thread_share(1) == 0
    assert thread_share(10_000) == 1


def test_the_command_shows_and_steers_the_queue(root, capsys):
    first, second = enqueue(configs(0, 1, steps=2), root)
    words = ["queue", "--root", str(root)]
    assert main([*words, "--pause"]) == 0
    assert "0 at work, 2 waiting, at most 1 at once; the queue is paused" in capsys.readouterr().out
    assert main([*words, "--start"]) == 0
    assert "starting" not in capsys.readouterr().out
    assert main([*words, "--limit", "99"]) == 2
    assert "outside 1 <= limit" in capsys.readouterr().err
    assert main([*words, "--go-on"]) == 0
    assert f"run {first.id} is starting" in capsys.readouterr().out
    assert over(second) == "finished", second.log_tail()
