"""The trash: deleted runs lie in `.trash` beside the others, from where they come back until they are purged."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from pathlib import Path
from typing import NamedTuple

from bidora.errors import LabError
from bidora.runs.contents import size_of
from bidora.runs.files import read_json
from bidora.runs.ids import RUN_ID, new_folder, runs_root

FOLDER = ".trash"
DAYS = 30
"""How long the app offers to keep deleted runs."""

_DELETED_ID = re.compile(RUN_ID.pattern.removesuffix(r"\Z") + r"(-[0-9a-f]{4})?\Z")


class Deleted(NamedTuple):
    """A run in the trash.

    Attributes:
        id: its folder's name there; that of the run, with four more digits where several of one name were deleted.
        name: what it was called.
        when: time of deletion in seconds since the epoch.
        size: bytes on disk.
        path: its folder.
    """

    id: str
    name: str
    when: float
    size: int
    path: Path


def move_to_trash(path: Path) -> Path:
    """Move a run folder, readable or not, to the trash beside it; returns its new place.

    Raises:
        LabError: it is not the folder of a run, or cannot be moved.
    """
    if not RUN_ID.match(path.name) or not path.is_dir():
        raise LabError(f"{path} is not the folder of a run", hint="`bidora list` shows the runs there are", kind="run")
    if path.is_symlink():
        raise LabError(
            f"run {path.name} is a link to a folder elsewhere",
            hint="remove the link by hand; the folder stays",
            kind="run",
        )
    trash = path.parent / FOLDER
    place = trash / path.name
    try:
        trash.mkdir(exist_ok=True)
        while place.exists():  # a copy of this run was deleted before
            place = trash / f"{path.name}-{secrets.token_hex(2)}"
        shutil.move(str(path), str(place))
        os.utime(place)  # the folder's own time tells since when it lies here
    except OSError as error:
        raise LabError(
            f"run {path.name} cannot be moved to the trash: {error.strerror or error}",
            hint="close programs that have its files open, or free some space",
            kind="disk",
        ) from error
    return place


def deleted_runs(root: str | Path | None = None) -> list[Deleted]:
    """What lies in the trash, the last deleted first."""
    trash = _trash(root)
    found = []
    for path in trash.iterdir() if trash.is_dir() else ():
        if not _DELETED_ID.match(path.name) or path.is_symlink() or not path.is_dir():
            continue
        try:
            name = str(read_json(path / "meta.json", missing_ok=True).get("name") or path.name)
            found.append(Deleted(path.name, name, path.stat().st_mtime, size_of(path), path))
        except OSError:
            continue  # purged by somebody else in this moment
    return sorted(found, key=lambda each: (-each.when, each.id))


def restore(deleted_id: str, root: str | Path | None = None) -> Path:
    """Move a deleted run back among the others, under a new id where its own is taken by now; returns its place.

    Raises:
        LabError: it is not in the trash, or cannot be moved.
    """
    source = _deleted(deleted_id, root)
    runs = source.parent.parent
    place = runs / "-".join(deleted_id.split("-")[:3])
    try:
        if place.exists():
            place = new_folder(runs)
            place.rmdir()
        source.rename(place)
    except OSError as error:
        raise LabError(
            f"run {deleted_id} cannot be moved back: {error.strerror or error}",
            hint="free some space, or move the folder by hand",
            kind="disk",
        ) from error
    return place


def purge(root: str | Path | None = None, *, older_than_days: float = DAYS) -> list[str]:
    """Remove for good what was deleted longer ago than that; 0 empties the trash. Returns the ids.

    Raises:
        LabError: the number of days is negative.
    """
    if not older_than_days >= 0:
        raise LabError(f"older_than_days={older_than_days} is negative", hint="use 0 to empty the trash", kind="run")
    before = time.time() - older_than_days * 86400
    gone = []
    for deleted in deleted_runs(root):
        if deleted.when <= before and _remove(deleted.path):
            gone.append(deleted.id)
    return gone


def _remove(path: Path) -> bool:
    """Take a folder out of everybody's reach, then remove it: one that somebody brings back meanwhile stays whole."""
    doomed = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        path.rename(doomed)
    except OSError:
        return False
    shutil.rmtree(doomed, ignore_errors=True)
    return True


def _trash(root: str | Path | None) -> Path:
    return (Path(root) if root is not None else runs_root()) / FOLDER


def _deleted(deleted_id: str, root: str | Path | None) -> Path:
    path = _trash(root) / deleted_id
    if not _DELETED_ID.match(deleted_id) or path.is_symlink() or not path.is_dir():
        raise LabError(
            f"no run {deleted_id!r} in the trash", hint="choose one from the list of deleted runs", kind="run"
        )
    return path
