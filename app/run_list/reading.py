"""Rows of the list, kept until a file of the run changes; 200 runs are read once, then only looked at."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.page import root
from bidora.analysis.overview import Row, row_of
from bidora.errors import LabError
from bidora.recordings import recordings_root
from bidora.runs import Run
from bidora.runs.health import why_unreadable
from bidora.runs.ids import RUN_ID
from bidora.runs.listing import run_folders

_FILES = ("config.json", "meta.json", "status.json", "result.json")


def all_rows() -> tuple[list[Row], list[tuple[str, str]]]:
    """Rows of one's own runs and of recordings; and id and reason of own folders that cannot be read."""
    rows, broken = [], []
    for path in run_folders(root()):
        row = _row(str(path), _stamp(path))
        if isinstance(row, Row):
            rows.append(row.now)
        else:
            broken.append((path.name, row))
    broken += [(path.name, why_unreadable(path)) for path in _without_settings(root(), {row.id for row in rows})]
    recorded = [_row(str(path), _stamp(path)) for path in run_folders(recordings_root())]
    rows += [row for row in recorded if isinstance(row, Row) and row.origin == "recording"]
    return list({row.id: row for row in reversed(rows)}.values())[::-1], sorted(set(broken), reverse=True)


def _without_settings(folder: Path, known: set[str]) -> list[Path]:
    """Folders that are named like runs and have no config.json; one that is just being made has none, either."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if RUN_ID.match(path.name) and path.name not in known]
    return [path for path in found if not (path / "config.json").is_file()]


@st.cache_data(max_entries=4000, show_spinner=False)
def _row(path: str, stamp: tuple[int, ...]) -> Row | str:
    """The row of a run, or why it cannot be read."""
    try:
        return row_of(Run(path))
    except (LabError, OSError):
        return why_unreadable(Path(path)) or "it cannot be read"


def _stamp(path: Path) -> tuple[int, ...]:
    return tuple(_time(path / name) for name in _FILES)


def _time(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
