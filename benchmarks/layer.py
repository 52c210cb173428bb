"""The adapted layer alone: our DoRA layer against PEFT's, time and memory of forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from benchmarks.memory import kept_bytes, peak_bytes
from benchmarks.settings import Part, Settings
from benchmarks.timing import interleaved
from bidora.dora_layer import use_dora_linear

PEFT = "PEFT, detached norm"

FORMS: dict[str, dict[str, bool] | None] = {
    PEFT: None,
    "ours, detached norm": dict(norm_attached=False, fused=True),
    "ours, attached norm": dict(norm_attached=True, fused=True),
    "composed, detached norm": dict(norm_attached=False, fused=False),
    "composed, attached norm": dict(norm_attached=True, fused=False),
}
"""PEFT's own layer, and arguments of `use_dora_linear`; the composed form is the one that can be differentiated twice."""


@dataclass(frozen=True)
class Shape:
    """A layer and its input: rows = batch × tokens."""

    rows: int
    inputs: int
    outputs: int

    def __str__(self) -> str:
        return f"{self.inputs} → {self.outputs}, {self.rows} rows"


SHAPES = (
    Shape(2048, 384, 384),
    Shape(512, 768, 768),
    Shape(512, 768, 3072),
    Shape(512, 3072, 768),
    Shape(4096, 1024, 1024),
)
QUICK_SHAPES = (Shape(24, 12, 20),)

COLUMNS = {
    "form": "layer",
    "forward_ratio": "forward",
    "ratio": "forward + backward",
    "spread": "quartiles",
    "magnitude_ratio": "… for m only",
    "milliseconds": "ms",
    "kept": "kept for backward",
    "peak": "peak memory",
}


def run(settings: Settings) -> Part:
    """Time and memory of all forms on all shapes."""
    rows: list[dict[str, Any]] = []
    for shape in QUICK_SHAPES if settings.quick else SHAPES:
        rows += _rows(shape, settings)
    notes = [
        "ratios to PEFT's layer on the same work; rank 8, no dropout, float32; gradients of the input, A, B and m, and, in the column "
        "“for m only”, of the input and m as in a perturbed pass",
        "kept: bytes that the forward pass keeps for the backward; peak: most bytes allocated at one time; both beyond weights and input",
    ]
    return Part("the adapted layer against PEFT's (1.00)", COLUMNS, rows, group="shape", notes=notes)


def _rows(shape: Shape, settings: Settings) -> list[dict[str, Any]]:
    passes = {form: Passes(shape, form, settings.device) for form in FORMS}
    options = dict(
        reference=PEFT, rounds=settings.rounds_or(9), device=settings.device, warmup=3, calls=5 * settings.calls
    )
    if settings.quick or shape.rows > 3000:
        options["calls"] = settings.calls
    forward = interleaved({form: each.forward for form, each in passes.items()}, **options)
    both = interleaved({form: each.all_gradients for form, each in passes.items()}, **options)
    magnitude = interleaved({form: each.magnitude_gradient for form, each in passes.items()}, **options)
    return [
        {
            "shape": str(shape),
            "form": form,
            "forward_ratio": forward[form].ratio,
            **both[form].columns(),
            "magnitude_ratio": magnitude[form].ratio,
            "kept": kept_bytes(each.forward, but=each.present),
            "peak": peak_bytes(each.all_gradients, settings.device),
        }
        for form, each in passes.items()
    ]


class Passes:
    """Forward and backward passes through one adapted layer."""

    def __init__(self, shape: Shape, form: str, device: torch.device) -> None:
        torch.manual_seed(0)
        config = LoraConfig(r=8, lora_alpha=16, use_dora=True, target_modules=["0"])
        model = get_peft_model(nn.Sequential(nn.Linear(shape.inputs, shape.outputs)), config).to(device)
        chosen = FORMS[form]
        if chosen is not None:
            use_dora_linear(model, **chosen)
        self.layer: Callable[[Tensor], Tensor] = model.base_model.model[0]
        named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        with torch.no_grad():
            for parameter in named.values():
                parameter.add_(0.01 * torch.randn_like(parameter))  # B ≠ 0, m ≠ ‖W0‖
        self.trained = list(named.values())
        self.magnitude = [parameter for name, parameter in named.items() if "magnitude" in name]
        self.others = [parameter for name, parameter in named.items() if "magnitude" not in name]
        self.x = torch.randn(shape.rows, shape.inputs, device=device, requires_grad=True)
        self.slope = torch.randn(shape.rows, shape.outputs, device=device)
        self.present = [self.x, self.slope, *model.parameters()]

    def forward(self) -> Tensor:
        """The output, ready for a backward pass."""
        return self.layer(self.x)

    def all_gradients(self) -> tuple[Tensor, ...]:
        """Forward, then the gradients of the input, A, B and m."""
        return torch.autograd.grad(self.layer(self.x), [self.x, *self.trained], self.slope)

    def magnitude_gradient(self) -> tuple[Tensor, ...]:
        """Forward, then the gradients of the input and m; A and B are constants."""
        for parameter in self.others:
            parameter.requires_grad_(False)
        try:
            return torch.autograd.grad(self.layer(self.x), [self.x, *self.magnitude], self.slope)
        finally:
            for parameter in self.others:
                parameter.requires_grad_(True)
