"""Two methods on the same seeds: differences pair by pair, and the sentence that may be written about them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from bidora.errors import LabError
from bidora.statistics.intervals import Interval, bootstrap_interval, mean_interval
from bidora.statistics.resampling import weighted_ranks

FEW_PAIRS = 50
"""Up to here all 2ⁿ ways of signs are counted exactly, also with ties: float64 holds the counts without rounding."""

CHANCE = 0.05
"""Where chance alone makes all pairs agree more often than this, which is up to five pairs, that they agree shows nothing."""


class SignedRank(NamedTuple):
    """Result of Wilcoxon's signed-rank test: statistic, two-sided p, and the smallest p that so many pairs can give."""

    statistic: float
    p: float
    smallest_p: float


@dataclass(frozen=True)
class PairedDifference:
    """First minus second, pair by pair.

    Attributes:
        pairs: what each pair shares, such as its seed.
        differences: (n,) first − second.
        interval: 95 % interval of the mean difference by Student's t, which holds its promise with few pairs, too.
        bootstrap: 95 % percentile bootstrap over pairs; it never leaves their range, so it is too short where they are few.
        test: Wilcoxon's signed-rank test, or None for fewer than two pairs.
    """

    pairs: tuple[Hashable, ...]
    differences: tuple[float, ...]
    interval: Interval
    bootstrap: Interval
    test: SignedRank | None

    @property
    def mean(self) -> float:
        """Mean difference; NaN without pairs."""
        return float(np.mean(self.differences)) if self.differences else float("nan")

    @property
    def higher(self) -> int:
        """In how many pairs the first is higher."""
        return sum(each > 0 for each in self.differences)

    @property
    def lower(self) -> int:
        """In how many pairs the first is lower."""
        return sum(each < 0 for each in self.differences)

    @property
    def effect_size(self) -> float:
        """Cohen's d for pairs, d_z: mean difference over the standard deviation of the differences (n − 1).

        Its unit is the spread from pair to pair, so a tiny difference that hardly varies counts as large. Infinite where
        all differences are equal and not 0; NaN for fewer than two pairs, and where all are 0.
        """
        if len(self.differences) < 2:
            return float("nan")
        spread = float(np.std(self.differences, ddof=1))
        if spread > 1e-12:
            return self.mean / spread
        return math.copysign(math.inf, self.mean) if self.mean else float("nan")

    @property
    def rank_biserial(self) -> float:
        """Matched-pairs rank-biserial correlation: (W⁺ − W⁻) / (W⁺ + W⁻), from −1 to 1 (Kerby 2014).

        W⁺ and W⁻ are the sums of the ranks of |difference| over positive and negative differences; zeros are dropped, as in
        the signed-rank test. NaN where no difference is left.
        """
        numbers = np.asarray([each for each in self.differences if each])
        if not len(numbers):
            return float("nan")
        ranks = _ranks(np.abs(numbers))
        return float((np.sign(numbers) * ranks).sum() / ranks.sum())

    @property
    def by_chance(self) -> float:
        """How often all pairs would agree if both were equally good: 2 · 0.5ⁿ, at most 1."""
        return min(1.0, 2.0 * 0.5 ** len(self.differences))

    def sentence(
        self,
        first: str,
        second: str,
        *,
        scale: float = 100.0,
        unit: str = "points",
        pair: str = "seed",
        digits: int = 1,
    ) -> str:
        """What may be said: how often higher, from where to where, and what chance alone would do.

        Args:
            first: name of the first method.
            second: name of the second.
            scale: the differences are multiplied by it for print; 100 makes points of shares.
            unit: name of the scaled unit; may be empty.
            pair: what the pairs are.
            digits: decimals.
        """
        unit = f" {unit}" if unit else ""
        total = len(self.differences)
        if total == 0:
            return f"{first} and {second} share no {pair}: no comparison"
        scaled = [scale * each for each in self.differences]
        if total == 1:
            return f"{first} against {second}: {scaled[0]:+.{digits}f}{unit} in one {pair}: no conclusion"
        span = f"difference {min(scaled):.{digits}f} to {max(scaled):.{digits}f}{unit}"
        up, down = self.higher, self.lower
        if up == down == 0:
            return f"{first} and {second} are equal in {total} of {total} {pair}s"
        if up == total or down == total:
            chance = f"; chance alone makes {total} of {total} agree in {100 * self.by_chance:.2g} % of cases"
            word = "higher" if up else "lower"
            verdict = (
                "Not shown beyond chance: " if total > 2 and self.by_chance > CHANCE else ""
            )  # two say so themselves
            return f"{verdict}{first} {word} than {second} in {total} of {total} {pair}s, {span}{chance}"
        verdict = "no clear direction"
        equal = f", equal in {total - up - down}" if total > up + down else ""
        return f"{first} higher than {second} in {up} of {total} {pair}s, lower in {down}{equal}, {span}: {verdict}"


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    pairs: Sequence[Hashable] | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> PairedDifference:
    """Compare two methods on the same seeds and splits.

    Args:
        first: (n,) scores.
        second: (n,) scores, in the same order.
        pairs: (n,) what each pair shares, such as its seed; default 0 … n−1.
        resamples: of the bootstrap over pairs.
        seed: of its draws.

    Raises:
        LabError: the lengths differ, or a score is missing.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    names = tuple(range(len(one))) if pairs is None else tuple(pairs)
    if not len(one) == len(other) == len(names):
        raise LabError(
            f"{len(one)} and {len(other)} scores for {len(names)} pairs",
            hint="give both methods' scores for the same seeds, in the same order",
        )
    differences = _without_noise(one - other)
    if not np.isfinite(differences).all():
        missing = [str(name) for name, each in zip(names, differences) if not np.isfinite(each)]
        raise LabError(f"the pairs {', '.join(missing)} have no score on one side", hint="leave these pairs out")
    return PairedDifference(
        pairs=names,
        differences=tuple(differences.tolist()),
        interval=mean_interval(differences),
        bootstrap=bootstrap_interval(differences, resamples=resamples, seed=seed),
        test=wilcoxon(differences) if len(differences) > 1 else None,
    )


def wilcoxon(differences: ArrayLike) -> SignedRank:
    """Wilcoxon's signed-rank test that differences scatter around 0, two-sided; as scipy.stats.wilcoxon.

    Exact up to 50 differences, with ties too; beyond that the normal approximation. Zeros are dropped.

    Args:
        differences: (n,), n ≥ 1.
    """
    numbers = _without_noise(np.asarray(differences, dtype=np.float64))
    numbers = numbers[numbers != 0]
    unequal = len(numbers)
    if unequal == 0:
        return SignedRank(0.0, 1.0, 1.0)
    smallest = min(1.0, 2.0 * 0.5**unequal)
    if unequal <= FEW_PAIRS:
        return SignedRank(*_exact(numbers), smallest)
    import scipy.stats  # takes a second

    found = scipy.stats.wilcoxon(numbers, method="approx")
    return SignedRank(float(found.statistic), float(found.pvalue), smallest)


def _exact(numbers: np.ndarray) -> tuple[float, float]:
    """Statistic and p from all 2ⁿ ways in which the signs could have fallen, ties included.

    Mean ranks of ties are halves, so twice the ranks are whole numbers; how many of the ways give each sum of them is
    counted rank by rank, which costs n · n(n + 1) additions in place of 2ⁿ.
    """
    doubled = np.rint(2 * _ranks(np.abs(numbers))).astype(np.int64)
    ways = np.zeros(int(doubled.sum()) + 1)
    ways[0] = 1.0
    for rank in doubled:
        ways[rank:] = ways[rank:] + ways[:-rank]
    share = ways / ways.sum()
    found = int(doubled[numbers > 0].sum())
    p = 2 * min(float(share[: found + 1].sum()), float(share[found:].sum()))
    return min(found, int(doubled.sum()) - found) / 2, min(1.0, p)


def _ranks(sizes: np.ndarray) -> np.ndarray:
    """Ranks from 1 on; ties share their mean."""
    return weighted_ranks(sizes, np.ones((1, len(sizes))))[0]


def _without_noise(differences: np.ndarray) -> np.ndarray:
    """Differences of equal printed scores differ in their last bits; ranks must see them as ties."""
    return np.round(differences, 12) + 0.0
