"""Exercises of notebook 03: DoRA's start, weight, detached norm, layer and dropout; what its sliders draw."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bidora.dora_layer import merge
from bidora.exercises.against_peft import verify_layer
from bidora.exercises.answers import answer_of, refuse, same, tensor_of
from bidora.exercises.exercise import Exercise, Misconception
from bidora.exercises.nb02 import Parts, parts

if TYPE_CHECKING:
    import plotly.graph_objects as go


def pulls(angle: float) -> go.Figure:
    """Where a step pulls one row (two weights) with the norm attached and detached.

    Args:
        angle: between V and the gradient by the merged row W′, in degrees.
    """
    from bidora.figures import norm_gradient
    from bidora.sandbox.units import arrow

    return norm_gradient(arrow(2.0, 35.0), arrow(1.2, 35.0 + angle))


def gradients_of(merging: Callable[..., Tensor], each: Parts, magnitude: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients by A, B and m of a made-up loss of the merged weight; None where none arrives."""
    inputs = [tensor.clone().requires_grad_() for tensor in (each.lora_A, each.lora_B, magnitude)]
    merged = merging(each.weight, *inputs, each.scale)
    if not merged.requires_grad:
        return None, None, None
    loss = (each.x @ merged.T).square().mean()
    return torch.autograd.grad(loss, inputs, allow_unused=True)


def _attached(weight: Tensor, lora_A: Tensor, lora_B: Tensor, magnitude: Tensor, scale: float) -> Tensor:
    return merge(weight, lora_A, lora_B, magnitude, scale, attached=True)


def _detached(weight: Tensor, lora_A: Tensor, lora_B: Tensor, magnitude: Tensor, scale: float) -> Tensor:
    return merge(weight, lora_A, lora_B, magnitude, scale, attached=False)


def _example(outputs: int, inputs: int) -> tuple[Parts, Tensor]:
    each = parts(outputs, inputs)
    return each, each.weight.norm(dim=1) * torch.linspace(0.8, 1.2, outputs, dtype=torch.float64)


def _verify_start(start: Callable[[Tensor], nn.Parameter]) -> str:
    for outputs, inputs in ((4, 4), (3, 5)):
        weight = parts(outputs, inputs).weight
        right = weight.norm(dim=1)
        given = answer_of(start, weight)
        answer = tensor_of(given, right, "m")
        refuse(
            answer,
            (
                (torch.ones_like(right), "all lengths are 1: before the first step every row is already another one"),
                (
                    torch.zeros_like(right),
                    "all lengths are 0: the layer's weight vanishes, and with it the gradients of A and B",
                ),
                (weight.norm(dim=0), "wrong axis: one length per column. PEFT's magnitude belongs to outputs: dim=1"),
                (weight.norm(), "one number for the whole matrix: m holds one per output, shape (out,)"),
                (right.square(), "these are squared lengths: the square root is missing"),
            ),
        )
        if not same(answer, right):
            raise Misconception(f"m should be the lengths of the rows of W0, shape {tuple(right.shape)}")
        if not isinstance(given, nn.Parameter) or not given.requires_grad:
            raise Misconception(
                "m would never be trained: the numbers are right, but a plain tensor is not among module.parameters(), "
                "so no optimiser sees it. Wrap it: nn.Parameter(…)"
            )
    return "m = ‖W0‖ row by row, as a parameter: step 0 is the pretrained model, and m can be trained."


def _verify_weight(merging: Callable[..., Tensor]) -> str:
    for outputs, inputs in ((4, 4), (3, 5)):
        each, m = _example(outputs, inputs)
        right = _attached(each.weight, each.lora_A, each.lora_B, m, each.scale)
        try:
            given = answer_of(merging, each.weight, each.lora_A, each.lora_B, m, each.scale)
        except RuntimeError as error:
            raise Misconception(
                f"shapes do not fit ({str(error).splitlines()[0]}): m and the norms need a second dimension, (out, 1)"
            ) from error
        answer = tensor_of(given, right, "W′")
        refuse(answer, _wrong_weights(each, m))
        if not same(answer, right):
            raise Misconception(f"for a weight of shape ({outputs}, {inputs}) this is not m ⊙ V/‖V‖ with V = W0 + s·BA")
    return "W′ = m ⊙ V/‖V‖: whatever A and B do, the rows of W′ have exactly the lengths m."


def _wrong_weights(each: Parts, m: Tensor) -> list[tuple[Tensor, str]]:
    """What misconceptions give in place of W′; those of axis only where the weight is square, so that they give anything."""
    product = each.lora_B @ each.lora_A
    V = each.weight + each.scale * product
    unscaled, column = each.weight + product, m[:, None]
    rows = V.norm(dim=1, keepdim=True)
    wrong = [
        (column * unscaled / unscaled.norm(dim=1, keepdim=True), "the scale is missing: V = W0 + s·BA"),
        (
            column * V / each.weight.norm(dim=1, keepdim=True),
            "divided by ‖W0‖: rows of V have other lengths by now",
        ),
        (column * V, "V is not normalised, so m multiplies its length in place of setting it: divide by ‖V‖"),
        (V / rows, "m is missing: these are rows of length 1"),
        (V, "this is LoRA: no magnitude yet"),
        (
            column * each.weight / each.weight.norm(dim=1, keepdim=True) + each.scale * product,
            "the update came after the normalisation: in DoRA W0 and s·BA are added first",
        ),
        (
            column * V / V.norm(dim=0, keepdim=True),
            "wrong axis of the norm: keepdim over dim=1 gives one per output",
        ),
        (column * V / V.norm(), "one norm for the whole matrix: every row has its own"),
    ]
    if V.shape[0] == V.shape[1]:
        wrong += [
            (m * V / rows, "wrong axis of m: number j met column j. It needs the shape (out, 1)"),
            (
                m * V / V.norm(dim=0),
                "wrong axis: one magnitude per column (input). PEFT's belong to rows (outputs)",
            ),
            (m * V / V.norm(dim=1), "wrong axis: (out,) meets the columns. Both m and ‖V‖ need the shape (out, 1)"),
        ]
    return wrong


def _verify_detach(merging: Callable[..., Tensor]) -> str:
    each, m = _example(3, 5)
    right = _detached(each.weight, each.lora_A, each.lora_B, m, each.scale)
    answer = tensor_of(answer_of(merging, each.weight, each.lora_A, each.lora_B, m, each.scale), right, "W′")
    if not same(answer, right):
        raise Misconception("the value has changed: detaching must not alter the forward pass, only the backward pass")
    by_A, by_B, by_m = gradients_of(merging, each, m)
    if by_A is None and by_B is None and by_m is None:
        raise Misconception("nothing has a gradient any more: detach the norm alone, not the result")
    if by_A is None or by_B is None:
        raise Misconception("A and B would never be trained: V itself was detached. Detach its norm only")
    if by_m is None:
        raise Misconception("m would never be trained: it was detached along with the norm")
    free, held = gradients_of(_attached, each, m), gradients_of(_detached, each, m)
    if same(by_A, _given(free[0])) and same(by_B, _given(free[1])):
        raise Misconception("forgot detach: the gradients are those of the attached norm")
    if not all(same(_given(one), _given(other)) for one, other in zip((by_A, by_B, by_m), held)):
        raise Misconception("the gradients of A and B are neither those of the attached nor of the detached norm")
    return "same W′, same gradient of m; only A and B are pulled another way. That is DoRA §4.3, and PEFT's choice."


def _given(gradient: Tensor | None) -> Tensor:
    return torch.zeros(()) if gradient is None else gradient


def _verify_dropout(forward: Callable[..., Tensor]) -> str:
    each, m = _example(3, 5)
    x, weight, bias, lora_A, lora_B, _ = each
    s = each.scale
    mask = (torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.5).double()
    dropped = 2 * mask * x
    V = weight + s * lora_B @ lora_A
    c = m / V.norm(dim=1)
    merged = c[:, None] * V
    right = x @ weight.T + bias + (c - 1) * (dropped @ weight.T) + c * s * (dropped @ lora_A.T @ lora_B.T)
    answer = tensor_of(answer_of(forward, x, dropped, weight, bias, lora_A, lora_B, m, s), right, "y")
    update, low = dropped @ lora_A.T @ lora_B.T, x @ weight.T
    refuse(
        answer,
        (
            (x @ merged.T + bias, "nothing was dropped: what the adapter adds reads the dropped input"),
            (dropped @ merged.T + bias, "too much was dropped: the pretrained product must see the whole input"),
            (
                c * low + bias + c * s * update,
                "only the low-rank part reads the dropped input here. In PEFT's formula (c − 1)·W0, which the adapter adds, too, "
                "reads it as well",
            ),
            (right - bias, "the bias is missing"),
            (low + bias + (c - 1) * (dropped @ weight.T) + c * update, "the scale is missing"),
            (
                low + bias + (c - 1) * (dropped @ weight.T) + s * update,
                "the low-rank part has to be scaled by c = m/‖V‖, too",
            ),
            (
                low + bias + c * (dropped @ weight.T) + c * s * update,
                "c in place of c − 1: the pretrained product stands twice",
            ),
        ),
    )
    if not same(answer, right):
        raise Misconception("not PEFT's formula: pretrained product of x, plus what the adapter adds, of the dropped x")
    return "base(x) plus the adapter's part of the dropped input: without dropout both add up to x W′ᵀ + b."


def _code(*lines: str) -> str:
    return "\n".join(lines)


EXERCISES = (
    Exercise(
        key="03-start",
        level="core",
        difficulty=1,
        minutes=4,
        hints=(
            "At step 0 the layer must be the pretrained one: B = 0, so V = W0. Which m gives W′ = W0?",
            "One length per output: notebook 01, exercise 01-length. And an optimiser must find it.",
            "nn.Parameter(torch.linalg.vector_norm(weight, dim=1))",
        ),
        solution=_code(
            "def start_magnitude(weight):  # W0 (out, in) → m (out,)",
            "    return nn.Parameter(torch.linalg.vector_norm(weight, dim=1))",
            "",
            "",
            'check("03-start", start_magnitude)',
        ),
        verify=_verify_start,
    ),
    Exercise(
        key="03-weight",
        level="core",
        difficulty=2,
        minutes=6,
        hints=(
            "First V = W0 + s·BA, as in notebook 02. Then give each of its rows the length m.",
            "torch.linalg.vector_norm(V, dim=1, keepdim=True) has the shape (out, 1), which divides row by row.",
            "magnitude[:, None] * V / torch.linalg.vector_norm(V, dim=1, keepdim=True)",
        ),
        solution=_code(
            "def dora_weight(weight, lora_A, lora_B, magnitude, scale):  # → (out, in)",
            "    V = weight + scale * lora_B @ lora_A",
            "    return magnitude[:, None] * V / torch.linalg.vector_norm(V, dim=1, keepdim=True)",
            "",
            "",
            'check("03-weight", dora_weight)',
        ),
        verify=_verify_weight,
    ),
    Exercise(
        key="03-detach",
        level="core",
        difficulty=2,
        minutes=5,
        hints=(
            "Tensor.detach() gives the same numbers without their history.",
            "Which one of V, ‖V‖, m is to be treated as a constant?",
            "norm = torch.linalg.vector_norm(V, dim=1, keepdim=True).detach()",
        ),
        solution=_code(
            "def dora_weight_detached(weight, lora_A, lora_B, magnitude, scale):  # → (out, in)",
            "    V = weight + scale * lora_B @ lora_A",
            "    norm = torch.linalg.vector_norm(V, dim=1, keepdim=True).detach()  # DoRA §4.3",
            "    return magnitude[:, None] * V / norm",
            "",
            "",
            'check("03-detach", dora_weight_detached)',
        ),
        verify=_verify_detach,
    ),
    Exercise(
        key="03-layer",
        level="core",
        difficulty=3,
        minutes=20,
        hints=(
            "Three parameters: lora_A drawn, lora_B zero, magnitude the row norms of the base weight. Then the forward.",
            "In forward: W′ with the detached norm, computed afresh, then F.linear(x, W′, self.base.bias).",
            "self.magnitude = nn.Parameter(torch.linalg.vector_norm(base.weight.detach(), dim=1)); forward as 03-detach.",
        ),
        solution=_code(
            "class DoraLayer(nn.Module):",
            "    def __init__(self, base, rank, alpha):",
            "        super().__init__()",
            "        self.base = base.requires_grad_(False)",
            "        self.scale = alpha / rank",
            "        self.lora_A = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)",
            "        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank))",
            "        self.magnitude = nn.Parameter(torch.linalg.vector_norm(base.weight.detach(), dim=1))",
            "",
            "    def forward(self, x):  # (tokens, in) → (tokens, out)",
            "        V = self.base.weight + self.scale * self.lora_B @ self.lora_A",
            "        norm = torch.linalg.vector_norm(V, dim=1, keepdim=True).detach()",
            "        return F.linear(x, self.magnitude[:, None] * V / norm, self.base.bias)",
            "",
            "",
            'check("03-layer", DoraLayer)',
        ),
        verify=verify_layer,
    ),
    Exercise(
        key="03-dropout",
        level="deeper",
        difficulty=3,
        minutes=10,
        hints=(
            "Write W′ as W0 plus what the adapter adds. With c = m/‖V‖ that is W0 + (c − 1)·W0 + c·s·BA.",
            "The first W0 reads x. Everything else reads the dropped x.",
            "x @ W0.T + bias + (c - 1) * (dropped @ W0.T) + c * s * (dropped @ A.T @ B.T), with c of shape (out,)",
        ),
        solution=_code(
            "def dora_with_dropout(x, dropped, weight, bias, lora_A, lora_B, magnitude, scale):  # → (tokens, out)",
            "    c = magnitude / torch.linalg.vector_norm(weight + scale * lora_B @ lora_A, dim=1).detach()  # (out,)",
            "    added = (c - 1) * (dropped @ weight.T) + c * scale * (dropped @ lora_A.T @ lora_B.T)",
            "    return x @ weight.T + bias + added",
            "",
            "",
            'check("03-dropout", dora_with_dropout)',
        ),
        verify=_verify_dropout,
    ),
)


def radial_share(step: Tensor, direction: Tensor) -> float:
    """How much of a step on V, (out, in), runs along V itself, which only changes ‖V‖: a share of its length, 0 to 1."""
    unit = direction / direction.norm(dim=1, keepdim=True)
    return math.sqrt(float((step * unit).sum(dim=1).square().sum() / step.square().sum()))
