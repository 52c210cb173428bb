"""Is there room on this machine: disk, memory, device."""

from __future__ import annotations

import shutil
from pathlib import Path

from bidora.config import RunConfig
from bidora.machine import nvidia_gpus
from bidora.models import cache_folder, get_model, is_fetched
from bidora.preflight.check import Check
from bidora.tasks import Task, task_is_fetched
from bidora.wording import size

ROOM_FOR_A_RUN = 200e6
"""Bytes that a run folder may need; adapters, checkpoints and records of small encoders stay below."""


def check_disk(folder: Path, config: RunConfig, task: Task) -> Check:
    """Is there room for a run folder, and for what has to be fetched?"""
    model = get_model(config.model or task.default_model)
    fetched = sum(
        3 * (each or 0)
        for each, here in ((task.size, task_is_fetched(task.name)), (model.size, is_fetched(model.name)))
        if not here
    )
    for place, needed, what in ((folder, ROOM_FOR_A_RUN, "a run folder"), (cache_folder(), fetched, "what is fetched")):
        free = _free(place)
        if free is not None and free < needed:
            return Check(
                "disk",
                False,
                f"{size(free)} are free, and {what} may need {size(needed)}.",
                "free some space, or delete runs",
            )
    return Check("disk", True, f"{size(_free(folder))} are free.")


def _free(folder: Path) -> int | None:
    existing = folder.expanduser().resolve()
    while not existing.exists():
        existing = existing.parent
    try:
        return shutil.disk_usage(existing).free
    except OSError:
        return None


def check_memory(expected: float | None) -> Check:
    """Is as much memory free as is expected to be needed?"""
    import psutil

    free = psutil.virtual_memory().available
    if expected is None:
        return Check("memory", None, f"{size(free)} are free; what the run needs is not known yet.")
    if expected > free:
        return Check(
            "memory",
            None,
            f"About {size(expected)} are expected, and {size(free)} are free.",
            "lower batch_size or max_length, use precision bfloat16, or wait for other runs to end",
        )
    return Check("memory", True, f"About {size(expected)} of {size(free)} that are free.")


def check_device(config: RunConfig) -> Check:
    """Where it will be computed, as far as can be told without torch."""
    if config.device == "cuda" and not nvidia_gpus():
        return Check("device", False, "device=cuda, and no NVIDIA GPU answers here.", "use auto or cpu")
    if config.device in ("cuda", "mps"):
        return Check("device", None, f"device={config.device}: the run itself will show whether torch can use it.")
    chosen = "the processor" if config.device == "cpu" else "a GPU where torch finds one, else the processor"
    return Check("device", True, f"Computed on {chosen}.")
