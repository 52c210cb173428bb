"""With what a run was made: versions, machine, device, model files."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from bidora.errors import LabError

PACKAGES = ("bidora-lab", "torch", "transformers", "peft", "accelerate", "numpy")


def provenance(folder: str, device: torch.device) -> dict[str, Any]:
    """Versions of the packages, Python, processor, device, threads, and the hash of the model's weights."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "versions": {package: _version(package) for package in PACKAGES} | {"python": platform.python_version()},
        "device": {"type": device.type, "name": name, "threads": torch.get_num_threads(), "cores": os.cpu_count()},
        "model": {"source": Path(folder).name if Path(folder).is_dir() else folder, "sha256": weights_hash(folder)},
    }


def refuse_changes(begun: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Make sure that a run goes on with the data and the weights that it began with.

    Args:
        begun: meta.json as the run's beginning left it.
        now: the same entries (data, model), read again.

    Raises:
        LabError: a hash differs; names what changed.
    """
    before, after = begun.get("data", {}), now["data"]
    changed = [name for name in after if name in before and _hash(before[name]) != _hash(after[name])]
    if changed:
        raise LabError(
            f"the data changed since this run began ({', '.join(changed)}); its checkpoint belongs to the old ones",
            hint="resume it with the data as they were, from the folder where it was started; or start a new run",
            kind="data",
        )
    if _hash(begun.get("model", {})) not in (None, _hash(now["model"])):
        raise LabError(
            f"the weights of the model {now['model']['source']} changed since this run began",
            hint="bring back the weights as they were, or start a new run",
            kind="model",
        )


def _hash(entry: Any) -> str | None:
    return entry.get("sha256") if isinstance(entry, Mapping) else None


def processor() -> str:
    """The processor's name; Linux tells it in /proc, others through platform."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


@lru_cache(maxsize=8)
def weights_hash(folder: str) -> str | None:
    """sha256 over the safetensors files of a local model folder; None for a hub id."""
    files = sorted(Path(folder).glob("*.safetensors"))
    if not files:
        return None
    digest = hashlib.sha256()
    for path in files:
        with open(path, "rb") as handle:
            while block := handle.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
