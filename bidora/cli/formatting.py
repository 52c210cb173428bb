"""How numbers, times and tables look in a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bidora.wording import duration, number, score, size

__all__ = ["duration", "facts", "number", "score", "size", "table"]


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns of equal width with a line under the headers; numbers to the right, the rest to the left."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    right = [bool(cells) and all(_is_number(row[i]) for row in cells) for i in range(len(headers))]

    def line(row: Sequence[str]) -> str:
        fitted = [cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)]
        return "  ".join(fitted).rstrip()

    return "\n".join([line(headers), "  ".join("─" * width for width in widths), *map(line, cells)])


def facts(pairs: Sequence[tuple[str, Any]]) -> str:
    """Names to the left, values to the right of them; empty values are left out."""
    shown = [(name, _cell(value)) for name, value in pairs if value not in (None, "", (), [])]
    width = max((len(name) for name, _ in shown), default=0)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in shown)


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else number(value) if isinstance(value, (int, float)) else str(value)


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"–|[-+−]?[\d,.]+(e[-+]?\d+)?( (%|s|min|h|days|bytes|[kMG]B))?( [\[\d].*)?", cell))
