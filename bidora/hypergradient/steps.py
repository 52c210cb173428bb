"""Steps of the lower level: V' = V − s(g), and how a change of g passes through s.

A step is a small frozen object. `after` takes it; `pullback` multiplies by its Jacobian, (∂s/∂g)ᵀ·vector, which is what
the chain rule asks for: ∂V'/∂m = −(∂s/∂g) · ∂g/∂m with g = ∇_V L_tr(V, m).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from bidora.errors import LabError
from bidora.hypergradient.parameters import Parameters, inner, norm, plus, scaled


class Step(Protocol):
    """What `hypergradient` needs to know of a lower step."""

    def after(self, direction: Parameters, gradient: Parameters) -> Parameters:
        """V' = V − s(g) as new tensors."""
        ...

    def pullback(self, gradient: Parameters, vector: Parameters) -> Parameters:
        """(∂s/∂g)ᵀ · vector, at the given gradient."""
        ...


@dataclass(frozen=True)
class GradientStep:
    """Plain gradient descent, s(g) = ξ·g: the one-step unroll of DARTS (arXiv 1806.09055, eq. 6).

    Args:
        scale: ξ, at least 0. 0 leaves V where it is (first order); Betty uses 1; DARTS the lower learning rate.

    Raises:
        LabError: ξ is negative or not finite.

    >>> step = GradientStep(0.5)
    >>> step.after({"V": torch.tensor([1.0])}, {"V": torch.tensor([4.0])})["V"].tolist()
    [-1.0]
    """

    scale: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale >= 0):
            raise LabError(
                f"step={self.scale:g} is not a finite number of at least 0",
                hint="use 0 for first order, the lower learning rate for a gradient step, or an AdamWStep",
            )

    def after(self, direction: Parameters, gradient: Parameters) -> Parameters:
        """V − ξ·g."""
        return plus(direction, gradient, factor=-self.scale)

    def pullback(self, gradient: Parameters, vector: Parameters) -> Parameters:
        """ξ·vector."""
        return scaled(vector, self.scale)


@dataclass(frozen=True)
class Clipped:
    """A step that first scales the gradient down to a largest norm, as torch.nn.utils.clip_grad_norm_ does.

    s(g) = inner s(c·g) with c = min(1, max_norm / (‖g‖ + 10⁻⁶)). Where c < 1 the Jacobian of g ↦ c·g is c·I less a
    rank-one term, c·(I − g gᵀ / (‖g‖·(‖g‖ + 10⁻⁶))): along g almost nothing is left, since the length is fixed.

    Args:
        step: the step that is taken with the clipped gradient.
        max_norm: largest Euclidean norm over all direction tensors together, above 0.

    Raises:
        LabError: max_norm is not above 0.
    """

    step: Step
    max_norm: float

    def __post_init__(self) -> None:
        if not self.max_norm > 0:
            raise LabError(f"max_norm={self.max_norm:g} is not above 0", hint="to clip nothing, use the step unwrapped")

    def after(self, direction: Parameters, gradient: Parameters) -> Parameters:
        """The inner step with the clipped gradient."""
        return self.step.after(direction, scaled(gradient, self._factor(norm(gradient)).clamp(max=1.0)))

    def pullback(self, gradient: Parameters, vector: Parameters) -> Parameters:
        """c·u − c/(‖g‖(‖g‖+10⁻⁶)) ⟨g, u⟩ g with u the inner pullback; u itself where nothing was clipped."""
        length = norm(gradient)
        factor = self._factor(length)
        clipped = factor.clamp(max=1.0)
        inside = self.step.pullback(scaled(gradient, clipped), vector)
        slope = factor / ((length + 1e-6) * length.clamp_min(torch.finfo(length.dtype).tiny))
        along = torch.where(factor < 1, -slope * inner(gradient, inside), torch.zeros_like(slope))
        kept, radial = scaled(inside, clipped), scaled(gradient, along)
        return plus(kept, radial)

    def _factor(self, length: Tensor) -> Tensor:
        return self.max_norm / (length + 1e-6)


def as_step(step: float | Step) -> Step:
    """A number ξ as a GradientStep; a step object unchanged.

    Raises:
        LabError: a number below 0, or something that is neither.
    """
    if isinstance(step, (int, float)) and not isinstance(step, bool):
        return GradientStep(float(step))
    if hasattr(step, "after") and hasattr(step, "pullback"):
        return step
    raise LabError(f"step={step!r} is neither a number nor a step", hint="use 0, a number, GradientStep or AdamWStep")
