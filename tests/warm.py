"""Processes of their own that need not import torch, transformers and PEFT first: forked from a process that has.

They are as real as others: they have their own memory, can be killed, and hold nothing of ours until they import it. Importing
takes most of the time that a test with a process of its own takes.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import subprocess
import sys
import traceback
import warnings
from functools import cache
from pathlib import Path

PRELOADED = (
    "torch",
    "transformers.trainer",
    "transformers.models.auto.modeling_auto",
    "peft",
    "accelerate",
    "pandas",
    "safetensors.torch",
    "scipy.stats",
    "sklearn.metrics",
)


@cache
def _context():
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["warm", *PRELOADED])
    return context


class Process:
    """What tests need of `subprocess.Popen`."""

    def __init__(self, work, *arguments) -> None:
        self._process = _context().Process(target=work, args=arguments)
        self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code; negative after a signal; None while it is at work."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Signal it, unless it is over."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()


def worker(run) -> Process:
    """A worker of a run, as `python -m bidora work` is one."""
    return Process(_work, str(run.path))


def _work(folder: str) -> None:
    log = os.open(Path(folder) / "log.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    warnings.simplefilter("ignore")
    from bidora.cli import main

    sys.exit(main(["work", folder]))


def answer_of(code: str, *words: str, given: str, folder: Path) -> str:
    """What code prints in a process without anything of ours.

    Args:
        code: Python.
        words: its `sys.argv[1:]`.
        given: its standard input.
        folder: where its output is kept meanwhile.

    Raises:
        AssertionError: it ended with an error, which is the message.
    """
    output = folder / "answer.txt"
    process = Process(_answer, code, words, given, str(output))
    assert process.wait() == 0, output.read_text(encoding="utf-8")
    return output.read_text(encoding="utf-8")


def _answer(code: str, words: tuple[str, ...], given: str, output: str) -> None:
    assert not any(name.split(".")[0] == "bidora" for name in sys.modules)
    warnings.simplefilter("ignore")
    with open(output, "w", encoding="utf-8") as sys.stdout:
        sys.argv, sys.stdin = ["-c", *words], io.StringIO(given)
        try:
            exec(code, {"__name__": "__main__"})
        except BaseException:
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
            os._exit(1)
