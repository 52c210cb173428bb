"""C8: the two parts of the hypergradient of the magnitude, their sizes and whether they pull the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bidora.figures.appearance import NEUTRAL, counted, empty, finish, floats, points_trace, seeds_in_words
from bidora.methods import METHODS

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

TITLE = "What does the implicit part add to the hypergradient?"
_PARTS = {
    "direct_norm": ("direct part", "#009E73", "solid", "circle-open"),
    "implicit_norm": ("implicit part", NEUTRAL, "dash", "x-thin-open"),
}
_BILEVEL = {name: method.title for name, method in METHODS.items() if method.bilevel}


def two_levels(curves: pandas.DataFrame, *, template: str = "light") -> go.Figure:
    """Norms of the direct and the implicit part (logarithmic) above, their cosine below; one column per variant.

    Args:
        curves: as `bidora.analysis.curves` gives it, with direct_norm, implicit_norm and cosine.
        template: "light", "dark" or a plotly template.
    """
    from plotly.subplots import make_subplots

    wanted = [*_PARTS, "cosine"]
    chosen = curves[curves["quantity"].isin(wanted)]
    labels = list(dict.fromkeys(chosen["label"]))
    if not labels:
        return empty(TITLE, _why_empty(curves), template=template)
    figure = make_subplots(
        rows=2,
        cols=len(labels),
        shared_xaxes=True,
        shared_yaxes=True,
        row_heights=[0.62, 0.38],
        vertical_spacing=0.06,
        horizontal_spacing=0.04,
        subplot_titles=labels if len(labels) > 1 else None,
    )
    for column, label in enumerate(labels, start=1):
        part = chosen[chosen["label"] == label]
        for quantity, (name, colour, dash, symbol) in _PARTS.items():
            first = not any(trace.name == name for trace in figure.data)
            _draw(figure, part, quantity, name, colour, dash, symbol, row=1, column=column, legend=first)
        _draw(figure, part, "cosine", "cosine", "#B8860B", "solid", "diamond-open", row=2, column=column, legend=False)
        figure.update_xaxes(title_text="step of the search", row=2, col=column)
    figure.update_yaxes(type="log", dtick=1, exponentformat="power", tickfont_size=10, row=1)  # plotly enlarges powers
    figure.update_yaxes(range=[-1.05, 1.05], zeroline=True, row=2)
    figure.update_yaxes(title_text="norm (loss per weight unit)", row=1, col=1)
    figure.update_yaxes(title_text="cosine", row=2, col=1)
    ratios = {label: _ratio(chosen[chosen["label"] == label]) for label in labels}
    words = [
        f"{label}: implicit over direct, median {ratio:.2g}" for label, ratio in ratios.items() if np.isfinite(ratio)
    ]
    convention = (
        "Gradient of the upper loss by the magnitude: direct + implicit; all layers together · cosine between both · "
        f"{counted(chosen['run'].nunique(), 'run')}, {seeds_in_words(chosen['seed'])}"
    )
    notes = [f"{'; '.join(words)}."] if words else []
    alt = " ".join(notes) or "The implicit part is zero (first order)."
    above = 22 if len(labels) > 1 else 0
    return finish(
        figure,
        title=TITLE,
        alt=alt,
        convention=convention,
        notes=notes,
        template=template,
        height=520,
        above=above,
        panels=len(labels),
    )


def _why_empty(curves: pandas.DataFrame) -> str:
    if curves["method"].isin(list(_BILEVEL)).any():
        return "No hypergradient is recorded yet: its first values come after a few steps of the search."
    return f"No hypergradient was recorded: of the methods, {' and '.join(_BILEVEL.values())} have two levels."


def _draw(
    figure: go.Figure,
    part: pandas.DataFrame,
    quantity: str,
    name: str,
    colour: str,
    dash: str,
    symbol: str,
    *,
    row: int,
    column: int,
    legend: bool,
) -> None:
    lines = part[part["quantity"] == quantity]
    if quantity != "cosine":
        lines = lines[lines["value"] > 0]  # a logarithm has no place for the zero of the first-order variant
    for number, (run, line) in enumerate(lines.groupby("run", sort=False)):
        line = line.sort_values("step")
        figure.add_trace(
            points_trace(len(line))(
                x=floats(line["step"]),
                y=floats(line["value"]),
                mode="lines+markers",
                line=dict(color=colour, dash=dash, width=1.5),
                marker=dict(color=colour, symbol=symbol, size=6),
                opacity=1.0 if lines["run"].nunique() == 1 else 0.8,
                name=name,
                legendgroup=name,
                showlegend=legend and number == 0,
                hovertemplate=f"{name}, step %{{x}}: %{{y:.3~g}}<extra>{run}</extra>",
            ),
            row=row,
            col=column,
        )


def _ratio(part: pandas.DataFrame) -> float:
    """Median over steps and runs of implicit norm over direct norm."""
    table = part.pivot_table(index=["run", "step"], columns="quantity", values="value")
    if not set(_PARTS) <= set(table.columns):
        return float("nan")
    ratio = (table["implicit_norm"] / table["direct_norm"]).replace([np.inf, -np.inf], np.nan).dropna()
    return float(ratio.median()) if len(ratio) else float("nan")
