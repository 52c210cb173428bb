"""One lock per run folder, for threads and for processes; the system frees it when a process ends, however it ends."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

_THREADS = threading.RLock()
_LOCK_DEPTH: dict[Path, int] = {}


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other threads and processes that ask for the same folder out until the block ends; may be nested."""
    with _THREADS:
        depth = _LOCK_DEPTH.get(folder, 0)
        _LOCK_DEPTH[folder] = depth + 1
        try:
            with contextlib.nullcontext() if depth else _file_lock(folder / ".lock"):
                yield
        finally:
            _LOCK_DEPTH[folder] = depth
            if not depth:
                del _LOCK_DEPTH[folder]


@contextlib.contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Hold an advisory lock on a file; the system frees it when the process ends, however it ends."""
    with open(path, "ab") as handle:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)
            else:
                import fcntl

                fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            pass  # a file system without locks; the renames still keep every file whole
        yield
