"""Numbers as the cells of a user's table write them: points, commas, and commas between thousands."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from bidora.errors import LabError
from bidora.tasks.table_files import Table

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")
"""A number whose commas may stand between its thousands: 1,020, but not 0,25 or 0,250."""
_POINTED = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")
"""A number whose points may do so where commas are decimal points: 1.020."""


def in_order(labels: set[str]) -> list[str]:
    """Numbers by value, texts by letters."""
    if are_numbers(labels):
        return sorted(labels, key=lambda label: float(label.replace(",", "" if _GROUPED.fullmatch(label) else ".")))
    return sorted(labels)


def are_numbers(labels: Iterable[str]) -> bool:
    """Whether all labels are written as numbers, with commas between thousands, too."""
    return all(_NUMBER.fullmatch(label) or _GROUPED.fullmatch(label) for label in labels)


def number_in(table: Table, row: int, column: str) -> float:
    """The number in a cell.

    Raises:
        LabError: there is no finite one.
    """
    cell = table.columns[column][row]
    value = float(cell.replace(",", ".")) if _NUMBER.fullmatch(cell) else math.nan
    if not math.isfinite(value):
        raise LabError(
            f"{table.place(row)}: {cell!r} in column {column!r} is no finite number",
            hint="write numbers such as 1.25, or set kind=classification",
            kind="data",
        )
    return value


def has_decimal_comma(cells: Iterable[str]) -> bool:
    """Whether a cell shows that commas are decimal points: one whose comma cannot stand between thousands."""
    return any("," in cell and _NUMBER.fullmatch(cell) and not _GROUPED.fullmatch(cell) for cell in cells)


def refuse_grouped(table: Table, column: str, *, decimal: bool) -> None:
    """Refuse numbers whose commas stand between thousands, or may do so; where commas are decimal points, points.

    Args:
        table: with the numbers.
        column: where they stand.
        decimal: whether the column shows elsewhere that a comma is a decimal point.

    Raises:
        LabError: there is one; says where, and how to write it.
    """
    cells = table.columns[column]
    points = any("." in cell and _NUMBER.fullmatch(cell) and not _POINTED.fullmatch(cell) for cell in cells)
    for row, cell in enumerate(cells):
        number = _NUMBER.fullmatch(cell)
        if _GROUPED.fullmatch(cell) and not (decimal and number):
            mark, other, name = ",", ".", "commas"
        elif _POINTED.fullmatch(cell) and decimal and not points:
            mark, other, name = ".", ",", "points"
        else:
            continue
        what, instead = f"has {name} between its thousands", cell.replace(mark, "")
        if number:
            instead += f" or {cell.replace(mark, other)}"
            what = f"may mean {instead}, and no other cell tells which"
        raise LabError(
            f"{table.place(row)}: {cell!r} in column {column!r} {what}",
            hint=f"write {instead} (no {name} between thousands), or set kind=classification if it names a class",
            kind="data",
        )


def comma_notes(cells: Iterable[str], column: str) -> list[str]:
    """A remark where commas were read as decimal points."""
    having = [cell for cell in cells if "," in cell]
    if not having:
        return []
    return [f"{len(having)} numbers in column {column!r} have a comma, such as {having[0]}: read as a decimal point"]


def class_name(label: str) -> str:
    """A label as its class is called: spreadsheets turn 1 into 1.0. What follows in 1,000 are thousands."""
    return re.sub(r"^([+-]?\d+)(\.0+|,00?)$", r"\1", label)
