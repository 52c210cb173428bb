"""Where runs are kept and what their folders are called: UTC time and four hex digits."""

from __future__ import annotations

import os
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

RUN_ID = re.compile(r"^\d{8}-\d{6}-[0-9a-f]{4}\Z")
"""The name of a run folder."""


def runs_root() -> Path:
    """Where runs are kept: $BIDORA_RUNS, or `runs` in the current folder."""
    return Path(os.environ.get("BIDORA_RUNS") or "runs")


def new_folder(root: Path) -> Path:
    """Make the empty folder of a new run, with a name that no other has."""
    while True:
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        path = root / f"{stamp}-{secrets.token_hex(2)}"
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            continue
