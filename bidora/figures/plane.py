"""Two levels in two numbers: the losses over the plane of V and m with the path, and the hypergradient as arrows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bidora.figures.appearance import NEUTRAL, finish, floats, is_dark
from bidora.wording import signed

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from bidora.sandbox import Hypergradient, Trail, TwoLevels

V_RANGE, M_RANGE = (-0.35, 1.65), (0.7, 2.35)
_LOWER, _UPPER, _DIRECT = "#0072B2", "#B8860B", "#009E73"
_SCALE = 0.45  # length of an arrow in the plane, in units of m per unit of slope


def plane(
    problem: TwoLevels, trail: Trail, slope: Hypergradient, *, solution: bool = True, template: str = "light"
) -> go.Figure:
    """Contours of both losses, the best response V*(m), the path so far, the solution, the pull on m.

    Args:
        problem: the two losses.
        trail: as `bidora.sandbox.alternate` gives it.
        slope: the hypergradient at the path's end.
        solution: whether the place that both levels look for is shown.
        template: "light", "dark" or a plotly template.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    V, m = np.linspace(*V_RANGE, 45), np.linspace(*M_RANGE, 45)
    for name, loss, colour, dash in (
        ("L_tr", problem.lower, _LOWER, "dot"),
        ("L_val", problem.upper, _UPPER, "solid"),
    ):
        figure.add_trace(_contours(V, m, np.sqrt(loss.value(V[None, :], m[:, None])), name, colour, dash))
    ink = "#F2F2F2" if is_dark(template) else "#222222"
    _curve(figure, floats(problem.best_response(m)), floats(m), "V*(m)", _LOWER, "dash", 3)
    words = f"After {len(trail.upper)} upper steps V = {trail.V[-1]:.3f} and m = {trail.m[-1]:.3f}."
    if solution:
        m_star = problem.solution()
        V_star = float(problem.best_response(m_star))
        _place(figure, V_star, m_star, "m*", "star", ink, size=15)
        words += f" The solution of both levels is at V = {V_star:.3f}, m = {m_star:.3f}."
    _path(figure, trail, ink)
    for number, (part, colour) in enumerate(_parts(slope, ink)):
        _pull(figure, trail.V[-1] + 0.035 * (number - 1), trail.m[-1], -_SCALE * part, colour)
    figure.update_xaxes(title_text="direction V (heading arctan V)", range=V_RANGE, zeroline=False)
    figure.update_yaxes(title_text="magnitude m", range=M_RANGE, zeroline=False)
    return finish(
        figure,
        title="Where does the alternation lead?",
        alt=words,
        convention="V*(m): best response · contours at L = 0.04, 0.16, 0.36, 0.64 … · green: the path, a dot after each upper step · "
        "arrows: pull on m of the direct part (left), of both together (middle), of the implicit part (right)",
        template=template,
        height=520,
    )


def hypergradient_arrows(slope: Hypergradient, solved: float, *, template: str = "light") -> go.Figure:
    """The pull on m, −∂/∂m: direct part, implicit part, both together, and that of a fully solved lower level.

    Args:
        slope: the hypergradient at the present V and m.
        solved: dF/dm at the present m, with V = V*(m).
        template: "light", "dark" or a plotly template.
    """
    import plotly.graph_objects as go

    ink = "#F2F2F2" if is_dark(template) else "#222222"
    rows = [
        ("direct", slope.direct, _DIRECT, "solid"),
        ("implicit", slope.implicit, NEUTRAL, "dash"),
        ("h, both", slope.total, ink, "solid"),
        ("lower level solved", solved, _LOWER, "dot"),
    ]
    width = max(0.5, 1.15 * max(abs(value) for _, value, _, _ in rows))
    figure = go.Figure()
    for name, value, colour, dash in rows:
        head = 15 if abs(value) > 0.06 * width else 0
        figure.add_trace(
            go.Scatter(
                x=floats([0, -value]),
                y=[name, name],
                mode="lines+markers",
                line=dict(color=colour, width=4, dash=dash),
                marker=dict(color=colour, size=[0, head], symbol="arrow", angleref="previous", opacity=1),
                hovertemplate=f"{name}: {value:.4f}<extra></extra>",
                cliponaxis=False,
            )
        )
    names = [name for name, _, _, _ in rows]
    written = [f"{name}<br>{signed(value, '.3f')}" for name, value, _, _ in rows]
    figure.update_xaxes(title_text="← smaller m · larger m →", range=[-width, width], zeroline=True)
    figure.update_yaxes(tickvals=names, ticktext=written, autorange="reversed", automargin=True)
    return finish(
        figure,
        title="Which part pulls m where?",
        alt=", ".join(f"{name} {signed(value, '.3f')}" for name, value, _, _ in rows) + ".",
        convention="Numbers: slopes ∂L_val/∂m; arrows point downhill, against their sign",
        template=template,
        height=330,
        legend=False,
    )


def _contours(V: np.ndarray, m: np.ndarray, root: np.ndarray, name: str, colour: str, dash: str) -> go.Contour:
    """Lines of equal loss, drawn from its square root, so that they lie evenly."""
    import plotly.graph_objects as go

    return go.Contour(
        x=floats(V),
        y=floats(m),
        z=floats(root),
        contours=dict(coloring="none", start=0.2, end=2.0, size=0.2),
        line=dict(color=colour, width=1, dash=dash),
        name=name,
        showlegend=True,
        showscale=False,
        hoverinfo="skip",
    )


def _curve(figure: go.Figure, x: np.ndarray, y: np.ndarray, name: str, colour: str, dash: str, width: float) -> None:
    import plotly.graph_objects as go

    line = dict(color=colour, dash=dash, width=width)
    figure.add_trace(go.Scatter(x=x, y=y, mode="lines", line=line, name=name, hoverinfo="skip"))


def _place(figure: go.Figure, V: float, m: float, name: str, symbol: str, colour: str, *, size: int) -> None:
    """A marked point with its name beside it."""
    import plotly.graph_objects as go

    figure.add_trace(
        go.Scatter(
            x=[V],
            y=[m],
            mode="markers+text",
            marker=dict(symbol=symbol, size=size, color=colour),
            text=[name],
            textposition="middle left",
            textfont=dict(size=14, color=colour),
            showlegend=False,
            hovertemplate=f"{name}: V = %{{x:.3f}}, m = %{{y:.3f}}<extra></extra>",
        )
    )


def _path(figure: go.Figure, trail: Trail, ink: str) -> None:
    """The path with a mark at each upper step, its start and its present end."""
    import plotly.graph_objects as go

    sizes = np.zeros(len(trail.m))
    sizes[trail.upper] = 6
    figure.add_trace(
        go.Scatter(
            x=floats(trail.V),
            y=floats(trail.m),
            mode="lines+markers",
            line=dict(color=_DIRECT, width=2),
            marker=dict(color=_DIRECT, size=floats(sizes)),
            showlegend=False,
            hovertemplate="V = %{x:.3f}, m = %{y:.3f}<extra></extra>",
        )
    )
    near = (
        abs(trail.V[-1] - trail.V[0]) < 0.15 and abs(trail.m[-1] - trail.m[0]) < 0.08
    )  # names would lie on each other
    for name, place, symbol, size in (("" if near else "start", 0, "square-open", 11), ("now", -1, "circle", 12)):
        _place(figure, trail.V[place], trail.m[place], name, symbol, ink, size=size)


def _parts(slope: Hypergradient, ink: str) -> list[tuple[float, str]]:
    return [(slope.direct, _DIRECT), (slope.total, ink), (slope.implicit, NEUTRAL)]


def _pull(figure: go.Figure, V: float, m: float, length: float, colour: str) -> None:
    """An arrow along m that begins at (V, m); too short to have a head, it is left out."""
    import plotly.graph_objects as go

    if abs(length) < 0.02:
        return
    figure.add_trace(
        go.Scatter(
            x=[V, V],
            y=[m, m + length],
            mode="lines+markers",
            line=dict(color=colour, width=3),
            marker=dict(color=colour, size=[0, 12], symbol="arrow", angleref="previous", opacity=1),
            showlegend=False,
            hoverinfo="skip",
        )
    )
