"""Results as a table in the terminal and as JSON in a file."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from benchmarks.settings import Part
from bidora.cli.formatting import size, table
from bidora.provenance import processor
from bidora.runs import write_json

PACKAGES = ("torch", "transformers", "peft", "accelerate", "numpy", "betty-ml")

PERCENT = ("share", "padding")
BYTES = ("memory", "kept", "peak")
SMALL = ("error", "implicit_error", "implicit_share")
COSINES = ("cosine", "implicit_cosine")


def text_of(part: Part) -> str:
    """Title, one table for each group, notes."""
    columns = {key: head for key, head in part.columns.items() if key != part.group}
    pieces = [part.title]
    grouped = groupby(part.rows, key=lambda row: row[part.group]) if part.group else [("", part.rows)]
    for name, rows in grouped:
        if name:
            pieces.append(f"\n{name}")
        pieces.append(table(list(columns.values()), [[cell(key, row) for key in columns] for row in rows]))
    pieces += [f"· {note}" for note in part.notes]
    return "\n".join(pieces)


def cell(key: str, row: dict[str, Any]) -> str:
    """One number as it is printed; – where it was not measured."""
    if key == "spread":
        low, high = ("share_low", "share_high") if "share_low" in row else ("ratio_low", "ratio_high")
        digits = "{:.2%}" if "share_low" in row else "{:.2f}"
        return f"{digits.format(row[low])} – {digits.format(row[high])}"
    if key == "spread_milliseconds":
        return f"{row['low']:.0f} – {row['high']:.0f}"
    value = row.get(key)
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if key == "count":
        return str(value)
    if key in PERCENT:
        return f"{value:.2%}"
    if key in BYTES:
        return size(value)
    if key in SMALL:
        return f"{value:.1e}"
    if key in COSINES:
        return f"{value:.6f}"
    return f"{value:.0f}" if key == "exit_code" else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def machine(device: torch.device) -> dict[str, Any]:
    """Where the numbers come from: processor or GPU, threads, versions."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "device": device.type,
        "name": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "system": platform.system(),
        "versions": {package: _version(package) for package in PACKAGES},
    }


def saved(path: Path) -> dict[str, Any]:
    """Earlier results, {} where there are none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def save(path: Path, parts: dict[str, Any], device: torch.device, *, quick: bool) -> None:
    """Write results; parts measured earlier on the same machine are kept where they were not measured again."""
    here = machine(device)
    before = saved(path)
    kept = before.get("parts", {}) if before.get("machine") == here and before.get("quick") == quick else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"machine": here, "quick": quick, "parts": {**kept, **parts}})


def now() -> str:
    """UTC to the minute."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
