"""With which method the others are compared where nobody has said it: the same rule in the terminal and in the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

BLOCK = ["task", "variant", "examples_per_class"]
"""What runs of one table have in common."""

MOST_IN_PAIRS = 4
"""With more methods than these all are compared with one unless something else is said: 13 methods make 78 pairs."""


def usual_reference(rows: pandas.DataFrame) -> str:
    """The label of the method that all others are compared with unless something else is said; empty for every two.

    Every two where methods are few, else against DoRA, or the first method where DoRA is not among them, as far as each
    task has it.

    Args:
        rows: of `bidora.analysis.comparison`.
    """
    if rows.empty:
        return ""
    tasks = [set(members["label"]) for _, members in rows.groupby(BLOCK, sort=False)]
    if max(map(len, tasks)) <= MOST_IN_PAIRS:
        return ""
    everywhere = rows[rows["label"].isin(set.intersection(*tasks))]
    return next(iter([*everywhere[everywhere["method"] == "dora"]["label"], *everywhere["label"], ""]))
