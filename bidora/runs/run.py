"""Run: one folder per run, made, changed and moved to the trash."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidora.config import SCHEMA_VERSION, RunConfig
from bidora.errors import LabError
from bidora.runs.files import ends_with_newline, finite, read_json, replace_file, write_json, write_text
from bidora.runs.folder import RunFolder
from bidora.runs.ids import new_folder, runs_root
from bidora.runs.lock import locked
from bidora.runs.trash import move_to_trash
from bidora.runs.workers import ACTIVE, worker_identity

if TYPE_CHECKING:
    import pandas


class Run(RunFolder):
    """One run folder.

    Args:
        path: the folder; it must hold a config.json.

    Raises:
        LabError: the folder does not exist or is not a run.
    """

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
            path = new_folder(root)
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
        with locked(self.path):
            yield

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
            if handle.tell() and not ends_with_newline(handle):
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
        replace_file(temporary, part)

    def write_table(self, name: str, rows: pandas.DataFrame) -> None:
        """Write a table of the run (units, spectrum) as name.parquet, whole."""
        temporary = self.path / f"{name}.tmp"
        rows.to_parquet(temporary, index=False)
        replace_file(temporary, self.path / f"{name}.parquet")

    def truncate_dynamics(self, phase_index: int, step: int) -> None:
        """Drop the parts that were written after a checkpoint, and all parts joined: the checkpoint comes before its end."""
        (self.path / "dynamics.parquet" / "all.parquet").unlink(missing_ok=True)
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
            replace_file(temporary, temporary.with_suffix(".parquet"))  # from now on the parts are not read
            for part in parts:
                part.unlink()

    def request_stop(self) -> None:
        """Ask the worker to save and stop at its next step."""
        write_text(self.path / "stop", "")

    def clear_stop(self) -> None:
        """Forget an earlier wish to stop."""
        (self.path / "stop").unlink(missing_ok=True)

    def delete(self) -> Path:
        """Move the run to the trash beside it (`.trash`), from where it can be moved back; returns its new place.

        Raises:
            LabError: a worker is at work on it.
        """
        # Windows moves no folder in which a file, the lock, is open.
        with self.locked() if sys.platform != "win32" else contextlib.nullcontext():
            if self.state in ACTIVE:
                raise LabError(
                    f"run {self.id} is {self.state}", hint=f"stop it first: `bidora stop {self.id}`", kind="run"
                )
            return move_to_trash(self.path)
