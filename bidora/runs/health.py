"""What is damaged in a run folder, in plain sentences. A damaged run does no harm; this names what cannot be shown."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path

from bidora.errors import LabError
from bidora.parquet_size import unpacked_size
from bidora.runs.files import read_json
from bidora.runs.folder import RunFolder
from bidora.runs.ids import RUN_ID, runs_root
from bidora.runs.tables import MOST_BYTES
from bidora.runs.workers import ACTIVE


def unreadable_runs(root: str | Path | None = None, *, readable: Collection[str] = ()) -> list[tuple[str, str]]:
    """Run folders that `list_runs` passes over: id, and what is wrong with them.

    Args:
        root: where runs are kept; by default `runs_root()`.
        readable: ids that are known to be readable, so that they need not be read again.
    """
    root = Path(root) if root is not None else runs_root()
    found = []
    for path in sorted(root.iterdir(), reverse=True) if root.is_dir() else ():
        if path.name not in readable and RUN_ID.match(path.name) and (why := why_unreadable(path)):
            found.append((path.name, why))
    return found


def why_unreadable(path: Path) -> str:
    """What is wrong with the folder of a run that cannot be opened; empty where it can."""
    if not path.is_dir():
        return "it is a file, not a folder"
    try:
        RunFolder(path).config  # noqa: B018 - reading it shows whether it is readable
    except LabError as error:
        return error.message.replace(f"{path}/", "").replace(str(path), "the folder")
    except OSError as error:
        return f"config.json cannot be read: {error.strerror or error}"
    return ""


def damage(run: RunFolder) -> list[str]:
    """What of a readable run is missing or corrupt, one sentence each; empty where everything is in order."""
    return [*_damaged_json(run), *_damaged_lines(run), *_damaged_tables(run)]


def _damaged_json(run: RunFolder) -> Iterator[str]:
    needed = {"meta.json": True, "status.json": True, "result.json": run.state == "finished"}
    for name, must in needed.items():
        path = run.path / name
        if not path.exists():
            if must:
                yield f"{name} is missing."
            continue
        try:
            read_json(path)
        except LabError as error:
            yield f"{error.message.replace(str(path), name)}."


def _damaged_lines(run: RunFolder) -> Iterator[str]:
    if not (run.path / "metrics.jsonl").is_file():
        if run.state == "finished":
            yield "metrics.jsonl is missing, so there are no curves."
        return
    written = run.state in ACTIVE
    wrong, count = [], 0
    for count, line in enumerate(run.record_lines(), start=1):
        if line.strip() and not (written and not line.endswith("\n")) and not _is_record(line):
            wrong.append(count)
    if wrong:
        which = f"line {wrong[0]} of" if len(wrong) == 1 else f"{len(wrong)} of {count} lines in"
        yield f"{which} metrics.jsonl cannot be read and {'is' if len(wrong) == 1 else 'are'} left out.".capitalize()


def _damaged_tables(run: RunFolder) -> Iterator[str]:
    """Tables are opened and measured, not loaded."""
    from pyarrow import ArrowException

    parts = sorted((run.path / "dynamics.parquet").glob("*.parquet"))
    for path in [*(run.path / f"{name}.parquet" for name in ("predictions", "units", "spectrum")), *parts]:
        if not path.exists():
            continue
        try:
            large = unpacked_size(path, limit=MOST_BYTES) > MOST_BYTES
        except (ArrowException, OSError, ValueError):
            yield f"{path.relative_to(run.path).as_posix()} cannot be read and is left out."
        else:
            if large:
                yield f"{path.relative_to(run.path).as_posix()} would fill the memory and is left out."


def _is_record(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
