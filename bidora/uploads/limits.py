"""What an upload may be at most, and the few things that all its checks share."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from bidora.errors import LabError

UNPACKED_LIMIT = 500_000_000
"""Most bytes that the files of one upload may have together, unpacked."""

MEMBER_LIMIT = 500
"""Most files in one archive."""

RATIO_LIMIT = 200
"""An archive may unpack to so many times its own size; weights hardly shrink at all."""

SETTINGS_LIMIT = 1_000_000
"""Longest adapter_config.json in bytes; PEFT writes about a thousand."""

UPLOAD_HEADER_LIMIT = 5_000_000
"""Longest header of an uploaded .safetensors file; 20,000 tensors have about two million bytes."""

ACCEPTED = ("zip", "safetensors", "json")
"""Endings that the file chooser offers."""

_CHUNK = 1 << 20


class Upload(NamedTuple):
    """One file as the browser sent it: a name that is only ever shown, and its bytes."""

    name: str
    content: BinaryIO


def shown(text: str, *, longest: int = 80) -> str:
    """Text from outside made fit for one line: printable, in one piece, not too long."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def refused(message: str, hint: str) -> LabError:
    """What is wrong with an upload, and what to do."""
    return LabError(message, hint=hint, kind="data")


def ending(name: str) -> str:
    """The ending of a name in small letters: .zip."""
    return PurePosixPath(name.lower()).suffix


def write_counted(source: BinaryIO, target: Path, limit: int, *, called: str = "") -> int:
    """Copy in pieces, and stop as soon as it is too much; returns the number of bytes.

    Args:
        source: what to copy.
        target: a new file.
        limit: most bytes.
        called: what messages call the file; by default the target's name.
    """
    written = 0
    with open(target, "xb") as handle:
        while piece := source.read(_CHUNK):
            written += len(piece)
            if written > limit:
                raise refused(
                    f"{called or target.name} has more than {limit:,} bytes",
                    "give the path instead, where the lab runs on your own machine, or use `bidora analyse`",
                )
            handle.write(piece)
    return written


def plain_name(name: str) -> str:
    """A plain file name from outside, or an error: letters, digits, dot, line and dash only."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise refused(
            f"{shown(name)!r} is no plain file name", "rename it: letters, digits, dot, underscore and dash only"
        )
    return name
