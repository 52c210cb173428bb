"""Entries on settings, made from RunConfig itself, so that every setting of every form has one."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any

from bidora.config import RunConfig, allowed_range
from bidora.glossary.entry import Entry

_FORMULAS = {
    "rank": r"B \in \mathbb{R}^{out \times r},\quad A \in \mathbb{R}^{r \times in}",
    "alpha": r"s = \alpha / r",
    "norm": r"\lVert V \rVert = \lVert W_0 + sBA \rVert",
    "unroll_scale": r"V' = V - \xi\, \nabla_V L_{tr}(V, m)",
    "unroll_steps": r"K \text{ lower steps per upper step}",
    "regularizer": r"L_{tr}(V, m) + \gamma R(V)",
    "learning_rate": r"V \leftarrow V - \eta \cdot \text{AdamW}(\nabla_V L)",
    "upper_learning_rate_ratio": r"\eta_m = \text{ratio} \cdot \eta",
    "magnitude_learning_rate_ratio": r"\eta_m = \text{ratio} \cdot \eta",
}

_SOURCES = {
    "rank": (("lora", "section 4.1"), ("bidora", "official scripts use 4")),
    "alpha": (("lora", "section 4.1"),),
    "norm": (("dora", "section 4.3"), ("peft", "detaches the norm")),
    "unroll_scale": (("darts", "section 2.3"), ("betty", "ξ = 1")),
    "unroll_steps": (("bidora", "official scripts use 1"),),
    "regularizer": (("bidora", "official code, 1e-5"),),
    "upper_fraction": (("bidora", "official scripts, 8 : 2"),),
    "retrain": (("bidora", "repository: from the initial values"),),
    "mixed_product": (("darts", "eq. 8"),),
    "magnitude_decay_target": (("bidora", "official code decays towards zero"),),
}

_UNITS = {
    "examples_per_class": "count",
    "max_length": "tokens",
    "rank": "count",
    "steps": "steps",
    "retrain_steps": "steps",
    "unroll_steps": "steps",
    "batch_size": "examples",
    "seed": "whole number",
    "evaluate_every": "steps",
    "record_every": "steps",
    "checkpoint_every": "steps",
    "evaluation_examples": "examples",
    "threads": "count",
    "learning_rate": "weight units per step, before AdamW's scaling",
}

_NAMES = {
    "learning_rate": ("eta", "upper_learning_rate"),
    "unroll_scale": ("xi",),
    "regularizer": ("gamma",),
    "rank": ("r",),
    "unroll_steps": ("k",),
}
"""Other names under which a setting is shown; the logged upper_learning_rate is a learning rate, too."""


def _entry(each: Field[Any]) -> Entry:
    described = each.metadata
    symbol = f" {described['symbol']}" if described["symbol"] else ""
    default = ", ".join(each.default) if isinstance(each.default, tuple) else str(each.default)
    number = isinstance(each.default, (int, float)) and not isinstance(each.default, bool)
    words = described["help"]
    allowed = allowed_range(each)
    limits = f" Allowed: {allowed}." if allowed != each.name else ""
    return Entry(
        key=each.name,
        term=f"{each.name.replace('_', ' ').capitalize()}{symbol}",
        topic="settings",
        meaning=f"{words[0].upper()}{words[1:]}.",
        formula=_FORMULAS.get(each.name, ""),
        unit=_UNITS.get(each.name, "–" if number else ""),
        convention=f"Group “{described['group']}”; default {default or 'empty'}.{limits}",
        source=_SOURCES.get(each.name, (("", "a setting of this lab"),)),
        shown=("New run", "Runs, tab Config", "Compare"),
        names=_NAMES.get(each.name, ()),
    )


SETTINGS = tuple(_entry(each) for each in fields(RunConfig))
