"""Tables as CSV that a spreadsheet opens as a table: no cell of it is run as a formula."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

_FORMULA = ("=", "+", "-", "@", "\t", "\n")
_NUMBERS = re.compile(r"[-+][\d.,;:%()\[\]\s−–+\-eEto]*\Z")
"""A number, an interval such as "-0.3 to 1.6", or several: no name, no call, so harmless."""


def harmless(text: str) -> str:
    """Text with an apostrophe before it where a spreadsheet would take it for a formula; numbers stay as they are.

    >>> harmless("=1+1"), harmless("-0.3 to 1.6"), harmless("a=b")
    ("'=1+1", '-0.3 to 1.6', 'a=b')
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")  # csv leaves a lone \r unquoted: it would begin another row
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBERS.match(text) else text


def csv_of(table: pandas.DataFrame) -> str:
    """A table as CSV without its index; names and words in it, which may be anybody's, are made `harmless`."""
    words = [place for place, kind in enumerate(table.dtypes) if kind.kind not in "biufcmM"]
    safe = table.copy(deep=False)
    for place in words:
        safe.isetitem(place, table.iloc[:, place].map(_cell).astype(object))
    safe.columns = [_cell(name) for name in table.columns]
    return str(safe.to_csv(index=False))


def _cell(value: Any) -> Any:
    return harmless(value) if isinstance(value, str) else value
