"""Files of a folder, zip or tar, read into memory within limits: nothing is ever unpacked to a path."""

from __future__ import annotations

import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from bidora.errors import LabError

MEMBER_LIMIT = 32_000_000
"""Bytes of one file."""

TOTAL_LIMIT = 400_000_000
"""Bytes of all files together."""

COUNT_LIMIT = 200_000
"""Entries that are looked at."""

DEPTH_LIMIT = 4
"""Folders below the one that was named."""


def read_files(path: Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The content of the wanted regular files in a folder, zip or tar (plain, gz, bz2, xz), by relative name.

    Raises:
        LabError: the path is none of these, is damaged, or holds more than the limits allow.
    """
    if path.is_dir():
        members = _folder(path, wanted)
    elif zipfile.is_zipfile(path):
        members = _zip(path, wanted)
    elif path.is_file() and _is_tar(path):
        members = _tar(path, wanted)
    else:
        raise LabError(f"{path} is neither a folder nor a readable zip or tar file", hint="check the path", kind="data")
    found: dict[str, bytes] = {}
    total = 0
    try:
        for name, content in members:
            total += len(content)
            if len(content) > MEMBER_LIMIT or total > TOTAL_LIMIT:
                raise LabError(
                    f"{path} holds more than expected: {name} brings it to over {min(total, TOTAL_LIMIT):,} bytes "
                    f"(allowed: {MEMBER_LIMIT:,} in a file, {TOTAL_LIMIT:,} in all)",
                    hint="check that this is the collection itself",
                    kind="data",
                )
            found[name] = content
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise LabError(f"{path} is damaged: {error}", hint="copy or download it again", kind="data") from error
    except OSError as error:
        problem = error.strerror or error
        raise LabError(
            f"{path} cannot be read: {problem}", hint="check the file and its rights", kind="data"
        ) from error
    return found


def _folder(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    seen = 0
    for folder, folders, files in os.walk(path):
        relative = Path(folder).relative_to(path)
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        if len(relative.parts) >= DEPTH_LIMIT:
            folders.clear()
        seen += len(files)
        _check_count(path, seen)
        for file in sorted(files):
            name = (relative / file).as_posix()
            if wanted(name):
                with open(Path(folder) / file, "rb") as handle:
                    yield name, handle.read(MEMBER_LIMIT + 1)


def _zip(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        _check_count(path, len(entries))
        for entry in entries:
            if not entry.is_dir() and wanted(entry.filename):
                with archive.open(entry) as handle:
                    yield entry.filename, handle.read(MEMBER_LIMIT + 1)


def _tar(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path, "r:*") as archive:
        for seen, entry in enumerate(archive):
            _check_count(path, seen)
            if entry.isreg() and wanted(entry.name) and (handle := archive.extractfile(entry)) is not None:
                yield entry.name, handle.read(MEMBER_LIMIT + 1)


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except OSError:
        return False


def _check_count(path: Path, seen: int) -> None:
    if seen > COUNT_LIMIT:
        raise LabError(
            f"{path} holds more than {COUNT_LIMIT:,} files", hint="name the collection's folder", kind="data"
        )
