"""A DoRA layer written by hand against PEFT's: same outputs, same gradients, and what is behind a difference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bidora.exercises.answers import answer_of, refuse, same, tensor_of
from bidora.exercises.exercise import Misconception, Unanswered

CLOSE = 1e-5
"""How near a student's layer must come to PEFT's."""


def peft_layer(base: nn.Linear, *, rank: int, alpha: float, dropout: float = 0.0, seed: int = 0) -> nn.Module:
    """PEFT's DoRA layer on a copy of base, with numbers in B and in m, as after some training."""
    from peft import LoraConfig, get_peft_model

    wrapped = nn.Sequential(nn.Linear(base.in_features, base.out_features))
    wrapped[0].load_state_dict(base.state_dict())
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=["0"], use_dora=True)
    layer = get_peft_model(wrapped, config).base_model.model[0]
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        layer.lora_B["default"].weight.normal_(std=0.3, generator=draws)
        magnitude = layer.lora_magnitude_vector["default"].weight
        magnitude.mul_(1 + 0.2 * torch.randn(magnitude.shape, generator=draws))
    return layer


def peft_tensors(layer: Any) -> tuple[Tensor, Tensor, Tensor]:
    """A (rank, in), B (out, rank) and m (out,) of PEFT's layer."""
    return (
        layer.lora_A["default"].weight,
        layer.lora_B["default"].weight,
        layer.lora_magnitude_vector["default"].weight,
    )


def verify_layer(layer_class: Callable[..., Any]) -> str:
    """Verify exercise 03-layer: what a student's class gives against PEFT's layer with the same numbers.

    Raises:
        Misconception: they differ; names why.
        Unanswered: something is not written yet.
    """
    torch.manual_seed(0)
    base = nn.Linear(7, 5)
    rank, alpha = 3, 8.0
    mine = layer_class(base, rank=rank, alpha=alpha)
    x = torch.randn(4, 7)
    y = answer_of(mine, x)
    shapes = {"lora_A": (rank, 7), "lora_B": (5, rank), "magnitude": (5,)}
    trained = {name for name, parameter in mine.named_parameters() if parameter.requires_grad}
    for name, shape in shapes.items():
        held = getattr(mine, name, None)
        if held is None or held is Ellipsis:
            raise Unanswered
        if tuple(getattr(held, "shape", ())) != shape:
            raise Misconception(f"self.{name} should have shape {shape}")
        if name not in trained:
            raise Misconception(f"{name} would never be trained: make it an nn.Parameter")
    if trained - set(shapes):
        raise Misconception(f"{', '.join(sorted(trained - set(shapes)))} would be trained; the base layer stays frozen")
    if not same(tensor_of(y, base(x), "y"), base(x)):
        raise Misconception(f"step 0 is not the pretrained layer: {_not_pretrained(mine, base)}")
    theirs = peft_layer(base, rank=rank, alpha=alpha)
    ours = tuple(getattr(mine, name) for name in shapes)
    with torch.no_grad():
        for parameter, value in zip(ours, peft_tensors(theirs)):
            parameter.copy_(value)
    apart = _apart(mine, theirs, x, base, alpha / rank)
    _compare_gradients(mine(x), theirs(x), ours, peft_tensors(theirs))
    return f"your layer is PEFT's: outputs differ by at most {apart:.0e}, gradients of A, B and m agree as well."


def _not_pretrained(mine: Any, base: nn.Linear) -> str:
    """Why a layer differs from its base before the first step."""
    if mine.lora_B.any():
        return "B must begin at zero"
    if not same(mine.magnitude.detach(), base.weight.detach().norm(dim=1)):
        return "m must begin at the row norms of W0"
    return (
        "B is zero and m is ‖W0‖, so the forward is at fault. It must give x W0ᵀ + bias here: is the norm taken over dim=1 "
        "with keepdim=True, is m of shape (out, 1) where it multiplies, is the bias there once?"
    )


def _apart(mine: Any, theirs: Any, x: Tensor, base: nn.Linear, scale: float) -> float:
    """Largest difference between a student's layer and PEFT's; names what is behind one that is too large."""
    with torch.no_grad():
        answer, right = mine(x), theirs(x)
        lora_A, lora_B, m = peft_tensors(theirs)
        weight, bias = base.weight, base.bias
        V, unscaled = weight + scale * lora_B @ lora_A, weight + lora_B @ lora_A
        scaled = weight + scale * len(lora_A) * lora_B @ lora_A  # α in place of α/r
        column = m[:, None]
        refuse(
            answer,
            (
                (right - bias, "the bias is missing"),
                (right + bias, "the bias stands twice: self.base(x) has it already"),
                (x @ V.T + bias, "m has no effect: this is LoRA"),
                (x @ (column * V / weight.norm(dim=1, keepdim=True)).T + bias, "‖V‖ was computed once, at the start: it "
                 "is ‖W0‖ there, but V moves. Compute it in every forward"),
                (x @ (column * unscaled / unscaled.norm(dim=1, keepdim=True)).T + bias, "the scale α/r is missing"),
                (x @ (column * scaled / scaled.norm(dim=1, keepdim=True)).T + bias, "scaled by α; s is α divided by the rank"),
                (x @ (column * V).T + bias, "V is not normalised: divide each row by its length"),
            ),
        )  # fmt: skip
        apart = float((answer - right).abs().max())
    if apart > CLOSE:
        raise Misconception(f"outputs differ from PEFT's by up to {apart:.2g}; they should agree to {CLOSE:g}")
    return apart


def _compare_gradients(y: Tensor, wanted: Tensor, ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> None:
    mine = torch.autograd.grad(y.square().mean(), ours, allow_unused=True)
    right = torch.autograd.grad(wanted.square().mean(), theirs)
    for name, one, other in zip(("A", "B", "m"), mine, right):
        if one is None:
            raise Misconception(f"no gradient reaches {name}: detach the norm only")
        if not same(one, other):
            forgot = name != "m"
            raise Misconception(
                f"outputs agree with PEFT's, the gradient of {name} does not"
                + (": forgot detach? PEFT treats ‖V‖ as a constant (DoRA §4.3)" if forgot else "")
            )
