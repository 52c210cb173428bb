"""Run folders: whole files, tolerant readers, dead workers found, nothing lost on the way to the trash."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy
import pandas
import pytest

from bidora import runs
from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.runs import (
    ACTIVE,
    HEARTBEAT_SECONDS,
    STATES,
    Run,
    find_run,
    list_runs,
    read_json,
    worker_identity,
    write_json,
)

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals and zombies of POSIX systems")


@pytest.fixture
def run(tmp_path):
    return Run.create(RunConfig(task="peptides", seed=3), tmp_path, name="first", group="g", tags=("a", "b"))


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def at_work(run, pid, **changes):
    """Let a run look as if the process of that id worked on it."""
    run.update_status(**{"state": "running", "step": 7, **worker_identity(pid), **changes})


def rewrite(run, **changes):
    """Change status.json without renewing the heartbeat."""
    write_json(run.path / "status.json", {**read_json(run.path / "status.json"), **changes})


# -- making and finding -----------------------------------------------------------------------------------------


def test_a_new_run_is_queued_and_keeps_what_it_was_given(run):
    assert run.state == "queued"
    assert run.config == RunConfig(task="peptides", seed=3)
    assert (run.meta["name"], run.meta["group"], run.meta["tags"]) == ("first", "g", ["a", "b"])
    assert (run.result, list(run.records()), run.log_tail()) == ({}, [], "")
    assert run.metrics().empty
    assert run.dynamics().empty
    assert run.predictions().empty


def test_a_run_without_a_name_is_called_by_task_method_and_seed(tmp_path):
    assert Run.create(RunConfig(seed=4), tmp_path).meta["name"] == "reuters bidora seed 4"


def test_runs_are_listed_newest_first_and_what_is_no_run_is_passed_over(tmp_path, monkeypatch):
    made = []
    for stamp in ("20260101-000000-aaaa", "20260102-000000-aaaa", "20260101-000000-bbbb"):
        monkeypatch.setattr(runs.run, "new_folder", lambda root, stamp=stamp: _made(root / stamp))
        made.append(Run.create(RunConfig(), tmp_path).id)
    (tmp_path / "20260103-000000-aaaa").mkdir()  # no config.json
    broken = tmp_path / "20260104-000000-aaaa"
    broken.mkdir()
    (broken / "config.json").write_text('{"rank":')
    wrong = tmp_path / "20260105-000000-aaaa"
    wrong.mkdir()
    (wrong / "config.json").write_text('{"rank": -4}')
    (tmp_path / "notes").mkdir()
    assert [run.id for run in list_runs(tmp_path)] == sorted(made, reverse=True)
    assert list_runs(tmp_path / "nowhere") == []


def _made(path):
    path.mkdir()
    return path


def test_the_root_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("BIDORA_RUNS", str(tmp_path / "elsewhere"))
    run = Run.create(RunConfig())
    assert run.path.parent == tmp_path / "elsewhere"
    assert find_run("last").id == run.id


def test_a_run_is_found_by_id_part_path_and_last(run, tmp_path):
    assert find_run(run.id, tmp_path).id == run.id
    assert find_run(run.id[-4:], tmp_path).id == run.id
    assert find_run(str(run.path)).id == run.id
    other = Run.create(RunConfig(), tmp_path)
    assert find_run("last", tmp_path).id == max(run.id, other.id)
    with pytest.raises(LabError, match="fits 2 runs"):
        find_run("-", tmp_path)
    for name in ("zzzz", ""):
        with pytest.raises(LabError, match="no run"):
            find_run(name, tmp_path)


def test_a_folder_without_config_is_no_run(tmp_path):
    with pytest.raises(LabError, match="no config.json"):
        Run(tmp_path)


def test_a_root_that_cannot_be_written_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(LabError, match="no run can be made") as caught:
        Run.create(RunConfig(), blocked)
    assert caught.value.kind == "disk"


def test_a_full_disk_while_a_run_is_made_is_told_and_leaves_no_half_run(tmp_path, monkeypatch):
    def full(path, value):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs.run, "write_json", full)
    with pytest.raises(LabError, match="No space left on device"):
        Run.create(RunConfig(), tmp_path)
    assert list_runs(tmp_path) == []


# -- tolerant readers -------------------------------------------------------------------------------------------


def test_unknown_keys_and_missing_keys_are_tolerated(run):
    write_json(run.path / "config.json", {"schema_version": 9, "rank": 3, "from_the_future": [1]})
    write_json(run.path / "status.json", {"surprise": 1})
    assert run.config.rank == 3
    assert run.state == "queued"


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "\x00\x00"])
def test_corrupt_status_meta_and_result_read_as_empty(run, text):
    for name in ("status", "meta", "result"):
        (run.path / f"{name}.json").write_text(text)
    assert (run.state, run.meta, run.result) == ("queued", {}, {})


def test_a_corrupt_config_is_told_with_the_files_name(run):
    (run.path / "config.json").write_text("{")
    with pytest.raises(LabError, match=r"config\.json cannot be read") as caught:
        run.config  # noqa: B018
    assert caught.value.kind == "run"


def test_half_written_and_foreign_lines_are_passed_over(run):
    run.append_metrics({"step": 1, "loss": 0.5})
    with open(run.path / "metrics.jsonl", "ab") as handle:
        handle.write(b'[1, 2]\n\xff\xfe\n\n{"step": 2, "lo')
    assert list(run.records()) == [{"step": 1, "loss": 0.5}]
    run.append_metrics({"step": 2, "loss": 0.25})  # a line is begun anew after the half-written one
    assert [record["step"] for record in run.records()] == [1, 2]
    assert list(run.metrics()["loss"]) == [0.5, 0.25]


def test_a_broken_part_of_the_dynamics_is_passed_over(run):
    folder = run.path / "dynamics.parquet"
    folder.mkdir()
    pandas.DataFrame({"step": [1], "delta_m": [0.1]}).to_parquet(folder / "part-0.parquet")
    (folder / "part-1.parquet").write_bytes(b"PAR1 not a table")
    assert list(run.dynamics()["step"]) == [1]


def test_the_log_tail_is_its_last_lines(run):
    (run.path / "log.txt").write_bytes(b"\xff\n" + b"\n".join(b"line %d" % i for i in range(100)))
    assert run.log_tail(2) == "line 98\nline 99"


def test_not_a_number_and_infinity_become_null_and_mark_the_line(run):
    run.append_metrics(
        {"loss": math.nan, "step": numpy.int64(4), "norms": {"a": math.inf}, "more": [math.nan, numpy.float32(0.5)]}
    )
    (record,) = run.records()
    assert record == {"loss": None, "bad": True, "step": 4, "norms": {"a": None, "bad": True}, "more": [None, 0.5]}
    assert "NaN" not in (run.path / "metrics.jsonl").read_text()


# -- whole files ------------------------------------------------------------------------------------------------


def test_a_reader_never_sees_a_part_of_a_file(tmp_path):
    path = tmp_path / "status.json"
    write_json(path, {"n": 0, "filling": ""})
    over = threading.Event()
    seen = []

    def read():
        while not over.is_set():
            value = read_json(path)  # raises if half a file is there
            seen.append(len(value["filling"]) == value["n"] * 1000)

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(100):
        write_json(path, {"n": n, "filling": "x" * n * 1000})
    over.set()
    reader.join()
    assert len(seen) > 10
    assert all(seen)


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "status.json"
    write_json(path, {"old": 1})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"new": 1})
    assert read_json(path) == {"old": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["status.json"]


def _count(path, times):
    run = Run(path)
    for _ in range(times):
        with run.locked():
            run.update_status(count=run.status.get("count", 0) + 1)


def test_status_changes_of_several_processes_and_threads_are_not_lost(run):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_count, args=(run.path, 40)) for _ in range(2)]
    workers += [threading.Thread(target=_count, args=(run.path, 40)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert run.status["count"] == 160


# -- going back to a checkpoint ---------------------------------------------------------------------------------


def test_lines_after_a_checkpoint_are_dropped_and_earlier_phases_kept(run):
    for phase_index, step in [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]:
        run.append_metrics({"phase_index": phase_index, "step": step, "loss": math.nan})
    with open(run.path / "metrics.jsonl", "ab") as handle:
        handle.write(b'{"phase_index": 1, "st')
    run.truncate_metrics(1, 2)
    assert [(r["phase_index"], r["step"]) for r in run.records()] == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2)]
    assert all(record["bad"] for record in run.records())
    run.truncate_metrics(0, 0)
    assert list(run.records()) == []


# -- workers, alive and dead ------------------------------------------------------------------------------------


def test_every_state_is_known():
    assert set(ACTIVE) < set(STATES)
    assert {"queued", "stopped", "finished", "failed", "lost"} == set(STATES) - set(ACTIVE)


def test_a_living_worker_is_seen_as_such(run, sleeper):
    at_work(run, sleeper.pid)
    assert run.state == "running"


def test_a_dead_worker_makes_the_run_lost_without_a_write(run, sleeper):
    at_work(run, sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    assert run.state == "lost"
    assert read_json(run.path / "status.json")["state"] == "running"
    assert run.status["step"] == 7


@POSIX
def test_a_zombie_is_dead(run, sleeper):
    at_work(run, sleeper.pid)
    os.kill(sleeper.pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while run.state != "lost" and time.monotonic() < end:  # not waited for: it stays a zombie
        time.sleep(0.02)
    assert run.state == "lost"
    assert sleeper.returncode is None


@pytest.mark.parametrize("state", ACTIVE)
def test_another_process_with_the_same_id_is_not_the_worker(run, sleeper, state):
    at_work(run, sleeper.pid, state=state)
    assert run.state == state
    rewrite(run, process_start=run.status["process_start"] - 100, process_ticks=None)
    assert run.state == "lost"
    at_work(run, sleeper.pid, state=state)
    rewrite(run, process_ticks=1)
    assert run.state == "lost" or not Path("/proc/self/stat").exists()


@pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="only Linux tells when a process began without a clock"
)
def test_a_clock_that_is_set_makes_no_worker_another_one(run, sleeper, monkeypatch):
    at_work(run, sleeper.pid)
    monkeypatch.setattr("bidora.runs.workers.process_start", lambda pid: 3600.0)  # as a server sees it from before
    assert run.state == "running"


def test_a_laptop_that_slept_has_an_old_heartbeat_and_a_worker_that_goes_on(run, sleeper):
    """Another worker beside it would write into the same folder."""
    at_work(run, sleeper.pid)
    rewrite(run, heartbeat=time.time() - HEARTBEAT_SECONDS - 1)
    assert run.state == "running"
    with pytest.raises(LabError):
        run.claim()


@pytest.mark.parametrize("missing", ["pid", "process_start"])
def test_without_a_full_identity_nobody_is_at_work(run, sleeper, missing):
    at_work(run, sleeper.pid)
    rewrite(run, **{missing: None})
    assert run.state == "lost"


def test_a_worker_on_another_machine_is_judged_by_its_heartbeat(run):
    at_work(run, 1, host=f"not-{socket.gethostname()}", process_start=0.0)
    assert run.state == "running"
    rewrite(run, heartbeat=time.time() - HEARTBEAT_SECONDS - 1)
    assert run.state == "lost"


@pytest.mark.parametrize("state", [state for state in STATES if state not in (*ACTIVE, "lost")])
def test_a_state_that_is_over_stays_so_whatever_became_of_the_worker(run, state):
    run.update_status(state=state, pid=2**22 + 1, process_start=1.0)
    assert run.state == state


def test_claiming_takes_the_run_and_forgets_the_last_error(run):
    run.update_status(state="failed", error={"message": "no"}, exit_code=2)
    run.claim()
    status = run.status
    assert (status["state"], status["pid"], status["error"], status["exit_code"]) == (
        "preparing",
        os.getpid(),
        None,
        None,
    )
    run.claim()  # once more by the same process


def test_a_run_at_work_cannot_be_claimed_by_another(run, sleeper):
    at_work(run, sleeper.pid)
    with pytest.raises(LabError, match=f"process {sleeper.pid}") as caught:
        run.claim()
    assert caught.value.kind == "run"
    sleeper.kill()
    sleeper.wait()
    run.claim()


def _claim(path, barrier, won):
    from bidora.errors import LabError
    from bidora.runs import Run

    run = Run(path)
    barrier.wait()
    try:
        run.claim()
        won.put(os.getpid())
        barrier.wait()  # stay alive until all have tried
    except LabError:
        barrier.wait()


def test_of_several_that_claim_at_the_same_moment_one_gets_the_run(run):
    context = multiprocessing.get_context("spawn")
    barrier, won = context.Barrier(4), context.Queue()
    workers = [context.Process(target=_claim, args=(run.path, barrier, won)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    winner = won.get(timeout=5)
    assert won.empty()
    assert run.status["pid"] == winner
    assert [worker.exitcode for worker in workers] == [0] * 4


# -- stopping and deleting --------------------------------------------------------------------------------------


def test_the_wish_to_stop_is_a_file(run):
    assert not run.stop_requested()
    run.request_stop()
    run.request_stop()
    assert run.stop_requested()
    run.clear_stop()
    run.clear_stop()
    assert not run.stop_requested()


def test_a_deleted_run_lies_in_the_trash_and_can_be_moved_back(run, tmp_path):
    place = run.delete()
    assert list_runs(tmp_path) == []
    assert Run(place).config == RunConfig(task="peptides", seed=3)
    place.rename(tmp_path / place.name)
    assert [each.id for each in list_runs(tmp_path)] == [run.id]


def test_deleting_a_copy_of_a_deleted_run_keeps_both(run, tmp_path):
    first = run.delete()
    again = tmp_path / run.id
    again.mkdir()
    (again / "config.json").write_text(json.dumps({"rank": 2}))
    second = Run(again).delete()
    assert first != second
    assert (Run(first).config.rank, Run(second).config.rank) == (8, 2)


def test_a_run_at_work_is_not_deleted(run, sleeper):
    at_work(run, sleeper.pid)
    with pytest.raises(LabError, match="is running"):
        run.delete()
    assert run.path.is_dir()


# -- killed in the middle of joining --------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["before", "after"])
def test_dynamics_survive_an_end_while_they_are_joined(run, monkeypatch, moment):
    for step in range(3):
        run.write_dynamics(pandas.DataFrame({"step": [step], "name": ["x"]}), 0, step)
    replace = os.replace

    def interrupted(source, target):
        if moment == "after":
            replace(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr("bidora.runs.run.os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.compact_dynamics()
    monkeypatch.undo()
    assert list(run.dynamics()["step"]) == [0, 1, 2]
    run.compact_dynamics()
    assert list(run.dynamics()["step"]) == [0, 1, 2]
    assert [part.name for part in (run.path / "dynamics.parquet").glob("*.parquet")] == ["all.parquet"]
