"""Named sets of runs: the settings of the official BiDoRA scripts for GLUE, and this lab's own for every task. No torch.

What the scripts set and this lab cannot express is said beside them; nothing here is a result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bidora.config import RunConfig
from bidora.errors import LabError, did_you_mean
from bidora.tasks import TASKS

SEEDS = (0, 1, 2, 3, 4)
"""Of the official scripts, and of our own sets."""

_SHARED: dict[str, Any] = {
    "method": "bidora",
    "rank": 4,
    "alpha": 4.0,  # s = α/r = 1: the scripts have no s
    "target_modules": ("query", "value"),
    "adam_beta1": 0.9,
    "adam_beta2": 0.98,
    "adam_epsilon": 1e-6,
    "upper_fraction": 0.2,
    "unroll_steps": 1,
    "unroll_scale": "1",  # Betty, on which the scripts rest, uses ξ = 1
    "mixed_product": "central",
    "upper_learning_rate_ratio": 1.0,
    "magnitude_decay_target": "zero",
    "regularizer": 1e-5,
    "warmup_fraction": 0.1,
    "precision": "float32",
}

# Task: learning rate, weight decay, of the magnitude, search steps, learning rate of the retraining, its steps (0, 0: none).
_BASE = {
    "cola": (5e-5, 0.1, 0.1, 20_000, 3e-5, 30_000),
    "mnli": (5e-5, 0.1, 0.1, 30_000, 7e-5, 40_000),
    "mrpc": (2e-5, 0.1, 0.1, 28_000, 0, 0),
    "qnli": (2e-5, 0.1, 0.0, 20_000, 0, 0),
    "qqp": (5e-5, 0.1, 0.1, 30_000, 5e-5, 30_000),
    "rte": (1e-5, 0.1, 0.1, 15_000, 3e-5, 15_000),
    "sst2": (1e-5, 0.12, 0.0, 12_000, 0, 0),
    "stsb": (1e-5, 0.1, 0.01, 12_000, 0, 0),
}
_LARGE = {
    "cola": (1e-5, 1.0, 1.0, 20_000, 1e-5, 40_000),
    "mnli": (1e-5, 0.5, 0.5, 55_000, 3e-5, 50_000),
    "mrpc": (1e-5, 0.0, 0.0, 40_000, 1e-5, 30_000),
    "qnli": (1e-5, 0.5, 0.5, 60_000, 2e-5, 60_000),
    "qqp": (1e-5, 0.5, 0.5, 50_000, 2e-5, 60_000),
    "rte": (1e-5, 0.5, 0.5, 15_000, 1e-5, 30_000),
    "sst2": (1e-5, 0.5, 0.5, 20_000, 3e-5, 20_000),
    "stsb": (1e-5, 0.5, 0.5, 14_000, 3e-5, 30_000),
}

_OFFICIAL_NOTES = (
    "These settings belong to another initialisation: the official code draws A from N(0, 1) and has no α/r, while PEFT draws "
    "A with a standard deviation of about 0.02 at width 768. With A so much smaller these learning rates move little: "
    "about 1e-4 to 2e-3 would be needed (inferred, not published).",
    "Not expressible here: that initialisation, one magnitude per input unit (here: per output unit, as in PEFT), the official "
    "forward pass with W in place of its transpose, and the backbone that the scripts leave trainable. γ‖DᵀD − I‖, ξ = 1, "
    "the decay of the magnitude towards zero, betas, epsilon, schedules and steps are as in the scripts.",
    "Not known from the scripts, so the lab's defaults stand: clipping of gradients, dropout.",
    "The development set is the test set, as in the paper; choose nothing on it.",
)

_NO_RETRAINING = "The script of this task names no retraining, so the search is the whole run: retrain=none."

_OURS: dict[str, tuple[dict[str, Any], str]] = {
    "reuters": (
        {"variant": "r8", "examples_per_class": 16, "max_length": 64},
        "The settings of the study in the README: 16 examples per class; the ratio of the learning rates of both levels was "
        "chosen on a selection split, the learning rate itself was not tuned for each method.",
    ),
    "peptides": (
        {"examples_per_class": 32},
        "The settings of the study in the README: 32 examples per class; the ratio of the learning rates of both levels was "
        "chosen on a selection split, the learning rate itself was not tuned for each method.",
    ),
}
"""Tasks whose settings were measured: changes of the defaults, and what was done."""

_UNTUNED = (
    "The lab's defaults for this task; untuned: no setting was chosen on it. To tune with equal budgets: "
    "`--selection-fraction 0.2 --tune learning_rate=3e-4,1e-3,3e-3`."
)


@dataclass(frozen=True)
class Reproduction:
    """One named set of runs.

    Attributes:
        name: in commands.
        title: a few words.
        settings: that all its runs share.
        methods: which are run.
        seeds: with which each is run.
        notes: what has to be known beside every result.
        official: whether the settings are those of the official scripts.
    """

    name: str
    title: str
    settings: dict[str, Any]
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    notes: tuple[str, ...]
    official: bool

    @property
    def task(self) -> str:
        """Name of the task."""
        return str(self.settings["task"])

    def configs(self) -> list[RunConfig]:
        """The runs: all methods of one seed, then those of the next."""
        return [
            RunConfig(**{**self.settings, "method": method, "seed": seed})
            for seed in self.seeds
            for method in self.methods
        ]


def _official(size: str, task: str, numbers: tuple[float, float, float, int, float, int]) -> Reproduction:
    rate, decay, upper_decay, steps, retrain_rate, retrain_steps = numbers
    settings = {
        **_SHARED,
        "task": task,
        "model": f"roberta-{size}",
        "max_length": 512 if size == "base" else 128,
        "batch_size": 64 if (size, task) == ("large", "qnli") else 32,
        "learning_rate": rate,
        "weight_decay": decay,
        "magnitude_decay": upper_decay,
        "steps": steps,
    }
    if retrain_steps:
        settings |= {"retrain_learning_rate": retrain_rate, "retrain_steps": retrain_steps}
    else:
        settings |= {"retrain": "none"}
    notes = _OFFICIAL_NOTES if retrain_steps else (*_OFFICIAL_NOTES, _NO_RETRAINING)
    title = f"official script: GLUE {task}, RoBERTa {size}"
    return Reproduction(f"glue-{size}-{task}", title, settings, ("bidora",), SEEDS, notes, official=True)


def _ours(task: str) -> Reproduction:
    changes, note = _OURS.get(task, ({}, _UNTUNED))
    settings = {"task": task, **changes}
    title = f"our settings: {TASKS[task].title}"
    return Reproduction(f"{task}-ours", title, settings, ("lora", "dora", "bidora"), SEEDS, (note,), official=False)


def _all() -> dict[str, Reproduction]:
    official = [
        _official(size, task, each)
        for size, found in (("base", _BASE), ("large", _LARGE))
        for task, each in found.items()
    ]
    ours = [_ours(task) for task in TASKS if task != "csv"]
    return {each.name: each for each in (*official, *ours)}


REPRODUCTIONS: dict[str, Reproduction] = _all()
"""Every set by name: the official ones first."""


def get_reproduction(name: str) -> Reproduction:
    """The set of that name.

    Raises:
        LabError: there is none; names the near ones.

    >>> get_reproduction("glue-base-cola").settings["steps"]
    20000
    """
    if name in REPRODUCTIONS:
        return REPRODUCTIONS[name]
    hint = did_you_mean(name, REPRODUCTIONS, "`bidora reproduce --list` shows all", cutoff=0.5)
    raise LabError(f"there is nothing called {name[:60]!r} to reproduce", hint=hint)
