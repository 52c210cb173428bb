"""What this machine has to compute with: cores, memory, disk, and a GPU as far as that can be told without torch."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SMI_SECONDS = 4.0


@dataclass(frozen=True)
class Machine:
    """One machine.

    Attributes:
        device: what will compute, in words.
        sure: whether that is certain; only torch itself can say that a GPU can be used.
        remark: what to know about the device; empty where nothing.
        cores: that this process may use.
        memory: bytes in all; None where unknown.
        memory_free: bytes available now; None where unknown.
        disk_free: bytes free where runs are kept.
        torch: installed version; empty where it is not installed.
    """

    device: str
    sure: bool
    remark: str
    cores: int
    memory: int | None
    memory_free: int | None
    disk_free: int
    torch: str


def machine(runs: Path) -> Machine:
    """Look at this machine; takes milliseconds, with nvidia-smi up to seconds.

    Args:
        runs: where runs are kept; the disk is the one that holds it.
    """
    torch = _torch_version()
    device, sure, remark = _device(torch)
    memory, free = _memory()
    return Machine(device, sure, remark, _cores(), memory, free, _disk_free(runs), torch)


def _torch_version() -> str:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _device(torch: str) -> tuple[str, bool, str]:
    if not torch:
        return "none", True, "torch is not installed, so nothing can be trained here: pip install -e ."
    gpus = nvidia_gpus()
    if gpus and "+cpu" in torch:
        return "CPU", True, f"{gpus[0]} is there, but the installed torch {torch} was built for CPUs only"
    if gpus:
        more = f" (and {len(gpus) - 1} more)" if len(gpus) > 1 else ""
        return f"{gpus[0]}{more}", False, "seen by nvidia-smi; the first run will show whether torch can use it"
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return "Apple GPU", False, "usual on this kind of machine; the first run will show whether torch can use it"
    if "+cpu" in torch or platform.system() == "Darwin":
        return "CPU", True, ""
    return "CPU", False, "no NVIDIA GPU was found; of other GPUs only torch knows, when the first run starts"


def nvidia_gpus() -> list[str]:
    """Names and memory of NVIDIA GPUs as nvidia-smi lists them; empty without it, or where it does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    order = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(order, capture_output=True, text=True, timeout=SMI_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> tuple[int | None, int | None]:
    try:
        import psutil

        memory = psutil.virtual_memory()
    except (ImportError, OSError):
        return None, None
    return int(memory.total), int(memory.available)


def _disk_free(folder: Path) -> int:
    existing = folder.resolve()
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free
