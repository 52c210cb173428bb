"""How near two solvers come to a known hypergradient, and with how many products with the Hessian (notebook 05)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from bidora.hypergradient import (
    Hypergradient,
    Loss,
    Parameters,
    conjugate_gradient,
    hypergradient,
    implicit_hypergradient,
    neumann,
)

if TYPE_CHECKING:
    import pandas

Solve = Callable[[Callable[[Parameters], Parameters], Parameters], Parameters]

TERMS, TOLERANCES = (1, 5, 10, 20, 40, 60), (0.3, 0.1, 1e-2, 1e-4, 1e-8)


class Solved(NamedTuple):
    """A problem of two levels at its lower optimum, and the true slope of the upper loss there.

    lower, upper: the losses. direction: V*(m). magnitude: m. true: dF/dm, shaped like m.
    """

    lower: Loss
    upper: Loss
    direction: Parameters
    magnitude: Parameters
    true: Parameters


def relative_error(problem: Solved, found: Hypergradient) -> float:
    """The distance ‖found − true‖ / ‖true‖ over all magnitudes."""
    total = found.total()
    gaps = sum((total[name] - tensor).square().sum() for name, tensor in problem.true.items())
    sizes = sum(tensor.square().sum() for tensor in problem.true.values())
    return float((gaps / sizes) ** 0.5)


def first_order_error(problem: Solved) -> float:
    """Relative error of the direct part alone."""
    return relative_error(problem, hypergradient(*problem[:4], step=0.0))


def solver_table(problem: Solved, *, scale: float) -> pandas.DataFrame:
    """Neumann series of several lengths and conjugate gradient at several tolerances.

    Args:
        problem: at its lower optimum.
        scale: of the Neumann series, below 2/λ_max.

    Returns:
        solver, products (with the Hessian), error (relative).
    """
    import pandas

    def series(terms: int) -> Solve:
        return lambda matvec, b: neumann(matvec, b, terms=terms, scale=scale)

    def conjugate(tolerance: float) -> Solve:
        return lambda matvec, b: conjugate_gradient(matvec, b, tolerance=tolerance)

    solvers = [(f"Neumann series, s = {scale:g}", series(terms)) for terms in TERMS]
    solvers += [("conjugate gradient", conjugate(tolerance)) for tolerance in TOLERANCES]
    rows = []
    for name, solve in solvers:
        error, products = _counted(problem, solve)
        rows.append({"solver": name, "products": products, "error": error})
    return pandas.DataFrame(rows)


def _counted(problem: Solved, solve: Solve) -> tuple[float, int]:
    """Relative error with a solver, and how many products with the Hessian it asked for."""
    products = 0

    def counting(matvec: Callable[[Parameters], Parameters], b: Parameters) -> Parameters:
        def product(x: Parameters) -> Parameters:
            nonlocal products
            products += 1
            return matvec(x)

        return solve(product, b)

    return relative_error(problem, implicit_hypergradient(*problem[:4], solve=counting)), products
