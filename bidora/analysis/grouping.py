"""Which runs repeat each other, and what to call them: task, method, and the settings in which they differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.methods import get_method, uses
from bidora.methods.adalora import initial_rank
from bidora.models import packaged_name
from bidora.runs import Run
from bidora.tasks import TASKS
from bidora.wording import METHOD_NAMES

METHOD_ORDER = tuple(METHOD_NAMES)
"""The order of methods in every table and legend."""

NAN = float("nan")

BOOKKEEPING = {"seed", "device", "threads", "kernel", "gradient_checkpointing"}
BOOKKEEPING |= {"evaluate_every", "evaluation_examples", "record_every", "checkpoint_every"}
"""The seed, and settings that change what is written or how fast, but not what is learnt."""


@dataclass(frozen=True)
class Facts:
    """What one run folder says, read once.

    Attributes:
        run: the run.
        config: its settings.
        meta: name, group, versions, device, hashes; {} where unreadable.
        result: final scores, cost, dynamics; {} until finished or where unreadable.
        state: one of bidora.runs.STATES.
    """

    run: Run
    config: RunConfig
    meta: Mapping[str, Any]
    result: Mapping[str, Any]
    state: str

    @property
    def id(self) -> str:
        """The run's id."""
        return self.run.id

    @property
    def primary(self) -> str:
        """Name of the score that stands for the task's kind; empty if unknown."""
        return str(self.result.get("primary") or "")

    @cached_property
    def scores(self) -> dict[str, tuple[float, float, float]]:
        """Test scores: metric → value, low, high; NaN where undefined."""
        found = self.result.get("scores")
        rows = found.items() if isinstance(found, Mapping) else ()
        return {
            str(name): (number(each.get("value")), number(each.get("low")), number(each.get("high")))
            for name, each in rows
            if isinstance(each, Mapping)
        }

    def at(self, *path: str) -> float:
        """One number of result.json by its keys, such as "cost", "seconds_training"; NaN where there is none."""
        found: Any = self.result
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        return number(found)

    def digest(self, split: str) -> str:
        """Hash of the data of a split; empty if it was not recorded."""
        data = self.meta.get("data")
        entry = data.get(split) if isinstance(data, Mapping) else None
        return str(entry.get("sha256") or "") if isinstance(entry, Mapping) else ""

    @property
    def weights(self) -> str:
        """Hash of the pretrained weights; empty if not recorded."""
        model = self.meta.get("model")
        return str(model.get("sha256") or "") if isinstance(model, Mapping) else ""

    @property
    def machine(self) -> str:
        """Device and threads in words; empty if not recorded."""
        device = self.meta.get("device")
        if not isinstance(device, Mapping):
            return ""
        threads = f", {device['threads']} threads" if device.get("type") == "cpu" and device.get("threads") else ""
        return f"{device.get('name') or device.get('type') or ''}{threads}"


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but the seed.

    Attributes:
        task: name.
        variant: the task's default where a run names none; empty where the task has no variants.
        examples_per_class: 0 for all.
        method: one of bidora.methods.METHODS.
        settings: the settings in which it differs from other groups of the same task and method, in words.
        members: facts of its runs, one per seed (the newest), by seed.
        repeated: ids of older runs of a seed that is there twice.
    """

    task: str
    variant: str
    examples_per_class: int
    method: str
    settings: str
    members: tuple[Facts, ...]
    repeated: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Method and what sets it apart, such as "BiDoRA ξ=0"."""
        return f"{METHOD_NAMES.get(self.method, self.method)} {self.settings}".strip()

    @property
    def block(self) -> tuple[str, str, int]:
        """Task, variant and examples per class: only groups of one block can be compared."""
        return self.task, self.variant, self.examples_per_class

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds in order."""
        return tuple(each.config.seed for each in self.members)

    def mean(self, *path: str) -> float:
        """Mean over seeds of a number of result.json; NaN where no run has it."""
        known = [value for value in (each.at(*path) for each in self.members) if math.isfinite(value)]
        return sum(known) / len(known) if known else NAN


def facts_of(runs: Iterable[Run]) -> list[Facts]:
    """What the runs say; runs whose settings cannot be read are left out."""
    found = []
    for run in runs:
        try:
            found.append(Facts(run, run.config, run.meta, run.result, run.state))
        except (LabError, OSError):
            continue
    return found


def groups_of(runs: Iterable[Run], *, finished: bool = True) -> list[Group]:
    """Sort runs into groups that differ in nothing but the seed, in the order of tasks and methods.

    Args:
        runs: any runs.
        finished: only runs with final scores.
    """
    return grouped([each for each in facts_of(runs) if each.scores or not finished])


def grouped(facts: Iterable[Facts]) -> list[Group]:
    """As `groups_of`, from what was read already."""
    gathered: dict[tuple[Any, ...], list[Facts]] = {}
    for each in facts:
        gathered.setdefault(_identity(each.config), []).append(each)
    groups = []
    for members in gathered.values():
        config = members[0].config
        seeds: dict[int, Facts] = {}
        repeated: list[str] = []
        for each in sorted(members, key=lambda member: member.id):
            if each.config.seed in seeds:
                repeated.append(seeds[each.config.seed].id)
            seeds[each.config.seed] = each
        groups.append(
            Group(
                task=config.task,
                variant=variant_of(config),
                examples_per_class=config.examples_per_class,
                method=config.method,
                settings="",
                members=tuple(seeds[seed] for seed in sorted(seeds)),
                repeated=tuple(repeated),
            )
        )
    return sorted(_with_differences(groups), key=_place)


def in_order(facts: Iterable[Facts]) -> list[Facts]:
    """The runs in the order of every table and legend: task, method, settings, seed."""
    facts = list(facts)
    places = {each.id: place for place, group in enumerate(grouped(facts)) for each in group.members}
    places |= {run_id: place for place, group in enumerate(grouped(facts)) for run_id in group.repeated}
    return sorted(facts, key=lambda each: (places[each.id], each.config.seed, each.id))


def labels_of(facts: Iterable[Facts]) -> dict[str, str]:
    """The label of each run's group by run id; older runs of a repeated seed have one, too."""
    facts = list(facts)
    labels = {}
    for group in grouped(facts):
        for run_id in (*(each.id for each in group.members), *group.repeated):
            labels[run_id] = group.label
    return labels


def number(value: Any) -> float:
    """A float, NaN for everything that is no finite number."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if usable else NAN


def _identity(config: RunConfig) -> tuple[Any, ...]:
    """Every setting that matters to what is learnt; settings that the method does not use count as equal."""
    return tuple(relevant_settings(config).items())


def relevant_settings(config: RunConfig) -> dict[str, Any]:
    """The settings that the method uses and that matter to what is learnt; automatic ones as what they amount to."""
    found = {}
    for each in fields(RunConfig):
        value = getattr(config, each.name)
        if each.name in BOOKKEEPING or not uses(config.method, each.name):
            continue
        if each.name in ("variant", "model", "max_length"):
            value = _of_task(config, each.name)
        if each.name == "retrain_learning_rate":
            value = value or config.learning_rate
        if each.name == "norm":
            value = norm_of(config)
        if each.name == "retrain_steps":
            value = config.steps_of_retraining
        if each.name == "initial_rank":
            value = initial_rank(config)
        found[each.name] = value
    return found


def variant_of(config: RunConfig) -> str:
    """The variant that is read: the task's default where none is named."""
    return str(_of_task(config, "variant"))


def _of_task(config: RunConfig, name: str) -> Any:
    """variant, model or max_length as what they amount to: the task says what an empty one means."""
    value = getattr(config, name)
    if config.task not in TASKS:
        return value
    task = TASKS[config.task]
    amounts = {"variant": task.default_variant, "model": task.default_model, "max_length": task.default_length}
    value = value or amounts[name]
    return packaged_name(str(value)) if name == "model" else value


def norm_of(config: RunConfig) -> str:
    """How gradients treat the norm: attached or detached; empty for methods without a magnitude."""
    return get_method(config.method).norm(config)


def _with_differences(groups: list[Group]) -> list[Group]:
    """Name, within each task and method, the settings in which groups differ."""
    symbols = {each.name: each.metadata["symbol"] or each.name for each in fields(RunConfig)}
    found = []
    for group in groups:
        alike = [other for other in groups if (other.block, other.method) == (group.block, group.method)]
        tables = [relevant_settings(other.members[0].config) for other in alike]
        own = relevant_settings(group.members[0].config)
        words = [
            f"{symbols[name]}={in_words(value)}" for name, value in own.items() if any(t[name] != value for t in tables)
        ]
        found.append(replace(group, settings=" ".join(words)))
    return found


def in_words(value: Any) -> str:
    """A setting's value as a short text."""
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _place(group: Group) -> tuple[Any, ...]:
    order = METHOD_ORDER.index(group.method) if group.method in METHOD_ORDER else len(METHOD_ORDER)
    return *group.block, order, group.settings
