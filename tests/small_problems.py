"""Small lower and upper losses in float64 that the hypergradient tests share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from bidora.hypergradient import Loss, Parameters

DOUBLE = torch.float64


@dataclass(frozen=True)
class Problem:
    """Losses of both levels with a point (V, m)."""

    lower: Loss
    upper: Loss
    direction: Parameters
    magnitude: Parameters


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def dora_loss(inputs: Tensor, targets: Tensor, *, dropout: float = 0.0) -> Loss:
    """Cross-entropy of 5 → 7 → 3 adapted units (tanh between) and a 3 → 2 head; the norm is in the graph."""
    scale = 2.0
    bases = {"first": normal(7, 5, seed=101), "second": normal(3, 7, seed=102)}

    def loss(direction: Parameters, magnitude: Parameters) -> Tensor:
        hidden = inputs
        for name, base in bases.items():
            base = base.to(inputs)
            weight = base + scale * direction[f"{name}.lora_B"] @ direction[f"{name}.lora_A"]
            weight = magnitude[name][:, None] * weight / weight.norm(dim=1, keepdim=True)
            hidden = torch.tanh(functional.dropout(hidden, dropout) @ weight.T)
        outputs = hidden @ direction["head.weight"].T + direction["head.bias"]
        return functional.cross_entropy(outputs, targets)

    return loss


def batch(examples: int, *, seed: int) -> tuple[Tensor, Tensor]:
    inputs = normal(examples, 5, seed=seed)
    return inputs, (inputs.sin().sum(dim=1) > 0).long()


def dora_problem(*, dropout: float = 0.0, b_is_zero: bool = False, device: str = "cpu") -> Problem:
    """A two-layer DoRA-like classifier, non-square everywhere, away from any optimum."""
    direction = {
        "first.lora_A": 0.5 * normal(2, 5, seed=1),
        "first.lora_B": 0.5 * normal(7, 2, seed=2),
        "second.lora_A": 0.5 * normal(2, 7, seed=3),
        "second.lora_B": 0.5 * normal(3, 2, seed=4),
        "head.weight": normal(2, 3, seed=5),
        "head.bias": normal(2, seed=6),
    }
    if b_is_zero:
        direction = {
            name: torch.zeros_like(tensor) if name.endswith("lora_B") else tensor for name, tensor in direction.items()
        }
    magnitude = {"first": 1 + 0.3 * normal(7, seed=7), "second": 1 + 0.3 * normal(3, seed=8)}
    lower_batch, upper_batch = (
        tuple(tensor.to(device) for tensor in batch(examples, seed=seed)) for examples, seed in ((16, 9), (12, 10))
    )
    return Problem(
        dora_loss(*lower_batch, dropout=dropout),
        dora_loss(*upper_batch),
        {name: tensor.to(device) for name, tensor in direction.items()},
        {name: tensor.to(device) for name, tensor in magnitude.items()},
    )


def flat(parameters: Parameters) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in parameters.values()])


def cosine(first: Parameters, second: Parameters) -> float:
    return float(functional.cosine_similarity(flat(first), flat(second), dim=0))


def relative_error(found: Parameters, expected: Parameters) -> float:
    return float((flat(found) - flat(expected)).norm() / flat(expected).norm())


def slopes(loss: Loss, direction: Parameters, magnitude: Parameters) -> Parameters:
    """∇_V loss by plain autograd, without the library under test."""
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in direction.items()}
    found = torch.autograd.grad(loss(leaves, magnitude), list(leaves.values()))
    return dict(zip(leaves, found, strict=True))
