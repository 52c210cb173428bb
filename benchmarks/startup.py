"""How long the command line takes to answer."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.settings import Part, Settings

ROOT = Path(__file__).resolve().parents[1]

COMMANDS: dict[str, list[str]] = {
    "python alone": ["-c", "pass"],
    "bidora --help": ["-m", "bidora", "--help"],
    "bidora run --help": ["-m", "bidora", "run", "--help"],
    "bidora list": ["-m", "bidora", "list"],
    "bidora list tasks": ["-m", "bidora", "list", "tasks"],
    "bidora doctor": ["-m", "bidora", "doctor"],
    "import bidora": ["-c", "import bidora"],
}

COLUMNS = {"command": "command", "milliseconds": "ms", "spread_milliseconds": "quartiles", "exit_code": "exit code"}


def run(settings: Settings) -> Part:
    """Time every command in a process of its own, interleaved."""
    runs = settings.scratch / "runs"
    runs.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    codes: dict[str, int] = {}
    for turn in range(settings.rounds_or(7) + 1):
        for name, arguments in COMMANDS.items():
            began = time.perf_counter()
            finished = subprocess.run(
                [sys.executable, *arguments], cwd=settings.scratch, env=environment, capture_output=True
            )
            if turn:  # the first turn fills the disk cache
                seconds[name].append(time.perf_counter() - began)
            codes[name] = finished.returncode
    rows: list[dict[str, Any]] = []
    for name, values in seconds.items():
        median, low, high = (float(each) * 1e3 for each in np.percentile(values, [50, 25, 75]))
        rows.append({"command": name, "milliseconds": median, "low": low, "high": high, "exit_code": codes[name]})
    return Part("time until the command line has answered", COLUMNS, rows, notes=["target: help in under 500 ms"])
