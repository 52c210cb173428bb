"""The hypergradient of one unrolled lower step, and the alternation of both levels, on two numbers.

The same as bidora.hypergradient.hypergradient(…, step=ξ) with torch, which a test compares; the order of the steps is
that of bidora.trainer, with plain gradient steps instead of AdamW.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bidora.sandbox.levels import TwoLevels

SMALLEST, LARGEST = 0.05, 10.0
"""Where a path ends: m at or below the first, or m or |V| at or above the second."""

START = (0.0, 1.0)
"""V and m before the first step: W0 = (1, 0)."""


class Hypergradient(NamedTuple):
    """h = direct + implicit.

    direct: ∂L_val/∂m(V', m). implicit: −ξ ∂²L_tr/∂m∂V · ∂L_val/∂V(V', m). unrolled: V'.
    """

    direct: float
    implicit: float
    unrolled: float

    @property
    def total(self) -> float:
        """The sum of both parts, h."""
        return self.direct + self.implicit


class Trail(NamedTuple):
    """Where the alternation went.

    V, m: after each move, the start first. upper: the places in these lists that an upper step led to.
    left: whether it ran out of the picture and was ended there.
    """

    V: list[float]
    m: list[float]
    upper: list[int]
    left: bool


def hypergradient(problem: TwoLevels, V: float, m: float, *, xi: float) -> Hypergradient:
    """The gradient of m ↦ L_val(V − ξ ∂L_tr/∂V(V, m), m), in its two parts (DARTS, arXiv 1806.09055, eqs 6 and 7).

    Args:
        problem: the two losses.
        V: direction before the lower step.
        m: magnitude.
        xi: ξ, the length of the lower step that is unrolled; 0 is first order.
    """
    unrolled = V - xi * problem.lower.by_direction(V, m)
    return Hypergradient(
        direct=problem.upper.by_magnitude(unrolled, m),
        implicit=-xi * problem.lower.mixed(V, m) * problem.upper.by_direction(unrolled, m),
        unrolled=unrolled,
    )


def alternate(
    problem: TwoLevels,
    *,
    xi: float,
    lower_steps: int,
    lower_rate: float,
    outer_rate: float,
    upper_steps: int,
    start: tuple[float, float] = START,
) -> Trail:
    """Lower steps on V, and with the last of each group an upper step on m through that very lower step.

    Args:
        problem: the two losses.
        xi: ξ of the hypergradient; the lower step really taken has the length `lower_rate`.
        lower_steps: per upper step, at least 1.
        lower_rate: V ← V − rate · ∂L_tr/∂V.
        outer_rate: m ← m − rate · h.
        upper_steps: how many.
        start: V and m.
    """
    (V, m), left = start, False
    trail = Trail([V], [m], [], left)
    for _ in range(upper_steps):
        for step in range(lower_steps):
            slope = problem.lower.by_direction(V, m)
            if step == lower_steps - 1:
                m = m - outer_rate * hypergradient(problem, V, m, xi=xi).total
                trail.V.append(V)
                trail.m.append(m)
                trail.upper.append(len(trail.m) - 1)
            V = V - lower_rate * slope
            trail.V.append(V)
            trail.m.append(m)
            if not (SMALLEST < m < LARGEST and abs(V) < LARGEST):
                return trail._replace(left=True)
    return trail


def settles(problem: TwoLevels, *, xi: float) -> float:
    """The m at which the alternation comes to rest: h = 0 with V = V*(m), for any rates that are small enough.

    ξ = 1 / (∂²L_tr/∂V²) makes h there the true hypergradient, and this m the true solution. Found by bisection
    between 0.3 and 5; NaN where h has no rising zero there.
    """

    def slope(m: float) -> float:
        return hypergradient(problem, float(problem.best_response(m)), m, xi=xi).total

    places = np.linspace(0.3, 5.0, 95)
    slopes = [slope(float(m)) for m in places]
    rising = [i for i in range(len(places) - 1) if slopes[i] < 0 <= slopes[i + 1]]
    if not rising:
        return float("nan")
    low, high = float(places[rising[0]]), float(places[rising[0] + 1])
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return (low + high) / 2


def step_from(text: str | None, last: int) -> int:
    """The number of a step in an address, if it is one from 0 to `last`; otherwise 0.

    >>> step_from("30", 150), step_from("1e9", 150), step_from(None, 150)
    (30, 0, 0)
    """
    known = text is not None and text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= last
    return int(text) if known and text else 0
