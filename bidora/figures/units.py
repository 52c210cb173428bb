"""C6: the magnitude of every unit after training against its magnitude before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bidora.figures.appearance import (
    counted,
    empty,
    finish,
    floats,
    is_dark,
    points_trace,
    seeds_in_words,
    styles_of,
)

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

TITLE = "Which units change their magnitude?"


def magnitude_units(units: pandas.DataFrame, *, axis: str = "output", template: str = "light") -> go.Figure:
    """m against m₀, one point per unit, and beside it the change in % of m₀; one row of panels per label.

    Args:
        units: as `bidora.analysis.endings.final_units` gives it: label, method, seed, layer, module, unit, m0, m.
        axis: which units carry a magnitude, for the line below.
        template: "light", "dark" or a plotly template.
    """
    from plotly.subplots import make_subplots

    labels = list(dict.fromkeys(units["label"])) if "label" in units else []
    if not labels:
        return empty(TITLE, "No final weights were recorded for single units.", template=template)
    looks = styles_of(units, template=template)
    titles = [f"{label}: {what}" for label in labels for what in ("m against m₀", "change in % of m₀")]
    figure = make_subplots(
        rows=len(labels),
        cols=2,
        subplot_titles=titles,
        horizontal_spacing=0.12,
        vertical_spacing=0.26 / len(labels) if len(labels) > 1 else 0,
    )
    for row, label in enumerate(labels, start=1):
        part = units[units["label"] == label]
        before, after = part["m0"].to_numpy(), part["m"].to_numpy()
        ends = [float(min(before.min(), after.min())), float(max(before.max(), after.max()))]
        names = [
            f"{module} {layer}, unit {unit}" for layer, module, unit in part[["layer", "module", "unit"]].to_numpy()
        ]
        grey = "#A6A6A6" if is_dark(template) else "#555555"
        change = 100 * (after - before) / before
        for column, (values, line) in enumerate(((after, ends), (change, [0.0, 0.0])), start=1):
            figure.add_trace(
                points_trace(len(part))(
                    x=floats(before),
                    y=floats(values),
                    mode="markers",
                    marker=dict(color=looks[label].colour, symbol=looks[label].symbol, size=5, opacity=0.55),
                    text=names,
                    hovertemplate="%{text}<br>m₀ %{x:.4~g}, "
                    + ("m" if column == 1 else "change")
                    + " %{y:.4~g}<extra></extra>",
                    name=label,
                    showlegend=False,
                ),
                row=row,
                col=column,
            )
            figure.add_scatter(
                x=floats(ends),
                y=floats(line),
                mode="lines",
                line=dict(color=grey, dash="dot", width=1),
                hoverinfo="skip",
                showlegend=False,
                name="no change",
                row=row,
                col=column,
            )
            figure.update_xaxes(title_text="m₀ (weight units)" if row == len(labels) else None, row=row, col=column)
        figure.update_yaxes(title_text="m (weight units)", row=row, col=1)
        figure.update_yaxes(title_text="(m − m₀) / m₀ (%)", row=row, col=2)
    figure.update_annotations(font_size=13)
    convention = (
        f"One point per {axis} unit of each adapted layer at the end of training, dotted: no change · "
        f"{counted(len(units), 'unit')}, {seeds_in_words(units['seed'])}"
    )
    alt = " ".join(_in_words(label, units[units["label"] == label]) for label in labels)
    return finish(
        figure,
        title=TITLE,
        alt=alt,
        convention=convention,
        template=template,
        height=120 + 320 * len(labels),
        legend=False,
        above=24,
        panels=2,
    )


def _in_words(label: str, part: pandas.DataFrame) -> str:
    change = 100 * (part["m"] - part["m0"]) / part["m0"]
    grown = 100 * float((change > 0).mean())
    return (
        f"{label}: {counted(len(part), 'unit')}, change from {change.min():.3g} to {change.max():.3g} %, "
        f"mean size {change.abs().mean():.3g} %; {grown:.0f} % of them grew."
    )
