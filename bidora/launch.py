"""Runs as separate processes: start, stop and resume one detached worker per run.

A worker writes to files only, never to a pipe, and has a session of its own: closing the page, the notebook or the
terminal that started it does not harm it. This module imports no torch.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.runs import ACTIVE, Run, same_process, worker_identity

_WORKERS: list[subprocess.Popen[bytes]] = []
"""Children of this process; polled now and then, so that none stays behind as a zombie."""


_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""What the libraries below torch read at their start. Without it several workers spin for the same cores."""

_OUR_THREADS = "BIDORA_THREADS"
"""Says that the variables above were set here, and to what."""


def launch(
    config: RunConfig,
    root: str | Path | None = None,
    *,
    name: str = "",
    group: str = "",
    tags: tuple[str, ...] = (),
) -> Run:
    """Make a run and start its worker.

    Args:
        config: the settings.
        root: where runs are kept; by default `runs_root()`.
        name: what to call it; by default task, method and seed.
        group: runs of one comparison share a group.
        tags: free words to find it by.

    Returns:
        The run; its worker is starting.

    Raises:
        LabError: no folder can be made, or no process can be started.
    """
    run = Run.create(config, root, name=name, group=group, tags=tags)
    start(run)
    return run


def start(run: Run, *, threads: int | None = None) -> None:
    """Start the worker of a run that is queued, stopped, failed or lost; where a checkpoint is, it goes on from there.

    Args:
        run: the run.
        threads: CPU threads, where the settings leave them open (`threads=0`); 0: all cores; None: as many as it had
            when it was started before, because the last bits of a result depend on them.

    Raises:
        LabError: the run is being worked on, is finished, or no process can be started.
    """
    with run.locked():
        refuse_if_finished(run)
        run.refuse_if_active()
        run.clear_stop()
        share = run.status.get("threads") if threads is None or _was_begun(run) else threads
        share = share if isinstance(share, int) and share > 0 and not run.config.threads else 0
        try:
            worker = _spawn(run, share)
        except OSError as error:
            raise LabError(
                f"no worker process can be started for run {run.id}: {error.strerror or error}",
                hint="free some memory or disk space and try again",
                kind="disk",
            ) from error
        # Written here, not by the worker: one that dies while it is still importing is found as lost, not as queued.
        run.update_status(state="preparing", error=None, exit_code=None, threads=share, **worker_identity(worker.pid))
    reap()
    _WORKERS.append(worker)


def resume(run: Run) -> None:
    """Go on with a stopped, failed or lost run from its last checkpoint; without one, from the beginning.

    Raises:
        LabError: as `start`.
    """
    start(run)


def stop(run: Run, *, wait: float = 0.0) -> str:
    """Ask the worker to save and stop at its next step.

    Args:
        run: the run; one that is only queued is marked as stopped, one that is over is left alone.
        wait: seconds until the worker itself is told to end (SIGTERM, on Windows: is ended). 0: only ask.

    Returns:
        The run's state afterwards; `stopping` while the worker is still at work.
    """
    with run.locked():
        state = run.state
        if state == "queued":
            run.update_status(state="stopped")
        if state not in ACTIVE:
            return run.state
        run.request_stop()
    if wait > 0 and _still_active(run, wait):
        terminate(run)
        _still_active(run, wait)
    reap()
    return "stopping" if run.state in ACTIVE else run.state


def terminate(run: Run) -> bool:
    """Tell the very process that works on a run to end; False where that process is gone (or is another one)."""
    import psutil

    status = run.status
    pid = status.get("pid")
    if status["state"] not in ACTIVE or status.get("host") != worker_identity(os.getpid())["host"]:
        return False
    if pid == os.getpid() or not same_process(status):
        return False
    try:
        psutil.Process(pid).terminate()  # psutil compares the start time once more before it signals
    except psutil.Error:
        return False
    return True


def refuse_if_finished(run: Run) -> None:
    """Make sure that a run has something left to do.

    Raises:
        LabError: the run is finished.
    """
    if run.state == "finished":
        raise LabError(
            f"run {run.id} is finished, there is nothing to go on with",
            hint=f"see it with `bidora show {run.id}`, or start another with `bidora run` and other settings",
            kind="run",
        )


def worker_command(run: Run) -> list[str]:
    """The command line of a run's worker process."""
    return [sys.executable, "-m", "bidora", "work", str(run.path.resolve())]


def reap() -> None:
    """Take note of workers that have ended."""
    _WORKERS[:] = [worker for worker in _WORKERS if worker.poll() is None]


def _was_begun(run: Run) -> bool:
    """Whether there may be something to go on with, which was computed with a certain number of threads."""
    return "threads" in run.status and run.checkpoints_dir.is_dir()


def _spawn(run: Run, threads: int) -> subprocess.Popen[bytes]:
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    with open(run.path / "log.txt", "ab") as log:
        return subprocess.Popen(
            worker_command(run),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(threads),
            close_fds=True,
            **apart,
        )


def thread_share(limit: int) -> int:
    """CPU threads for each of several runs on this machine; 0 (all cores) where only one runs at a time.

    It depends on the limit, not on how many happen to run, so that equal settings get equal threads.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if limit <= 1 else max(1, cores // limit)


def _environment(threads: int = 0) -> dict[str, str]:
    """This process's environment, with output unbuffered, this very bidora importable from any folder, and threads.

    A number of threads that the user has set holds; one that was set here for another run does not go on to the next.
    """
    home = str(Path(__file__).resolve().parents[1])
    paths = [home, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    inherited = os.environ.get(_OUR_THREADS)
    kept = {name: value for name, value in os.environ.items() if not (name in _THREADS and value == inherited)}
    kept.pop(_OUR_THREADS, None)
    ours = {name: str(threads) for name in _THREADS if name not in kept} if threads else {}
    return {
        **kept,
        **(ours | {_OUR_THREADS: str(threads)} if ours else {}),
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
    }


def _still_active(run: Run, seconds: float) -> bool:
    """Whether the worker is still at work after so many seconds; returns early when it is not."""
    end = time.monotonic() + seconds
    while run.state in ACTIVE:
        if time.monotonic() >= end:
            return True
        time.sleep(min(0.1, seconds))
        reap()
    return False
