"""A small process beside a worker: should the worker be killed, which leaves it no last word, this one starts the next run.

Which process the system kills when memory runs out is the largest one: the worker, not this.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bidora.errors import LabError
from bidora.queueing import start_next
from bidora.runs import ACTIVE, Run

LOOK_SECONDS = 1.0
"""Between two looks at whether the worker is still there."""

PATIENCE = 10.0
"""Seconds in which a worker that is gone must be seen to be gone."""


@contextmanager
def outlived(run: Run) -> Iterator[None]:
    """Keep a process beside this one during the block, which starts the next run of the queue if this one is killed.

    It is forked before torch is imported, so that it takes next to no memory. Where processes cannot be forked (Windows)
    there is none, and the queue waits for the next worker that ends, for the app, or for `bidora queue --start`.

    Args:
        run: what this process works on.
    """
    worker = os.getpid()
    beside = _forked()
    if beside == 0:
        _wait(run, worker)
    try:
        yield
    finally:
        if beside is not None:
            with suppress(OSError):
                os.kill(beside, signal.SIGKILL)
                os.waitpid(beside, 0)


def _forked() -> int | None:
    """As os.fork; None where it cannot be."""
    if not hasattr(os, "fork"):
        return None
    try:
        return os.fork()
    except OSError:  # no memory or no place for another process
        return None


def _wait(run: Run, worker: int) -> None:
    """Wait until the worker is gone, start what may start, and end."""
    try:
        os.setsid()  # what ends the worker's whole session shall not end this
        while os.getppid() == worker:
            time.sleep(LOOK_SECONDS)
        end = time.monotonic() + PATIENCE
        while run.state in ACTIVE and time.monotonic() < end:
            time.sleep(0.2)
        for each in start_next(run.path.parent):
            print(f"the worker was killed; next in the queue: run {each.id}", flush=True)
    except (LabError, OSError) as error:
        print(f"the queue does not go on: {error}", flush=True)
    finally:
        os._exit(0)
