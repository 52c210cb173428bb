"""A .zip from outside: looked at before a byte of it is unpacked, and counted while it is."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from bidora.errors import LabError
from bidora.uploads.limits import (
    MEMBER_LIMIT,
    RATIO_LIMIT,
    SETTINGS_LIMIT,
    UNPACKED_LIMIT,
    Upload,
    ending,
    plain_name,
    refused,
    shown,
    write_counted,
)
from bidora.weight_files import PICKLED, pickle_refused

_SMALL_FOR_A_RATIO = 1_000_000  # below this a high ratio is nobody's harm
_DIRECTORY_LIMIT = 200_000  # bytes of an archive's table of contents: 500 names of 350 characters


def unpack(upload: Upload, place: Path) -> None:
    """The one adapter or model folder in an archive; what else is in it is not unpacked."""
    with _opened(upload) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        _check_members(members)
        chosen = _one_folder(members)
        left = UNPACKED_LIMIT
        for member in chosen:
            name = plain_name(PurePosixPath(member.filename).name)
            limit = min(left, SETTINGS_LIMIT if name == "adapter_config.json" else left)
            with archive.open(member) as source:
                left -= write_counted(cast(BinaryIO, source), place / name, limit)


@contextlib.contextmanager
def _opened(upload: Upload) -> Iterator[zipfile.ZipFile]:
    _check_directory(upload.content)
    try:
        with zipfile.ZipFile(upload.content) as archive:
            yield archive
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error) as error:
        if isinstance(error, LabError):
            raise
        raise refused(f"{shown(upload.name)!r} is damaged or no .zip archive", "pack the folder again") from error


def _check_directory(content: BinaryIO) -> None:
    """Look at the size of the table of contents before anything reads it: zipfile builds an object for each entry."""
    size = content.seek(0, os.SEEK_END)
    content.seek(max(0, size - 65_600))
    tail = content.read()
    content.seek(0)
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise refused("the upload is no .zip archive", "pack the adapter's folder as .zip")
    length = int.from_bytes(tail[end + 12 : end + 16], "little")
    if b"PK\x06\x07" in tail or length > _DIRECTORY_LIMIT:
        raise refused(f"the archive holds too many files; allowed: {MEMBER_LIMIT}", "pack only the adapter's folder")


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    if not members:
        raise refused("the archive is empty", "pack the adapter's folder")
    if len(members) > MEMBER_LIMIT:
        raise refused(
            f"the archive holds {len(members):,} files; allowed: {MEMBER_LIMIT}", "pack only the adapter's folder"
        )
    packed, unpacked = sum(each.compress_size for each in members), sum(each.file_size for each in members)
    if unpacked > UNPACKED_LIMIT:
        raise refused(
            f"the archive would unpack to {unpacked:,} bytes; allowed: {UNPACKED_LIMIT:,}",
            "pack only the adapter's folder, or use `bidora analyse` on your own machine",
        )
    if unpacked > _SMALL_FOR_A_RATIO and unpacked > RATIO_LIMIT * max(packed, 1):
        raise refused(
            f"the archive would unpack to {unpacked // max(packed, 1):,} times its size; allowed: {RATIO_LIMIT}",
            "pack the folder with an ordinary program, or upload the files themselves",
        )
    seen: set[str] = set()
    for member in members:
        name = member.filename
        parts = re.split(r"[/\\]", name)
        if (
            name.startswith(("/", "\\"))
            or ".." in parts
            or re.match(r"[A-Za-z]:", name)
            or "\\" in member.orig_filename
        ):
            raise refused(f"the archive names {shown(name)!r}, which leads out of its folder", "pack the folder again")
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            raise refused(f"{shown(name)!r} in the archive is a link or a device", "pack the files themselves")
        if member.flag_bits & 1:
            raise refused("the archive has a password", "pack it without one")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise refused("the archive is packed in an uncommon way", "pack it with an ordinary .zip program")
        if name.casefold() in seen:
            raise refused(f"the archive holds {shown(name)!r} twice", "pack the folder again")
        seen.add(name.casefold())


def _one_folder(members: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """The files to unpack: of the only folder with adapter settings, else of the only one with weights."""
    usable = [each for each in members if not each.filename.startswith("__MACOSX/")]

    def folders(fits: str) -> list[str]:
        return sorted({_parent(each) for each in usable if re.fullmatch(fits, PurePosixPath(each.filename).name)})

    adapters, models = folders(r"adapter_config\.json"), folders(r".*\.safetensors")
    found = adapters or models
    if not found:
        pickled = [each for each in usable if ending(each.filename) in PICKLED]
        if pickled:
            raise pickle_refused(Path(shown(pickled[0].filename)))
        inner = any(ending(each.filename) == ".zip" for each in usable)
        raise refused(
            "the archive holds no adapter_config.json and no .safetensors file"
            + ("; archives inside it are not opened" if inner else ""),
            "pack the folder that PEFT's save_pretrained(folder) wrote",
        )
    if len(found) > 1:
        raise refused(
            f"the archive holds {len(found)} folders with weights: {', '.join(shown(each or '.') for each in found[:3])}",
            "pack one of them",
        )
    inside = [each for each in usable if _parent(each) == found[0]]
    wanted = (
        r"adapter_config\.json|adapter_model\.(safetensors|bin)" if adapters else r".*\.safetensors|.*\.index\.json"
    )
    chosen = [each for each in inside if re.fullmatch(wanted, PurePosixPath(each.filename).name)]
    pickled = [each for each in chosen if ending(each.filename) in PICKLED]
    if pickled and len(chosen) - len(pickled) < 2:
        raise pickle_refused(Path(shown(pickled[0].filename)))
    return [each for each in chosen if each not in pickled]


def _parent(member: zipfile.ZipInfo) -> str:
    parent = str(PurePosixPath(member.filename).parent)
    return "" if parent == "." else parent
