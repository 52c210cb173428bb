"""Recordings: finished runs that come with the lab, so that there is something real to look at before anything is trained.

A recording is a run folder without checkpoints and without the inputs of its test set; its meta.json has an entry
`recording` with the command that made it and the machine on which it ran.
"""

from __future__ import annotations

import os
from pathlib import Path

from bidora.runs import Run, list_runs


def recordings_root() -> Path:
    """Where recordings are: $BIDORA_RECORDINGS, or data/recordings beside the package; it need not exist."""
    beside = Path(__file__).resolve().parents[1] / "data" / "recordings"
    return Path(os.environ.get("BIDORA_RECORDINGS", beside))


def recordings() -> list[Run]:
    """All recordings, oldest first; none where the folder is missing."""
    return [run for run in reversed(list_runs(recordings_root())) if "recording" in run.meta]
