"""Whole files: a reader sees the old text or the new one; JSON without NaN; tolerant reading."""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bidora.errors import LabError


def finite(value: Any) -> Any:
    """JSON-ready copy of a value: NaN and infinities become None, and a mapping that held one gets `bad: true`."""
    if isinstance(value, Mapping):
        cleaned = {str(key): finite(each) for key, each in value.items()}
        if any(isinstance(each, float) and not math.isfinite(each) for each in value.values()):
            cleaned["bad"] = True
        return cleaned
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        return finite(value.item())
    return value


def write_text(path: Path, text: str) -> None:
    """Write a file whole: a reader sees the old text or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(2)}")
    try:
        with open(temporary, "w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        replace_file(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replace_file(temporary: Path, path: Path) -> None:
    """Put a whole file in another's place. Windows refuses while somebody reads the other, which takes a moment."""
    for _ in range(50 if sys.platform == "win32" else 0):
        with contextlib.suppress(PermissionError):
            os.replace(temporary, path)
            return
        time.sleep(0.02)
    os.replace(temporary, path)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file whole."""
    write_text(path, json.dumps(finite(value), indent=1, allow_nan=False) + "\n")


MOST_BYTES_OF_JSON = 20_000_000
"""Longest JSON file that is read; those of a run have some thousand bytes."""

_DEEPEST = 40


def tamed(value: Any, *, depth: int = 0) -> Any:
    """What JSON from elsewhere may stand for: finite numbers of usual size, text that can be encoded, no endless nesting.

    NaN, infinities and what is nested too deeply become None, integers beyond 64 bits become floats.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else float(value) if abs(value) < 1e300 else None
    if isinstance(value, (dict, list)) and depth >= _DEEPEST:
        return None
    if isinstance(value, dict):
        return {tamed(key): tamed(each, depth=depth + 1) for key, each in value.items()}
    return [tamed(each, depth=depth + 1) for each in value] if isinstance(value, list) else value


def read_json(path: Path, *, missing_ok: bool = False) -> dict[str, Any]:
    """Read a JSON object, `tamed`; with missing_ok, {} where the file is missing or corrupt.

    Raises:
        LabError: the file is missing, corrupt, too large, or no ordinary file (reading a pipe would never end).
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES_OF_JSON:
            problem = f"it has {size:,} bytes (allowed: up to {MOST_BYTES_OF_JSON:,})"
        elif not path.is_file():
            problem = "it is not a file"
        else:
            value = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(value, dict):
                return dict(tamed(value))
            problem = "it is not a JSON object"
    except (OSError, ValueError, RecursionError) as error:
        problem = str(error)
    if missing_ok:
        return {}
    raise LabError(f"{path} cannot be read: {problem}", hint="restore the file, or delete the run", kind="run")


def ends_with_newline(handle: Any) -> bool:
    """Whether a file, opened for reading bytes, ends with a line feed; it must not be empty."""
    handle.seek(-1, os.SEEK_END)
    return bool(handle.read(1) == b"\n")
