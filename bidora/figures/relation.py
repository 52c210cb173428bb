"""C7: ΔM against ΔD, one panel per method, with the fitted line and its band."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bidora.figures.appearance import (
    counted,
    empty,
    finish,
    floats,
    grid_columns,
    points_trace,
    seeds_in_words,
    styles_of,
    translucent,
)
from bidora.statistics import DynamicsFit, fit_dynamics
from bidora.wording import signed

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

TITLE = "Do magnitude and direction change together?"


def magnitude_vs_direction(
    points: pandas.DataFrame,
    *,
    fits: Mapping[str, DynamicsFit] | None = None,
    shared_axes: bool = True,
    axis: str = "output",
    template: str = "light",
    side_by_side: int = 3,
) -> go.Figure:
    """One point per layer, module and checkpoint (paler: earlier); line and 95 % band of the fit in each panel.

    Args:
        points: as `bidora.analysis.dynamics_table` gives it; of `dynamics_of` with columns label and method added.
        fits: label → fit, if they are there already; else they are made here.
        shared_axes: the same axes in all panels, to compare sizes; else each its own, to see shapes.
        axis: which units carry a magnitude, for the line below.
        template: "light", "dark" or a plotly template.
        side_by_side: panels in a row, at most.
    """
    from plotly.subplots import make_subplots

    labels = list(dict.fromkeys(points["label"]))
    if not labels:
        return empty(TITLE, "No weight dynamics were recorded.", template=template)
    fits = fits or {label: fit_dynamics(points[points["label"] == label]) for label in labels}
    looks = styles_of(points, template=template)
    columns = grid_columns(len(labels), most=side_by_side)
    rows = -(-len(labels) // columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        shared_xaxes="all" if shared_axes else False,
        shared_yaxes="all" if shared_axes else False,
        subplot_titles=[_heading(label, fits[label]) for label in labels],
        horizontal_spacing=0.05 if shared_axes else 0.09,
        vertical_spacing=0.3 / rows if rows > 1 else 0,
    )
    for place, label in enumerate(labels):
        row, column = divmod(place, columns)
        part, style, fit = points[points["label"] == label], looks[label], fits[label]
        where = dict(row=row + 1, col=column + 1)
        _draw_fit(figure, part, fit, style.colour, where)
        figure.add_trace(
            points_trace(len(points))(
                x=floats(part["delta_d"]),
                y=floats(part["delta_m"]),
                mode="markers",
                marker=dict(color=style.colour, symbol=style.symbol, size=8, opacity=_by_age(part)),
                text=[f"{module} {layer}, step {step}" for layer, module, step in _names(part)],
                hovertemplate="%{text}<br>ΔD %{x:.3~g}, ΔM %{y:.3~g}<extra></extra>",
                name=label,
                showlegend=False,
            ),
            **where,
        )
        if row == rows - 1 or place + columns >= len(labels):
            figure.update_xaxes(title_text="ΔD, mean of 1 − cos", showticklabels=True, **where)
    figure.update_xaxes(rangemode="tozero", nticks=5, exponentformat="power")
    figure.update_yaxes(rangemode="tozero", exponentformat="power")
    figure.update_yaxes(title_text="ΔM, mean |m − m₀| (weight units)", col=1)
    figure.update_annotations(font_size=13, align="left")
    notes = [f"{label}: {fits[label].note}." for label in labels if fits[label].note]
    alt = " ".join(f"{label}: {_in_words(fits[label])}." for label in labels)
    seeds = f", {seeds_in_words(points['seed'])}" if "seed" in points else ""
    convention = (
        f"Norm per {axis} unit, mean over units · one point per layer, module and checkpoint (paler: earlier){seeds} · "
        "band and brackets: 95 % (bootstrap over layers) · slope in weight units per 1 − cos, r Pearson, ρ Spearman"
    )
    return finish(
        figure,
        title=TITLE,
        alt=alt,
        convention=convention,
        notes=notes,
        template=template,
        height=140 + 340 * rows,
        legend=False,
        above=64,
        panels=columns,
    )


def _draw_fit(figure: go.Figure, part: pandas.DataFrame, fit: DynamicsFit, colour: str, where: dict[str, int]) -> None:
    if not np.isfinite(fit.slope):
        return
    x = np.linspace(part["delta_d"].min(), part["delta_d"].max(), 41)
    low, high = fit.band(x)
    if len(low):
        for height, fill in ((low, None), (high, "tonexty")):
            figure.add_scatter(
                x=floats(x),
                y=floats(height),
                mode="lines",
                line=dict(width=0),
                fill=fill,
                fillcolor=translucent(colour, 0.18),
                showlegend=False,
                hoverinfo="skip",
                name="band",
                **where,
            )
    figure.add_scatter(
        x=floats(x[[0, -1]]),
        y=floats(fit.intercept + fit.slope * x[[0, -1]]),
        mode="lines",
        line=dict(color=colour, width=2),
        showlegend=False,
        hoverinfo="skip",
        name="fit",
        **where,
    )


def _heading(label: str, fit: DynamicsFit) -> str:
    if not np.isfinite(fit.slope):
        return f"<b>{label}</b><br>{fit.note or 'no line'}"
    low, high = fit.slope_interval
    interval = f" [{_short(low)}, {_short(high)}]" if np.isfinite(low) else ""
    return (
        f"<b>{label}</b><br>slope {_short(fit.slope)}{interval}<br>"
        f"r {signed(fit.pearson)}, ρ {signed(fit.spearman)}, {counted(fit.points, 'point')}"
    )


def _in_words(fit: DynamicsFit) -> str:
    if not np.isfinite(fit.slope):
        return fit.note or "no line"
    low, high = fit.slope_interval
    return (
        f"slope {_short(fit.slope)} (95 % {_short(low)} to {_short(high)}), Pearson {signed(fit.pearson)}, "
        f"Spearman {signed(fit.spearman)}, {counted(fit.points, 'point')}"
    )


def _short(value: float) -> str:
    return signed(value, ".2f" if 0.1 <= abs(value) < 1000 else ".2g")


def _by_age(part: pandas.DataFrame) -> np.ndarray:
    """Opacity of each point, from 0.4 at the first checkpoint to 1 at the last."""
    if "step" not in part:
        return np.ones(len(part), dtype=np.float32)
    steps = part["step"].rank(method="dense").to_numpy()
    return floats(0.4 + 0.6 * steps / steps.max())


def _names(part: pandas.DataFrame) -> list[tuple[object, object, object]]:
    columns = [part[name] if name in part else ["?"] * len(part) for name in ("layer", "module", "step")]
    return list(zip(*columns))
