"""What the published differences amount to: test items, and the signed-rank test from the printed pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bidora.published.tables import CLAIMS, TABLES, TITLES, Column, Published, Row
from bidora.statistics import wilcoxon
from bidora.wording import score_name, signed

if TYPE_CHECKING:
    import pandas

NOT_COUNTED = "no count of answers"


class Difference(NamedTuple):
    """One published difference.

    Attributes:
        table: its table.
        column: task and score.
        first: name of the method as printed.
        second: of the method that is subtracted.
        value: first − second, in points; for MIC in squared log₁₀ µM.
        items: how many test items it amounts to; NaN where the score does not count answers.
        rounding: by how many items this may be off, as both scores are printed with one decimal.
    """

    table: Published
    column: Column
    first: str
    second: str
    value: float
    items: float
    rounding: float

    @property
    def items_in_words(self) -> str:
        """`+29 of 9,815 (± 10)`: items, size of the test set, rounding."""
        if not math.isfinite(self.items):
            return f"{NOT_COUNTED} ({score_name(self.column.metric)})"
        off = f" (± {self.rounding:.0f})" if self.rounding >= 0.5 else ""
        return f"{signed(round(self.items), ',.0f')} of {self.column.items:,}{off}".replace("+0 of", "0 of")


def differences(table: Published, first: str = "BiDoRA", second: str = "DoRA") -> list[Difference]:
    """The published differences of two methods; where several ranks are printed, those of equal rank.

    Args:
        table: one of TABLES.
        first: method as printed, without its rank.
        second: likewise.
    """
    found = []
    for one, other in _pairs(table, first, second):
        for column, ours, theirs in zip(table.columns, one.scores, other.scores):
            value = round(ours - theirs, 6)
            items = value * column.items / 100 if column.items else math.nan
            rounding = 0.1 * column.items / 100 if column.items else math.nan
            found.append(Difference(table, column, one.name, other.name, value, items, rounding))
    return found


def compared_with(table: Published, first: str = "BiDoRA") -> list[str]:
    """The other methods of a table, without their ranks, as printed."""
    return [name for name in dict.fromkeys(row.name.split(" ")[0] for row in table.rows) if name != first]


def _pairs(table: Published, first: str, second: str) -> list[tuple[Row, Row]]:
    ours, theirs = ([row for row in table.rows if row.name.split(" ")[0] == name] for name in (first, second))
    return [(one, other) for one in ours for other in theirs if not (one.rank and other.rank) or one.rank == other.rank]


def differences_table(table: Published, first: str = "BiDoRA", second: str = "DoRA") -> pandas.DataFrame:
    """`differences` in words: task, value, test items, score, difference, how the size of the test set is known."""
    import pandas

    rows = [
        {
            "task": TITLES[each.column.task],
            "points": signed(each.value, ".1f").replace("+0.0", "0.0")
            if each.column.in_points
            else f"{signed(each.value, '.4f')} (lower is better)",
            "test items": each.items_in_words,
            "score": score_name(each.column.metric),
            "difference": f"{each.first} − {each.second}",
            "size of the test set": each.column.remark or ("development set" if each.column.items else "–"),
        }
        for each in differences(table, first, second)
    ]
    columns = ["task", "points", "test items", "score", "difference", "size of the test set"]
    return pandas.DataFrame(rows, columns=columns)


@lru_cache(maxsize=1)
def signed_rank_of_table_1() -> Mapping[str, float]:
    """p of Wilcoxon's signed-rank test from the printed pairs of Table 1, BiDoRA − DoRA, by variant of the test.

    Eight tasks times three models; pairs that are printed equal are dropped, as the test asks. The published p is in
    CLAIMS; which variant it comes from is not said.
    """
    import scipy.stats

    values = [each.value for table in TABLES if table.number == "Table 1" for each in differences(table)]
    numbers = np.asarray(values)
    unequal = numbers[numbers != 0]
    exact = wilcoxon(unequal).p
    normal = float(scipy.stats.wilcoxon(unequal, method="approx").pvalue)
    one_sided = float(scipy.stats.wilcoxon(unequal, method="approx", alternative="greater").pvalue)
    return {
        "exact, two-sided": exact,
        "exact, one-sided": exact / 2,
        "normal approximation, two-sided": normal,
        "normal approximation, one-sided": one_sided,
    }


def signed_rank_sentence() -> str:
    """The published p of the signed-rank test, and what the printed pairs give."""
    values = [each.value for table in TABLES if table.number == "Table 1" for each in differences(table)]
    found = signed_rank_of_table_1()
    higher, lower = sum(value > 0 for value in values), sum(value < 0 for value in values)
    listed = "; ".join(f"{name}: p = {_short(p)}" for name, p in found.items())
    return (
        f"Wilcoxon's signed-rank test of BiDoRA against DoRA over GLUE: published p = {_short(CLAIMS['wilcoxon_p'])}. From the "
        f"{len(values)} printed pairs of Table 1 (BiDoRA higher in {higher}, lower in {lower}, equal in "
        f"{len(values) - higher - lower}) we get {listed}. There is one pair per task and model; "
        "the three models share their tasks, so the pairs are not independent, as the test supposes."
    )


def _short(p: float) -> str:
    """Two digits: 6.6e-4."""
    base, power = f"{p:.1e}".split("e")
    return f"{base}e{int(power)}"
