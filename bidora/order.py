"""Which examples come when: one fixed order for a whole phase, drawn from the seed.

The order of step s is known without having lived through the steps before, so a resumed run goes on exactly where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

WINDOW = 8
"""Batches among which examples of similar length are put together."""


def training_order(
    count: int, *, batches: int, batch_size: int, seed: int, lengths: Sequence[int] | None = None
) -> list[int]:
    """Indices for `batches` full batches: every example once in random order, then all once again, and so on.

    Args:
        count: number of examples.
        batches: number of batches.
        batch_size: examples in each.
        seed: draws the order.
        lengths: tokens of each example; where given, batches of similar length are made inside windows of 8 batches (less
            padding), and the batches of a window are shuffled. Which examples are seen when changes by a few steps at most.
    """
    generator = np.random.default_rng(seed)
    total = batches * batch_size
    rounds = -(-total // count)
    order = np.concatenate([generator.permutation(count) for _ in range(rounds)])[:total]
    if lengths is None:
        return order.tolist()
    by_length = np.asarray(lengths)
    window = WINDOW * batch_size
    grouped = []
    for start in range(0, total, window):
        part = order[start : start + window]
        part = part[np.argsort(by_length[part], kind="stable")].reshape(-1, batch_size)
        grouped.append(part[generator.permutation(len(part))].reshape(-1))
    return np.concatenate(grouped).tolist()


class FixedOrder(Sampler[int]):
    """A sampler that yields the given indices."""

    def __init__(self, indices: list[int]) -> None:
        self.indices = indices

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)
