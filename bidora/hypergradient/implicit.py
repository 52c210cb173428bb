"""The hypergradient at a lower optimum, by the implicit function theorem, and two solvers for its linear system.

    h = ∇_m L_val − ∇²_{m,V} L_tr · q,   ∇²_{V,V} L_tr · q = ∇_V L_val        where ∇_V L_tr(V, m) = 0

For teaching and as a reference: one unrolled step puts ξ·I (the first Neumann term) in place of the inverse Hessian.
The solver is an argument, `solve(matvec, b)`; bind its settings with a lambda or functools.partial.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from bidora.errors import LabError
from bidora.hypergradient.mixed import LowerGradient
from bidora.hypergradient.parameters import (
    Loss,
    Parameters,
    detached,
    evaluate,
    gradients,
    inner,
    leaves,
    negated,
    norm,
    plus,
    scaled,
    vector_product,
)
from bidora.hypergradient.randomness import RandomState
from bidora.hypergradient.unroll import Hypergradient

MatVec = Callable[[Parameters], Parameters]
Solve = Callable[[MatVec, Parameters], Parameters]


def implicit_hypergradient(
    lower_loss: Loss, upper_loss: Loss, direction: Parameters, magnitude: Parameters, *, solve: Solve
) -> Hypergradient:
    """The derivative of m ↦ L_val(V*(m), m) at a lower optimum V = V*(m).

    Hessian–vector products come from one graph of ∇_V L_tr, so all of them see the same dropout masks.

    Args:
        lower_loss: L_tr, twice differentiable.
        upper_loss: L_val.
        direction: V*(m). The theorem asks for ∇_V L_tr = 0 there: look at `.lower.direction` of the answer.
        magnitude: m.
        solve: solve(matvec, b) → x with matvec(x) ≈ b, e.g. `lambda matvec, b: conjugate_gradient(matvec, b)`.

    Raises:
        LabError: the solver failed, or an operation has no second derivative.

    Source: Lorraine, Vicol, Duvenaud, arXiv 1911.02590, theorem 1.
    """
    headings, lengths = leaves(direction), leaves(magnitude)
    loss = evaluate(upper_loss, headings, lengths)
    vector, direct = gradients(loss, headings, lengths)
    state = RandomState.record(direction, magnitude)
    lower = evaluate(lower_loss, headings, lengths)
    slope, base = gradients(lower, headings, lengths, create_graph=True)

    def matvec(x: Parameters) -> Parameters:
        return vector_product(slope.values(), headings, [x[name] for name in slope])

    solution = solve(matvec, vector)
    product = vector_product(slope.values(), lengths, [solution[name] for name in slope])
    found = LowerGradient(lower.detach(), detached(slope), detached(base), state)
    return Hypergradient(direct, negated(product), loss.detach(), found)


def neumann(matvec: MatVec, b: Parameters, *, terms: int, scale: float) -> Parameters:
    """Neumann series: x = scale · Σ_{j<terms} (I − scale·H)ʲ b, which tends to H⁻¹b.

    It is what unrolling `terms` gradient steps of size `scale` near the optimum would give. Converges for H positive
    definite and 0 < scale < 2/λ_max; each term multiplies the error by at most max|1 − scale·λ|.

    Args:
        matvec: x ↦ H·x.
        b: right-hand side.
        terms: how many, at least 1; one term is scale·b, the one-step unroll.
        scale: above 0.

    Raises:
        LabError: a setting outside its range, or the series grows: the scale is too large or H has negative curvature.
    """
    if terms < 1 or not scale > 0:
        raise LabError(
            f"terms={terms}, scale={scale:g} are outside terms >= 1, scale > 0", hint="start with terms=10, scale=0.1"
        )
    term, total = b, b
    start = norm(b).item()
    for _ in range(terms - 1):
        curved = matvec(term)
        curvature = (inner(term, curved) / inner(term, term).clamp_min(torch.finfo(torch.float32).tiny)).item()
        term = plus(term, curved, factor=-scale)
        total = plus(total, term)
        size = norm(term).item()
        if not size <= 10 * start:  # a convergent series of a symmetric H never grows; a truncated one may a little
            raise LabError(
                f"the Neumann series grows (term of norm {size:.3g}, first {start:.3g}, curvature {curvature:.3g})",
                hint=_neumann_advice(curvature, scale),
                kind="diverged",
            )
    return scaled(total, scale)


def conjugate_gradient(
    matvec: MatVec, b: Parameters, *, tolerance: float = 1e-6, max_steps: int = 100, ridge: float = 0.0
) -> Parameters:
    """Solve for x with ‖b − (H + ridge·I)x‖ ≤ tolerance·‖b‖, for H + ridge·I positive definite.

    Args:
        matvec: x ↦ H·x.
        b: right-hand side; zero gives zero.
        tolerance: relative residual at which it stops.
        max_steps: most products with H; in exact arithmetic as many as b has entries are enough.
        ridge: added to the diagonal; makes H definite and biases the answer towards b/ridge.

    Raises:
        LabError: negative curvature, or the residual is still too large after max_steps.

    Source: Hestenes and Stiefel 1952.
    """
    goal = tolerance * norm(b).item()
    x = {name: torch.zeros_like(tensor) for name, tensor in b.items()}
    residual, heading = b, b
    squared = inner(b, b).item()
    steps = 0
    while not squared**0.5 <= goal:
        if steps == max_steps:
            raise LabError(
                f"conjugate gradient: relative residual {squared**0.5 / norm(b).item():.3g} after {max_steps} steps, "
                f"allowed {tolerance:g}",
                hint="raise max_steps or tolerance, or add a ridge to improve the conditioning",
                kind="diverged",
            )
        curved = matvec(heading)
        if ridge:
            curved = plus(curved, heading, factor=ridge)
        curvature = inner(heading, curved).item()
        if not curvature > 0:
            quotient = curvature / inner(heading, heading).item()
            raise LabError(
                f"conjugate gradient met curvature {quotient:.3g} along its search direction; it must be above 0",
                hint=f"V is no lower minimum: train the lower level further, or use ridge above {ridge - quotient:.3g}",
                kind="diverged",
            )
        length = squared / curvature
        x = plus(x, heading, factor=length)
        residual = plus(residual, curved, factor=-length)
        before, squared = squared, inner(residual, residual).item()
        heading = plus(residual, heading, factor=squared / before)
        steps += 1
    return x


def _neumann_advice(curvature: float, scale: float) -> str:
    if curvature > 0:
        return f"use a scale below 2/λ_max, here below about {2 / curvature:.3g} (given {scale:g})"
    return "the lower loss has negative curvature: train the lower level further, or add weight decay to it"
