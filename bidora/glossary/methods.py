"""Entries on the methods, made from `bidora.methods`, so that every method of every form and table has one."""

from __future__ import annotations

from bidora.glossary.entry import Entry
from bidora.methods import METHODS, TWO_LEVELS, Method


def _entry(method: Method) -> Entry:
    low, high = method.rates
    parts = [f"{method.summary[:1].upper()}{method.summary[1:]}."]
    own = [name for name in method.settings if name not in TWO_LEVELS]
    if own:
        listed = ", ".join(name.replace("_", " ") for name in own)
        parts.append(f"Settings of its own: {listed}{', and those of two levels' if method.bilevel else ''}.")
    parts.append(f"Learning rates between {low:g} and {high:g} are usual with small encoders.")
    return Entry(
        key=f"method_{method.name}",
        term=method.title if not method.title.split()[0].islower() else method.title[:1].upper() + method.title[1:],
        topic="methods",
        meaning=" ".join(parts),
        formula=method.formula,
        convention=method.convention,
        source=((reference_of(method), f"method={method.name}"),),
        shown=("New run", "Runs", "Compare"),
        names=(method.name,),
    )


def reference_of(method: Method) -> str:
    """The key of its paper among the references."""
    return method.name


METHOD_ENTRIES = tuple(_entry(method) for method in METHODS.values())
