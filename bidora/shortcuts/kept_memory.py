"""Memory that a training step frees is kept for the next step (Linux, glibc).

glibc gives large free blocks back to the system, and the next step gets them anew, page by page, each filled with
zeros first: on two cores that takes a tenth of a MiniLM step, and two thirds of the time of its GELUs.
"""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of <malloc.h>
_LARGEST = 2**31 - 1
_USUAL = 2**25
"""32 MiB: the highest that glibc raises its own threshold to, and the highest that versions before 2.35 accept."""


@contextmanager
def kept_memory() -> Iterator[bool]:
    """Keep what is freed until the block ends, and give it back then; yields whether this system can.

    Thresholds that the user set in the environment (MALLOC_TRIM_THRESHOLD_ and so on, GLIBC_TUNABLES) hold. The same
    bytes are computed either way.
    """
    library = None if _user_has_chosen() else _glibc()
    if library is None:
        yield False
        return
    library.mallopt(_MMAP_THRESHOLD, _LARGEST) or library.mallopt(_MMAP_THRESHOLD, _USUAL)
    library.mallopt(_TRIM_THRESHOLD, _LARGEST)
    try:
        yield True
    finally:
        library.mallopt(_MMAP_THRESHOLD, _USUAL)
        library.mallopt(_TRIM_THRESHOLD, 2 * _USUAL)
        library.malloc_trim(0)


def _user_has_chosen() -> bool:
    """Whether the environment sets one of the two thresholds, or forbids mmap."""
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    return any(
        f"MALLOC_{name.upper()}_" in os.environ or f"glibc.malloc.{name}=" in tunables
        for name in ("trim_threshold", "mmap_threshold", "mmap_max")
    )


def _glibc() -> ctypes.CDLL | None:
    """The C library of this process, where it is glibc."""
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
