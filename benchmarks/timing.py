"""Timing contestants against each other: interleaved, paired by round, medians and quartiles."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from bidora.shortcuts import kept_memory

Contestants = Mapping[str, Callable[[], object]]


@dataclass(frozen=True)
class Timing:
    """Seconds of one contestant in every round, and of the reference in the same rounds."""

    seconds: tuple[float, ...]
    reference: tuple[float, ...]

    @property
    def milliseconds(self) -> float:
        """Median time of one call."""
        return float(np.median(self.seconds)) * 1e3

    @property
    def ratio(self) -> float:
        """Median over the rounds of (time / time of the reference in that round): slow drifts of the machine cancel."""
        return float(np.median(self._ratios()))

    @property
    def quartiles(self) -> tuple[float, float]:
        """Lower and upper quartile of the ratio over the rounds."""
        low, high = np.percentile(self._ratios(), [25, 75])
        return float(low), float(high)

    def columns(self) -> dict[str, float]:
        """The numbers that go into a row of results."""
        low, high = self.quartiles
        return {"milliseconds": self.milliseconds, "ratio": self.ratio, "ratio_low": low, "ratio_high": high}

    def _ratios(self) -> np.ndarray:
        return np.asarray(self.seconds) / np.asarray(self.reference)


def interleaved(
    contestants: Contestants,
    *,
    reference: str,
    rounds: int,
    device: torch.device,
    warmup: int = 2,
    calls: int = 1,
    keeping_memory: Collection[str] = (),
) -> dict[str, Timing]:
    """Time every contestant once a round, in an order that is shuffled anew for each round.

    Args:
        contestants: name → one call of it.
        reference: the name whose time is 1.00.
        rounds: how often each is timed.
        device: waited for before a clock is read.
        warmup: untimed calls of each before.
        calls: calls per timing; several on a GPU, where work is queued ahead.
        keeping_memory: who is timed while freed memory is kept, as `train(run)` does it on the CPU. They follow the others in
            every round, each after an untimed call, since the memory was given back in between.
    """
    shuffle = np.random.default_rng(0)
    names = list(contestants)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        for _ in range(warmup):
            contestants[name]()
    collecting = gc.isenabled()
    gc.disable()  # a collection would hit one contestant of the round and not the others
    try:
        for _ in range(rounds):
            gc.collect()
            order = [names[index] for index in shuffle.permutation(len(names))]
            first = [name for name in order if name not in keeping_memory]
            if first and keeping_memory:
                contestants[first[0]]()
            for name in first:
                seconds[name].append(_timed(contestants[name], calls, device))
            if keeping_memory:
                with kept_memory():
                    keepers = [name for name in order if name in keeping_memory]
                    for name in keepers:
                        contestants[name]()
                    for name in keepers:
                        seconds[name].append(_timed(contestants[name], calls, device))
    finally:
        if collecting:
            gc.enable()
    return {name: Timing(tuple(values), tuple(seconds[reference])) for name, values in seconds.items()}


def _timed(contestant: Callable[[], object], calls: int, device: torch.device) -> float:
    """Seconds of one call."""
    wait_for(device)
    began = time.perf_counter()
    for _ in range(calls):
        contestant()
    wait_for(device)
    return (time.perf_counter() - began) / calls


def wait_for(device: torch.device) -> None:
    """Wait until the device has done what was queued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
