"""The sheets of an XLSX file as text cells, counted while they are read: a small file can stand for endless cells."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any

from bidora.errors import LabError

MOST_CELLS = 50_000_000
"""Cells of all sheets together, empty ones before the last filled column of a sheet included."""

MOST_LETTERS = 500_000_000
"""Letters of all cells together; a text that many cells share is stored once and counts for each of them."""


def sheets_of(place: Path, *, most_bytes: int) -> dict[str, list[list[str]]]:
    """Title → rows of every sheet; rows end with their last filled cell.

    Args:
        place: the file.
        most_bytes: what it may unpack to.

    Raises:
        LabError: it is no XLSX file, or holds too much.
    """
    import openpyxl

    try:
        with zipfile.ZipFile(place) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > most_bytes:
            raise LabError(f"{place.name} unpacks to {unpacked:,} bytes", hint="save it as CSV", kind="data")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl remarks on formatting, which is of no concern here
            book = openpyxl.load_workbook(place, read_only=True, data_only=True)
            try:
                return _counted({sheet.title: sheet.iter_rows(values_only=True) for sheet in book.worksheets}, place)
            finally:
                book.close()
    except LabError:
        raise
    except Exception as error:  # openpyxl raises whatever its parsers raise
        raise LabError(
            f"{place.name} cannot be read as XLSX: {type(error).__name__} {error}",
            hint="open it in a spreadsheet program and save it again, as XLSX or CSV (UTF-8)",
            kind="data",
        ) from error


def _counted(sheets: dict[str, Iterable[tuple[Any, ...]]], place: Path) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = {}
    cells = letters = 0
    for title, rows in sheets.items():
        found[title], widest = [], 1
        for row in rows:
            words = [cell_text(value) for value in row] if any(value is not None for value in row) else []
            while words and not words[-1]:
                words.pop()
            found[title].append(words)
            widest = max(widest, len(row))
            letters += sum(map(len, words))
            if cells + widest * len(found[title]) > MOST_CELLS or letters > MOST_LETTERS:
                raise LabError(
                    f"{place.name} holds more than {MOST_CELLS:,} cells or {MOST_LETTERS:,} letters",
                    hint="delete empty rows and columns behind the table, or save it as CSV (UTF-8)",
                    kind="data",
                )
        cells += widest * len(found[title])
    return found


def cell_text(value: Any) -> str:
    """A spreadsheet's or parquet's value as text: whole numbers without a point, lists with bars between."""
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if value != value else str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return "|".join(cell_text(each) for each in value)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace").strip()
    return str(value).strip()
