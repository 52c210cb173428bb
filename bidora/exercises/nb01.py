"""Exercises of notebook 01: lengths on the right axis, the weight rebuilt, ΔD, tiny angles; what its sliders draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bidora.decomposition import decompose, direction_change
from bidora.exercises.answers import answer_of, refuse, same, tensor_of
from bidora.exercises.exercise import Exercise, Misconception

if TYPE_CHECKING:
    import plotly.graph_objects as go


def turned(length: float, angle: float) -> go.Figure:
    """A vector before and after: its new length, and the angle in degrees by which it turned."""
    from bidora.figures import arrows
    from bidora.sandbox.units import vector_pair

    return arrows(*vector_pair(length, angle))


def row_made_longer(percent: float) -> tuple[Tensor, Tensor]:
    """W0 (3, 4), and the same weight with its first row longer by so many per cent."""
    before = torch.tensor([[3.0, 4.0, 1.0, 2.0], [1.0, 3.0, 2.0, 4.0], [1.0, 2.0, 2.0, 1.0]], dtype=torch.float64)
    after = before.clone()
    after[0] *= 1 + percent / 100
    return before, after


def weights(shape: tuple[int, int], *, seed: int = 0, angle: float = 0.3) -> tuple[Tensor, Tensor]:
    """Two made-up weights, float64; rows of the second turned by about `angle` radians and stretched by up to 20 %."""
    draws = torch.Generator().manual_seed(seed)
    before = torch.randn(shape, generator=draws, dtype=torch.float64)
    aside = torch.randn(shape, generator=draws, dtype=torch.float64)
    stretch = 0.8 + 0.4 * torch.rand(shape[0], 1, generator=draws, dtype=torch.float64)
    return before, stretch * (before + angle * aside)


def _verify_length(lengths: Callable[[Tensor], Tensor]) -> str:
    for shape in ((3, 5), (4, 4)):
        weight, _ = weights(shape)
        right = decompose(weight).magnitude
        answer = tensor_of(answer_of(lengths, weight), right, "the magnitude")
        if same(answer, decompose(weight).direction):
            raise Misconception("these are the directions V, rows of length 1; the lengths m were asked for")
        if same(answer.flatten(), right) and answer.ndim == 2:
            raise Misconception(
                f"the numbers are right, the shape {tuple(answer.shape)} is not: one number per row is {tuple(right.shape)}; "
                "leave keepdim out"
            )
        refuse(
            answer,
            (
                (
                    weight.norm(dim=0),
                    "wrong axis: this is one length per column (input). PEFT's convention is one per row, since "
                    "nn.Linear stores (out, in): sum over dim=1",
                ),
                (weight.norm(), "one number for the whole matrix: every row has a length of its own"),
                (weight.square().sum(1), "these are squared lengths: the square root is missing"),
                (weight.abs().sum(1), "this adds up sizes (the 1-norm); a length is the root of the sum of squares"),
                (weight.sum(1), "this adds the entries themselves, so signs cancel; square them first"),
                (weight.square().mean(1).sqrt(), "a mean in place of a sum: √(mean of squares) is smaller by √in"),
            ),
        )
        if not same(answer, right):
            raise Misconception(f"for a {shape[0]} × {shape[1]} weight these are not the lengths of its rows")
    return "one length per row, shape (out,): what PEFT calls the magnitude vector, and decompose(W).magnitude."


def _verify_rebuild(rebuild: Callable[[Tensor, Tensor], Tensor]) -> str:
    # Square first: there a product along the wrong axis raises nothing, and its values tell.
    for shape in ((4, 4), (3, 5)):
        weight, _ = weights(shape)
        magnitude, direction = decompose(weight)
        try:
            given = answer_of(rebuild, magnitude, direction)
        except RuntimeError as error:
            raise Misconception(
                f"PyTorch cannot combine m of shape {tuple(magnitude.shape)} with V of shape {tuple(direction.shape)} in this "
                "way. m needs a second dimension, so that number i meets row i: (out, 1)"
            ) from error
        answer = tensor_of(given, weight, "W")
        if shape == (4, 4):
            refuse(
                answer,
                (
                    (
                        magnitude * direction,
                        "wrong axis: m * V lets number j meet *column* j. On a square weight nothing complains, which "
                        "makes it dangerous; m needs the shape (out, 1)",
                    ),
                    (
                        magnitude @ direction,
                        "a matrix product adds the rows up; here each row is only stretched: element by element",
                    ),
                    (direction, "the directions came back as they are: multiply each row by its length"),
                    (direction / magnitude[:, None], "divided in place of multiplied"),
                ),
            )
        if not same(answer, weight):
            raise Misconception(f"for a {shape[0]} × {shape[1]} weight m and V do not give W back")
    return "m ⊙ V is W again, up to rounding: the split loses nothing, whatever the shape."


def _verify_delta_d(delta_d: Callable[[Tensor, Tensor], Tensor]) -> str:
    for shape in ((4, 4), (3, 5)):
        before, after = weights(shape)
        right = direction_change(before, after)
        answer = tensor_of(answer_of(delta_d, before, after), right, "ΔD")
        first, second = decompose(before).direction, decompose(after).direction
        cosine = (first * second).sum(1)
        columns = torch.cosine_similarity(before, after, dim=0)
        if answer.ndim:
            raise Misconception(f"ΔD is one number per layer, a mean over rows; this has shape {tuple(answer.shape)}")
        refuse(
            answer,
            (
                (cosine.mean(), "this is the cosine, 1 where nothing turned; ΔD = 1 − cos is 0 there"),
                (-(1 - cosine).mean(), "the sign: it is 1 − cos, never negative"),
                ((1 - cosine).sum(), "a sum over the rows; divide by their number k, or layers of other widths differ"),
                (torch.acos(cosine).mean(), "this is the angle in radians; DoRA's equation 4 takes 1 − cos of it"),
                (
                    torch.rad2deg(torch.acos(cosine)).mean(),
                    "this is the angle in degrees; equation 4 takes 1 − cos of it",
                ),
                ((1 - columns).mean(), "wrong axis: these are the columns' directions (inputs); rows were asked for"),
                (
                    1 - torch.cosine_similarity(before.flatten(), after.flatten(), dim=0),
                    "one cosine for the whole matrix: each row has a direction of its own, then comes the mean",
                ),
                (
                    (1 - (before * after).sum(1)).mean(),
                    "the dot product of rows that were not normalised is no cosine: divide by both lengths",
                ),
                (
                    (1 - first * second).mean(),
                    "the cosine of two rows is a sum over their entries: add up along dim=1 first, then take 1 minus that",
                ),
                (
                    (first - second).abs().mean(),
                    "this is how far the entries of V moved; ΔD asks for the angle between rows: 1 minus their dot product",
                ),
                (
                    (first - second).norm(dim=1).mean(),
                    "this is the distance ‖u − v‖; 1 − cos is half of its square",
                ),
            ),
        )
        if not same(answer, right):
            raise Misconception(f"{float(answer):.4g}; for this pair of weights ΔD is {float(right):.4g}")
    return "the mean of 1 − cos over the rows: DoRA's equation 4, and direction_change(W0, W)."


def tiny_turn(angle: float = 1e-4) -> tuple[Tensor, Tensor]:
    """Two float32 weights (6, 40) whose rows differ by that angle, in radians, and in nothing else."""
    draws = torch.Generator().manual_seed(3)
    first = torch.nn.functional.normalize(torch.randn(6, 40, generator=draws, dtype=torch.float64), dim=1)
    aside = torch.randn(6, 40, generator=draws, dtype=torch.float64)
    aside = torch.nn.functional.normalize(aside - (aside * first).sum(1, keepdim=True) * first, dim=1)
    cosine, sine = torch.tensor([angle], dtype=torch.float64).cos(), torch.tensor([angle], dtype=torch.float64).sin()
    return first.float(), (cosine * first + sine * aside).float()


def _verify_tiny(delta_d: Callable[[Tensor, Tensor], Tensor]) -> str:
    angle = 1e-4
    before, after = tiny_turn(angle)
    right = torch.tensor(angle**2 / 2, dtype=torch.float64)
    answer = tensor_of(answer_of(delta_d, before, after), right, "ΔD")
    if answer.ndim:
        raise Misconception(f"ΔD is one number per layer; this has shape {tuple(answer.shape)}")
    ratio = float(answer) / float(right)
    if abs(ratio - 1) < 0.03:
        return f"{float(answer):.3e} where θ²/2 = {float(right):.3e}: all digits are there."
    if abs(ratio - 2) < 0.06:
        raise Misconception("twice too large: ‖u − v‖² = 2 − 2 cos, so half of it is 1 − cos")
    if abs(float(answer) / angle - 1) < 0.03:
        raise Misconception("this is the distance ‖u − v‖, about the angle itself; 1 − cos is half of its square")
    if abs(float(answer)) < 1e-6:
        raise Misconception(
            f"{float(answer):.1e} where θ²/2 = {float(right):.1e}: 1 − cos cancels. float32 knows numbers near 1 to about 6e-8, "
            "so the difference is rounding. Never form the cosine"
        )
    raise Misconception(f"{float(answer):.3e}; a turn of {angle} radians is 1 − cos = {float(right):.3e}")


EXERCISES = (
    Exercise(
        key="01-length",
        level="core",
        difficulty=1,
        minutes=4,
        hints=(
            "The weight has shape (out, in). The result has shape (out,), so the other dimension is summed over.",
            "torch.linalg.vector_norm(weight, dim=…) is the square root of the sum of squares along a dimension.",
            "Summing over the inputs, dim=1, leaves one number per output.",
        ),
        solution="def row_lengths(weight):  # (out, in) → (out,)\n"
        "    return torch.linalg.vector_norm(weight, dim=1)\n\n\n"
        'check("01-length", row_lengths)',
        verify=_verify_length,
    ),
    Exercise(
        key="01-rebuild",
        level="core",
        difficulty=1,
        minutes=4,
        hints=(
            "Row i of W is m[i] times row i of V.",
            "PyTorch lines shapes up from the right: (out,) against (out, in) pairs m with the columns.",
            "m[:, None] or m.unsqueeze(1) has shape (out, 1), which pairs m with the rows.",
        ),
        solution="def rebuild(magnitude, direction):  # (out,), (out, in) → (out, in)\n"
        "    return magnitude[:, None] * direction\n\n\n"
        'check("01-rebuild", rebuild)',
        verify=_verify_rebuild,
    ),
    Exercise(
        key="01-delta-d",
        level="core",
        difficulty=2,
        minutes=8,
        hints=(
            "Make both weights into directions first; the cosine of two unit vectors is their dot product.",
            "One cosine per row: (V0 * V).sum(dim=1). Then 1 minus that, then the mean over rows.",
            "(1 - (decompose(before).direction * decompose(after).direction).sum(dim=1)).mean()",
        ),
        solution="def delta_d(before, after):  # two (out, in) → one number\n"
        "    cosine = (decompose(before).direction * decompose(after).direction).sum(dim=1)  # (out,)\n"
        "    return (1 - cosine).mean()\n\n\n"
        'check("01-delta-d", delta_d)',
        verify=_verify_delta_d,
    ),
    Exercise(
        key="01-tiny",
        level="deeper",
        difficulty=3,
        minutes=10,
        hints=(
            "Print 1 − cos for the two weights: float32 has about seven digits, and the cosine is 0.999999995.",
            "Write ‖u − v‖² out for two unit vectors u and v. Where is the cosine?",
            "‖u − v‖² = 2 − 2 cos, so 1 − cos = ‖u − v‖²/2, and the difference u − v keeps its digits.",
        ),
        solution="def delta_d_tiny(before, after):  # two (out, in), float32 → one number\n"
        "    apart = decompose(after).direction - decompose(before).direction  # (out, in)\n"
        "    return (apart.square().sum(dim=1) / 2).mean()\n\n\n"
        'check("01-tiny", delta_d_tiny)',
        verify=_verify_tiny,
    ),
)
