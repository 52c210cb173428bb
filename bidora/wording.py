"""Numbers, times, sizes and scores in words: the same in the terminal, in the app and in reports."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bidora.methods import METHODS

METHOD_NAMES = {name: method.title for name, method in METHODS.items()}
"""What a method is called in sentences, in the order of tables and legends."""


CORRECTIONS = {"holm": "Holm", "bh": "Benjamini–Hochberg", "none": "no correction"}
"""How p values of several tests are corrected: name in commands → what it is called in sentences."""

SCORE_NAMES = {
    "f1": "F1",
    "entity_f1": "entity F1",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "weighted_f1": "weighted F1",
    "mcc": "MCC",
    "mse": "MSE",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "pearson": "Pearson r",
    "spearman": "Spearman ρ",
    "bleu": "BLEU",
    "nist": "NIST",
    "meteor": "METEOR",
    "rouge_l": "ROUGE-L",
    "chrf": "chrF",
}
"""Scores whose names are not simply their words."""


def score_name(metric: str) -> str:
    """What a score is called in sentences and on axes: "macro F1", "subset accuracy"."""
    return SCORE_NAMES.get(metric, metric.replace("_", " "))


def number(value: Any, digits: int = 4) -> str:
    """A number with so many significant digits; – where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) >= 1000):
        return f"{int(value):,}"
    return f"{value:.{digits}g}"


def score(value: Any, low: Any = None, high: Any = None) -> str:
    """A score with three decimals and, where known, its interval: 0.912 [0.900, 0.924]."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    bounds = [each for each in (low, high) if each is not None and not math.isnan(each)]
    return f"{value:.3f}" + (f" [{bounds[0]:.3f}, {bounds[1]:.3f}]" if len(bounds) == 2 else "")


def signed(value: float, spec: str = ".2f") -> str:
    """A number with its sign, and a minus sign that is one: −0.35, +1.20; what is rounded to zero has none.

    >>> signed(-0.354), signed(1.2), signed(-3e-5, ".2g"), signed(-0.001), signed(-1100, ",d")
    ('−0.35', '+1.20', '−3e−05', '+0.00', '−1,100')
    """
    zero = "z" if isinstance(value, float) else ""  # whole numbers have no negative zero
    return f"{value:+{zero}{spec}}".replace("-", "−")


def duration(seconds: Any) -> str:
    """Seconds in words: 8 s, 3 min 20 s, 2 h 5 min, 4 days."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} days"


def size(count: Any) -> str:
    """Bytes in words (powers of ten): 312 MB."""
    if count is None or not math.isfinite(count):
        return "–"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}" if count < 1000 * scale else f"{count / scale:,.0f} {unit}"
    return f"{int(count)} bytes"


def counted(count: int, one: str, many: str = "") -> str:
    """How many of something: 1 run, 4 runs.

    >>> counted(1, "run"), counted(4, "class", "classes")
    ('1 run', '4 classes')
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def left_out_in_words(told: Mapping[str, Any]) -> list[str]:
    """What a table of weight dynamics leaves out, a sentence each.

    Args:
        told: the table's `attrs`: unchanged, zero_units and saved_whole, as far as they are there.
    """
    words = []
    if told.get("unchanged"):
        words.append(f"Equal on both sides and left out: {counted(told['unchanged'], 'matrix', 'matrices')}.")
    if told.get("zero_units"):
        words.append(f"Zero on one side, so without a direction and in no mean: {counted(told['zero_units'], 'unit')}.")
    if told.get("saved_whole"):
        words.append(f"Trained and saved whole, not compared: {', '.join(told['saved_whole'])}.")
    return words
