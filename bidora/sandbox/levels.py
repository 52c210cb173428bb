"""Two levels in two numbers: losses of one direction V and one magnitude m with every derivative in closed form.

The weight has two entries, W = m · (1, V): m stretches it, V turns it (its heading is arctan V). DoRA divides (1, V) by
its norm as well; leaving that out makes the best V for a given m a formula, and changes nothing of the two levels.
Each loss is that of a linear regression on two inputs: L = ½ (W − a)ᵀ H (W − a), a the weight that fits its data best,
H the inputs' second moments.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Quadratic(NamedTuple):
    """L(V, m) = ½ (W − a)ᵀ H (W − a) with W = m · (1, V); V and m may be numbers or arrays of one shape.

    best: a = (a₁, a₂). moments: (h₁₁, h₁₂, h₂₂) of the symmetric H.
    """

    best: tuple[float, float]
    moments: tuple[float, float, float]

    def value(self, V: np.ndarray | float, m: np.ndarray | float) -> np.ndarray | float:
        """L."""
        first, second = m - self.best[0], m * V - self.best[1]
        h11, h12, h22 = self.moments
        return 0.5 * (h11 * first * first + 2 * h12 * first * second + h22 * second * second)

    def by_weight(self, V: float, m: float) -> tuple[float, float]:
        """g = ∂L/∂W = H (W − a)."""
        first, second = m - self.best[0], m * V - self.best[1]
        h11, h12, h22 = self.moments
        return h11 * first + h12 * second, h12 * first + h22 * second

    def by_magnitude(self, V: float, m: float) -> float:
        """∂L/∂m = g₁ + V g₂."""
        g1, g2 = self.by_weight(V, m)
        return g1 + V * g2

    def by_direction(self, V: float, m: float) -> float:
        """∂L/∂V = m g₂."""
        return m * self.by_weight(V, m)[1]

    def mixed(self, V: float, m: float) -> float:
        """∂²L/∂m∂V = g₂ + m (h₁₂ + V h₂₂)."""
        _, h12, h22 = self.moments
        return self.by_weight(V, m)[1] + m * (h12 + V * h22)

    def curvature(self, m: float) -> float:
        """∂²L/∂V² = m² h₂₂; a lower step longer than 2 / curvature diverges."""
        return m * m * self.moments[2]


class TwoLevels(NamedTuple):
    """min over m of L_val(V*(m), m), where V*(m) = argmin over V of L_tr(V, m).

    lower: L_tr. upper: L_val, the loss on the upper split.
    """

    lower: Quadratic
    upper: Quadratic

    def best_response(self, m: np.ndarray | float) -> np.ndarray | float:
        """V*(m) = (a₂ − (h₁₂/h₂₂)(m − a₁)) / m, where ∂L_tr/∂V = 0; m may be an array, but not 0."""
        (a1, a2), (_, h12, h22) = self.lower.best, self.lower.moments
        return (a2 - h12 / h22 * (m - a1)) / m

    def solved_loss(self, m: np.ndarray | float) -> np.ndarray | float:
        """F(m) = L_val(V*(m), m), what the upper level really minimises."""
        return self.upper.value(self.best_response(m), m)

    def solved_slope(self, m: float) -> float:
        """The true hypergradient dF/dm = ∂L_val/∂m + (dV*/dm) ∂L_val/∂V at (V*(m), m).

        dV*/dm = −(∂²L_tr/∂m∂V) / (∂²L_tr/∂V²), by the implicit function theorem.
        """
        V = float(self.best_response(m))
        follows = -self.lower.mixed(V, m) / self.lower.curvature(m)
        return self.upper.by_magnitude(V, m) + follows * self.upper.by_direction(V, m)

    def solution(self) -> float:
        """m*, where dF/dm = 0: on the line W(m) = (m, a₂ − κ (m − a₁)), κ = h₁₂/h₂₂, F is a parabola.

        F'(m) is linear in m, so two of its values give its root.
        """
        first, second = self.solved_slope(1.0), self.solved_slope(2.0)
        return 1.0 - first / (second - first)


PROBLEM = TwoLevels(
    lower=Quadratic(best=(1.0, 1.2), moments=(1.0, 0.8, 1.0)),
    upper=Quadratic(best=(1.8, 1.2), moments=(1.0, 0.0, 1.0)),
)
"""The page's problem: inputs correlated by 0.8 in training, independent in the upper split, other best weights."""
