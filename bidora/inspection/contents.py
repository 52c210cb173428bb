"""What two sides of an analysis hold, as one key: equal for equal files wherever they lie."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from bidora.sources import Source

_HASHED_WHOLE = 512_000_000  # larger files: their beginning with the header, size and time


def key_of(before: Source, after: Source) -> str:
    """SHA-256 over names and contents of both sides, in hexadecimal; equal for equal files wherever they lie."""
    total = hashlib.sha256(b"inspection 1\n")
    for side in (before, after):
        total.update(f"{side.kind}\n{'' if side.files else side.argument}\n".encode())
        for name, size in side.files.items():
            total.update(f"{name}\0{size}\0{_content(side, name)}\n".encode())
    return total.hexdigest()


def _content(side: Source, name: str) -> str:
    place = Path(side.folder)
    path = place if place.is_file() else place / name
    try:
        with open(path, "rb") as handle:
            if path.stat().st_size <= _HASHED_WHOLE:
                return hashlib.file_digest(handle, "sha256").hexdigest()
            return f"{hashlib.sha256(handle.read(1 << 24)).hexdigest()} {path.stat().st_mtime_ns}"
    except OSError:
        return f"gone {time.time_ns()}"
