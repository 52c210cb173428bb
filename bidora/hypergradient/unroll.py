"""The hypergradient of one unrolled lower step (DARTS, arXiv 1806.09055, eqs 6–8), as pure functions.

    g = ∇_V L_tr(V, m),   V' = V − s(g),   v = ∇_{V'} L_val(V', m),   w = (∂s/∂g)ᵀ v
    h = ∇_m L_val(V', m) − ∇²_{m,V} L_tr(V, m) · w
        direct             implicit

The second term is what a change of m does to the lower step, and through it to the upper loss. No input is changed: V
is the same bit for bit afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from bidora.errors import LabError
from bidora.hypergradient.mixed import LowerGradient, Mixed, Reduce, check_product, lower_gradient, mixed_product
from bidora.hypergradient.parameters import (
    Loss,
    Parameters,
    aligned,
    detached,
    evaluate,
    gradients,
    inner,
    leaves,
    negated,
    norm,
    plus,
)
from bidora.hypergradient.steps import GradientStep, Step, as_step


class Norms(NamedTuple):
    """Sizes of the two parts. `cosine` is NaN where a part is zero; `ratio` is implicit / direct."""

    direct: float
    implicit: float
    cosine: float
    ratio: float


@dataclass(frozen=True)
class Hypergradient:
    """h = direct + implicit, the gradient of m ↦ L_val(V'(m), m).

    Attributes:
        direct: ∇_m L_val(V', m), shaped like m.
        implicit: −∇²_{m,V} L_tr(V, m)·w, shaped like m; zeros for first order.
        upper_loss: L_val(V', m), ().
        lower: the lower pass that was used, without its graph; None for first order without one.
    """

    direct: Parameters
    implicit: Parameters
    upper_loss: Tensor
    lower: LowerGradient | None = None

    @property
    def lower_loss(self) -> Tensor | None:
        """L_tr(V, m), (); None where no lower pass was made."""
        return None if self.lower is None else self.lower.loss

    def total(self) -> Parameters:
        """The sum of both parts, h, as new tensors."""
        return plus(self.direct, self.implicit)

    def norms(self) -> Norms:
        """Norms of both parts, their cosine and ratio, as numbers (waits once for the device)."""
        parts = torch.stack([norm(self.direct), norm(self.implicit), inner(self.direct, self.implicit)])
        direct, implicit, product = parts.tolist()
        sizes = direct * implicit
        return Norms(
            direct,
            implicit,
            cosine=product / sizes if sizes else float("nan"),
            ratio=implicit / direct if direct else float("nan"),
        )


def hypergradient(
    lower_loss: Loss,
    upper_loss: Loss,
    direction: Parameters,
    magnitude: Parameters,
    *,
    step: float | Step,
    mixed: Mixed = "exact",
    epsilon: float = 0.01,
    lower: LowerGradient | None = None,
    reduce: Reduce | None = None,
) -> Hypergradient:
    """The gradient of m ↦ L_val(V − s(∇_V L_tr(V, m)), m), in its two parts.

    Passes: step = 0 needs one, the upper one. Otherwise the lower one (unless `lower` brings it), the upper one, and
    for the mixed product: exact one double backward (with a forward unless `lower.graph` is there), central two,
    one-sided one. The passes of the differences ask for the gradient of m only.

    Random numbers: the lower pass, if made here, and then the upper pass draw from the generators as they are; the
    passes of the mixed product replay the lower pass and leave the generators as if they had never been.

    Workers: three averages are needed. g, since s is not linear (a given `lower` must hold the average already); v,
    since every worker has to multiply its own second derivative with the same w (the direct part and the upper loss
    ride along); and the implicit part. First order needs only that of the direct part.

    Args:
        lower_loss: L_tr, called as lower_loss(direction, magnitude).
        upper_loss: L_val, called in the same way.
        direction: V before the lower step (A, B and head). A tensor that a loss does not use has a zero gradient.
        magnitude: m.
        step: 0 for first order, a number ξ for a gradient step, or a step object.
        mixed: how the mixed second derivative is multiplied, see `mixed_product`.
        epsilon: Euclidean length of the perturbation of the differences.
        lower: the lower pass at (V, m), to be used instead of making it.
        reduce: averages a dict over workers; called equally often, with equal names, on every worker, with tensors
            that it may change in place. None for one process.

    Raises:
        LabError: a setting outside its range, names that do not fit, a loss that is not a scalar, or (exact) a missing
            second derivative. Infinite or undefined numbers are passed on, not raised.

    >>> V = {"V": torch.tensor(2.0, dtype=torch.float64)}
    >>> m = {"m": torch.tensor(3.0, dtype=torch.float64)}
    >>> fit = lambda V, m: 0.5 * (m["m"] * V["V"] - 1) ** 2  # second derivative by m and V: 2mV − 1 = 11
    >>> reach = lambda V, m: V["V"]  # v = 1, and no direct part
    >>> round(hypergradient(fit, reach, V, m, step=0.1).implicit["m"].item(), 12)
    -1.1
    """
    check_product(mixed, epsilon, lower)
    if not magnitude:
        raise LabError("there is no magnitude to differentiate by", hint="adapt the model with DoRA layers")
    chosen = as_step(step)
    if isinstance(chosen, GradientStep) and chosen.scale == 0:
        return _first_order(upper_loss, direction, magnitude, lower, reduce)
    if lower is None:
        lower = lower_gradient(
            lower_loss,
            direction,
            magnitude,
            with_magnitude=mixed == "one-sided",
            create_graph=mixed == "exact",
            reduce=reduce,
        )
    slope = dict(zip(direction, aligned(lower.direction, direction, what="lower.direction"), strict=True))
    unrolled, lengths = leaves(chosen.after(detached(direction), slope)), leaves(magnitude)
    loss = evaluate(upper_loss, unrolled, lengths)
    vector, direct = gradients(loss, unrolled, lengths)
    loss = loss.detach()
    if reduce is not None:
        vector, direct, loss = _reduced(reduce, vector, direct, loss)
    along = chosen.pullback(slope, vector)
    product = mixed_product(lower_loss, direction, magnitude, along, mixed=mixed, epsilon=epsilon, lower=lower)
    implicit = negated(product)
    if reduce is not None:
        implicit = reduce(implicit)
    return Hypergradient(direct, implicit, loss, lower._replace(graph=None))


def _first_order(
    upper_loss: Loss, direction: Parameters, magnitude: Parameters, lower: LowerGradient | None, reduce: Reduce | None
) -> Hypergradient:
    """ξ = 0: the lower step is taken as independent of m, and V' = V."""
    lengths = leaves(magnitude)
    loss = evaluate(upper_loss, detached(direction), lengths)
    (direct,) = gradients(loss, lengths)
    loss = loss.detach()
    if reduce is not None:
        _, direct, loss = _reduced(reduce, {}, direct, loss)
    implicit = {name: torch.zeros_like(tensor) for name, tensor in direct.items()}
    return Hypergradient(direct, implicit, loss, None if lower is None else lower._replace(graph=None))


def _reduced(
    reduce: Reduce, vector: Parameters, direct: Parameters, loss: Tensor
) -> tuple[Parameters, Parameters, Tensor]:
    """v, the direct part and the upper loss, averaged over workers in one call."""
    together = {f"vector.{name}": tensor for name, tensor in vector.items()}
    together |= {f"direct.{name}": tensor for name, tensor in direct.items()}
    averaged = reduce(together | {"upper_loss": loss.clone()})
    return (
        {name: averaged[f"vector.{name}"] for name in vector},
        {name: averaged[f"direct.{name}"] for name in direct},
        averaged["upper_loss"],
    )
