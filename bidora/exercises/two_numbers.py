"""Pictures of notebook 05: the alternation on two numbers, for the values of some sliders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bidora.figures import hypergradient_arrows, plane
from bidora.sandbox import PROBLEM, alternate, hypergradient

if TYPE_CHECKING:
    import plotly.graph_objects as go

LOWER_RATE, OUTER_RATE = 0.2, 0.1


def path(xi: float = 0.0, lower_steps: int = 5, upper_steps: int = 60) -> go.Figure:
    """Where the alternation leads.

    Args:
        xi: ξ of the unrolled step; 0 is first order.
        lower_steps: lower steps per upper step.
        upper_steps: how many upper steps.
    """
    trail = alternate(
        PROBLEM,
        xi=xi,
        lower_steps=lower_steps,
        lower_rate=LOWER_RATE,
        outer_rate=OUTER_RATE,
        upper_steps=upper_steps,
    )
    return plane(PROBLEM, trail, hypergradient(PROBLEM, trail.V[-1], trail.m[-1], xi=xi))


def pulls(m: float = 1.2, xi: float = 0.3) -> go.Figure:
    """Direct and implicit part at the lower optimum V*(m), beside the slope of the solved lower level.

    Args:
        m: magnitude.
        xi: ξ.
    """
    V = float(PROBLEM.best_response(m))
    return hypergradient_arrows(hypergradient(PROBLEM, V, m, xi=xi), PROBLEM.solved_slope(m))
