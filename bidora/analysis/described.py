"""Settings and environment of one run as tables of words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from bidora.analysis.grouping import in_words
from bidora.config import RunConfig

if TYPE_CHECKING:
    import pandas


def settings_of(config: RunConfig) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """Two tables of settings: those that differ from the defaults, and the others.

    Returns:
        setting, value, default, meaning; and setting, value, meaning.
    """
    import pandas

    changed, same = [], []
    for each in fields(RunConfig):
        value, meaning = getattr(config, each.name), each.metadata["help"].replace("`", "")
        symbol = each.metadata["symbol"]
        name = f"{each.name} ({symbol})" if symbol else each.name
        if value == each.default:
            same.append({"setting": name, "value": _shown(value), "meaning": meaning})
        else:
            changed.append(
                {"setting": name, "value": _shown(value), "default": _shown(each.default), "meaning": meaning}
            )
    return (
        pandas.DataFrame(changed, columns=["setting", "value", "default", "meaning"]),
        pandas.DataFrame(same, columns=["setting", "value", "meaning"]),
    )


def environment_table(meta: Mapping[str, Any]) -> pandas.DataFrame:
    """Versions, device, counts and hashes of data and weights as meta.json has them: what, value; empty where none."""
    import pandas

    rows: list[tuple[str, str]] = []
    for part, words in (("device", "device: {}"), ("versions", "version of {}"), ("model", "model: {}")):
        found = meta.get(part)
        rows += (
            [(words.format(name), str(value)) for name, value in found.items() if value is not None]
            if isinstance(found, Mapping)
            else []
        )
    data = meta.get("data")
    for split, entry in data.items() if isinstance(data, Mapping) else ():
        if isinstance(entry, Mapping):
            rows += [(f"{split} data: {name}", str(value)) for name, value in entry.items()]
    notes = meta.get("notes")
    rows += [("note on the data", str(note)) for note in notes] if isinstance(notes, list) else []
    for name in ("cloned_from", "imported"):
        if meta.get(name):
            rows.append((name.replace("_", " "), str(meta[name])))
    return pandas.DataFrame([(what[:120], value[:500]) for what, value in rows], columns=["what", "value"])


def _shown(value: Any) -> str:
    return in_words(value) or "(empty)"
