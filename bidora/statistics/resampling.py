"""Resampling without copying: a bootstrap sample is a row of multiplicities, and statistics are weighted by it.

A thousand resamples of n items are one (1000, n) matrix, so that a percentile bootstrap is a few matrix products
instead of a thousand calls.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def multiplicities(items: int, resamples: int, *, seed: int = 0) -> Floats:
    """How often each item is drawn in each bootstrap sample: (resamples, items), every row adds up to items."""
    drawn = np.random.default_rng(seed).integers(items, size=(resamples, items))
    drawn += items * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * items)
    return counts.reshape(resamples, items).astype(np.float64)


def weighted_ranks(values: Floats, weights: Floats) -> Floats:
    """Ranks (ties share the mean rank) within samples that hold each value as often as its weight says.

    Args:
        values: (n,).
        weights: (samples, n), multiplicities.

    Returns:
        (samples, n): the rank of each value in each sample; what a value of weight 0 gets is of no meaning.
    """
    order = np.argsort(values, kind="stable")
    in_order = values[order]
    starts_group = np.concatenate([[True], in_order[1:] != in_order[:-1]])
    group = np.cumsum(starts_group) - 1
    last_of_group = np.concatenate([np.flatnonzero(starts_group)[1:] - 1, [len(values) - 1]])
    below_or_equal = np.cumsum(weights[:, order], axis=1)[:, last_of_group]
    below = np.concatenate([np.zeros((len(weights), 1)), below_or_equal[:, :-1]], axis=1)
    ranks = np.empty_like(weights)
    ranks[:, order] = ((below + below_or_equal + 1) / 2)[:, group]
    return ranks


def weighted_correlation(first: Floats, second: Floats, weights: Floats) -> Floats:
    """Pearson correlation within each weighted sample: (samples,); NaN where one side is constant.

    Args:
        first: (n,) or (samples, n).
        second: (n,) or (samples, n).
        weights: (samples, n).
    """
    first_spread, first = _centred(first, weights)
    second_spread, second = _centred(second, weights)
    together = (weights * first * second).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(together / np.sqrt(first_spread * second_spread), -1, 1)


def _centred(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Weighted sum of squares about the mean (NaN where it is only rounding), and the values less their mean."""
    mean = (weights * values).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
    centred = values - mean
    spread = (weights * centred**2).sum(axis=1)
    return np.where(spread > 1e-28 * (weights * values**2).sum(axis=1), spread, np.nan), centred
