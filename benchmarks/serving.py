"""What a benchmark of the app needs around it: a server, trainings beside it, a browser."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from bidora.config import RunConfig
from bidora.launch import terminate
from bidora.models import is_fetched
from bidora.queueing import enqueue, set_limit, start_next
from bidora.runs import Run
from bidora.tasks import task_is_fetched

ROOT = Path(__file__).resolve().parents[1]
BROWSER = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


class Server(NamedTuple):
    """Host and port, and the process that answers there."""

    address: str
    pid: int

    def cpu_seconds(self) -> float:
        """CPU time of the server so far; unlike waiting times it says the same on a busy machine."""
        spent = psutil.Process(self.pid).cpu_times()
        return float(spent.user + spent.system)


@contextlib.contextmanager
def server(runs: Path) -> Iterator[Server]:
    """The lab in a process of its own; yields it once it answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app" / "main.py"), "--server.port", str(port)]
    process = subprocess.Popen(
        command, env={**os.environ, "BIDORA_RUNS": str(runs)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health"):
                break
            time.sleep(0.02)
        yield Server(f"127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def jobs(count: int, runs: Path) -> Iterator[list[Run]]:
    """So many trainings at once, ended afterwards; none where weights or data are not here."""
    if not count or not (is_fetched("esm2") and task_is_fetched("peptides")):
        yield []
        return
    configs = [RunConfig(task="peptides", steps=5000, batch_size=8, max_length=48, seed=seed) for seed in range(count)]
    set_limit(count, runs)
    made = enqueue(configs, runs, group="load")
    start_next(runs)
    try:
        while not all(run.state == "running" and run.status.get("step") for run in made):
            if any(run.state in ("failed", "lost") for run in made):
                raise SystemExit(f"a job did not start; see {runs}")
            time.sleep(0.5)
        yield made
    finally:
        workers = [psutil.Process(run.status["pid"]) for run in made if terminate(run)]
        for late in psutil.wait_procs(workers, timeout=30)[1]:
            late.kill()


def chromium() -> str:
    """$CHROMIUM, or Debian's; empty where neither is, or Playwright is not installed."""
    with contextlib.suppress(ImportError):
        import playwright.sync_api  # noqa: F401

        return os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
    return ""
