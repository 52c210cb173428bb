"""A draft: what a form or a link asks for, before it becomes runs. Links come from anywhere; nothing in one is trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any

from bidora.config import RunConfig, checked
from bidora.errors import LabError
from bidora.grid import arms_of, grid, parse_seeds
from bidora.models import MODELS
from bidora.presets import SEEDS, SIZES, START, Preset, get_preset
from bidora.tasks import TASKS

FIELDS: dict[str, Field[Any]] = {each.name: each for each in fields(RunConfig)}
"""Every setting by name."""

GROUPS: dict[str, tuple[str, ...]] = {}
for _each in FIELDS.values():
    GROUPS[_each.metadata["group"]] = (*GROUPS.get(_each.metadata["group"], ()), _each.name)

COMMON = ("examples_per_class", "steps", "batch_size", "learning_rate", "rank")
"""Settings that most people touch."""

BASIC = ("task", "variant", "model", "method", "seed", *COMMON)
"""Settings that a form shows at once; `advanced` in a link means all others."""

NOT_IN_LINKS = ("data", "test_data")
"""A link names no files of the machine that opens it."""

LONGEST_QUESTION = 300
LARGEST_NUMBER = 1_000_000_000
_OF_LINKS = ("preset", "size", "hide", "lock", "question", "clone")


@dataclass
class Draft:
    """Settings and what is compared.

    Attributes:
        values: settings that all runs share; those not named have their defaults. `method` and `seed` are not in it.
        methods: which methods are compared, where the preset does not say what is.
        seeds: as text, for `parse_seeds`.
        preset: its name, or empty.
        size: one of SIZES, for the preset.
        equal_effort: whether methods with fewer gradient evaluations get more steps.
        arms: positions of the preset's arms that are wanted.
        hide: settings that are not shown.
        lock: settings that are shown and cannot be changed.
        question: what to ask before the runs start; empty: what the preset asks.
    """

    values: dict[str, Any] = field(default_factory=dict)
    methods: tuple[str, ...] = ("lora", "dora", "bidora")
    seeds: str = "0, 1"
    preset: str = ""
    size: str = "30 s"
    equal_effort: bool = False
    arms: tuple[int, ...] = ()
    hide: frozenset[str] = frozenset()
    lock: frozenset[str] = frozenset()
    question: str = ""

    def chosen_preset(self) -> Preset | None:
        """The preset, if there is one."""
        return get_preset(self.preset) if self.preset else None

    def comparison(self) -> list[dict[str, Any]]:
        """What is compared: the arms of a preset that varies more than the method, else the methods."""
        preset = self.chosen_preset()
        if preset is None or preset.is_grid:
            return arms_of(self.methods)
        return [preset.arms[place] for place in self.arms if 0 <= place < len(preset.arms)]

    def configs(self) -> list[RunConfig]:
        """The runs.

        Raises:
            LabError: nothing is compared, the seeds cannot be read, or settings are not allowed (together).
        """
        values = {name: value for name, value in self.values.items() if name not in ("method", "seed")}
        return grid(values, arms=self.comparison(), seeds=parse_seeds(self.seeds), equal_effort=self.equal_effort)


def fresh() -> Draft:
    """What a form begins with."""
    return Draft(values={**START, **SIZES["30 s"]})


def of_preset(name: str, size: str = "30 s") -> Draft:
    """The draft of a preset.

    Raises:
        LabError: there is no such preset or size.
    """
    preset = get_preset(name)
    preset.configs(size)
    return Draft(
        values=preset.base(size),
        methods=tuple(dict.fromkeys(str(arm["method"]) for arm in preset.arms)),
        seeds=", ".join(map(str, SEEDS[size])),
        preset=name,
        size=size,
        equal_effort=preset.equal_effort,
        arms=tuple(range(len(preset.arms))),
    )


def of_config(config: RunConfig) -> Draft:
    """A draft that repeats one run."""
    values = {name: getattr(config, name) for name in FIELDS if name not in ("method", "seed")}
    for name, value in values.items():
        if _is_beyond(value):
            values[name] = FIELDS[name].default
    return Draft(values=values, methods=(config.method,), seeds=str(config.seed))


def of_query(query: Mapping[str, str]) -> tuple[Draft, list[str]]:
    """The draft that a link asks for, and a sentence on each part of the link that was passed over.

    Known are preset, size, hide, lock, question, seed (or seeds), method (or methods, with commas), and every setting
    but files; `clone` and unknown names are left to the caller or passed over.
    """
    draft, remarks = fresh(), []
    if query.get("preset"):
        try:
            draft = of_preset(query["preset"], query.get("size") or "30 s")
        except LabError as error:
            remarks.append(_remark("preset", error))
    for name, text in query.items():
        try:
            _apply(draft, name, text)
        except LabError as error:
            remarks.append(_remark(name, error))
    draft.hide = frozenset(_names(query.get("hide", ""), "hide", remarks))
    draft.lock = frozenset(_names(query.get("lock", ""), "lock", remarks))
    question = " ".join(query.get("question", "").split())
    draft.question = question[:LONGEST_QUESTION]
    return draft, remarks


def _apply(draft: Draft, name: str, text: str) -> None:
    """Take one entry of a link into the draft.

    Raises:
        LabError: its value is not allowed.
    """
    if name in ("seed", "seeds"):
        parse_seeds(text)
        draft.seeds = text.strip()
    elif name in ("method", "methods"):
        draft.methods = tuple(dict.fromkeys(checked(FIELDS["method"], each.strip()) for each in text.split(",")))
    elif name in NOT_IN_LINKS:
        raise LabError("a link cannot name a file on this machine", hint="upload it below")
    elif name in FIELDS:
        value = checked(FIELDS[name], text)
        _check_known(name, value)
        draft.values[name] = value
    elif name not in _OF_LINKS:
        raise LabError("it is no setting", hint="look at the names in `bidora run --help`")


def _is_beyond(value: Any) -> bool:
    """Whether a number is larger than any form shows."""
    return isinstance(value, (int, float)) and abs(value) > LARGEST_NUMBER


def _check_known(name: str, value: Any) -> None:
    if _is_beyond(value):
        raise LabError(f"{name}={value:g} is larger than any machine can do", hint=f"use at most {LARGEST_NUMBER:,}")
    known = [*(MODELS if name == "model" else TASKS)]
    if name in ("model", "task") and value and value not in known:
        raise LabError(f"{name}={str(value)[:40]!r} is not one of {', '.join(known)}", hint="choose it yourself below")
    variants = {each for task in TASKS.values() for each in task.variants}
    if name == "variant" and value and value not in variants:
        raise LabError(f"variant={str(value)[:40]!r} is not one of {', '.join(sorted(variants))}")


def _names(text: str, what: str, remarks: list[str]) -> Sequence[str]:
    """Names of settings, groups of them spelled out."""
    found: list[str] = []
    for name in filter(None, (each.strip() for each in text[:2000].split(","))):
        if name in FIELDS:
            found.append(name)
        elif name in GROUPS:
            found += GROUPS[name]
        elif name in ("preset", "size", "prediction", "queue", "code"):
            found.append(name)
        elif name == "advanced":
            found += [each for each in FIELDS if each not in BASIC]
        else:
            remarks.append(f"The link's {what} names {name[:40]!r}, which is no setting; it was passed over.")
    return found


def _remark(name: str, error: LabError) -> str:
    return f"The link's {name[:40]} was passed over: {error.message}."
