"""What the label cells of a user's table mean: classes, several labels at once, or numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy

from bidora.errors import LabError
from bidora.tasks.table_files import Table
from bidora.tasks.table_missing import WORDS, labelled, missing_words
from bidora.tasks.table_numbers import (
    are_numbers,
    class_name,
    comma_notes,
    has_decimal_comma,
    in_order,
    number_in,
    refuse_grouped,
)

MOST_WHOLE_NUMBERS = 20
"""Up to so many different whole numbers are classes; more are measurements."""

MULTILABEL_SEPARATORS = ("|", ";")


class Labels:
    """How label cells become targets.

    Args:
        kind: "classification", "regression" or "multilabel".
        labels: names of the classes.
        separator: between the labels of a cell, for multilabel; empty where each label has a column of 0 and 1.
        decimal_comma: whether the training numbers show that a comma is a decimal point.
        missing: words that stand for an empty cell.
        notes: remarks.
    """

    def __init__(
        self,
        kind: str,
        labels: Sequence[str],
        *,
        separator: str = "",
        decimal_comma: bool = False,
        missing: Sequence[str] = (),
        notes: Sequence[str] = (),
    ) -> None:
        self.kind = kind
        self.labels = tuple(labels)
        self.separator = separator
        self.decimal_comma = decimal_comma
        self.missing = tuple(missing)
        self.notes = list(notes)

    def labelled(self, table: Table, columns: tuple[str, ...]) -> tuple[Table, list[str]]:
        """The rows that have a label, and a remark on the others; of several labels at once a row may have none.

        Raises:
            LabError: no row has a label.
        """
        return labelled(table, columns, self.missing, none_allowed=self.kind == "multilabel")

    def read(self, table: Table, columns: tuple[str, ...]) -> numpy.ndarray:
        """Targets of all rows.

        Raises:
            LabError: a cell is empty, no number, may be two numbers, or is a label that the training data do not have.
        """
        if self.kind == "multilabel" and not self.separator:
            marks = [[self._mark(table, row, name) for name in columns] for row in range(len(table))]
            return numpy.array(marks, dtype=numpy.float32)
        index = {label: position for position, label in enumerate(self.labels)}
        if self.kind == "regression":
            cells = filled_cells(table, columns[0], "label")
            refuse_grouped(table, columns[0], decimal=self.decimal_comma or has_decimal_comma(cells))
            return numpy.array([number_in(table, row, columns[0]) for row in range(len(table))], dtype=numpy.float64)
        if self.kind == "classification":
            cells = filled_cells(table, columns[0], "label")
            return numpy.array(
                [self._index(index, class_name(cell), table, row) for row, cell in enumerate(cells)], dtype=numpy.int64
            )
        targets = numpy.zeros((len(table), len(index)), dtype=numpy.float32)
        for row, cell in enumerate(table.columns[columns[0]]):
            for label in _pieces(cell, self.separator):
                targets[row, self._index(index, label, table, row)] = 1
        return targets

    def _index(self, index: dict[str, int], label: str, table: Table, row: int) -> int:
        if label not in index:
            known = ", ".join(list(index)[:12])
            raise LabError(
                f"{table.place(row)}: label {label!r} does not occur in the training data, which have {known}",
                hint="correct the label, or add training examples of it",
                kind="data",
            )
        return index[label]

    @staticmethod
    def _mark(table: Table, row: int, name: str) -> float:
        cell = table.columns[name][row].lower()
        if cell in ("1", "1.0", "true", "yes"):
            return 1.0
        if cell in ("0", "0.0", "false", "no", ""):
            return 0.0
        raise LabError(
            f"{table.place(row)}: {cell!r} in column {name!r} is neither 0 nor 1",
            hint="with several label columns each holds 0 or 1; name one column for anything else",
            kind="data",
        )


def read_labels(table: Table, columns: tuple[str, ...], asked: str) -> Labels:
    """Tell what the labels are: asked for, or seen."""
    if len(columns) > 1:
        if asked not in ("auto", "multilabel"):
            raise LabError(
                f"kind={asked} has one label column, and {len(columns)} are named",
                hint="use kind=multilabel",
                kind="data",
            )
        return Labels("multilabel", columns)
    missing = missing_words(table.columns[columns[0]], asked)
    table, _ = labelled(table, columns, missing, none_allowed=False)
    cells = table.columns[columns[0]]
    decimal = has_decimal_comma(cells)
    if asked == "auto" and are_numbers(cells):
        refuse_grouped(table, columns[0], decimal=decimal)
    kind = _kind(cells) if asked == "auto" else asked
    if kind == "regression":
        note = f"labels are numbers: regression ({len(set(cells))} different values); kind=classification changes that"
        notes = [note] if asked == "auto" else []
        notes += comma_notes(cells, columns[0])
        return Labels(kind, (), decimal_comma=decimal, missing=missing, notes=notes)
    if kind == "multilabel":
        separator = next((each for each in MULTILABEL_SEPARATORS if any(each in cell for cell in cells)), "|")
        labels = sorted({label for cell in cells for label in _pieces(cell, separator)})
        note = f"several labels in a cell, separated by {separator!r}: multilabel; kind=classification changes that"
        return Labels(kind, labels, separator=separator, missing=missing, notes=[note] if asked == "auto" else [])
    labels = in_order({class_name(cell) for cell in cells})
    _check_sane(table, columns[0], labels, len(cells))
    return Labels("classification", labels, missing=missing, notes=_class_notes(cells, labels, columns[0], asked))


def _class_notes(cells: list[str], labels: list[str], column: str, asked: str) -> list[str]:
    """Remarks on classes that may be meant as something else."""
    notes = []
    if are_numbers(cells):
        if asked == "auto":
            notes.append(f"labels are {len(labels)} whole numbers: classes; kind=regression changes that")
        notes += comma_notes([cell for cell in cells if class_name(cell) != cell], column)
    if alike := [key for key, many in Counter(label.lower() for label in labels).items() if many > 1]:
        notes.append(f"labels that differ in upper and lower case only are different classes: {', '.join(alike[:5])}")
    if words := [label for label in labels if label.lower() in WORDS]:
        counted = ", ".join(f"{label!r} in {cells.count(label)} rows" for label in words)
        notes.append(f"counted as classes: {counted}; leave the cell empty where a label is missing")
    return notes


def _kind(cells: list[str]) -> str:
    if are_numbers(cells):
        different = {class_name(cell) for cell in cells}
        whole = all(re.fullmatch(r"[+-]?\d+", value) for value in different)
        few = len(different) <= min(MOST_WHOLE_NUMBERS, max(2, len(cells) // 3))
        return "classification" if whole and few else "regression"
    for separator in MULTILABEL_SEPARATORS:
        several = [cell for cell in cells if len(_pieces(cell, separator)) > 1]
        pieces = {piece for cell in cells for piece in _pieces(cell, separator)}
        if several and len(pieces) < len(set(cells)):
            return "multilabel"
    return "classification"


def _check_sane(table: Table, column: str, labels: list[str], rows: int) -> None:
    if len(labels) == 1:
        raise LabError(
            f"column {column!r} of {table.name} holds one class only: {labels[0]!r} in all {rows} rows",
            hint="give examples of at least 2 classes, or name another column with label_column",
            kind="data",
        )
    if len(labels) > max(20, rows // 2):
        raise LabError(
            f"column {column!r} of {table.name} holds {len(labels)} different texts in {rows} rows, such as "
            f"{labels[0][:40]!r}: that is no set of classes",
            hint="name the label column with label_column, or set kind=regression for numbers",
            kind="data",
        )


def filled_cells(table: Table, column: str, role: str) -> list[str]:
    """The cells of a column.

    Raises:
        LabError: one is empty; says where.
    """
    cells = table.columns[column]
    for row, cell in enumerate(cells):
        if not cell:
            raise empty_cell(table, row, column, role)
    return cells


def empty_cell(table: Table, row: int, column: str, role: str) -> LabError:
    """What to say about an empty cell."""
    many = sum(not cell for cell in table.columns[column])
    rest = f"; {many} of {len(table)} rows lack it" if many > 1 else ""
    return LabError(
        f"{table.place(row)}: the {role} in column {column!r} is empty{rest}",
        hint="fill it in, or delete the row",
        kind="data",
    )


def _pieces(cell: str, separator: str) -> list[str]:
    return [piece.strip() for piece in cell.split(separator) if piece.strip()]
