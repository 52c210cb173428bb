"""95 % intervals for shares, means and anything else, each saying how it was made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from bidora.errors import LabError

NAN = float("nan")


class Interval(NamedTuple):
    """The ends of an interval, NaN where there is none, and how it was made, in words."""

    low: float
    high: float
    how: str


def proportion_interval(successes: int, total: int, *, level: float = 0.95) -> Interval:
    """Wilson's interval for a share, for example of right answers (scipy.stats.binomtest).

    Raises:
        LabError: there are no cases, or more successes than cases.

    >>> low, high, how = proportion_interval(9, 10)
    >>> round(low, 3), round(high, 3), how
    (0.596, 0.982, 'Wilson')
    """
    from scipy.stats import binomtest

    if total < 1 or not 0 <= successes <= total:
        raise LabError(
            f"a share of {successes} in {total} has no interval",
            hint="give 0 <= successes <= total with at least one case",
        )
    found = binomtest(int(successes), int(total)).proportion_ci(confidence_level=level, method="wilson")
    return Interval(float(found.low), float(found.high), "Wilson")


def mean_interval(values: ArrayLike, *, level: float = 0.95) -> Interval:
    """Student's t interval for a mean, for example of the scores of several seeds; NaN ends for fewer than two values.

    With few values it is the honest one: a bootstrap over three numbers can never leave their range.
    """
    from scipy.special import stdtrit  # what scipy.stats.t.ppf calls; scipy.stats itself takes a second to import

    numbers = np.asarray(values, dtype=np.float64)
    if len(numbers) < 2:
        return Interval(NAN, NAN, f"none: {len(numbers)} value{'s' if len(numbers) != 1 else ''}")
    half = stdtrit(len(numbers) - 1, (1 + level) / 2) * numbers.std(ddof=1) / np.sqrt(len(numbers))
    return Interval(float(numbers.mean() - half), float(numbers.mean() + half), f"t over {len(numbers)}")


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[..., float] = np.mean,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of a statistic of one sample; NaN ends for fewer than two values.

    The same draws and ends as scipy.stats.bootstrap, whose import takes a second.

    Args:
        values: (n,).
        statistic: numpy-like function with an `axis` argument, such as numpy.mean or numpy.median.
        level: confidence.
        resamples: how many samples are drawn.
        seed: of the draws.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if len(numbers) < 2:
        return Interval(NAN, NAN, f"none: {len(numbers)} value{'s' if len(numbers) != 1 else ''}")
    drawn = np.random.default_rng(seed).integers(0, len(numbers), size=(resamples, len(numbers)))
    low, high = np.percentile(statistic(numbers[drawn], axis=-1), [50 * (1 - level), 50 * (1 + level)])
    return Interval(float(low), float(high), f"bootstrap over {len(numbers)}")


def quantile_interval(draws: Sequence[float] | np.ndarray, *, level: float = 0.95) -> tuple[float, float]:
    """The central part of bootstrap draws; undefined draws (NaN) are left out, and none left give NaN ends."""
    numbers = np.asarray(draws, dtype=np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return NAN, NAN
    low, high = np.quantile(numbers, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
