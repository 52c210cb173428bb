"""How near each variant's hypergradient comes to the exact one: float64, double backward through the composed layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.contestants import BY_NAME, VARIANTS, Contestant
from benchmarks.settings import Part, Progress, Settings
from benchmarks.workloads import (
    QUICK_SIZES,
    SIZES,
    Encoder,
    Iteration,
    Size,
    batches_of,
    config_of,
    encoder_of,
    trainer_of,
)
from bidora.adapter import adapted_layers
from bidora.config import RunConfig
from bidora.orthogonality import Orthogonality
from bidora.trainer import BiLevelTrainer

TRAINED_STEPS = 20
"""Steps of the default variant before the comparison: B is no longer 0, and AdamW's averages are warm."""

UNIT_STEP = tuple(
    Contestant(f"BiDoRA {mixed}, ξ = 1", dict(method="bidora", mixed_product=mixed, unroll_scale="1"))
    for mixed in ("one-sided", "central", "exact")
)
"""ξ = 1, as Betty has it: there the implicit part is large, so its error shows in the whole."""

COLUMNS = {
    "contestant": "variant",
    "cosine": "cosine of h",
    "error": "relative error",
    "implicit_cosine": "cosine of implicit part",
    "implicit_error": "its relative error",
    "implicit_share": "implicit / direct",
}


def run(settings: Settings) -> Part:
    """Compare all variants on all sizes."""
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    sizes = settings.sizes_of(SIZES, QUICK_SIZES)
    progress = Progress("accuracy", len(sizes))
    for size in sizes:
        progress.next(str(size))
        encoder = encoder_of(size.model, settings)
        notes.append(encoder.note)
        rows += _rows(encoder, size, settings)
    notes.append(
        f"at a point after {TRAINED_STEPS} steps; every variant starts from the same weights, averages of AdamW and batches"
    )
    notes.append("the first-order variant is compared with the ξ = lr one: its error is what it leaves out")
    notes.append("PEFT's layer treats ‖V‖ as a constant, so its second derivative is another one")
    columns = {**COLUMNS}
    return Part(
        "hypergradients against the exact one in float64",
        columns,
        rows,
        group="setting",
        notes=sorted(set(notes), key=notes.index),
    )


def _rows(encoder: Encoder, size: Size, settings: Settings) -> list[dict[str, Any]]:
    point = TrainedPoint(encoder, size, settings)
    exact: dict[str, tuple[Tensor, Tensor]] = {}
    rows = []
    for variant in (*VARIANTS, *UNIT_STEP):
        scale = _aim(variant)
        if scale not in exact:
            exact[scale] = point.exact(scale)
        direct, implicit = point.hypergradient_of(config_of(size, settings, **variant.changes))
        wanted_direct, wanted_implicit = exact[scale]
        rows.append(
            {
                "setting": str(size),
                "model": size.model,
                "batch": size.batch,
                "tokens": size.tokens,
                "contestant": variant.name,
                **_compared("", direct + implicit, wanted_direct + wanted_implicit),
                **_compared("implicit_", implicit, wanted_implicit),
                "implicit_share": (wanted_implicit.norm() / wanted_direct.norm()).item(),
            }
        )
    return rows


def _aim(variant: Contestant) -> str:
    """ξ of the exact hypergradient that a variant is held against."""
    scale = variant.changes.get("unroll_scale", "lr")
    return "lr" if scale == "0" else scale


def _compared(prefix: str, found: Tensor, wanted: Tensor) -> dict[str, float | None]:
    """Cosine and relative error; None where a vector is zero (the implicit part of first order)."""
    if not found.norm():
        return {f"{prefix}cosine": None, f"{prefix}error": None if prefix else 1.0}
    cosine = torch.nn.functional.cosine_similarity(found, wanted, dim=0)
    return {f"{prefix}cosine": cosine.item(), f"{prefix}error": ((found - wanted).norm() / wanted.norm()).item()}


class TrainedPoint:
    """Weights, AdamW's averages and batches after some steps of the default variant; variants are evaluated there."""

    def __init__(self, encoder: Encoder, size: Size, settings: Settings) -> None:
        self.encoder, self.size, self.settings = encoder, size, settings
        trainer = trainer_of(encoder, size, config_of(size, settings, method="bidora"), settings)
        iteration = Iteration(trainer)
        for _ in range(TRAINED_STEPS):
            iteration()
        named = {**trainer.direction, **trainer.magnitude}
        self.values = {name: parameter.detach().clone() for name, parameter in named.items()}
        self.averages = {
            name: dict(trainer.optimizer.state[parameter]) for name, parameter in trainer.direction.items()
        }
        self.schedule = trainer.lr_scheduler.state_dict()

    def exact(self, scale: str) -> tuple[Tensor, Tensor]:
        """Both parts for ξ = scale in float64, by double backward through the composed layer and eager attention."""
        config = config_of(
            self.size, self.settings, method="bidora", mixed_product="exact", unroll_scale=scale, kernel="peft"
        )
        return self.hypergradient_of(config, dtype=torch.float64)

    def hypergradient_of(self, config: RunConfig, *, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
        """Direct and implicit part, each as one vector in float64, as the trainer computes them in its step."""
        trainer = trainer_of(self.encoder, self.size, config, self.settings)
        assert isinstance(trainer, BiLevelTrainer)
        if dtype is torch.float64:
            trainer.model.double()
            layers = [layer for _, layer in adapted_layers(trainer.model)]
            trainer.lower_objective.orthogonality = Orthogonality(layers, twice=True)
        self._put(trainer)
        trainer.training_step(trainer.model, batches_of(trainer, 1)[0])
        found = trainer.last_hypergradient
        assert found is not None
        names = list(self.values.keys() & found.direct.keys())
        names.sort()
        parts = [
            torch.cat([part[name].flatten() for name in names]).double() for part in (found.direct, found.implicit)
        ]
        return parts[0], parts[1]

    def _put(self, trainer: BiLevelTrainer) -> None:
        """Bring a trainer to this point."""
        with torch.no_grad():
            for name, parameter in {**trainer.direction, **trainer.magnitude}.items():
                parameter.copy_(self.values[name])
        for name, parameter in trainer.direction.items():
            state = self.averages[name]
            trainer.optimizer.state[parameter] = {
                key: value.to(parameter.dtype, copy=True) if key != "step" else value.clone()
                for key, value in state.items()
            }
        trainer.lr_scheduler.load_state_dict(self.schedule)


def with_accuracy(steps: list[dict[str, Any]], accuracy: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the part `steps` with cosine and error of the same variant on the same work, where they were measured."""
    known = {(row["setting"], row["contestant"]): row for row in accuracy}
    joined = []
    for row in steps:
        size = f"{row['model']} {row['batch']}×{row['tokens']}"
        name = row["contestant"]
        if name.startswith("BiDoRA default, K"):
            name = next(each for each in BY_NAME if each.endswith("(default)"))
        found = known.get((size, name)) if row["pooling"] == "first" else None
        joined.append({**row, "cosine": found["cosine"], "error": found["error"]} if found else row)
    return joined
