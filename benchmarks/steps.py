"""One training iteration of every contestant, as a multiple of PEFT's DoRA step on the same work."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.betty_engine import betty_available, betty_iteration
from benchmarks.contestants import BETTY, BRIEF, BY_NAME, FIRST_TOKEN, MEAN, REFERENCE, REFERENCE_KEPT, groups_of
from benchmarks.report import now
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
    "measured": "measured",
}
"""Cosine and error are filled from the part `accuracy`."""


def run(settings: Settings) -> Part:
    """Time all contestants on all sizes."""
    rows, notes = [], []
    sizes = settings.sizes_of(SIZES, QUICK_SIZES)
    poolings = [(pooling, _there(names, settings)) for pooling, names in _POOLINGS]
    poolings = [(pooling, names) for pooling, names in poolings if pooling == "first" or not settings.brief]
    together = len(BRIEF) if settings.brief else TOGETHER
    progress = Progress("steps", len(sizes) * sum(len(groups_of(names, together)) for _, names in poolings))
    for size in sizes:
        encoder = encoder_of(size.model, settings)
        notes.append(encoder.note)
        for pooling, names in poolings:
            rows += _rows(encoder, size, pooling, groups_of(names, together), settings, progress)
    if not betty_available():
        notes.append("Betty (betty-ml 0.1.1) is not installed: left out")
    notes.append(
        "whole iterations: forward, backward, clipping, optimiser step, schedule; rank 8 on query and value, no dropout, float32, "
        "γ = 1e-5 in all bi-level ones; the batch of the lower level is ready, that of the upper level is collated inside"
    )
    if settings.device.type == "cpu":
        notes.append(
            "PEFT's and Betty's rows run with the C library's own setting of the memory, ours as train(run) does: what a step "
            f"frees is kept for the next; the row “{REFERENCE_KEPT}” has PEFT's step with it, too"
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
    encoder: Encoder, size: Size, pooling: str, groups: list[list[str]], settings: Settings, progress: Progress
) -> list[dict[str, Any]]:
    """One row for each contestant; the reference's own row comes from the first group."""
    rows: dict[str, dict[str, Any]] = {}
    for group in groups:
        progress.next(f"{size}, head reads {_READS[pooling]}, {len(group)} contestants")
        iterations = {name: _iteration(name, encoder, size, pooling, settings) for name in group}
        lower_steps = {name: getattr(each, "lower_steps", 1) for name, each in iterations.items()}
        memory = {name: _peak_memory(each, settings) for name, each in iterations.items()}
        keepers = {name for name in group if name in BY_NAME and BY_NAME[name].keeps_memory}
        timings = interleaved(
            iterations,
            reference=REFERENCE,
            rounds=settings.rounds_or(5),
            device=settings.device,
            calls=settings.calls,
            keeping_memory=keepers if settings.device.type == "cpu" else (),
        )
        for name, timing in timings.items():
            per_step = Timing(tuple(each / lower_steps[name] for each in timing.seconds), timing.reference)
            row = {
                "setting": f"{size}, head reads {_READS[pooling]}",
                "contestant": name,
                "pooling": pooling,
                "memory": memory[name],
                "measured": now(),
            }
            rows.setdefault(
                name, {**row, "model": size.model, "batch": size.batch, "tokens": size.tokens, **per_step.columns()}
            )
        del iterations
        _release()
    return list(rows.values())


def with_earlier(rows: list[dict[str, Any]], earlier: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """New rows in the places of the earlier ones of the same setting and contestant; the others stay, with their time."""
    new = {(row["setting"], row["contestant"]): row for row in rows}
    kept = [new.pop((row["setting"], row["contestant"]), row) for row in earlier]
    return sorted([*kept, *new.values()], key=lambda row: _place(row["setting"], earlier, rows))


def _place(setting: str, *tables: list[dict[str, Any]]) -> int:
    order = [row["setting"] for table in tables for row in table]
    return order.index(setting)


def _there(names: tuple[str, ...], settings: Settings) -> tuple[str, ...]:
    """The names that can be timed here: Betty where it is installed, a setting of the memory on the CPU."""
    away = set() if betty_available() else {BETTY}
    away |= {REFERENCE_KEPT} if settings.device.type != "cpu" else set()
    away |= set(BY_NAME) - set(BRIEF) if settings.brief else set()
    return tuple(name for name in names if name not in away)


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
