"""Every number and word that a screen shows, with formula, unit, convention and source. Data only, no torch.

entry_of("delta_d").formula          entry_of("test_accuracy_low")          find("norm axis")
"""

from __future__ import annotations

import re
import unicodedata

from bidora.glossary.bookkeeping import COST, DATA, RUNS
from bidora.glossary.entities import ENTITY_SCORES
from bidora.glossary.entry import TOPICS, Entry
from bidora.glossary.levels import LEVELS
from bidora.glossary.methods import METHOD_ENTRIES
from bidora.glossary.references import CONVENTIONS, REFERENCES, Convention, Reference
from bidora.glossary.scores import SCORES
from bidora.glossary.settings import SETTINGS
from bidora.glossary.statistics import STATISTICS
from bidora.glossary.texts import TEXT_SCORES
from bidora.glossary.weights import WEIGHTS

ENTRIES: tuple[Entry, ...] = (
    *(*WEIGHTS, *LEVELS, *STATISTICS, *SCORES, *ENTITY_SCORES, *TEXT_SCORES),
    *(*DATA, *COST, *RUNS, *METHOD_ENTRIES, *SETTINGS),
)
"""All entries, in the order of the page."""

_BY_KEY = {entry.key: entry for entry in ENTRIES}
_BY_NAME = {name: entry for entry in reversed(ENTRIES) for name in entry.names} | _BY_KEY
_BEFORE = re.compile(r"^(test|train|baseline|selection)_")
_BEHIND = re.compile(r"_(low|high)$")

__all__ = [
    "CONVENTIONS",
    "ENTRIES",
    "REFERENCES",
    "TOPICS",
    "Convention",
    "Entry",
    "Reference",
    "entry_of",
    "find",
    "link_to",
]


def entry_of(name: str) -> Entry | None:
    """The entry about a term, a column, a quantity or a setting; None where there is none.

    Ends of intervals and scores on a split are explained by what they are of: `test_accuracy_low` by accuracy.

    >>> entry_of("test_accuracy_low").term
    'Accuracy'
    """
    for candidate in (name, _BEHIND.sub("", name), _BEFORE.sub("", _BEHIND.sub("", name))):
        if candidate in _BY_NAME:
            return _BY_NAME[candidate]
    return None


def find(words: str, *, topic: str = "") -> list[Entry]:
    """Entries that hold all the words, those with a match in their term first.

    Args:
        words: free text, upper and lower case alike; only its first 80 characters count.
        topic: one of TOPICS, or empty for all.
    """
    wanted = _plain(words[:80]).split()
    hits = [
        entry
        for entry in ENTRIES
        if (not topic or entry.topic == topic) and all(word in _text(entry) for word in wanted)
    ]
    return sorted(hits, key=lambda entry: _place(entry, wanted))


def _place(entry: Entry, wanted: list[str]) -> int:
    """0: the words stand in the name one after the other; 1: they stand in it; 2: elsewhere."""
    name = _plain(f"{entry.term} {entry.key}")
    if " ".join(wanted) in name:
        return 0
    return 1 if all(word in name for word in wanted) else 2


def link_to(name: str) -> str:
    """The address of an entry within the app: `glossary?term=delta_d`; that of the page where there is no entry."""
    entry = entry_of(name)
    return f"glossary?term={entry.key}" if entry else "glossary"


def _text(entry: Entry) -> str:
    sources = " ".join(f"{REFERENCES[key].short if key else ''} {place}" for key, place in entry.source)
    parts = (entry.key, entry.term, entry.meaning, entry.unit, entry.convention, sources, *entry.names, *entry.shown)
    return _plain(" ".join(parts))


def _plain(text: str) -> str:
    """Lower case, letters with accents as their base, underscores as spaces."""
    folded = unicodedata.normalize("NFKD", text).casefold().replace("_", " ")
    return "".join(letter for letter in folded if not unicodedata.combining(letter))
