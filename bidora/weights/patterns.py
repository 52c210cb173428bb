"""Regular expressions in an adapter's settings: they may come from a stranger, and some of them take for ever to match."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bidora.errors import LabError

_LONGEST = 1000
"""Characters that one pattern may have."""

_MOST_REPEATS = 4
"""How often it may repeat something (`*`, `+`, `{}`): on a name of n characters k repeats may try n^k ways."""

_REPEATED_GROUP = re.compile(r"\)[*+{]")
"""A group that is repeated as a whole, such as (a+)+, may try 2^n ways."""


def refuse_slow_patterns(config: Mapping[str, Any]) -> None:
    """Make sure that matching an adapter's patterns against names of modules ends soon; PEFT itself writes plain names.

    Args:
        config: what adapter_config.json holds.

    Raises:
        LabError: a pattern is too long, repeats a group, or repeats too often.
    """
    for setting, pattern in _patterns(config):
        bare = re.sub(r"\\.", "", pattern)  # an escaped sign repeats nothing
        repeats = len(re.findall(r"[*+{]", bare))
        if len(pattern) > _LONGEST or repeats > _MOST_REPEATS or _REPEATED_GROUP.search(bare):
            raise LabError(
                f"adapter_config.json names modules in {setting} by a pattern that may take for ever to match: {pattern[:60]}",
                hint=f"name the modules themselves, or use patterns with at most {_MOST_REPEATS} repeats and no repeated group",
                kind="model",
            )


def _patterns(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for setting in ("rank_pattern", "alpha_pattern"):
        found = config.get(setting)
        yield from ((setting, str(key)) for key in (found if isinstance(found, Mapping) else ()))
    for setting in ("target_modules", "exclude_modules", "layers_pattern"):
        found = config.get(setting)
        yield from (
            (setting, each) for each in (found if isinstance(found, list) else [found]) if isinstance(each, str)
        )
