"""In what do these runs differ? Settings side by side, one column per group of runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING

from bidora.analysis.choosing import block_in_words
from bidora.analysis.grouping import Group, groups_of, in_words, relevant_settings
from bidora.config import RunConfig
from bidora.methods import METHODS
from bidora.runs import Run

if TYPE_CHECKING:
    import pandas

UNUSED = "not used"
_MATTERS = frozenset(name for method in METHODS for name in relevant_settings(RunConfig(method=method)))


def settings_table(runs: Iterable[Run], *, only_differences: bool = True) -> pandas.DataFrame:
    """One row per setting, one column per group of runs; finished or not.

    Args:
        runs: any runs.
        only_differences: leave out settings that are equal in all groups.

    Returns:
        setting, meaning, and a column of texts per group, named by its label (with the task before it where there are
        several). A setting that the method does not use reads "not used"; one that varies within a group lists its
        values. The seed and the machine come last.
    """
    import pandas

    groups = groups_of(runs, finished=False)
    several = len({group.block for group in groups}) > 1
    names = [f"{block_in_words(group.block)}: {group.label}" if several else group.label for group in groups]
    rows = []
    for each in fields(RunConfig):
        if each.name != "seed":
            values = [_value(group, each.name) for group in groups]
            rows.append((each.metadata["symbol"] or each.name, each.name, each.metadata["help"], values))
    rows.append(("seed", "seed", "draws examples, splits, initial values", [_listed(group.seeds) for group in groups]))
    machines = [_listed(dict.fromkeys(each.machine for each in group.members)) for group in groups]
    rows.append(("machine", "machine", "device and threads, as recorded", machines))
    kept = [row for row in rows if not only_differences or len(set(row[3])) > 1]
    return pandas.DataFrame(
        [
            {
                "setting": name if symbol == name else f"{name} ({symbol})",
                **dict(zip(names, values)),
                "meaning": meaning.replace("`", ""),
            }
            for symbol, name, meaning, values in kept
        ],
        columns=["setting", *names, "meaning"],
    )


def _value(group: Group, name: str) -> str:
    """A setting's value in words; automatic ones as what they amount to."""
    found = []
    for each in group.members:
        used = relevant_settings(each.config)
        known = name in used or name not in _MATTERS
        found.append(in_words(used.get(name, getattr(each.config, name))) if known else UNUSED)
    return _listed(dict.fromkeys(found)) or (UNUSED if name == "norm" else "default")


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in values)
