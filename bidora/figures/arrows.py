"""A weight vector before and after as two arrows: what is length, what is heading."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bidora.figures.appearance import NEUTRAL, finish, floats, is_dark

if TYPE_CHECKING:
    import plotly.graph_objects as go

_AFTER = "#009E73"
_REACH = 3.3  # half the width of the drawing, in units of weight


def arrows(before: np.ndarray, after: np.ndarray, *, template: str = "light") -> go.Figure:
    """W0 and W from the origin, the angle between them, and a circle of W0's length.

    Args:
        before: W0, (2,).
        after: W, (2,).
        template: "light", "dark" or a plotly template.
    """
    import plotly.graph_objects as go

    old = "#B5B5B5" if is_dark(template) else "#555555"
    length, new_length = float(np.hypot(*before)), float(np.hypot(*after))
    start = float(np.arctan2(before[1], before[0]))
    turn = float(np.arctan2(before[0] * after[1] - before[1] * after[0], before @ after))
    degrees = abs(np.degrees(turn))
    figure = go.Figure()
    _line(figure, _on_circle(length, np.linspace(0, 2 * np.pi, 120)), old, "dot", 1)
    if degrees > 1e-6:
        arc = _on_circle(0.55 * min(length, new_length), start + turn * np.linspace(0, 1, 40))
        _line(figure, arc, NEUTRAL, "solid", 2.5)
        x, y = _on_circle(0.55 * min(length, new_length) + 0.45, np.array([start + turn / 2]))[0]
        figure.add_annotation(x=x, y=y, text=f"{degrees:.0f}°", showarrow=False, font=dict(size=15))
    _line(figure, np.array([before, after]), NEUTRAL, "dash", 1.5)
    _arrow(figure, before, "W0", old, "dash", 3)
    _arrow(figure, after, "W", _AFTER, "solid", 4)
    axis = dict(range=[-_REACH, _REACH], zeroline=True, dtick=1, constrain="domain")
    figure.update_xaxes(title_text="first weight", **axis)
    figure.update_yaxes(title_text="second weight", scaleanchor="x", **axis)
    return finish(
        figure,
        title="How far did W move: in length, in heading?",
        alt=f"W0 has length {length:.2f}, W has length {new_length:.2f}; the angle between them is {degrees:.0f} degrees.",
        convention="One unit with two weights · arc: the angle; circle: the length of W0; dashes: W − W0",
        template=template,
        height=520,
        legend=False,
    )


def _on_circle(radius: float, angles: np.ndarray) -> np.ndarray:
    """Points (n, 2) of a circle around 0."""
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _line(figure: go.Figure, points: np.ndarray, colour: str, dash: str, width: float) -> None:
    import plotly.graph_objects as go

    line = dict(color=colour, dash=dash, width=width)
    x, y = floats(points[:, 0]), floats(points[:, 1])
    figure.add_trace(go.Scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip"))


def _arrow(figure: go.Figure, tip: np.ndarray, name: str, colour: str, dash: str, width: float) -> None:
    """A line from 0 with its head and its name at the tip."""
    import plotly.graph_objects as go

    figure.add_trace(
        go.Scatter(
            x=floats([0, tip[0]]),
            y=floats([0, tip[1]]),
            mode="lines+markers+text",
            line=dict(color=colour, dash=dash, width=width),
            marker=dict(color=colour, symbol="arrow", size=[0, 16], angleref="previous", opacity=1),
            text=["", name],
            textposition="top right",
            textfont=dict(size=15),
            name=name,
            hovertemplate=f"{name}: (%{{x:.2f}}, %{{y:.2f}})<extra></extra>",
        )
    )
