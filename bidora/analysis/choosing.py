"""Which runs are compared: those of a link, those of a group, or those about which most can be said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bidora.analysis.grouping import Group, facts_of, grouped
from bidora.runs import Run

LIMIT = 16
"""So many groups are compared at once: every method with its own colour, dash and marker, and some variants; more lines
in a chart cannot be told apart."""

_ID = re.compile(r"^[0-9A-Za-z-]{1,64}$")
_MOST_IDS = 200


@dataclass(frozen=True)
class Choice:
    """A group of runs that can be chosen: they differ in nothing but the seed.

    Attributes:
        ids: of its runs; the newest of each seed, by seed.
        title: task, method and settings, seeds, and what is not finished, in words.
        block: task, variant, examples per class: only choices of one block can be compared.
        method: of all of them.
        older: ids of runs of a seed that was run again later.
    """

    ids: tuple[str, ...]
    title: str
    block: tuple[str, str, int]
    method: str
    older: tuple[str, ...] = ()


def choices(runs: Iterable[Run], *, recorded: frozenset[str] = frozenset()) -> list[Choice]:
    """All runs, sorted into groups, in the order of tasks and methods.

    Args:
        runs: any runs.
        recorded: ids of recordings, which the titles name.
    """
    return [_choice(group, recorded) for group in grouped(facts_of(runs))]


def _choice(group: Group, recorded: frozenset[str]) -> Choice:
    ids = tuple(each.id for each in group.members)
    seeds = ", ".join(map(str, group.seeds))
    words = [block_in_words(group.block), group.label, f"seed{'s' * (len(group.seeds) > 1)} {seeds}"]
    open_ = [each.state for each in group.members if not each.scores]
    if open_:
        words.append(", ".join(f"{open_.count(state)} {state}" for state in dict.fromkeys(open_)))
    if recorded.issuperset(ids):
        words.append("recording" + "s" * (len(ids) > 1))
    return Choice(ids, " · ".join(words), group.block, group.method, group.repeated)


def block_in_words(block: tuple[str, str, int]) -> str:
    """Task, variant and examples per class as a short text: "reuters r8, 16 per class"."""
    task, variant, examples = block
    return " ".join(filter(None, [task, variant])) + (f", {examples} per class" if examples else "")


def named_runs(runs: Sequence[Run], *, ids: str = "", group: str = "") -> tuple[list[Run], list[str]]:
    """The runs that a link names, and the sentences on what it names in vain.

    Args:
        runs: all runs that may be named.
        ids: ids with commas between; anything else in it is passed over and counted.
        group: name of a group.
    """
    wanted = list(dict.fromkeys(filter(None, (each.strip() for each in ids.split(",")))))[: _MOST_IDS + 1]
    remarks = []
    if len(wanted) > _MOST_IDS:
        wanted = wanted[:_MOST_IDS]
        remarks.append(f"The link names more than {_MOST_IDS} runs; the first {_MOST_IDS} are taken.")
    there = {run.id: run for run in runs}
    missing = [each if _ID.match(each) else "(no run's id)" for each in wanted if each not in there]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        named = ", ".join(missing[:5])
        remarks.append(f"Not here, perhaps deleted or on another machine: {named}{more}.")
    found = [there[each] for each in wanted if each in there]
    if group:
        members = [run for run in runs if str(run.meta.get("group") or "") == group]
        if not members:
            shown = group if re.match(r"^[\w .,-]{1,60}$", group) else "of that name"
            remarks.append(f"There are no runs of the group {shown}.")
        found += [run for run in members if run not in found]
    return found, remarks


def suggested(runs: Iterable[Run]) -> list[Run]:
    """The runs of the task about which most can be said: most methods on shared seeds, then most runs, then the newest."""
    by_block: dict[tuple[str, str, int], list[Group]] = {}
    for group in grouped([each for each in facts_of(runs) if each.scores]):
        by_block.setdefault(group.block, []).append(group)
    if not by_block:
        return []
    best = max(by_block.values(), key=_worth)
    chosen = sorted(best, key=lambda group: -len(group.members))[:LIMIT]
    return [each.run for group in chosen for each in group.members]


def _worth(groups: list[Group]) -> tuple[int, int, str]:
    shared = set(groups[0].seeds).intersection(*(group.seeds for group in groups))
    members = [each.id for group in groups for each in group.members]
    return min(len(groups), 4) * max(1, len(shared)), len(members), max(members)
