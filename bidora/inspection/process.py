"""One analysis as a process of its own, so that whoever asks (the app) never imports torch and can end it.

The process is `python -m bidora analyse AFTER --base BASE --json FILE`: what the page shows is what the command gives.
A thread follows it, ends it after a while, and reads its file. Results are kept by the content of what was compared.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bidora.errors import LabError
from bidora.inspection.contents import key_of
from bidora.inspection.recipe import arguments
from bidora.inspection.result import AXES, Result, problem, result_of
from bidora.sources import Source
from bidora.uploads import shown

TIME_LIMIT = 900.0
"""Seconds after which an analysis is ended; a model of 100 million parameters takes about ten."""

AT_ONCE = 2
"""So many analyses run at the same time in one server; others wait."""

KEPT = 32
"""So many results are remembered."""

_SLOTS = threading.BoundedSemaphore(AT_ONCE)
_RESULTS: OrderedDict[str, Result] = OrderedDict()
_LOCK = threading.Lock()


class Inspection:
    """One analysis: it starts at once, or when another one has ended.

    Args:
        before: the base model.
        after: adapter or checkpoint.
        time_limit: seconds after which it is ended.
    """

    def __init__(self, before: Source, after: Source, *, time_limit: float = TIME_LIMIT) -> None:
        self.before, self.after, self.time_limit = before, after, time_limit
        self.key = key_of(before, after)
        self.result: Result | None = None
        self.error: LabError | None = None
        self._steps, self._last, self._began = 0, "waiting for another analysis to end", 0.0
        self._cancelled, self._late = threading.Event(), threading.Event()
        self._over = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        with _LOCK:
            known = _RESULTS.get(self.key)
        if known is not None:
            self.result = replace(
                known, after=after.title, before=before.title, look=after.look, told=bool(after.method)
            )
            self._over.set()
        else:
            threading.Thread(target=self._work, name="inspection", daemon=True).start()

    @property
    def over(self) -> bool:
        """Whether there is a result or an error."""
        return self._over.is_set()

    def progress(self) -> tuple[float, str]:
        """How far it is, from 0 to 1, and in words with the time left."""
        total = max(1, len(AXES) * self.after.matrices)
        share = min(1.0, self._steps / total)
        words = self._last
        if self._began and 0 < share < 1:
            words += f", {(time.monotonic() - self._began) * (1 - share) / share:.0f} s left"
        return share, words

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; whether it is over."""
        return self._over.wait(seconds)

    def cancel(self) -> None:
        """End it; it is over at once or a moment later."""
        self._cancelled.set()
        self._end_process()

    # -- in its own thread ----------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            with _slot(self._cancelled):
                self._last = "starting"
                self.result = self._run()
                with _LOCK:
                    _RESULTS[self.key] = self.result
                    while len(_RESULTS) > KEPT:
                        _RESULTS.popitem(last=False)
        except LabError as error:
            self.error = error
        except Exception as error:
            self.error = LabError(f"the analysis could not be carried out: {error}", hint="try again", kind="run")
        finally:
            self._over.set()

    def _run(self) -> Result:
        with tempfile.TemporaryDirectory(prefix="bidora-inspection-", ignore_cleanup_errors=True) as folder:
            file = Path(folder) / "result.json"
            command = [sys.executable, "-m", "bidora", *arguments(self.before, self.after), "--json", str(file)]
            with open(Path(folder) / "out.txt", "wb") as out:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.PIPE,
                    text=True,
                    encoding="utf-8",
                    errors="replace",
                    env=_environment(),
                    cwd=folder,
                )
            self._process = process
            if self._cancelled.is_set():
                self._end_process()
            timer = threading.Timer(self.time_limit, self._end_late)
            timer.daemon = True
            timer.start()
            try:
                last = self._follow(process)
            finally:
                timer.cancel()
                self._end_process()
                process.wait()
            if self._cancelled.is_set():
                raise LabError("the analysis was cancelled", kind="run")
            if self._late.is_set():
                raise LabError(
                    f"the analysis took longer than {self.time_limit:.0f} s and was ended",
                    hint="use the command line, which has no limit",
                    kind="run",
                )
            return self._read(file, last)

    def _follow(self, process: subprocess.Popen[str]) -> str:
        assert process.stderr is not None
        last = ""
        while line := process.stderr.readline(4000):
            last = line.strip() if line.strip() and ("error" in line or "error" not in last) else last
            if line.startswith(tuple(f"{axis} axis: " for axis in AXES)):
                self._began = self._began or time.monotonic()
                self._steps += 1
                self._last = shown(line, longest=120)
            elif line.strip():
                self._last = self._in_titles(shown(line, longest=120))
        process.stderr.close()
        return last

    def _read(self, file: Path, last: str) -> Result:
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            reason = self._in_titles(shown(last, longest=300)) or "the process was ended from outside"
            raise LabError(
                f"the analysis ended without a result: {reason}",
                hint="there may be too little memory; try the command line",
                kind="run",
            ) from error
        if "error" in found:
            raise self._titled(problem(found["error"]))
        result = result_of(
            found,
            after=self.after.title,
            before=self.before.title,
            look=self.after.look,
            told=bool(self.after.method),
        )
        for axis, table in result.axes.items():
            if isinstance(table, LabError):
                result.axes[axis] = self._titled(table)
        return result

    def _titled(self, error: LabError) -> LabError:
        return LabError(self._in_titles(error.message), hint=self._in_titles(error.hint), kind=error.kind)

    def _in_titles(self, text: str) -> str:
        """A message without the places where uploads are kept."""
        for side in (self.after, self.before):
            text = text.replace(side.argument, side.title) if os.sep in side.argument else text
        return shown(text, longest=600)

    def _end_late(self) -> None:
        self._late.set()
        self._end_process()

    def _end_process(self) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            with contextlib.suppress(OSError):
                process.kill()


def _environment() -> dict[str, str]:
    """This process's environment, with this very bidora importable, few threads, and no hub."""
    home = str(Path(__file__).resolve().parents[1])
    paths = [home, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    threads = str(max(1, (os.cpu_count() or 2) // AT_ONCE))
    return {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "OMP_NUM_THREADS": threads,
        "HF_HUB_OFFLINE": "1",
    }


@contextlib.contextmanager
def _slot(cancelled: threading.Event) -> Iterator[None]:
    """One of the few places at work; who is cancelled while waiting leaves the queue."""
    while not _SLOTS.acquire(timeout=0.2):
        if cancelled.is_set():
            raise LabError("the analysis was cancelled", kind="run")
    try:
        yield
    finally:
        _SLOTS.release()
