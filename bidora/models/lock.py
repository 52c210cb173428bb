"""A lock between processes that the system itself releases when its holder dies."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

POLL_SECONDS = 0.2


class FileLock:
    """Hold a file for this process alone, waiting while another process holds it.

    On a file system without locks (some network drives) nothing is locked; files are still written whole by renaming.

    Args:
        path: the lock file; it is made and stays.
        waiting: called about once a second while another process holds it.
    """

    def __init__(self, path: Path, *, waiting: Callable[[], None] | None = None) -> None:
        self.path = path
        self.waiting = waiting
        self._descriptor = -1

    def __enter__(self) -> FileLock:
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        tries = 0
        try:
            while not _try_lock(self._descriptor):
                if self.waiting is not None and tries % 5 == 0:
                    self.waiting()
                tries += 1
                time.sleep(POLL_SECONDS)
        except BaseException:
            os.close(self._descriptor)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)  # which releases the lock


def _try_lock(descriptor: int) -> bool:
    """Take the lock if it is free; True where it was, or where the file system knows no locks."""
    if os.name == "nt":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            return True
        except PermissionError:
            return False
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True
