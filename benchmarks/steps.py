"""One training iteration of every contestant, as a multiple of PEFT's DoRA step on the same work."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.betty_engine import betty_available, betty_iteration
from benchmarks.contestants import BETTY, BY_NAME, FIRST_TOKEN, MEAN, REFERENCE, groups_of
from benchmarks.settings import Part, Progress, Settings
from benchmarks.timing import Timing, interleaved, wait_for
from benchmarks.workloads import (
    QUICK_SIZES,
    SIZES,
    Encoder,
    Iteration,
    Size,
    batches_of,
    config_of,
    encoder_of,
    trainer_of,
)

TOGETHER = 5
"""Contestants beside the reference that are in memory at once."""

COLUMNS = {
    "contestant": "one iteration",
    "ratio": "ratio",
    "spread": "quartiles",
    "milliseconds": "ms",
    "memory": "GPU peak",
    "cosine": "cosine of h",
    "error": "relative error",
}
"""The last two are filled from the part `accuracy`."""


def run(settings: Settings) -> Part:
    """Time all contestants on all sizes."""
    rows, notes = [], []
    sizes = settings.sizes_of(SIZES, QUICK_SIZES)
    progress = Progress("steps", len(sizes) * sum(len(groups_of(_there(names), TOGETHER)) for _, names in _POOLINGS))
    for size in sizes:
        encoder = encoder_of(size.model, settings)
        notes.append(encoder.note)
        for pooling, names in _POOLINGS:
            rows += _rows(encoder, size, pooling, _there(names), settings, progress)
    if not betty_available():
        notes.append("Betty (betty-ml 0.1.1) is not installed: left out")
    notes.append(
        "whole iterations: forward, backward, clipping, optimiser step, schedule; rank 8 on query and value, no dropout, float32, "
        "γ = 1e-5 in all bi-level ones; the batch of the lower level is ready, that of the upper level is collated inside"
    )
    notes.append("Betty's step is another one: ξ = 1, at the direction after the step, so its h is not compared")
    columns = (
        COLUMNS if settings.device.type == "cuda" else {key: head for key, head in COLUMNS.items() if key != "memory"}
    )
    return Part(
        "training steps against PEFT's DoRA step (1.00)",
        columns,
        rows,
        group="setting",
        notes=sorted(set(notes), key=notes.index),
    )


def _rows(
    encoder: Encoder, size: Size, pooling: str, names: tuple[str, ...], settings: Settings, progress: Progress
) -> list[dict[str, Any]]:
    """One row for each contestant; the reference's own row comes from the first group."""
    rows: dict[str, dict[str, Any]] = {}
    for group in groups_of(names, TOGETHER):
        progress.next(f"{size}, head reads {_READS[pooling]}, {len(group)} contestants")
        iterations = {name: _iteration(name, encoder, size, pooling, settings) for name in group}
        lower_steps = {name: getattr(each, "lower_steps", 1) for name, each in iterations.items()}
        memory = {name: _peak_memory(each, settings) for name, each in iterations.items()}
        timings = interleaved(
            iterations, reference=REFERENCE, rounds=settings.rounds_or(5), device=settings.device, calls=settings.calls
        )
        for name, timing in timings.items():
            per_step = Timing(tuple(each / lower_steps[name] for each in timing.seconds), timing.reference)
            row = {
                "setting": f"{size}, head reads {_READS[pooling]}",
                "contestant": name,
                "pooling": pooling,
                "memory": memory[name],
            }
            rows.setdefault(
                name, {**row, "model": size.model, "batch": size.batch, "tokens": size.tokens, **per_step.columns()}
            )
        del iterations
        _release()
    return [rows[name] for name in names]


def _there(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names without Betty where it is not installed."""
    return names if betty_available() else tuple(name for name in names if name != BETTY)


_POOLINGS = (("first", FIRST_TOKEN), ("mean", MEAN))
_READS = {"first": "the first token", "mean": "the mean over tokens"}


def _iteration(name: str, encoder: Encoder, size: Size, pooling: str, settings: Settings) -> Callable[[], object]:
    contestant = BY_NAME[REFERENCE if name == BETTY else name]
    config = config_of(size, settings, pooling=pooling, **contestant.changes)
    trainer = trainer_of(encoder, size, config, settings)
    if name != BETTY:
        return Iteration(trainer)
    batches = batches_of(trainer, 4)
    return betty_iteration(trainer, batches[:2], batches[2:])


def _peak_memory(iteration: Callable[[], object], settings: Settings) -> int | None:
    """Bytes that one warm iteration allocates on the GPU at its peak, beyond weights and optimiser; None on a CPU."""
    if settings.device.type != "cuda":
        return None
    iteration()
    wait_for(settings.device)
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    iteration()
    wait_for(settings.device)
    return torch.cuda.max_memory_allocated() - before


def _release() -> None:
    """Give back the memory of a group before the next one is built."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
