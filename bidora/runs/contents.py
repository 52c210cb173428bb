"""What lies in a run folder: files, sizes, and parts of it as .zip."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from bidora.errors import LabError

EXPLAINED = {
    "config.json": "every setting, with the version of the format",
    "meta.json": "name, tags, versions, device, hashes of data and weights",
    "status.json": "how the run stands",
    "metrics.jsonl": "losses and scores on the way, one line per record",
    "result.json": "final scores with intervals, cost, weight dynamics",
    "predictions.parquet": "test set: target, prediction, probability, beginning of the input",
    "units.parquet": "per output unit: magnitude before and after, change of direction",
    "spectrum.parquet": "singular values of the change of each layer",
    "log.txt": "what the worker wrote",
    "dynamics.parquet": "ΔM, ΔD, angle and gradient norms by step and layer",
    "adapter": "the trained adapter in PEFT's layout",
    "checkpoints": "what a stopped run goes on from",
}
"""The first part of a path in a run folder → what it is."""


class File(NamedTuple):
    """A file of a run folder: path within it (with forward slashes), bytes, and what it is."""

    path: str
    size: int
    what: str


def files_of(folder: Path) -> list[File]:
    """Every file of a run folder but locks and half-written ones, in the order of their names; links are left out."""
    found = []
    for path in _walk(folder):
        relative = path.relative_to(folder)
        try:
            size = path.stat().st_size
        except OSError:
            continue  # a worker has just replaced it
        found.append(File(relative.as_posix(), size, EXPLAINED.get(relative.parts[0], "")))
    return sorted(found)


def size_of(folder: Path) -> int:
    """Bytes of all files of a run folder."""
    return sum(each.size for each in files_of(folder))


def file_in(folder: Path, name: str) -> Path:
    """The file of that path in a run folder, and nothing outside it.

    Raises:
        LabError: there is none.
    """
    for path in _walk(folder):
        if path.relative_to(folder).as_posix() == name:
            return path
    raise LabError(f"there is no file {name!r} in run {folder.name}", hint="choose one from the list", kind="run")


def write_adapter(folder: Path, target: Path | BinaryIO) -> None:
    """Write a run's adapter as .zip: unpacked, the folder loads with `PeftModel.from_pretrained`.

    Raises:
        LabError: the run has none yet.
    """
    adapter = folder / "adapter"
    paths = list(_walk(adapter)) if adapter.is_dir() and not adapter.is_symlink() else []
    if not paths:
        raise LabError(f"run {folder.name} has no adapter yet", hint="wait until it is finished", kind="run")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(paths):
            archive.write(path, f"{folder.name}-adapter/{path.relative_to(adapter).as_posix()}")


def _walk(folder: Path) -> Iterator[Path]:
    """Regular files below a folder; neither links nor hidden files are followed or given."""
    for place, folders, names in os.walk(folder, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(place, name)
            if not name.startswith(".") and not name.endswith(".tmp") and path.is_file() and not path.is_symlink():
                yield path
