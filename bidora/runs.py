"""Run: one folder per run. The folder is the only thing that passes between processes.

    runs/<UTC time>-<4 hex>/
      config.json  meta.json  status.json  metrics.jsonl  dynamics.parquet/  checkpoints/  adapter/
      predictions.parquet  result.json  log.txt

Every file is written whole and renamed into place, or appended line by line; readers tolerate a half-written last line,
unknown or missing keys and dead processes. This module imports neither torch nor pandas until a table is asked for.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import secrets
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidora.config import SCHEMA_VERSION, RunConfig
from bidora.errors import LabError

if TYPE_CHECKING:
    import pandas

ACTIVE = ("preparing", "running", "stopping", "finalising")
"""States in which a worker process is at work."""

STATES = ("queued", *ACTIVE, "stopped", "finished", "failed", "lost")
"""Every state that `Run.state` can return. `lost` is never written: it is what a reader sees when the worker died."""

HEARTBEAT_SECONDS = 120.0
"""A worker whose last sign of life is older than this counts as dead, even if its process still exists."""

_RUN_NAME = re.compile(r"^\d{8}-\d{6}-[0-9a-f]{4}$")


def runs_root() -> Path:
    """Where runs are kept: $BIDORA_RUNS, or `runs` in the current folder."""
    return Path(os.environ.get("BIDORA_RUNS", "runs"))


class Run:
    """One run folder.

    Args:
        path: the folder; it must hold a config.json.

    Raises:
        LabError: the folder does not exist or is not a run.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "config.json").is_file():
            raise LabError(
                f"{self.path} is not a run: it has no config.json",
                hint="`bidora list` shows the runs there are",
                kind="run",
            )

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    # -- making and finding -------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        config: RunConfig,
        root: str | Path | None = None,
        *,
        name: str = "",
        group: str = "",
        tags: tuple[str, ...] = (),
    ) -> Run:
        """Make the folder of a new run; its state is `queued`.

        Args:
            config: its settings.
            root: where runs are kept; by default `runs_root()`.
            name: what to call it; by default task, method and seed.
            group: runs of one comparison share a group.
            tags: free words to find it by.
        """
        root = Path(root) if root is not None else runs_root()
        meta = {
            "schema_version": SCHEMA_VERSION,
            "name": name or f"{config.task} {config.method} seed {config.seed}",
            "group": group,
            "tags": list(tags),
            "note": "",
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        try:
            path = _new_folder(root)
            write_json(path / "meta.json", meta)
            write_json(path / "status.json", {"state": "queued"})
            write_json(path / "config.json", config.to_dict())  # last: from now on the folder counts as a run
        except OSError as error:
            raise LabError(
                f"no run can be made in {root}: {error.strerror or error}",
                hint="free some space, or choose another folder with --root",
                kind="disk",
            ) from error
        return cls(path)

    @property
    def id(self) -> str:
        """The folder's name, which is the run's name in commands and links."""
        return self.path.name

    # -- reading ------------------------------------------------------------------------------------------------

    @property
    def config(self) -> RunConfig:
        """The settings."""
        return RunConfig.from_dict(read_json(self.path / "config.json"))

    @property
    def meta(self) -> dict[str, Any]:
        """Name, tags, note, group, versions, device, hashes of split and data; {} where unreadable."""
        return read_json(self.path / "meta.json", missing_ok=True)

    @property
    def status(self) -> dict[str, Any]:
        """What the worker wrote last, with `state` corrected to `lost` where the worker is dead."""
        status = read_json(self.path / "status.json", missing_ok=True)
        status.setdefault("state", "queued")
        if status["state"] in ACTIVE and not worker_alive(status):
            status["state"] = "lost"
        return status

    @property
    def state(self) -> str:
        """One of STATES."""
        return str(self.status["state"])

    @property
    def result(self) -> dict[str, Any]:
        """The final scores, costs and dynamics (result.json); {} until the run is finished."""
        return read_json(self.path / "result.json", missing_ok=True)

    @property
    def adapter_dir(self) -> Path:
        """Where the trained adapter lies, in PEFT's layout."""
        return self.path / "adapter"

    @property
    def checkpoints_dir(self) -> Path:
        """Where checkpoints lie, one folder per phase."""
        return self.path / "checkpoints"

    def records(self) -> Iterator[dict[str, Any]]:
        """The lines of metrics.jsonl; unreadable ones (half-written, corrupt) are passed over."""
        try:
            handle = open(self.path / "metrics.jsonl", encoding="utf-8", errors="replace")
        except OSError:
            return
        with handle:
            for line in handle:
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                if isinstance(record, dict):
                    yield record

    def metrics(self) -> pandas.DataFrame:
        """The metrics as a table, one row a line; empty where there are none."""
        import pandas

        return pandas.DataFrame(list(self.records()))

    def dynamics(self) -> pandas.DataFrame:
        """The weight dynamics as a table: step × layer × module; empty where there are none."""
        import pandas

        parts = []
        for part in sorted((self.path / "dynamics.parquet").glob("*.parquet")):
            try:
                parts.append(pandas.read_parquet(part))
            except (OSError, ValueError):
                continue
        return pandas.concat(parts, ignore_index=True) if parts else pandas.DataFrame()

    def predictions(self) -> pandas.DataFrame:
        """The test predictions as a table; empty where there are none."""
        import pandas

        path = self.path / "predictions.parquet"
        return pandas.read_parquet(path) if path.is_file() else pandas.DataFrame()

    def log_tail(self, lines: int = 40) -> str:
        """The last lines of the worker's output."""
        try:
            text = (self.path / "log.txt").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    # -- writing ------------------------------------------------------------------------------------------------

    def update_status(self, **changes: Any) -> dict[str, Any]:
        """Change some entries of status.json and renew the heartbeat."""
        with self.locked():
            status = read_json(self.path / "status.json", missing_ok=True)
            status.update(changes, heartbeat=time.time())
            write_json(self.path / "status.json", status)
        return status

    def update_meta(self, **changes: Any) -> dict[str, Any]:
        """Change some entries of meta.json."""
        with self.locked():
            meta = {**self.meta, **changes}
            write_json(self.path / "meta.json", meta)
        return meta

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other threads and processes from changing status and meta until the block ends; may be nested."""
        with _THREADS:
            depth = _LOCK_DEPTH.get(self.path, 0)
            _LOCK_DEPTH[self.path] = depth + 1
            try:
                with contextlib.nullcontext() if depth else _file_lock(self.path / ".lock"):
                    yield
            finally:
                _LOCK_DEPTH[self.path] = depth
                if not depth:
                    del _LOCK_DEPTH[self.path]

    def claim(self) -> None:
        """Take the run for this process; of two that try at the same moment, one gets it.

        Raises:
            LabError: another living process works on it.
        """
        with self.locked():
            self.refuse_if_active()
            self.update_status(state="preparing", error=None, exit_code=None, **worker_identity(os.getpid()))

    def refuse_if_active(self) -> None:
        """Make sure that no other process is at work on the run.

        Raises:
            LabError: another living process works on it.
        """
        status = self.status
        own = (
            {os.getpid(), os.getppid()} if sys.platform == "win32" else {os.getpid()}
        )  # a venv's python.exe has a child
        mine = status.get("pid") in own and status.get("host") == socket.gethostname()
        if status["state"] in ACTIVE and not mine:
            raise LabError(
                f"run {self.id} is being worked on by process {status['pid']} on {status.get('host', 'this machine')}",
                hint=f"watch it with `bidora show {self.id}`, or stop it with `bidora stop {self.id}`",
                kind="run",
            )

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl; NaN and infinity become null and mark the line `bad`."""
        line = json.dumps(finite(record), allow_nan=False)
        path = self.path / "metrics.jsonl"
        with open(path, "ab+") as handle:
            if handle.tell() and not _ends_with_newline(handle):
                handle.write(b"\n")
            handle.write(line.encode() + b"\n")

    def truncate_metrics(self, phase_index: int, step: int) -> None:
        """Drop the lines that were written after a checkpoint, before training goes on from it."""
        kept = [
            record
            for record in self.records()
            if (record.get("phase_index", 0), record.get("step", 0)) <= (phase_index, step)
        ]
        text = "".join(json.dumps(record) + "\n" for record in kept)
        write_text(self.path / "metrics.jsonl", text)

    def write_dynamics(self, rows: pandas.DataFrame, phase_index: int, step: int) -> None:
        """Write the weight dynamics of one step as a part of dynamics.parquet, whole."""
        folder = self.path / "dynamics.parquet"
        folder.mkdir(exist_ok=True)
        part = folder / f"{phase_index}-{step:08d}.parquet"
        temporary = part.with_suffix(".tmp")
        rows.to_parquet(temporary, index=False)
        os.replace(temporary, part)

    def truncate_dynamics(self, phase_index: int, step: int) -> None:
        """Drop the parts that were written after a checkpoint."""
        for part in (self.path / "dynamics.parquet").glob("*-*.parquet"):
            phase, number = part.stem.split("-")
            if (int(phase), int(number)) > (phase_index, step):
                part.unlink()

    def compact_dynamics(self) -> None:
        """Join the parts of dynamics.parquet into one, which opens faster."""
        parts = sorted((self.path / "dynamics.parquet").glob("*-*.parquet"))
        table = self.dynamics()
        if len(parts) > 1 and len(table):
            temporary = self.path / "dynamics.parquet" / "all.tmp"
            table.to_parquet(temporary, index=False)
            for part in parts:
                part.unlink()
            os.replace(temporary, temporary.with_suffix(".parquet"))

    def request_stop(self) -> None:
        """Ask the worker to save and stop at its next step."""
        write_text(self.path / "stop", "")

    def stop_requested(self) -> bool:
        """Whether somebody asked the worker to stop."""
        return (self.path / "stop").exists()

    def clear_stop(self) -> None:
        """Forget an earlier wish to stop."""
        (self.path / "stop").unlink(missing_ok=True)

    def delete(self) -> Path:
        """Move the run to the trash beside it (`.trash`), from where it can be moved back; returns its new place.

        Raises:
            LabError: a worker is at work on it.
        """
        if self.state in ACTIVE:
            raise LabError(f"run {self.id} is {self.state}", hint=f"stop it first: `bidora stop {self.id}`", kind="run")
        trash = self.path.parent / ".trash"
        trash.mkdir(exist_ok=True)
        place = trash / self.id
        while place.exists():  # a copy of this run was deleted before
            place = trash / f"{self.id}-{secrets.token_hex(2)}"
        return Path(shutil.move(str(self.path), str(place)))


def list_runs(root: str | Path | None = None) -> list[Run]:
    """All readable runs in a folder, newest first; what is not a run is passed over."""
    root = Path(root) if root is not None else runs_root()
    if not root.is_dir():
        return []
    found = []
    for path in sorted(root.iterdir(), reverse=True):
        if not _RUN_NAME.match(path.name):
            continue
        try:
            run = Run(path)
            run.config  # noqa: B018 - reading it shows whether it is readable
        except (LabError, OSError):
            continue
        found.append(run)
    return found


def find_run(name: str, root: str | Path | None = None) -> Run:
    """The run of that id or unique part of one, the last one for `last`, or the run folder of that path.

    Raises:
        LabError: none or more than one fits.
    """
    if os.sep in name and (Path(name) / "config.json").is_file():
        return Run(name)
    runs = list_runs(root)
    fitting = runs[:1] if name == "last" else [run for run in runs if name and name in run.id]
    if len(fitting) == 1:
        return fitting[0]
    where = Path(root) if root is not None else runs_root()
    if fitting:
        raise LabError(
            f"{name!r} fits {len(fitting)} runs: {', '.join(run.id for run in fitting[:4])}",
            hint="write more of the id",
            kind="run",
        )
    raise LabError(f"no run {name!r} in {where}", hint="`bidora list` shows the runs there are", kind="run")


# -- files and processes ----------------------------------------------------------------------------------------


def finite(value: Any) -> Any:
    """JSON-ready copy of a value: NaN and infinities become None, and a mapping that held one gets `bad: true`."""
    if isinstance(value, Mapping):
        cleaned = {str(key): finite(each) for key, each in value.items()}
        if any(isinstance(each, float) and not math.isfinite(each) for each in value.values()):
            cleaned["bad"] = True
        return cleaned
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        return finite(value.item())
    return value


def write_text(path: Path, text: str) -> None:
    """Write a file whole: a reader sees the old text or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(2)}")
    try:
        with open(temporary, "w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file whole."""
    write_text(path, json.dumps(finite(value), indent=1, allow_nan=False) + "\n")


def read_json(path: Path, *, missing_ok: bool = False) -> dict[str, Any]:
    """Read a JSON object; with missing_ok, {} where the file is missing or corrupt.

    Raises:
        LabError: the file is missing or corrupt.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(value, dict):
            return value
        problem = "it is not a JSON object"
    except (OSError, ValueError) as error:
        problem = str(error)
    if missing_ok:
        return {}
    raise LabError(f"{path} cannot be read: {problem}", hint="restore the file, or delete the run", kind="run")


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
    fresh = time.time() - float(status.get("heartbeat") or 0) < HEARTBEAT_SECONDS
    if status.get("host") not in (None, socket.gethostname()):
        return fresh  # a process on another machine can only be judged by its heartbeat
    pid, began = status.get("pid"), status.get("process_start")
    if not isinstance(pid, int) or not isinstance(began, (int, float)):
        return False
    now = process_start(pid)
    return fresh and now is not None and abs(now - began) < 2.0


_THREADS = threading.RLock()
_LOCK_DEPTH: dict[Path, int] = {}


@contextlib.contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Hold an advisory lock on a file; the system frees it when the process ends, however it ends."""
    with open(path, "ab") as handle:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)
            else:
                import fcntl

                fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            pass  # a file system without locks; the renames still keep every file whole
        yield


def _new_folder(root: Path) -> Path:
    while True:
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        path = root / f"{stamp}-{secrets.token_hex(2)}"
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            continue


def _ends_with_newline(handle: Any) -> bool:
    handle.seek(-1, os.SEEK_END)
    return bool(handle.read(1) == b"\n")
