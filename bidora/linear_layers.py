"""What counts as a linear layer, and its weight with one row per output unit, whichever way the layer stores it.

nn.Linear stores (out, in). GPT-2's Conv1D stores (in, out); PEFT calls that fan_in_fan_out. Everything here that speaks of
rows, norms or directions means (out, in).
"""

from __future__ import annotations

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

LINEAR = (nn.Linear, Conv1D)
"""Layers whose output is x Wᵀ + b."""


def stores_inputs_first(layer: nn.Module) -> bool:
    """Whether the weight is stored as (in, out)."""
    return isinstance(layer, Conv1D)


def weight_of(layer: nn.Module) -> Tensor:
    """The weight as (out, in); shares memory and graph with the layer's own.

    >>> weight_of(nn.Linear(2, 3)).shape == weight_of(Conv1D(3, 2)).shape == (3, 2)
    True
    """
    weight: Tensor = layer.weight  # type: ignore[assignment]
    return weight.t() if stores_inputs_first(layer) else weight
