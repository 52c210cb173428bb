"""Who is timed: each contestant is a name and the settings in which it differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

REFERENCE = "PEFT DoRA"
"""The contestant whose step is 1.00."""

DEFAULT = "BiDoRA one-sided, ξ = lr (default)"
"""This project's default for the search phase."""

BETTY = "Betty 0.1.1, PEFT's layer, central, ξ = 1"
"""Betty's engine; it is built by `betty_engine`, not by a RunConfig."""

REFERENCE_KEPT = "PEFT DoRA, freed memory kept"
"""The reference with this project's setting of the memory, to tell that part of the difference from the rest."""

DETACHED = dict(kernel="peft", norm="detached")
"""PEFT's own layer: its kernel and its norm."""


@dataclass(frozen=True)
class Contestant:
    """One way to make a training iteration.

    Args:
        name: shown in the tables.
        changes: settings of RunConfig.
        keeps_memory: timed while freed memory is kept, as this project trains on the CPU; whoever takes another engine trains
            with the system's own setting.
    """

    name: str
    changes: dict[str, Any] = field(default_factory=dict)
    keeps_memory: bool = False

    @property
    def levels(self) -> int:
        """1 for an ordinary step, 2 for a lower and an upper step."""
        return 2 if self.changes.get("method") == "bidora" else 1


def _bidora(name: str, **changes: Any) -> Contestant:
    return Contestant(name, dict(method="bidora", **changes), keeps_memory=True)


SINGLE = (
    Contestant(REFERENCE, dict(method="dora", **DETACHED)),
    Contestant(REFERENCE_KEPT, dict(method="dora", **DETACHED), keeps_memory=True),
    Contestant("PEFT LoRA", dict(method="lora", kernel="peft")),
    Contestant("full fine-tuning", dict(method="full", kernel="peft")),
    Contestant("DoRA, our layer, detached norm", dict(method="dora", norm="detached"), keeps_memory=True),
    Contestant("DoRA, our layer, attached norm", dict(method="dora", norm="attached"), keeps_memory=True),
)
"""Single-level training."""

VARIANTS = (
    _bidora("BiDoRA first order, ξ = 0", unroll_scale="0"),
    _bidora(DEFAULT),
    _bidora("BiDoRA central, ξ = lr", mixed_product="central"),
    _bidora("BiDoRA exact, ξ = lr", mixed_product="exact"),
    _bidora("BiDoRA one-sided, ξ = adam", unroll_scale="adam"),
    _bidora("BiDoRA central, ξ = adam", unroll_scale="adam", mixed_product="central"),
    _bidora("BiDoRA exact, ξ = adam", unroll_scale="adam", mixed_product="exact"),
    _bidora("BiDoRA, PEFT's layer, central, ξ = lr", mixed_product="central", **DETACHED),
)
"""Bi-level training, one upper step per lower step, regulariser included."""

FOUR = _bidora("BiDoRA default, K = 4, per lower step", unroll_steps=4)
"""One upper step per four lower steps."""

BY_NAME = {each.name: each for each in (*SINGLE, *VARIANTS, FOUR)}

FIRST_TOKEN = (*BY_NAME, BETTY)
"""The main setting: transformers' own head, which reads the first token."""

MEAN = (
    REFERENCE,
    REFERENCE_KEPT,
    "PEFT LoRA",
    "DoRA, our layer, detached norm",
    "DoRA, our layer, attached norm",
    DEFAULT,
    FOUR.name,
    "BiDoRA, PEFT's layer, central, ξ = lr",
)
"""The second setting: the mean over the tokens, where the last layer needs every position."""

BRIEF = (
    REFERENCE,
    REFERENCE_KEPT,
    "PEFT LoRA",
    "DoRA, our layer, attached norm",
    DEFAULT,
    FOUR.name,
    "BiDoRA, PEFT's layer, central, ξ = lr",
    BETTY,
)
"""The README's table."""


def groups_of(names: tuple[str, ...], size: int) -> list[list[str]]:
    """The names in groups of at most so many beside the reference, which is in each: few models are in memory at once."""
    others = [name for name in names if name != REFERENCE]
    return [[REFERENCE, *others[start : start + size]] for start in range(0, len(others), size)]
