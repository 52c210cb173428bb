"""Two methods over several tasks: one pair per task, as the papers' tables of GLUE are tested."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from bidora.analysis.choosing import block_in_words
from bidora.analysis.comparing import shared_scores
from bidora.analysis.grouping import METHOD_ORDER, Group, groups_of
from bidora.metrics import LOWER_IS_BETTER
from bidora.runs import Run
from bidora.statistics import corrected, paired_difference
from bidora.wording import counted

if TYPE_CHECKING:
    import pandas

MEANING = (
    "Pooled over tasks: each task counts as one pair, the mean over its shared seeds. The signed-rank test asks whether one "
    "method tends to be above the other on tasks like these; it ranks differences of unlike scores against each other "
    "(a point of accuracy beside a point of a correlation), and says nothing of a single task, nor of other seeds."
)
"""What the pooled test means; belongs beside every result of it."""


def pooled_differences(runs: Iterable[Run], *, reference: str = "", correction: str = "holm") -> pandas.DataFrame:
    """Differences between every two methods over all tasks on which both have runs with shared seeds.

    Args:
        runs: any runs; only those with final scores count. Each task's primary score is used; where lower is better,
            the sign is turned round, so that a positive difference always means that the first is better.
        reference: label of the method that all others are compared with.
        correction: of p for several tests: holm, bh or none.

    Returns:
        first, second (labels), pairs (tasks), tasks (in words), mean, low, high (of the tasks' mean differences, in the
        scores' own unit; 95 % t-interval over tasks), higher, lower (in how many tasks the first is better, or worse), p,
        smallest_p, p_corrected, correction, tests, effect_size, rank_biserial, sentence, differences (tuple, in the order
        of tasks).
    """
    import pandas

    groups = groups_of(runs)
    order = {method: place for place, method in enumerate(METHOD_ORDER)}
    places = {group.label: (order.get(group.method, len(order)), group.label) for group in groups}
    labels = sorted(places, key=places.__getitem__)
    rows = []
    for second, first in combinations(labels, 2):
        if reference:
            if reference not in (first, second):
                continue
            first, second = (second, first) if first == reference else (first, second)
        row = _pooled(groups, first, second)
        if row is not None:
            rows.append(row)
    p = corrected([row["p"] for row in rows], correction)
    family = int(sum(map(math.isfinite, p)))
    for row, value in zip(rows, p):
        row |= {"p_corrected": float(value), "correction": correction, "tests": family}
    columns = (
        "first second pairs tasks mean low high higher lower p smallest_p p_corrected correction tests effect_size"
    )
    return pandas.DataFrame(rows, columns=[*columns.split(), "rank_biserial", "sentence", "differences"])


def _pooled(groups: Sequence[Group], first: str, second: str) -> dict[str, Any] | None:
    """One row; None where the two share fewer than two tasks."""
    by_label = {(group.block, group.label): group for group in groups}
    blocks = dict.fromkeys(group.block for group in groups)
    names, ours, theirs = [], [], []
    for block in blocks:
        one, other = by_label.get((block, first)), by_label.get((block, second))
        pairs = shared_scores(one, other) if one and other else []
        if one is None or not pairs:
            continue
        sign = -1.0 if one.members[0].primary in LOWER_IS_BETTER else 1.0
        names.append(block_in_words(block))
        ours.append(sign * math.fsum(pair[1] for pair in pairs) / len(pairs))
        theirs.append(sign * math.fsum(pair[2] for pair in pairs) / len(pairs))
    if len(names) < 2:
        return None
    found = paired_difference(ours, theirs, names)
    test = found.test
    assert test is not None  # there are two pairs or more
    equal = len(names) - found.higher - found.lower
    sentence = (
        f"{first} better than {second} on {found.higher} of {counted(len(names), 'task')}, worse on {found.lower}"
        + (f", equal on {equal}" if equal else "")
        + f"; signed-rank test over tasks: p = {test.p:.3g} (with so many pairs never below {test.smallest_p:.2g})"
    )
    return {
        "first": first,
        "second": second,
        "pairs": len(names),
        "tasks": ", ".join(names),
        "mean": found.mean,
        "low": found.interval.low,
        "high": found.interval.high,
        "higher": found.higher,
        "lower": found.lower,
        "p": test.p,
        "smallest_p": test.smallest_p,
        "effect_size": found.effect_size,
        "rank_biserial": found.rank_biserial,
        "sentence": sentence,
        "differences": found.differences,
    }
