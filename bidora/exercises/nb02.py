"""Exercises of notebook 02: LoRA's forward, its start, its merge, its size and its gradients; what its sliders draw."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bidora.decomposition import merged_weight
from bidora.exercises.answers import answer_of, refuse, same, tensor_of
from bidora.exercises.exercise import Exercise, Misconception, Unanswered
from bidora.sandbox.reach import Change, reach_by_rank, target_weight

if TYPE_CHECKING:
    import plotly.graph_objects as go

SIZES = (320, 640, 4)
"""Inputs, outputs and rank of the layer in the exercise on sizes."""


class Parts(NamedTuple):
    """A made-up adapted layer in float64: x (T, in), W0 (out, in), bias (out,), A (rank, in), B (out, rank), alpha."""

    x: Tensor
    weight: Tensor
    bias: Tensor
    lora_A: Tensor
    lora_B: Tensor
    alpha: float

    @property
    def scale(self) -> float:
        """s = α/r."""
        return self.alpha / len(self.lora_A)


def parts(outputs: int, inputs: int, *, rank: int = 2, alpha: float = 5.0, seed: int = 0) -> Parts:
    """A layer with numbers in it, B too, as after some training."""
    draws = torch.Generator().manual_seed(seed)

    def some(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draws, dtype=torch.float64)

    return Parts(some(6, inputs), some(outputs, inputs), some(outputs), some(rank, inputs), some(outputs, rank), alpha)


def left_over(change: Change, largest_percent: float, degrees: float) -> go.Figure:
    """What rank 1, 2, 3 and 4 leave over of a change of a 6 × 8 weight, without and with magnitudes.

    Args:
        change: "lengths", "headings" or "both".
        largest_percent: the largest change of a row's length.
        degrees: the angle by which each row turns.
    """
    from bidora.figures import reachable

    return reachable(reach_by_rank(target_weight(change, percent=largest_percent, degrees=degrees)))


def _verify_forward(forward: Callable[..., Tensor]) -> str:
    for outputs, inputs in ((4, 4), (3, 5)):
        each = parts(outputs, inputs)
        x, weight, bias, lora_A, lora_B, alpha = each
        s, base, update = each.scale, x @ weight.T, x @ lora_A.T @ lora_B.T
        right = base + bias + s * update
        answer, formed = _watched(forward, each, right)
        wrong = [
            (
                base + bias + alpha / lora_A.shape[1] * update,
                "divided by the number of inputs: A is (rank, in), so the rank is A.shape[0]",
            ),
            (base + bias + update, "the scale is missing: the update counts s = α/r times"),
            (base + bias + alpha * update, "scaled by α; s is α divided by the rank"),
            (base + bias + update / s, "scaled by r/α; s = α/r is the other way up"),
            (base + bias + alpha * len(lora_A) * update, "scaled by α · r; s = α/r divides by the rank"),
            (base + s * update, "the bias is missing; LoRA leaves the base layer whole"),
            (base + s * (update + bias), "the bias was scaled along; s belongs to the update only"),
            (s * update, "the pretrained product is missing: the update is added to it"),
            (s * update + bias, "the pretrained product is missing: the update is added to it"),
            (s * (base + update) + bias, "the pretrained product was scaled along; s belongs to the update only"),
            (base + bias - s * update, "the sign: the update is added"),
        ]
        if outputs == inputs:
            crossed = "x @ W0 in place of x @ W0.T: on a square weight nothing complains, and step 0 is another model"
            wrong += [(x @ weight + bias + s * update, crossed), (x @ weight + bias + update, crossed)]
        refuse(answer, wrong)
        if not same(answer, right):
            raise Misconception(f"for a weight of shape ({outputs}, {inputs}) y is not x W0ᵀ + b + s · x Aᵀ Bᵀ")
        if formed:
            raise Misconception(
                "y is right, but BA was formed on the way: a matrix as large as W0, with its own gradient. Multiply x by Aᵀ "
                "first, which leaves only (tokens, rank), then by Bᵀ"
            )
    return "y = x W0ᵀ + b + s · (x Aᵀ) Bᵀ, and BA was never formed: two thin products in place of a wide one."


class _Products(TorchDispatchMode):
    """Notes the shapes of all matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: set[tuple[int, ...]] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if "mm" in func.name():  # mm, addmm, bmm
            self.shapes.add(tuple(result.shape))
        return result


def _watched(forward: Callable[..., Tensor], each: Parts, right: Tensor) -> tuple[Tensor, bool]:
    """A student's y, and whether a product of the size of BA was computed for it."""
    with _Products() as products:
        try:
            given = answer_of(forward, *each)
        except RuntimeError as error:
            raise Misconception(
                f"shapes do not fit ({str(error).splitlines()[0]}): x is (tokens, in), A (rank, in), B (out, rank), so x meets "
                "A and B transposed"
            ) from error
    size = tuple(each.weight.shape)
    found = {shape[-2:] for shape in products.shapes}
    return tensor_of(given, right, "y"), bool(found & {size, size[::-1]})


def _verify_start(start: Callable[[int, int, int], tuple[Tensor, Tensor]]) -> str:
    rank, inputs, outputs = 3, 7, 5
    answer = answer_of(start, rank, inputs, outputs)
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise Misconception("return two tensors: A, B")
    if any(each is None or each is Ellipsis for each in answer):
        raise Unanswered
    lora_A, lora_B = (tensor_of(each, torch.zeros(1), "A or B") for each in answer)
    shapes = (tuple(lora_A.shape), tuple(lora_B.shape))
    if shapes == ((inputs, rank), (rank, outputs)):
        raise Misconception("both are transposed; nn.Linear's habit is (out, in), so A is (rank, in) and B (out, rank)")
    if shapes == ((outputs, rank), (rank, inputs)):
        raise Misconception("A and B are in each other's place: A reads the input, B writes the output")
    if shapes != ((rank, inputs), (outputs, rank)):
        raise Misconception(f"shapes {shapes[0]} and {shapes[1]}; A is (rank, in) and B (out, rank)")
    if not lora_A.any() and not lora_B.any():
        raise Misconception(
            "both are zero: then ∇A = s Bᵀ(…) = 0 and ∇B = s (…)Aᵀ = 0 as well, and nothing ever moves. One must not be zero"
        )
    if (lora_B @ lora_A).abs().max() > 1e-12:
        raise Misconception(
            "BA is not zero, so before the first step the model is already another one than the pretrained"
        )
    free = lora_A if lora_A.any() else lora_B.T
    if torch.linalg.matrix_rank(free.double()) < rank:
        raise Misconception(
            "the rank's rows are copies of each other: they get the same gradients for ever and count as one. Draw them"
        )
    if not lora_A.any():
        return "BA = 0 and B can pass gradients to A: a valid start, the mirror image of LoRA's (A drawn, B = 0)."
    return "A drawn, B = 0: BA = 0, so step 0 is the pretrained model, and B has a gradient from the first step on."


def _verify_merge(merge: Callable[..., Tensor]) -> str:
    for outputs, inputs in ((4, 4), (3, 5)):
        each = parts(outputs, inputs)
        right = merged_weight(each.weight, each.lora_A, each.lora_B, each.scale)
        try:
            given = answer_of(merge, each.weight, each.lora_A, each.lora_B, each.alpha)
        except RuntimeError as error:
            raise Misconception(
                f"shapes do not fit ({str(error).splitlines()[0]}): B is (out, rank), A is (rank, in), so B @ A is (out, in)"
            ) from error
        answer = tensor_of(given, right, "W′")
        product, s = each.lora_B @ each.lora_A, each.scale
        refuse(
            answer,
            (
                (each.weight + product, "the scale is missing: W0 + s·BA with s = α/r"),
                (each.weight + each.alpha * product, "scaled by α; s is α divided by the rank"),
                (s * product, "this is the update alone; add it to W0"),
                (s * (each.weight + product), "W0 was scaled along; s belongs to the update only"),
                (each.weight - s * product, "the sign: merging adds, unmerging takes away"),
            ),
        )
        if outputs == inputs:
            refuse(answer, ((each.weight + s * product.T, "BA was transposed: nn.Linear stores (out, in), as BA is"),))
        if not same(answer, right):
            raise Misconception(f"for a weight of shape ({outputs}, {inputs}) this is not W0 + s·BA")
    return "one matrix, as large as W0: after merging LoRA costs nothing, and merged_weight(W0, A, B, s) agrees."


def _verify_size(answer: Any) -> str:
    inputs, outputs, rank = SIZES
    right, whole = rank * (inputs + outputs), inputs * outputs
    wrong = {
        whole: "this is the whole weight, which full fine-tuning trains",
        rank * whole: "A and B are not rank times the weight: A is (rank, in), B is (out, rank)",
        rank * inputs: "this is A alone; B has numbers, too",
        rank * outputs: "this is B alone; A has numbers, too",
        inputs + outputs: "this is rank 1; there are `rank` rows in A and columns in B",
        right + outputs: "this is DoRA: it has one magnitude per output besides; LoRA has none",
        rank**2 * (inputs + outputs): "the rank counts once, not squared",
    }
    if answer in wrong:
        raise Misconception(wrong[answer])
    if answer != right:
        raise Misconception(f"{answer} is not it; count the numbers of A, (rank, in), and of B, (out, rank)")
    return f"{right:,} in place of {whole:,} numbers: {100 * right / whole:.1f} %."


def _verify_gradients(gradients: Callable[..., tuple[Tensor, Tensor]]) -> str:
    for outputs, inputs in ((4, 4), (3, 5)):
        each = parts(outputs, inputs)
        x, s = each.x, each.scale
        g = torch.randn(len(x), outputs, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        right_A, right_B = s * (g @ each.lora_B).T @ x, s * g.T @ (x @ each.lora_A.T)
        answer = answer_of(gradients, x, g, each.lora_A, each.lora_B, s)
        if not isinstance(answer, (tuple, list)) or len(answer) != 2:
            raise Misconception("return two tensors: ∇A, ∇B")
        if any(part is None or part is Ellipsis for part in answer):
            raise Unanswered
        if all(same(tensor_of(part, right, "∇"), right) for part, right in zip(answer, (right_B, right_A))):
            raise Misconception("∇A and ∇B are in each other's place: return ∇A first")
        for name, part, right in zip("AB", answer, (right_A, right_B)):
            tensor = tensor_of(part, right, f"∇{name}")
            refuse(
                tensor,
                (
                    (right / s, f"the scale is missing in ∇{name}: y holds s times the update"),
                    (right * s, f"the scale stands twice in ∇{name}; every path from y passes it once"),
                    (
                        right / len(x),
                        f"∇{name} adds up over the tokens; a mean belongs to the loss, and g has it already",
                    ),
                    (-right, f"the sign of ∇{name}: this is the step downhill, not the gradient"),
                ),
            )
            if tensor.shape == right.T.shape and same(tensor, right.T):
                raise Misconception(
                    f"∇{name} is transposed: a gradient has the shape of its parameter, {tuple(right.shape)}"
                )
            if not same(tensor, right):
                raise Misconception(
                    f"∇{name} differs from what autograd gives for a layer of shape ({outputs}, {inputs})"
                )
    return "equal to autograd. With B = 0, ∇A = s·(gB)ᵀx is zero: in the first step only B moves."


def first_gradients(seed: int = 0) -> tuple[float, float]:
    """‖∇A‖ and ‖∇B‖ of a squared error at LoRA's start, from autograd."""
    each = parts(5, 7, seed=seed)
    lora_A = each.lora_A.clone().requires_grad_()
    lora_B = torch.zeros_like(each.lora_B, requires_grad=True)
    y = each.x @ merged_weight(each.weight, lora_A, lora_B, each.scale).T
    target = y.detach() + 1
    by_A, by_B = torch.autograd.grad((y - target).square().mean(), (lora_A, lora_B))
    return float(by_A.norm()), math.sqrt(float(by_B.square().sum()))


EXERCISES = (
    Exercise(
        key="02-forward",
        level="core",
        difficulty=2,
        minutes=8,
        hints=(
            "nn.Linear computes x @ weight.T + bias. The update does the same with BA in place of the weight.",
            "x @ lora_A.T has shape (tokens, rank); multiply that by lora_B.T. The rank is lora_A.shape[0].",
            "x @ weight.T + bias + alpha / rank * (x @ lora_A.T @ lora_B.T)",
        ),
        solution="def lora_forward(x, weight, bias, lora_A, lora_B, alpha):  # x (tokens, in) → (tokens, out)\n"
        "    rank = lora_A.shape[0]\n"
        "    return x @ weight.T + bias + alpha / rank * (x @ lora_A.T @ lora_B.T)\n\n\n"
        'check("02-forward", lora_forward)',
        verify=_verify_forward,
    ),
    Exercise(
        key="02-start",
        level="core",
        difficulty=1,
        minutes=5,
        hints=(
            "Before the first step the model must be the pretrained one: BA = 0. But not everything may be zero.",
            "If A and B are both zero, look at ∇A and ∇B: each has the other as a factor.",
            "Draw A at random, such as torch.randn(rank, inputs) / rank, and let B be torch.zeros(outputs, rank).",
        ),
        solution="def start(rank, inputs, outputs):  # → A (rank, in), B (out, rank)\n"
        "    return torch.randn(rank, inputs) / inputs**0.5, torch.zeros(outputs, rank)\n\n\n"
        'check("02-start", start)',
        verify=_verify_start,
    ),
    Exercise(
        key="02-merge",
        level="core",
        difficulty=1,
        minutes=4,
        hints=(
            "Which single matrix W′ gives x W′ᵀ = x W0ᵀ + s · x Aᵀ Bᵀ?",
            "(x Aᵀ) Bᵀ = x (BA)ᵀ, so the update is BA, of shape (out, in).",
            "weight + alpha / lora_A.shape[0] * (lora_B @ lora_A)",
        ),
        solution="def merge(weight, lora_A, lora_B, alpha):  # → (out, in)\n"
        "    return weight + alpha / lora_A.shape[0] * (lora_B @ lora_A)\n\n\n"
        'check("02-merge", merge)',
        verify=_verify_merge,
    ),
    Exercise(
        key="02-size",
        level="core",
        difficulty=1,
        minutes=3,
        hints=(
            "Only A and B are trained. Write down their shapes.",
            "A is (rank, in), B is (out, rank).",
            "rank · in + out · rank, with 320 inputs, 640 outputs and rank 4.",
        ),
        solution='numbers = 4 * 320 + 640 * 4  # A, then B\ncheck("02-size", numbers)',
        verify=_verify_size,
    ),
    Exercise(
        key="02-gradient",
        level="deeper",
        difficulty=3,
        minutes=15,
        hints=(
            "A gradient has the shape of its parameter. For y = x Wᵀ and g = ∂L/∂y it is ∇W = gᵀx, (out, in).",
            "Call h = x Aᵀ, (tokens, rank). Then y = … + s·h Bᵀ: B is a weight that reads h. And ∂L/∂h = s·g B.",
            "∇B = s · gᵀ (x Aᵀ) and ∇A = s · (g B)ᵀ x",
        ),
        solution="def lora_gradients(x, g, lora_A, lora_B, scale):  # g = ∂L/∂y, (tokens, out) → ∇A, ∇B\n"
        "    return scale * (g @ lora_B).T @ x, scale * g.T @ (x @ lora_A.T)\n\n\n"
        'check("02-gradient", lora_gradients)',
        verify=_verify_gradients,
    ),
)
