"""How tags mark entities: IOB1, IOB2, IOBES and BILOU are told apart and brought to IOB2.

IOB2 (also BIO, BIO2): B- at the first word of every entity, I- at the others. IOB1: B- only where an entity follows another
one of its type at once (Ramshaw and Marcus 1995; CoNLL-2003). IOBES: besides, E- at the last word and S- at a single one;
BILOU calls them L- and U-.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

OUTSIDE = "O"

TAG = re.compile(r"O|[BIESLU]-\S+")
"""What counts as a tag."""

_PLAIN = {"E": "I", "L": "I", "S": "B", "U": "B"}
"""Prefixes of IOBES and BILOU as prefixes of IOB2."""


@dataclass(frozen=True)
class Scheme:
    """What was found in some tagged sentences.

    Args:
        name: IOB1, IOB2, IOBES or BILOU; "mixed" where B- and I- follow neither of the first two.
        repaired: how many I- tags began an entity and were made B-.
    """

    name: str
    repaired: int = 0


def to_iob2(sentences: Sequence[Sequence[str]]) -> tuple[list[list[str]], Scheme]:
    """The same entities in IOB2, and the scheme in which they came.

    Args:
        sentences: tags, each of which matches `TAG`.

    >>> to_iob2([["I-PER", "I-PER", "O", "I-LOC", "B-LOC"]])
    ([['B-PER', 'I-PER', 'O', 'B-LOC', 'B-LOC']], Scheme(name='IOB1', repaired=2))
    """
    prefixes = {tag[0] for tags in sentences for tag in tags}
    closed = "IOBES" if prefixes & set("ES") else "BILOU" if prefixes & set("LU") else ""
    converted, opened, needless = [], 0, 0
    for tags in sentences:
        row: list[str] = []
        before, ended = OUTSIDE, True
        for tag in tags:
            prefix, kind = tag[0], tag[2:]
            plain = _PLAIN.get(prefix, prefix)
            follows = before != OUTSIDE and before == kind
            if plain == "I" and (not follows or (closed and ended)):
                plain, opened = "B", opened + 1
            elif plain == "B" and not follows:
                needless += 1  # IOB1 would have I- here
            row.append(OUTSIDE if plain == OUTSIDE else f"{plain}-{kind}")
            before = kind if plain != OUTSIDE else OUTSIDE
            ended = prefix in "ELSUO"
        converted.append(row)
    if closed:
        return converted, Scheme(closed, opened)
    return converted, Scheme("IOB2" if not opened else "mixed" if needless else "IOB1", opened)


def types_of(sentences: Sequence[Sequence[str]]) -> list[str]:
    """Types of entities, sorted.

    >>> types_of([["B-PER", "O"], ["B-LOC", "I-LOC"]])
    ['LOC', 'PER']
    """
    return sorted({tag[2:] for tags in sentences for tag in tags if tag != OUTSIDE})
