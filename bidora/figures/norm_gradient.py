"""One row of V in the plane: where a step pulls it, with the norm attached and with the norm as a constant (DoRA §4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bidora.figures.appearance import STYLES, finish, floats, is_dark
from bidora.wording import signed

if TYPE_CHECKING:
    import plotly.graph_objects as go

_REACH = 3.6  # half the width of the drawing, in units of weight


def norm_gradient(direction: np.ndarray, gradient: np.ndarray, *, template: str = "light") -> go.Figure:
    """V from the origin, and from its tip the steps −∇V with the norm attached and detached.

    Drawn for m = ‖V‖: detached, −∇V is −g, the whole gradient by the merged row; attached it is only the part of −g across V,
    −(I − vvᵀ)g with v = V/‖V‖ (the gradient in DoRA §4).

    Args:
        direction: V, (2,).
        gradient: g, by the merged row W′, (2,).
        template: "light", "dark" or a plotly template.
    """
    import plotly.graph_objects as go

    ink = "#B5B5B5" if is_dark(template) else "#555555"
    length = float(np.hypot(*direction))
    unit = direction / length
    along = -float(gradient @ unit)
    attached = -gradient - along * unit
    figure = go.Figure()
    around = np.linspace(0, 2 * np.pi, 120)
    circle = length * np.stack([np.cos(around), np.sin(around)], axis=1)
    figure.add_scatter(
        x=floats(circle[:, 0]), y=floats(circle[:, 1]), mode="lines", line=dict(color=ink, dash="dot", width=1),
        hoverinfo="skip", name="rows as long as V",
    )  # fmt: skip
    _arrow(figure, np.zeros(2), direction, "V", ink, "solid", 3)
    _arrow(figure, direction, direction - gradient, "step, norm detached", STYLES["dora"].colour, "dash", 4)
    if np.hypot(*attached) > 1e-9:
        _arrow(figure, direction, direction + attached, "step, norm attached", STYLES["bidora"].colour, "solid", 4)
    axis = dict(range=[-_REACH, _REACH], zeroline=True, dtick=1, constrain="domain")
    figure.update_xaxes(title_text="first weight", **axis)
    figure.update_yaxes(title_text="second weight", scaleanchor="x", **axis)
    sense = "longer" if along > 1e-9 else "shorter" if along < -1e-9 else "neither longer nor shorter"
    return finish(
        figure,
        title="Where does a step pull V?",
        alt=f"With the norm attached the step has length {np.hypot(*attached):.2f} and stands at a right angle to V. With the "
        f"norm detached it has length {np.hypot(*gradient):.2f}; its part along V makes V {sense} ({signed(along)}), "
        "which W′ does not notice.",
        convention="One row with two weights, m = ‖V‖, before any rank is taken into account · dotted: rows as long as V",
        template=template,
        height=520,
    )


def _arrow(
    figure: go.Figure, start: np.ndarray, tip: np.ndarray, name: str, colour: str, dash: str, width: float
) -> None:
    """A line with its head at the tip."""
    figure.add_scatter(
        x=floats([start[0], tip[0]]),
        y=floats([start[1], tip[1]]),
        mode="lines+markers",
        line=dict(color=colour, dash=dash, width=width),
        marker=dict(color=colour, symbol="arrow", size=[0, 16], angleref="previous", opacity=1),
        name=name,
        hovertemplate=f"{name}: (%{{x:.2f}}, %{{y:.2f}})<extra></extra>",
    )
