"""How fast a solver of the implicit function theorem's linear system comes to the true hypergradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bidora.figures.appearance import NEUTRAL, finish, floats

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

TITLE = "How many products with the Hessian does the hypergradient need?"
_LOOKS = (("#0072B2", "dash", "circle-open"), ("#009E73", "solid", "square"), ("#D55E00", "dot", "diamond-open"))


def solver_errors(table: pandas.DataFrame, *, first_order: float, template: str = "light") -> go.Figure:
    """Relative error of the hypergradient (logarithmic) against the number of Hessian products, one line per solver.

    Args:
        table: columns solver, products, error (‖found − true‖ / ‖true‖).
        first_order: the same error of the direct part alone; drawn as a level line.
        template: "light", "dark" or a plotly template.
    """
    import plotly.graph_objects as go

    figure, words = go.Figure(), [f"direct part alone: error {first_order:.2g}"]
    for place, (solver, part) in enumerate(table.groupby("solver", sort=False)):
        colour, dash, symbol = _LOOKS[place % len(_LOOKS)]
        part = part.sort_values("products")
        figure.add_trace(
            go.Scatter(
                x=floats(part["products"]),
                y=floats(part["error"]),
                mode="lines+markers",
                line=dict(color=colour, dash=dash, width=2),
                marker=dict(color=colour, symbol=symbol, size=8),
                name=str(solver),
                hovertemplate=f"{solver}, %{{x}} products: %{{y:.2g}}<extra></extra>",
            )
        )
        last = part.iloc[-1]
        words.append(f"{solver}: error {last['error']:.2g} after {int(last['products'])} products")
    figure.add_trace(
        go.Scatter(
            x=floats([0, table["products"].max()]),
            y=floats([first_order, first_order]),
            mode="lines",
            line=dict(color=NEUTRAL, width=1.5, dash="dashdot"),
            name="direct part alone (first order)",
            hovertemplate=f"first order: {first_order:.2g}<extra></extra>",
        )
    )
    figure.update_xaxes(title_text="products with the Hessian of the lower loss", rangemode="tozero")
    figure.update_yaxes(title_text="relative error of the hypergradient", type="log", exponentformat="power")
    return finish(
        figure,
        title=TITLE,
        alt="; ".join(words) + ".",
        convention="‖found − true‖ / ‖true‖, true: the closed form · at the lower optimum · float64",
        template=template,
    )
