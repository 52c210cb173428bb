"""Worker processes as a run folder knows them: states, and whether the process that wrote a status still lives."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ACTIVE = ("preparing", "running", "stopping", "finalising")
"""States in which a worker process is at work."""

STATES = ("queued", *ACTIVE, "stopped", "finished", "failed", "lost")
"""Every state that `Run.state` can return. `lost` is never written: it is what a reader sees when the worker died."""

HEARTBEAT_SECONDS = 120.0
"""A worker on another machine whose last sign of life is older than this counts as dead."""


def process_start(pid: int) -> float | None:
    """When a process began (seconds since the epoch), or None where it does not exist or is a zombie."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def process_ticks(pid: int) -> int | None:
    """When a process began, in ticks since the machine was started; None where the system does not tell (only Linux does).

    Unlike `process_start` it does not move when somebody sets the clock: psutil adds it to a time of the machine's start
    that every process works out for itself.
    """
    try:
        return int(
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        )
    except (OSError, ValueError, IndexError):
        return None


def worker_identity(pid: int) -> dict[str, Any]:
    """What tells one worker process from every other: pid, host and when the process began."""
    about = {"pid": pid, "host": socket.gethostname(), "process_start": process_start(pid)}
    return {**about, "process_ticks": process_ticks(pid)}


def same_process(status: Mapping[str, Any]) -> bool:
    """Whether the very process that wrote a status on this machine still exists; another one of that number is not it."""
    pid, began, ticks = status.get("pid"), status.get("process_start"), status.get("process_ticks")
    if not isinstance(pid, int) or not isinstance(began, (int, float)):
        return False
    now = process_start(pid)
    if now is None:
        return False
    known = process_ticks(pid)
    return ticks == known if isinstance(ticks, int) and known is not None else abs(now - began) < 2.0


def worker_alive(status: Mapping[str, Any]) -> bool:
    """Whether the worker that wrote a status still lives.

    On this machine its process decides: a laptop that slept has an old heartbeat and a worker that goes on. A process on
    another machine can only be judged by its heartbeat.
    """
    if status.get("host") in (None, socket.gethostname()):
        return same_process(status)
    beat = status.get("heartbeat")
    return isinstance(beat, (int, float)) and time.time() - beat < HEARTBEAT_SECONDS
