"""How a group's settings were chosen, as `bidora sweep --tune` wrote it into meta.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from bidora.analysis.grouping import Facts, Group, in_words
from bidora.wording import counted


class Tuned(NamedTuple):
    """The budget of a search for settings, and what came of it.

    Attributes:
        settings: names of the settings that were varied.
        trials: how many values, or combinations of values, were tried.
        seeds: how many seeds each was tried with.
        chosen: the best by the selection score, in words.
    """

    settings: tuple[str, ...]
    trials: int
    seeds: int
    chosen: str

    @property
    def in_words(self) -> str:
        """`tuned with 4 trials of learning_rate, 3 seeds each`."""
        names = " × ".join(self.settings)
        return f"tuned with {counted(self.trials, 'trial')} of {names}, {counted(self.seeds, 'seed')} each"


def tuning_of(group: Group) -> Tuned | None:
    """How the settings of these runs were chosen; None where one of them does not say, or they say different things."""
    found = {_of_run(each) for each in group.members}
    return found.pop() if len(found) == 1 else None


def _of_run(facts: Facts) -> Tuned | None:
    """What meta.json says, if it can be what the sweep writes: it may be somebody else's, or edited by hand."""
    noted = facts.meta.get("tuning")
    if not isinstance(noted, Mapping):
        return None
    chosen, trials, seeds = noted.get("chosen"), noted.get("trials"), noted.get("seeds")
    if not isinstance(chosen, Mapping) or not chosen or not isinstance(seeds, list) or not seeds:
        return None
    if not isinstance(trials, int) or isinstance(trials, bool) or trials < 1:
        return None
    if any(_differs(getattr(facts.config, str(name), None), value) for name, value in chosen.items()):
        return None  # the settings were changed afterwards
    words = ", ".join(f"{name} {in_words(value)}" for name, value in chosen.items())
    return Tuned(tuple(map(str, chosen)), trials, len(seeds), words[:200])


def _differs(setting: Any, noted: Any) -> bool:
    return (list(setting) if isinstance(setting, tuple) else setting) != noted
