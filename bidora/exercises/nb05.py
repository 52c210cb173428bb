"""Exercises of notebook 05: the hypergradient by hand, on two numbers, and what is usually left out of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bidora.exercises.exercise import Exercise, Misconception
from bidora.sandbox import PROBLEM, Quadratic, hypergradient

PLACES = ((0.4, 1.3), (0.9, 1.7), (-0.2, 0.8))
"""V and m at which answers are compared; none is a lower optimum, where the missing terms vanish."""

XI = 0.3

Wrong = tuple[Callable[..., Any], str]


def _values(answer: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> np.ndarray:
    found = [answer(*each) for each in arguments]
    if any(each is None or each is Ellipsis for each in found):
        raise NotImplementedError
    return np.array([[float(part) for part in np.ravel(each)] for each in found])


def _judge(
    answer: Callable[..., Any],
    right: Callable[..., Any],
    arguments: Sequence[tuple[Any, ...]],
    wrong: Sequence[Wrong],
    *,
    tolerance: float = 1e-8,
    name: str = "this",
) -> None:
    """Compare an answer with the right function at all places; name the misconception that gives the same numbers.

    Raises:
        Misconception: they differ.
    """
    given, wanted = _values(answer, arguments), _values(right, arguments)
    if given.shape != wanted.shape:
        raise Misconception(f"{name} should give {wanted.shape[1]} number(s) at each place, not {given.shape[1]}")
    if np.allclose(given, wanted, rtol=tolerance, atol=tolerance):
        return
    for function, why in wrong:
        if np.allclose(given, _values(function, arguments), rtol=tolerance, atol=tolerance):
            raise Misconception(why)
    place, expected = ", ".join(f"{each:g}" for each in arguments[0] if isinstance(each, float)), wanted[0]
    raise Misconception(f"{name} gives {_few(given[0])} at ({place}); a finite difference gives {_few(expected)}")


def _few(values: np.ndarray) -> str:
    return ", ".join(f"{value:.5g}" for value in values)


def _at_both(losses: tuple[Quadratic, ...] = (PROBLEM.lower, PROBLEM.upper)) -> list[tuple[Quadratic, float, float]]:
    return [(loss, *place) for loss in losses for place in PLACES]


def _verify_chain(by_magnitude: Callable[..., Any], by_direction: Callable[..., Any]) -> str:
    def g1(loss: Quadratic, V: float, m: float) -> float:
        return loss.by_weight(V, m)[0]

    def g2(loss: Quadratic, V: float, m: float) -> float:
        return loss.by_weight(V, m)[1]

    _judge(
        by_magnitude,
        lambda loss, V, m: loss.by_magnitude(V, m),
        _at_both(),
        (
            (g1, "m stretches both entries of W: the second one, m·V, depends on m as well, and gives V·g₂"),
            (lambda loss, V, m: g1(loss, V, m) + g2(loss, V, m), "∂W₂/∂m is V, not 1"),
            (lambda loss, V, m: m * g2(loss, V, m), "this is ∂L/∂V; the two functions are in each other's place"),
            (lambda loss, V, m: V * g2(loss, V, m), "the first entry of W is m itself: it gives g₁"),
        ),
        name="∂L/∂m",
    )
    _judge(
        by_direction,
        lambda loss, V, m: loss.by_direction(V, m),
        _at_both(),
        (
            (g2, "the scale is missing: W₂ = m·V, so ∂W₂/∂V = m"),
            (
                lambda loss, V, m: m * (g1(loss, V, m) + g2(loss, V, m)),
                "V turns the second entry only: ∂W₁/∂V is 0, so g₁ stays out",
            ),
        ),
        name="∂L/∂V",
    )
    return "both slopes of the chain rule: one vector g, two ways down."


def _verify_mixed(mixed: Callable[..., Any]) -> str:
    def without_g2(loss: Quadratic, V: float, m: float) -> float:
        return m * (loss.moments[1] + V * loss.moments[2])

    _judge(
        mixed,
        lambda loss, V, m: loss.mixed(V, m),
        _at_both(),
        (
            (
                without_g2,
                "a term is missing: ∂L/∂V = m · g₂ is a product, and its first factor depends on m too, which gives g₂. "
                "At a lower optimum g₂ = 0, so a test there does not see it",
            ),
            (
                lambda loss, V, m: loss.by_weight(V, m)[1],
                "this is the first factor's term alone; g₂ depends on m as well",
            ),
            (
                lambda loss, V, m: loss.by_weight(V, m)[1] + loss.moments[1] + V * loss.moments[2],
                "the factor m is missing before ∂g₂/∂m",
            ),
            (
                lambda loss, V, m: loss.by_weight(V, m)[1] + m * V * loss.moments[2],
                "W₁ = m depends on m as well: ∂g₂/∂m = h₁₂ + V·h₂₂",
            ),
            (
                lambda loss, V, m: loss.by_weight(V, m)[1] + m * (loss.moments[1] + loss.moments[2]),
                "∂W₂/∂m is V, not 1: ∂g₂/∂m = h₁₂ + V·h₂₂",
            ),
            (
                lambda loss, V, m: loss.by_magnitude(V, m) * loss.by_direction(V, m),
                "the product of two first derivatives is no second derivative",
            ),
            (
                lambda loss, V, m: loss.curvature(m),
                "this is ∂²L/∂V², how the slope changes with V; asked is how it changes with m",
            ),
        ),
        name="∂²L/∂m∂V",
    )
    return "with the product rule's own term, at every place and not only at an optimum."


def _parts(V: float, m: float, xi: float) -> tuple[float, float]:
    found = hypergradient(PROBLEM, V, m, xi=xi)
    return found.direct, found.implicit


def _verify_unrolled(both_parts: Callable[..., Any]) -> str:
    low, up = PROBLEM.lower, PROBLEM.upper

    def after(V: float, m: float, xi: float, sign: float = -1.0) -> float:
        return V + sign * xi * low.by_direction(V, m)

    def parts(here: float, V: float, m: float, factor: float, *, v_at: float | None = None) -> tuple[float, float]:
        v = up.by_direction(here if v_at is None else v_at, m)
        return up.by_magnitude(here, m), factor * low.mixed(V, m) * v

    _judge(
        both_parts,
        _parts,
        [(*place, XI) for place in PLACES],
        (
            (lambda V, m, xi: (_parts(V, m, xi)[0], 0.0), "first order only: the implicit part is left out"),
            (
                lambda V, m, xi: (_parts(V, m, 0.0)[0], 0.0),
                "first order only, and at V: the lower step is left out altogether",
            ),
            (
                lambda V, m, xi: parts(after(V, m, xi), V, m, xi),
                "the sign: V' = V − ξ·∂L_tr/∂V, so ∂V'/∂m = −ξ·∂²L_tr/∂m∂V",
            ),
            (lambda V, m, xi: parts(after(V, m, xi), V, m, -1.0), "the scale ξ is missing in the implicit part"),
            (
                lambda V, m, xi: parts(V, V, m, -xi),
                "everything is taken at V. The upper loss is asked after the lower step, at V'",
            ),
            (
                lambda V, m, xi: parts(after(V, m, xi), V, m, -xi, v_at=V),
                "v is ∂L_val/∂V at V' (after the step), not at V",
            ),
            (
                lambda V, m, xi: parts(after(V, m, xi), after(V, m, xi), m, -xi),
                "the mixed derivative belongs to the lower step, which starts at V: take it at V, not at V'",
            ),
            (
                lambda V, m, xi: parts(after(V, m, xi, 1.0), V, m, -xi),
                "the lower step goes uphill: V' = V − ξ·∂L_tr/∂V",
            ),
            (
                lambda V, m, xi: (_parts(V, m, xi)[0], -xi * up.mixed(V, m) * up.by_direction(after(V, m, xi), m)),
                "the mixed derivative is that of L_tr: it is the lower step that follows m",
            ),
        ),
        name="(direct, implicit)",
    )
    return "direct and implicit part, each at its own place: L_val at V', the mixed derivative at V."


def _verify_difference(slope: Callable[..., Any]) -> str:
    low, up = PROBLEM.lower, PROBLEM.upper

    def along(V: float, m: float, xi: float) -> float:
        return float(up.value(V - xi * low.by_direction(V, m), m))

    def exact(V: float, m: float, xi: float) -> float:
        return sum(_parts(V, m, xi))

    epsilon = 1e-4
    _judge(
        lambda V, m, xi: slope(V, m, xi, epsilon),
        exact,
        [(*place, XI) for place in PLACES],
        (
            (
                lambda V, m, xi: _parts(V, m, xi)[0],
                "the lower step was not taken again for m ± ε: with V' held fixed the difference sees the direct part only",
            ),
            (lambda V, m, xi: 2 * exact(V, m, xi), "the two points lie 2ε apart: divide by 2ε"),
            (lambda V, m, xi: -exact(V, m, xi), "the sign: F(m + ε) comes first"),
            (
                lambda V, m, xi: (along(V, m + epsilon, xi) - along(V, m, xi)) / epsilon,
                "a one-sided difference: its error is of the order ε. Take m + ε and m − ε",
            ),
            (
                lambda V, m, xi: float(low.by_magnitude(V, m)),
                "this differentiates the lower loss; m is judged by the upper one",
            ),
        ),
        tolerance=1e-6,
        name="the difference",
    )
    return "the difference takes the lower step anew on both sides, and agrees with direct + implicit."


def _verify_missing_term(mended: Callable[..., Any]) -> str:
    import torch

    def number(V: float, m: float, xi: float) -> float:
        found = mended(torch.tensor(V, dtype=torch.float64), torch.tensor(m, dtype=torch.float64), xi)
        if found is None or found is Ellipsis:
            raise NotImplementedError
        return float(torch.as_tensor(found).detach())

    _judge(
        number,
        lambda V, m, xi: sum(_parts(V, m, xi)),
        [(*place, XI) for place in PLACES],
        (
            (
                lambda V, m, xi: _parts(V, m, xi)[0],
                "still the direct part only: without create_graph=True the slope is a constant to autograd, and V' forgets m",
            ),
            (
                lambda V, m, xi: _parts(V, m, xi)[1],
                "now the direct part is missing: L_val must see m itself too, not only through V'",
            ),
            (lambda V, m, xi: -sum(_parts(V, m, xi)), "the sign is turned round"),
            (
                lambda V, m, xi: sum(_parts(V, m, xi)) + PROBLEM.lower.by_magnitude(V, m),
                "∂L_tr/∂m is in it as well: the first .backward() left it in m.grad, and the second added to it. Forgot to zero "
                "the gradients; torch.autograd.grad leaves nothing behind",
            ),
            (
                lambda V, m, xi: PROBLEM.upper.by_magnitude(V, m),
                "the upper loss is taken at V, before the lower step",
            ),
        ),
        name="the mended function",
    )
    return "one argument, create_graph=True, was the whole difference: the term is back."


def _verify_implicit(true_slope: Callable[..., Any]) -> str:
    low, up = PROBLEM.lower, PROBLEM.upper

    def best(m: float) -> float:
        return float(PROBLEM.best_response(m))

    def with_factor(factor: Callable[[float, float], float]) -> Callable[[float], float]:
        return lambda m: (
            up.by_magnitude(best(m), m) + factor(best(m), m) * low.mixed(best(m), m) * up.by_direction(best(m), m)
        )

    _judge(
        true_slope,
        PROBLEM.solved_slope,
        [(0.9,), (1.3,), (2.0,)],
        (
            (lambda m: up.by_magnitude(best(m), m), "the direct part only: V*(m) follows m, and dV*/dm is missing"),
            (
                with_factor(lambda V, m: 1 / low.curvature(m)),
                "the sign: ∂L_tr/∂V stays 0 along V*(m), so dV*/dm = −(mixed) / (curvature)",
            ),
            (
                with_factor(lambda V, m: -1.0),
                "the inverse of ∂²L_tr/∂V² is missing: this is one unrolled step with ξ = 1",
            ),
            (with_factor(lambda V, m: -low.curvature(m)), "multiply by the inverse of ∂²L_tr/∂V², not by it"),
            (
                with_factor(lambda V, m: -1 / low.moments[2]),
                "the curvature by V is m²·h₂₂: W₂ = m·V, so the scale m enters twice",
            ),
            (with_factor(lambda V, m: -1 / (m * low.moments[2])), "the scale m enters twice: ∂²L_tr/∂V² = m²·h₂₂"),
        ),
        name="dF/dm",
    )
    return "the implicit function theorem: the slope of the whole curve F(m) = L_val(V*(m), m)."


def _verify_neumann(series: Callable[..., Any]) -> str:
    matrix = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 3.0]])
    b, scale = np.array([1.0, -2.0, 0.5]), 0.25

    def total(terms: int, *, first: int = 0, factor: float = scale, step: np.ndarray | None = None) -> np.ndarray:
        shrink = np.eye(3) - scale * matrix if step is None else step
        return factor * sum(np.linalg.matrix_power(shrink, j) @ b for j in range(first, first + terms))

    given = [series(lambda x: matrix @ x, b.copy(), terms, scale) for terms in (1, 4, 9)]
    if any(each is None or each is Ellipsis for each in given):
        raise NotImplementedError
    place = {1: 0, 4: 1, 9: 2}
    _judge(
        lambda terms: given[place[terms]],
        total,
        [(1,), (4,), (9,)],
        (
            (lambda terms: total(terms, factor=1.0), "the scale before the sum is missing: x = s · Σ (I − sH)ʲ b"),
            (
                lambda terms: total(terms + 1),
                "one term too many: the first term is b itself, so there are terms − 1 products",
            ),
            (lambda terms: total(terms, first=1), "the first term (j = 0) is b itself, without any product"),
            (
                lambda terms: total(terms, step=np.eye(3) - matrix),
                "the scale belongs inside as well: each term is (I − s·H) times the one before",
            ),
            (
                lambda terms: total(terms, step=scale * matrix),
                "each term is (I − s·H) times the one before, not s·H times",
            ),
            (
                lambda terms: scale * np.linalg.matrix_power(np.eye(3) - scale * matrix, terms - 1) @ b,
                "this is the last term; the series adds all of them up",
            ),
        ),
        name="the series",
    )
    return "one term is the unrolled step (ξ·I for the inverse Hessian); more terms come closer to H⁻¹b."


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        key="05-chain",
        level="core",
        difficulty=1,
        minutes=6,
        hints=(
            "How does each entry of W = (m, m·V) change when only m changes? When only V does?",
            "∂W/∂m = (1, V) and ∂W/∂V = (0, m). Multiply with g = (g₁, g₂) and add.",
            "by_magnitude returns g1 + V * g2; by_direction returns m * g2.",
        ),
        solution="""
def by_magnitude(loss, V, m):  # ∂L/∂m
    g1, g2 = loss.by_weight(V, m)
    return g1 + V * g2  # ∂W/∂m = (1, V)

def by_direction(loss, V, m):  # ∂L/∂V
    g1, g2 = loss.by_weight(V, m)
    return m * g2  # ∂W/∂V = (0, m)

check("05-chain", by_magnitude, by_direction)
""",
        verify=_verify_chain,
    ),
    Exercise(
        key="05-mixed",
        level="core",
        difficulty=3,
        minutes=10,
        hints=(
            "Differentiate ∂L/∂V = m · g₂ by m. How many factors depend on m?",
            "Product rule: g₂ + m · ∂g₂/∂m, and g₂ = h₁₂ (W₁ − a₁) + h₂₂ (W₂ − a₂).",
            "∂g₂/∂m = h₁₂ · 1 + h₂₂ · V.",
        ),
        solution="""
def mixed(loss, V, m):  # ∂²L/∂m∂V
    g1, g2 = loss.by_weight(V, m)
    h11, h12, h22 = loss.moments
    return g2 + m * (h12 + V * h22)  # product rule: both factors of m · g2 depend on m

check("05-mixed", mixed)
""",
        verify=_verify_mixed,
    ),
    Exercise(
        key="05-unrolled",
        level="core",
        difficulty=2,
        minutes=8,
        hints=(
            "First the lower step V'. Then ask at which of V and V' each of the three derivatives is taken.",
            "L_val is asked at V'; the mixed derivative belongs to the step that was taken from V.",
            "implicit = -xi * L_tr.mixed(V, m) * L_val.by_direction(V_new, m)",
        ),
        solution="""
def both_parts(V, m, xi):  # → direct, implicit
    V_new = V - xi * L_tr.by_direction(V, m)  # the lower step, V'
    direct = L_val.by_magnitude(V_new, m)
    implicit = -xi * L_tr.mixed(V, m) * L_val.by_direction(V_new, m)  # (∂V'/∂m) · v
    return direct, implicit

check("05-unrolled", both_parts)
""",
        verify=_verify_unrolled,
    ),
    Exercise(
        key="05-difference",
        level="core",
        difficulty=2,
        minutes=6,
        hints=(
            "Write F(m) = L_val(V'(m), m) as a function of its own first.",
            "V' must be computed inside F: it depends on m.",
            "(F(m + epsilon) - F(m - epsilon)) / (2 * epsilon)",
        ),
        solution="""
def slope_by_difference(V, m, xi, epsilon):
    def F(m):  # the whole road from m to the upper loss: V' is computed anew
        return L_val.value(V - xi * L_tr.by_direction(V, m), m)

    return (F(m + epsilon) - F(m - epsilon)) / (2 * epsilon)

check("05-difference", slope_by_difference)
""",
        verify=_verify_difference,
    ),
    Exercise(
        key="05-missing-term",
        level="core",
        difficulty=2,
        minutes=8,
        hints=(
            "Which tensors in the last line still know that they depend on m?",
            "torch.autograd.grad returns a plain tensor, without a graph, unless it is told otherwise.",
            "create_graph=True in the first call of torch.autograd.grad.",
        ),
        solution="""
def mended(V, m, xi):  # V, m: tensors ()
    V, m = V.clone().requires_grad_(), m.clone().requires_grad_()
    (slope,) = torch.autograd.grad(L_tr.value(V, m), V, create_graph=True)  # the slope keeps its dependence on m
    V_new = V - xi * slope
    (h,) = torch.autograd.grad(L_val.value(V_new, m), m)
    return h

check("05-missing-term", mended)
""",
        verify=_verify_missing_term,
    ),
    Exercise(
        key="05-implicit",
        level="deeper",
        difficulty=3,
        minutes=12,
        hints=(
            "Along V*(m) the slope ∂L_tr/∂V stays 0. Differentiate that by m.",
            "∂²L_tr/∂m∂V + ∂²L_tr/∂V² · dV*/dm = 0. Solve for dV*/dm.",
            "direct + (-L_tr.mixed(V, m) / L_tr.curvature(m)) * L_val.by_direction(V, m) at V = PROBLEM.best_response(m)",
        ),
        solution="""
def true_slope(m):  # dF/dm with F(m) = L_val(V*(m), m)
    V = PROBLEM.best_response(m)  # V*(m)
    follows = -L_tr.mixed(V, m) / L_tr.curvature(m)  # dV*/dm
    return L_val.by_magnitude(V, m) + follows * L_val.by_direction(V, m)

check("05-implicit", true_slope)
""",
        verify=_verify_implicit,
    ),
    Exercise(
        key="05-neumann",
        level="deeper",
        difficulty=2,
        minutes=8,
        hints=(
            "Keep two vectors: the present term and the sum so far.",
            "Each new term is term − scale · H·term. The first one is b.",
            "for _ in range(terms - 1): term = term - scale * matvec(term); total = total + term. Then scale * total.",
        ),
        solution="""
def series(matvec, b, terms, scale):  # → x ≈ H⁻¹ b
    term = total = b
    for _ in range(terms - 1):
        term = term - scale * matvec(term)  # (I − s·H) times the term before
        total = total + term
    return scale * total

check("05-neumann", series)
""",
        verify=_verify_neumann,
    ),
)
