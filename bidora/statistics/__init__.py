"""Numbers with their uncertainty: lines through weight dynamics, intervals, paired comparisons. No torch here."""

from bidora.statistics.corrections import CORRECTIONS, corrected
from bidora.statistics.fitting import TINY_DIRECTION_CHANGE, DynamicsFit, fit_dynamics
from bidora.statistics.intervals import (
    Interval,
    bootstrap_interval,
    mean_interval,
    proportion_interval,
    quantile_interval,
)
from bidora.statistics.pairs import PairedDifference, SignedRank, paired_difference, wilcoxon
from bidora.statistics.resampling import multiplicities, weighted_correlation, weighted_ranks

__all__ = [
    "CORRECTIONS",
    "TINY_DIRECTION_CHANGE",
    "DynamicsFit",
    "Interval",
    "PairedDifference",
    "SignedRank",
    "bootstrap_interval",
    "corrected",
    "fit_dynamics",
    "mean_interval",
    "multiplicities",
    "paired_difference",
    "proportion_interval",
    "quantile_interval",
    "weighted_correlation",
    "weighted_ranks",
    "wilcoxon",
]
