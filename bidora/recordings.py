"""Recordings: finished runs that come with the lab, so that there is something real to look at before anything is trained.

A recording is a run folder without checkpoints and, where the data may not be passed on, without the inputs of its test
set; its meta.json has an entry `recording` with the command that made it and the machine on which it ran.
"""

from __future__ import annotations

import os
import shlex
import shutil
from functools import lru_cache
from pathlib import Path

from bidora.errors import LabError
from bidora.runs import Run, list_runs, read_json, write_json
from bidora.runs.tables import INPUTS

KEPT_FILES = ("config.json", "meta.json", "result.json", "metrics.jsonl")
"""What is copied as it is; status, tables and the adapter are thinned out on the way."""

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "head.safetensors", "lab.json")
"""Of the adapter's folder; the tokenizer is the base model's own, and PEFT's model card says nothing new."""

STATUS = ("state", "phase", "step", "total", "exit_code")
"""Entries of status.json that mean something on another machine."""


def recordings_root() -> Path:
    """Where recordings are: $BIDORA_RECORDINGS, or data/recordings beside the package; it need not exist."""
    beside = Path(__file__).resolve().parents[1] / "data" / "recordings"
    return Path(os.environ.get("BIDORA_RECORDINGS", beside))


def recordings() -> list[Run]:
    """All recordings, oldest first; none where the folder is missing."""
    root = recordings_root()
    try:
        return list(_recordings(root, root.stat().st_mtime_ns))
    except OSError:
        return []


@lru_cache(maxsize=8)
def _recordings(root: Path, changed: int) -> tuple[Run, ...]:
    """Read once: the app asks several times for every page."""
    return tuple(run for run in reversed(list_runs(root)) if "recording" in run.meta)


def record(run: Run, root: str | Path, *, inputs: bool, adapter: bool = True) -> Run:
    """Copy what is worth showing of a finished run into a folder of recordings.

    Args:
        run: finished.
        root: the folder of recordings; made if it is not there.
        inputs: whether the inputs of the test set may be passed on (their licence says so).
        adapter: whether to keep the adapter, the largest part; without it a recording can be looked at, not loaded.

    Raises:
        LabError: the run is not finished, or is there already.
    """
    if run.state != "finished":
        raise LabError(f"run {run.id} is {run.state} (allowed: finished)", hint="wait until it is finished", kind="run")
    place = Path(root) / run.id
    try:
        place.mkdir(parents=True)
    except FileExistsError:
        raise LabError(f"{place} is there already", hint="delete it first, or choose another folder") from None
    for name in KEPT_FILES:
        if (run.path / name).is_file():
            shutil.copyfile(run.path / name, place / name)
    _copy_tables(run, place, inputs=inputs)
    for name in ADAPTER_FILES if adapter else ():
        if (run.adapter_dir / "adapter_model.safetensors").is_file() and (run.adapter_dir / name).is_file():
            (place / "adapter").mkdir(exist_ok=True)
            shutil.copyfile(run.adapter_dir / name, place / "adapter" / name)
    status = read_json(run.path / "status.json")
    write_json(place / "status.json", {name: status[name] for name in STATUS if name in status})
    recording = Run(place)
    device = run.meta.get("device") or {}
    machine = f"{device.get('name', 'unknown processor')}, {device.get('threads', '?')} threads"
    entry = {"command": shlex.join(["bidora", "run", *run.config.flags()]), "machine": machine}
    write_json(place / "meta.json", {**recording.meta, "recording": entry})
    return recording


def _copy_tables(run: Run, place: Path, *, inputs: bool) -> None:
    """All tables in float32, compressed; predictions without their inputs where these may not be passed on."""
    predictions = run.predictions()
    if not inputs:
        predictions = predictions.drop(columns=list(INPUTS), errors="ignore")
    (place / "dynamics.parquet").mkdir()
    tables = {
        "predictions.parquet": predictions,
        "dynamics.parquet/all.parquet": run.dynamics(),
        "units.parquet": run.units(),
        "spectrum.parquet": run.spectrum(),
    }
    for name, table in tables.items():
        if len(table):
            small = table.astype(dict.fromkeys(table.select_dtypes("float64").columns, "float32"))
            small.to_parquet(place / name, index=False, compression="zstd", compression_level=19)
