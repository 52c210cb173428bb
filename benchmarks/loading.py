"""Data loading: tokenisation, padding with and without batches of similar length, and what padding costs in a step."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoTokenizer

from benchmarks.settings import Part, Settings
from benchmarks.timing import interleaved
from benchmarks.workloads import OUTPUTS, Encoder, Iteration, Size, config_of, encoder_of, trainer_of
from bidora.config import RunConfig
from bidora.encoding import EncodedSplit, PaddingCollator
from bidora.errors import LabError
from bidora.order import WINDOW, training_order
from bidora.tasks import prepare

LENGTHS = (64, 128, 256)
"""Where inputs are cut, in tokens; 128 is the default of Reuters."""

COLUMNS = {
    "setting": "inputs cut at",
    "order": "batches",
    "padding": "padding share",
    "collate_milliseconds": "collate, ms per batch",
    "milliseconds": "8 steps, ms",
    "ratio": "ratio",
    "spread": "quartiles",
}

WITHOUT, WITH = "in random order", "of similar length"


def run(settings: Settings) -> Part:
    """Padding and step time on Reuters R8; on random lengths in a quick run or where the articles cannot be had."""
    size = Size("tiny", 4, 12) if settings.quick else Size("minilm", 16, 128)
    encoder = encoder_of(size.model, settings)
    notes = [encoder.note]
    rows: list[dict[str, Any]] = []
    articles = None if settings.quick else _articles(notes)
    for length in (12,) if settings.quick else LENGTHS:
        if articles is None or not (encoder.folder / "tokenizer.json").exists():
            data: Any = RandomLengths(40 * size.batch, length, vocabulary=encoder.vocabulary)
            notes.append("made-up lengths (log-normal, median 70 tokens) and random tokens")
        else:
            began = time.perf_counter()
            data = EncodedSplit(articles, AutoTokenizer.from_pretrained(encoder.folder), max_length=length, scale=None)
            seconds = time.perf_counter() - began
            notes.append(
                f"tokenising {len(data):,} articles cut at {length} tokens took {seconds:.2f} s, {data.cut:,} of them were cut"
            )
        rows += _rows(data, encoder, size, length, settings)
    notes.append("steps of our single-level DoRA; a window of 8 batches")
    notes.append(
        "padding share: over a whole pass through the data; the timed windows hold the same examples in both orders"
    )
    return Part("data loading with batches of similar length", COLUMNS, rows, notes=sorted(set(notes), key=notes.index))


def _articles(notes: list[str]) -> Any:
    """The R8 training articles, or None where they cannot be fetched."""
    try:
        prepared = prepare(RunConfig(task="reuters", variant="r8", method="dora"))
    except LabError as error:
        notes.append(f"Reuters R8 is not here: {error.message}")
        return None
    notes.append(f"Reuters R8, {len(prepared.train):,} training articles")
    return prepared.train


def _rows(data: Any, encoder: Encoder, size: Size, length: int, settings: Settings) -> list[dict[str, Any]]:
    """Both orders, on batches of one window."""
    iteration = Iteration(trainer_of(encoder, size, config_of(size, settings, method="dora"), settings))
    trainer = iteration.trainer
    collator = PaddingCollator(0, multiple=1 if settings.device.type == "cpu" else 8)
    batches = max(1, len(data) // size.batch)
    orders = {
        name: training_order(
            len(data), batches=batches, batch_size=size.batch, seed=0, lengths=data.lengths if name == WITH else None
        )
        for name in (WITHOUT, WITH)
    }
    window = WINDOW * size.batch
    loaded, collating = {}, {}
    for name, order in orders.items():
        began = time.perf_counter()
        chunks = [order[start : start + size.batch] for start in range(0, min(window, len(order)), size.batch)]
        loaded[name] = [trainer._prepare_inputs(collator([data[index] for index in chunk])) for chunk in chunks]
        collating[name] = (time.perf_counter() - began) / len(chunks)
    timings = interleaved(
        {name: lambda batches=batches: _steps(iteration, batches) for name, batches in loaded.items()},
        reference=WITHOUT,
        rounds=settings.rounds_or(5),
        device=settings.device,
        warmup=1,
    )
    return [
        {
            "setting": f"{length} tokens",
            "order": name,
            "padding": padding_share(np.asarray(data.lengths)[orders[name]], size.batch),
            "collate_milliseconds": collating[name] * 1e3,
            **timing.columns(),
        }
        for name, timing in timings.items()
    ]


def _steps(iteration: Iteration, batches: list[dict[str, Tensor]]) -> None:
    """Training steps on some batches."""
    iteration.batches = batches
    for _ in batches:
        iteration()


def padding_share(lengths: np.ndarray, batch_size: int) -> float:
    """Padding tokens / all tokens, batches being padded to their longest example.

    >>> padding_share(np.array([2, 4, 3, 3]), 2)
    0.14285714285714285
    """
    by_batch = lengths[: len(lengths) // batch_size * batch_size].reshape(-1, batch_size)
    whole = by_batch.max(axis=1).sum() * batch_size
    return float(1 - by_batch.sum() / whole)


class RandomLengths(torch.utils.data.Dataset[dict[str, Any]]):
    """Made-up examples of different lengths."""

    def __init__(self, count: int, longest: int, *, vocabulary: int) -> None:
        generator = np.random.default_rng(0)
        lengths = np.clip(generator.lognormal(np.log(70), 0.8, size=count), 3, longest).astype(int)
        self.ids = [generator.integers(5, vocabulary, size=length).tolist() for length in lengths]
        self.labels = torch.as_tensor(generator.integers(0, OUTPUTS, size=count))
        self.lengths = lengths.tolist()

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {
            "input_ids": self.ids[index],
            "attention_mask": [1] * len(self.ids[index]),
            "labels": self.labels[index],
        }
