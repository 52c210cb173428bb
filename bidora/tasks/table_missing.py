"""Label cells that are empty, or say so in a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from bidora.errors import LabError
from bidora.tasks.table_files import Table
from bidora.tasks.table_numbers import are_numbers

CERTAIN = ("nan", "n/a", "#n/a")
"""What programs write where nothing is known; hardly the name of a class."""

WORDS = (*CERTAIN, "na", "null", "none")
"""The same and what may also be a class: North America, none of the others."""


def missing_words(cells: Iterable[str], asked: str) -> tuple[str, ...]:
    """Which words stand for an empty cell, in small letters: all of them among numbers, the certain ones among texts.

    Args:
        cells: of the label column.
        asked: the kind of task, or "auto".
    """
    others = [cell for cell in cells if cell and cell.lower() not in WORDS]
    return WORDS if asked == "regression" or (others and are_numbers(others)) else CERTAIN


def blanked(table: Table, column: str, words: Iterable[str]) -> tuple[Table, str]:
    """The table with empty cells where some of the words stand, and which they were: ` (3 say 'NA')`."""
    cells = table.columns[column]
    said = Counter(cell for cell in cells if cell.lower() in words)
    if not said:
        return table, ""
    columns = table.columns | {column: ["" if cell in said else cell for cell in cells]}
    shown = ", ".join(f"{many} say {word!r}" for word, many in said.most_common())
    return replace(table, columns=columns), f" ({shown})"


def labelled(
    table: Table, columns: tuple[str, ...], words: Iterable[str], *, none_allowed: bool
) -> tuple[Table, list[str]]:
    """The rows that have a label (tables of many measurements leave blank what was not measured), and a remark.

    Args:
        table: with inputs and labels.
        columns: of the labels; several hold 0 and 1, and an empty cell means 0.
        words: that stand for an empty cell.
        none_allowed: whether a row may have no label at all, and is kept.

    Raises:
        LabError: no row has a label.
    """
    if len(columns) > 1:
        return table, []
    table, said = blanked(table, columns[0], words)
    cells = table.columns[columns[0]]
    if all(cells):
        return table, []
    kept = [row for row, cell in enumerate(cells) if cell]
    if not kept:
        raise LabError(
            f"column {columns[0]!r} of {table.name} is empty in all {len(cells)} rows{said}",
            hint="name the label column with label_column",
            kind="data",
        )
    first = table.place(next(row for row, cell in enumerate(cells) if not cell))
    what = f"{len(cells) - len(kept)} of {len(cells)} rows have no label in column {columns[0]!r}{said}"
    if none_allowed:
        return table, [f"{what} and are examples of none (the first: {first})"]
    instead = "; where such a word is a class, write another" if said else ""
    return table.take(kept), [f"{what} and were left out (the first: {first}){instead}"]
