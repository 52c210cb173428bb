"""Worker processes as a run folder knows them: states, and whether the process that wrote a status still lives."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any

ACTIVE = ("preparing", "running", "stopping", "finalising")
"""States in which a worker process is at work."""

STATES = ("queued", *ACTIVE, "stopped", "finished", "failed", "lost")
"""Every state that `Run.state` can return. `lost` is never written: it is what a reader sees when the worker died."""

HEARTBEAT_SECONDS = 120.0
"""A worker whose last sign of life is older than this counts as dead, even if its process still exists."""


def process_start(pid: int) -> float | None:
    """When a process began (seconds since the epoch), or None where it does not exist or is a zombie."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def worker_identity(pid: int) -> dict[str, Any]:
    """What tells one worker process from every other: pid, host and the process's start time."""
    return {"pid": pid, "host": socket.gethostname(), "process_start": process_start(pid)}


def worker_alive(status: Mapping[str, Any]) -> bool:
    """Whether the worker that wrote a status still lives: same process, same start, fresh heartbeat."""
    beat = status.get("heartbeat")
    fresh = isinstance(beat, (int, float)) and time.time() - beat < HEARTBEAT_SECONDS
    if status.get("host") not in (None, socket.gethostname()):
        return fresh  # a process on another machine can only be judged by its heartbeat
    pid, began = status.get("pid"), status.get("process_start")
    if not isinstance(pid, int) or not isinstance(began, (int, float)):
        return False
    now = process_start(pid)
    return fresh and now is not None and abs(now - began) < 2.0
