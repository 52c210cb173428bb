"""Methods × seeds: the runs of one comparison, from one set of settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bidora.config import RunConfig, gradient_evaluations, with_gradient_evaluations
from bidora.errors import LabError
from bidora.wording import METHOD_NAMES, counted

MOST_RUNS = 200
LARGEST_SEED = 2**31 - 1

_RANGE = re.compile(r"(\d{1,12})-(\d{1,12})")
_COUNT = re.compile(r"(\d{1,12})\s+seeds?")


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds from text: "0, 1, 2", "0-4" or "3 seeds" (the first three, from 0 on). A seed named twice counts once.

    Raises:
        LabError: it is none of these, or there are too many.

    >>> parse_seeds("0, 1, 5-7"), parse_seeds("3 seeds"), parse_seeds("4")
    ((0, 1, 5, 6, 7), (0, 1, 2), (4,))
    """
    first = _COUNT.fullmatch(text.strip())
    if first:
        return tuple(_between(0, int(first[1]) - 1, text))
    found: list[int] = []
    for part in filter(None, re.split(r"[,;\s]+", re.sub(r"\s*(-|–|\.\.)\s*", "-", text[:2000]))):
        ends = _RANGE.fullmatch(part)
        if ends:
            found += _between(int(ends[1]), int(ends[2]), text)
        elif part.isascii() and part.isdigit() and len(part) < 12 and int(part) <= LARGEST_SEED:
            found.append(int(part))
        else:
            raise _unreadable(text)
    if not found:
        raise _unreadable(text)
    seeds = tuple(dict.fromkeys(found))
    if len(seeds) > MOST_RUNS:
        raise _unreadable(text)
    return seeds


def grid(
    base: Mapping[str, Any], *, arms: Sequence[Mapping[str, Any]], seeds: Sequence[int], equal_effort: bool = False
) -> list[RunConfig]:
    """One config for each arm and seed: all arms of a seed follow each other, so that pairs are complete early.

    Args:
        base: settings that all share; those not named have their defaults.
        arms: what is compared, as changes of the base; `arms_of(methods)` for methods.
        seeds: which seeds.
        equal_effort: give arms with fewer gradient evaluations as many steps as the one with most needs.

    Raises:
        LabError: no arm or seed, too many runs, or settings that are not allowed (together).
    """
    count = len(arms) * len(seeds)
    if not 1 <= count <= MOST_RUNS:
        raise LabError(
            f"{counted(len(arms), 'method')} × {counted(len(seeds), 'seed')} = {counted(count, 'run')} "
            f"(allowed: 1 to {MOST_RUNS})",
            hint="choose fewer seeds" if count else "choose at least one method and one seed",
        )
    configs = [RunConfig.from_dict({**base, **arm}, strict=True) for arm in arms]
    if equal_effort:
        configs = at_equal_effort(configs)
    return [config.replace(seed=seed) for seed in seeds for config in configs]


def arms_of(methods: Sequence[str]) -> list[dict[str, Any]]:
    """Methods as arms of a grid, each once."""
    return [{"method": method} for method in dict.fromkeys(methods)]


def arm_in_words(arm: Mapping[str, Any]) -> str:
    """What sets an arm apart: `BiDoRA, unroll scale 0`."""
    others = [f"{name.replace('_', ' ')} {value}" for name, value in arm.items() if name != "method"]
    return ", ".join([*([METHOD_NAMES[arm["method"]]] if "method" in arm else []), *others])


def at_equal_effort(configs: Sequence[RunConfig]) -> list[RunConfig]:
    """The same configs with more steps where others have more gradient evaluations, as near as whole steps come."""
    most = max(map(gradient_evaluations, configs), default=0)
    return [
        config if gradient_evaluations(config) == most else with_gradient_evaluations(config, most)
        for config in configs
    ]


def group_name(word: str = "") -> str:
    """A name for a new group of runs that sorts by time, such as `implicit-20260301-1412`."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{word or 'group'}-{stamp}"


def _between(first: int, last: int, text: str) -> range:
    if not 0 <= first <= last <= LARGEST_SEED or last - first >= MOST_RUNS:
        raise _unreadable(text)
    return range(first, last + 1)


def _unreadable(text: str) -> LabError:
    return LabError(
        f"seeds={text[:60]!r} is not a list of 1 to {MOST_RUNS} whole numbers from 0 to {LARGEST_SEED}",
        hint="write 0, 1, 2 or 0-4 or 3 seeds",
    )
