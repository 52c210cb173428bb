"""A weight matrix as lengths and headings: magnitude, direction, and how far each of them moved.

Pure functions of tensors, differentiable, on any device. Half-precision and integer weights are computed in float32,
everything else in its own precision. Source of the quantities: DoRA (arXiv 2402.09353), equations 2 to 4.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from bidora.errors import LabError

Axis = Literal["output", "input"]
"""Which units carry a magnitude: "output", one per row of nn.Linear.weight (PEFT, NVlabs); "input" (BiDoRA's code)."""


class Decomposition(NamedTuple):
    """A weight W = m ⊙ V: `magnitude` m, one number per unit; `direction` V, shaped like W, with norm 1 per unit."""

    magnitude: Tensor
    direction: Tensor


class UnitChange(NamedTuple):
    """What happened to each of the k units between two weights; every entry has shape (k,).

    magnitude: m − m₀, signed, in the weight's units.
    percent: 100 · (m − m₀) / m₀.
    direction: 1 − cos of the angle between the two headings, from 0 (same) to 2 (opposite).
    angle: that angle in degrees, from 0 to 180.
    """

    magnitude: Tensor
    percent: Tensor
    direction: Tensor
    angle: Tensor


def decompose(weight: Tensor, axis: Axis = "output") -> Decomposition:
    """Split a weight into length and heading per unit: W = m ⊙ V (DoRA, eq. 2).

    Args:
        weight: (out, in), as nn.Linear stores it. The papers' column norm is our row norm.
        axis: "output" gives one magnitude per output unit (PEFT), "input" one per input unit.

    Returns:
        magnitude (out,) for "output", (in,) for "input", in the weight's units;
        direction (out, in) whose rows ("output") or columns ("input") have norm 1.

    Raises:
        LabError: (a ValueError) the weight is not a matrix, the axis is unknown, or a unit is zero, so that its
            direction is undefined.

    >>> decompose(torch.tensor([[3., 4.]])).magnitude.tolist()
    [5.0]
    >>> decompose(torch.tensor([[3., 4.]]), "input").magnitude.tolist()
    [3.0, 4.0]
    """
    weight = _in_working_precision(weight)
    along = _summed_dimension(axis)
    norm = torch.linalg.vector_norm(weight, dim=along, keepdim=True)
    _refuse_zero_units(norm.flatten(), axis)
    return Decomposition(magnitude=norm.squeeze(along), direction=weight / norm)


def merged_weight(
    base: Tensor,
    lora_A: Tensor,
    lora_B: Tensor,
    scale: float,
    magnitude: Tensor | None = None,
    *,
    axis: Axis = "output",
) -> Tensor:
    """The one matrix that an adapted layer amounts to.

    Without magnitude it is LoRA's W0 + s·BA; with it DoRA's and BiDoRA's m ⊙ (W0 + s·BA) / ‖W0 + s·BA‖ (DoRA, eq. 5).

    Args:
        base: W0, (out, in).
        lora_A: A, (rank, in).
        lora_B: B, (out, rank).
        scale: s; alpha / rank, or alpha / √rank for rank-stabilised LoRA.
        magnitude: m, (out,) for axis "output", (in,) for "input"; or None.
        axis: which units the magnitude belongs to; PEFT's is "output".

    Returns:
        (out, in), in the working precision of the inputs.

    Raises:
        LabError: the shapes do not fit, or a unit of W0 + s·BA is zero while a magnitude is given.
    """
    base, lora_A, lora_B = (_in_working_precision(each) for each in (base, lora_A, lora_B))
    expected = (lora_B.shape[0], lora_A.shape[1])
    if lora_A.shape[0] != lora_B.shape[1] or tuple(base.shape) != expected:
        raise LabError(
            f"base {tuple(base.shape)}, A {tuple(lora_A.shape)} and B {tuple(lora_B.shape)} do not fit together",
            hint="they must be (out, in), (rank, in) and (out, rank)",
            kind="model",
        )
    updated = base + scale * (lora_B @ lora_A)
    if magnitude is None:
        return updated
    units = base.shape[0] if axis == "output" else base.shape[1]
    if magnitude.numel() != units:
        raise LabError(
            f"{magnitude.numel()} magnitudes for a weight {tuple(base.shape)}",
            hint=f"there must be {units}, one per {axis} unit",
            kind="model",
        )
    along = _summed_dimension(axis)
    return magnitude.to(updated.dtype).flatten().unsqueeze(along) * decompose(updated, axis).direction


def unit_change(before: Tensor, after: Tensor, axis: Axis = "output") -> UnitChange:
    """How each unit's magnitude and direction moved from one weight to another.

    The cosine is never formed: for unit vectors 1 − u·v = ‖u − v‖²/2, which keeps all digits where the angle is
    tiny and 1 − cos would cancel to nothing; the angle is 2·atan2(‖u − v‖, ‖u + v‖), exact at both ends (Kahan).

    Args:
        before: W0, (out, in).
        after: W, (out, in); merged, if it is an adapted layer.
        axis: whose units are compared.

    Raises:
        LabError: the shapes differ, or a unit of either weight is zero.
    """
    if before.shape != after.shape:
        raise LabError(
            f"weights of shapes {tuple(before.shape)} and {tuple(after.shape)} cannot be compared",
            hint="compare a layer with the same layer of the same model",
            kind="model",
        )
    shared = torch.promote_types(_in_working_precision(before).dtype, _in_working_precision(after).dtype)
    first, second = decompose(before.to(shared), axis), decompose(after.to(shared), axis)
    along = _summed_dimension(axis)
    apart = torch.linalg.vector_norm(second.direction - first.direction, dim=along)
    together = torch.linalg.vector_norm(second.direction + first.direction, dim=along)
    moved = second.magnitude - first.magnitude
    return UnitChange(
        magnitude=moved,
        percent=100 * moved / first.magnitude,
        direction=apart.square() / 2,
        angle=torch.rad2deg(2 * torch.atan2(apart, together)),
    )


def directed_units(before: Tensor, after: Tensor, axis: Axis = "output") -> tuple[Tensor, Tensor, Tensor]:
    """Leave out the units that are zero in either weight (pruned ones), which have no direction to compare.

    Args:
        before: W0, (out, in).
        after: W, (out, in).
        axis: whose units.

    Returns:
        Both weights without those rows ("output") or columns ("input"), and which of the k units are left, (k,).
    """
    along = _summed_dimension(axis)
    kept = (before != 0).any(dim=along) & (after != 0).any(dim=along)
    if bool(kept.all()):
        return before, after, kept
    if axis == "output":
        return before[kept], after[kept], kept
    return before[:, kept], after[:, kept], kept


def magnitude_change(before: Tensor, after: Tensor, axis: Axis = "output") -> Tensor:
    """ΔM = Σₙ |mⁿ − m₀ⁿ| / k over the k units of a layer (DoRA, eq. 3): a scalar in the weight's units."""
    return unit_change(before, after, axis).magnitude.abs().mean()


def direction_change(before: Tensor, after: Tensor, axis: Axis = "output") -> Tensor:
    """ΔD = Σₙ (1 − cos(Vⁿ, W0ⁿ)) / k over the k units of a layer (DoRA, eq. 4): a scalar from 0 to 2."""
    return unit_change(before, after, axis).direction.mean()


def magnitude_percent(before: Tensor, after: Tensor, axis: Axis = "output") -> Tensor:
    """Mean signed change of the magnitudes, each in % of its initial value: a scalar, negative where units shrank."""
    return unit_change(before, after, axis).percent.mean()


def mean_angle(before: Tensor, after: Tensor, axis: Axis = "output") -> Tensor:
    """Mean angle between old and new direction of a layer's units: a scalar in degrees, from 0 to 180."""
    return unit_change(before, after, axis).angle.mean()


def _in_working_precision(weight: Tensor) -> Tensor:
    if weight.ndim != 2:
        raise LabError(
            f"a weight of shape {tuple(weight.shape)} is not a matrix",
            hint="give a 2-D tensor (out, in), as nn.Linear stores it",
            kind="model",
        )
    # Norms of a few hundred half-precision squares lose most of their digits, so these are widened.
    return weight if weight.dtype in (torch.float32, torch.float64) else weight.to(torch.float32)


def _summed_dimension(axis: Axis) -> int:
    if axis not in ("output", "input"):
        raise LabError(f"axis={axis!r} is not one of output, input", hint='PEFT\'s convention is "output"')
    return 1 if axis == "output" else 0


def _refuse_zero_units(norms: Tensor, axis: Axis) -> None:
    zero = (norms == 0).nonzero().flatten()
    if len(zero):
        shown = ", ".join(str(index) for index in zero[:3].tolist()) + (", …" if len(zero) > 3 else "")
        raise LabError(
            f"{len(zero)} of {len(norms)} {axis} units are zero ({shown}), so their direction is undefined",
            hint="leave these rows or columns out, or use the other axis",
            kind="model",
        )
