"""The lab as people meet it: a server in a process of its own, and Chromium that looks at it. For end-to-end tests."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bidora.models import is_fetched
from bidora.tasks import task_is_fetched

ROOT = Path(__file__).resolve().parents[1]

ARGUMENTS = (
    "--no-sandbox",  # a container's root may not make one
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

PATIENCE = 90.0
"""Seconds after which something that should appear is given up; far more than an idle machine needs."""

LOCAL = ("127.0.0.1", "localhost")

_OF_STREAMLIT = ("/_stcore/health", "/_stcore/host-config")
"""At an address with a path, Streamlit's page asks for these below the path first, and gets 404."""


def chromium() -> str:
    """Where the browser is: $CHROMIUM, else Debian's; empty where there is none."""
    named = os.environ.get("CHROMIUM", "")
    found = [named] if named else [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    return next((each for each in found if each and Path(each).is_file()), "")


def free_port() -> int:
    """A port that nobody listens to."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def until(condition: Callable[[], Any], *, seconds: float = PATIENCE, every: float = 0.2) -> Any:
    """Wait for a condition and return its value; an AssertionError with its name when it never holds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(every)
    raise AssertionError(f"not within {seconds:.0f} s: {getattr(condition, '__name__', condition)}")


class Lab:
    """A server on a folder of runs; it can be killed and started again at the same address.

    Args:
        folder: holds runs/ and the server's own log.
    """

    def __init__(self, folder: Path) -> None:
        self.runs = folder / "runs"
        self.runs.mkdir(parents=True, exist_ok=True)
        self.log = folder / "server.txt"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address with the slash at its end."""
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [sys.executable, "-m", "streamlit", "run", "app/main.py", "--server.port", str(self.port)]
        environment = {**os.environ, "BIDORA_RUNS": str(self.runs), "PYTHONWARNINGS": "default"}
        environment.pop("BIDORA_RECORDINGS", None)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        until(self.answers)

    def answers(self) -> bool:
        """Whether the server is up."""
        assert self.process is not None and self.process.poll() is None, self.log.read_text(encoding="utf-8")[-2000:]
        try:
            with urllib.request.urlopen(f"{self.url}_stcore/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """End the server and all of its session at once, as a closed terminal or a power switch does."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def close(self) -> None:
        """End the server, and runs that a failed test left at work."""
        from bidora.launch import terminate
        from bidora.queueing import pause
        from bidora.runs import ACTIVE, list_runs

        if self.process is not None:
            self.kill()
        pause(self.runs)
        for run in list_runs(self.runs):
            if run.state in ACTIVE:
                terminate(run)


class Watch:
    """What the pages of a test asked for and complained of.

    Args:
        context: the browser context whose pages are listened to.
    """

    def __init__(self, context: Any) -> None:
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        context.on("request", lambda request: self._asked(request.url))
        context.on("console", self._said)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("page", lambda page: page.on("websocket", lambda socket: self._asked(socket.url)))

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "about"):
            self.hosts.add(parts.hostname or url)

    def _said(self, message: Any) -> None:
        place = str(message.location.get("url", ""))
        if message.type == "error" and not place.endswith(_OF_STREAMLIT):
            self.complaints.append(f"{message.text} ({place})")

    @property
    def outside(self) -> set[str]:
        """Hosts other than this machine."""
        return self.hosts - set(LOCAL)


needs_browser = pytest.mark.skipif(
    not chromium(),
    reason="no browser: install Debian's chromium or name one in $CHROMIUM (as root, make test installs it)",
)
needs_weights = pytest.mark.skipif(
    not (is_fetched("esm2") and task_is_fetched("peptides")),
    reason="real weights and data are not here: bidora fetch peptides esm2",
)


def appears(found, *, seconds=PATIENCE):
    from playwright.sync_api import expect

    expect(found.first).to_be_visible(timeout=seconds * 1000)


def offers(page, count):
    """The form offers to start so many runs."""
    from playwright.sync_api import expect

    button = page.get_by_role("button", name=re.compile(rf"(Start|Queue) {count} runs?$"))
    expect(button).to_be_enabled(timeout=PATIENCE * 1000)
    return button
