"""How numbers, times and tables look in a terminal."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any


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


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else number(value) if isinstance(value, (int, float)) else str(value)


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"–|[-+−]?[\d,.]+(e[-+]?\d+)?( (%|s|min|h|days|bytes|[kMG]B))?( [\[\d].*)?", cell))
