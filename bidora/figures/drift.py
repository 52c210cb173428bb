"""C4 and C5: how magnitude and direction of every layer move away from the pretrained weight, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bidora.figures.appearance import empty, finish, floats, grid_columns, is_dark, seeds_in_words

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

# Zero takes the page's own tone, so that "no change" recedes in light and in dark.
_DIVERGING = {False: ["#2166AC", "#92C5DE", "#F7F7F7", "#F4A582", "#B2182B"]}
_DIVERGING[True] = ["#67A9CF", "#2B5C8A", "#1E1E1E", "#9C4A3C", "#EF8A62"]


def magnitude_drift(dynamics: pandas.DataFrame, *, axis: str = "output", template: str = "light") -> go.Figure:
    """Signed change of the magnitude in % of m₀, one row per layer and module, one panel per method; mean over seeds.

    Args:
        dynamics: as `bidora.analysis.dynamics_table(runs, checkpoints=0, every_phase=True)` gives it.
        axis: which units carry a magnitude, for the line below.
        template: "light", "dark" or a plotly template.
    """
    return _drift(
        dynamics,
        "delta_m_signed_percent",
        title="Which layers change their magnitude?",
        unit="% of m₀",
        what="Mean over units of the signed change (m − m₀) / m₀",
        diverging=True,
        axis=axis,
        template=template,
    )


def direction_drift(
    dynamics: pandas.DataFrame, *, axis: str = "output", template: str = "light", side_by_side: int = 3
) -> go.Figure:
    """Angle in degrees between each layer's direction and its pretrained one; as `magnitude_drift`.

    Args:
        dynamics: as there.
        axis: as there.
        template: as there.
        side_by_side: panels in a row, at most.
    """
    return _drift(
        dynamics,
        "angle_degrees",
        title="Which layers turn their direction?",
        unit="degrees",
        what="Mean over units of the angle between direction and pretrained direction",
        diverging=False,
        axis=axis,
        template=template,
        side_by_side=side_by_side,
    )


def _drift(
    dynamics: pandas.DataFrame,
    column: str,
    *,
    title: str,
    unit: str,
    what: str,
    diverging: bool,
    axis: str,
    template: str,
    side_by_side: int = 3,
) -> go.Figure:
    from plotly.subplots import make_subplots

    labels = list(dict.fromkeys(dynamics["label"]))
    if not labels or column not in dynamics:
        return empty(title, "No weight dynamics were recorded.", template=template)
    tables = {label: _by_row_and_step(dynamics[dynamics["label"] == label], column) for label in labels}
    columns = grid_columns(len(labels), most=side_by_side)
    rows = -(-len(labels) // columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        shared_yaxes=True,
        subplot_titles=labels,
        horizontal_spacing=0.04,
        vertical_spacing=0.24 / rows if rows > 1 else 0,
    )
    for place, (label, table) in enumerate(tables.items()):
        where = dict(row=place // columns + 1, col=place % columns + 1)
        figure.add_heatmap(
            x=floats(table.columns),
            y=table.index.tolist(),
            z=floats(table.to_numpy()),
            coloraxis="coloraxis",
            name=label,
            hovertemplate="%{y}, step %{x}: %{z:.3~g} " + unit + "<extra></extra>",
            **where,
        )
        if place + columns >= len(labels):
            figure.update_xaxes(title_text="step, over all phases", **where)
    highest = (
        max((float(np.nanmax(np.abs(table.to_numpy()))) for table in tables.values() if table.size), default=0.0) or 1.0
    )
    colours: dict[str, Any] = dict(colorscale="Cividis", cmin=0, cmax=highest)
    if diverging:
        colours = dict(colorscale=_DIVERGING[is_dark(template)], cmin=-highest, cmid=0, cmax=highest)
    figure.update_layout(coloraxis=dict(**colours, colorbar=dict(title=dict(text=unit, side="right"), thickness=14)))
    height = max(len(table) for table in tables.values())
    figure.update_yaxes(autorange="reversed", dtick=1 if height <= 26 else None)
    seeds = seeds_in_words(dynamics["seed"]) if "seed" in dynamics else ""
    several = dynamics.groupby("label")["run"].nunique().max() > 1 if "run" in dynamics else False
    convention = f"{what} · norm per {axis} unit" + (f" · {'mean of ' if several else ''}{seeds}" if seeds else "")
    return finish(
        figure,
        title=title,
        alt=" ".join(f"{label}: {_extremes(table, unit)}." for label, table in tables.items()),
        convention=convention,
        template=template,
        height=140 + rows * max(200, 40 + 17 * min(height, 40)),
        legend=False,
        above=22,
        panels=columns,
    )


def _by_row_and_step(part: pandas.DataFrame, column: str) -> pandas.DataFrame:
    """Rows "0 query" in the order of layers; columns steps counted over phases; mean over runs."""
    part = part.assign(global_step=part["step"] + _steps_before(part))
    order = part[["layer", "module"]].drop_duplicates().sort_values(["layer", "module"])
    table = part.pivot_table(index=["layer", "module"], columns="global_step", values=column, aggfunc="mean")
    table = table.reindex(list(order.itertuples(index=False, name=None)))
    table.index = [f"{module} {layer}" if layer >= 0 else str(module) for layer, module in table.index]
    return table


def _steps_before(part: pandas.DataFrame) -> np.ndarray:
    """For each row, the steps of the phases before its own."""
    if "phase_index" not in part:
        return np.zeros(len(part))
    last = part.groupby("phase_index")["step"].max()
    before = {index: float(last[last.index < index].sum()) for index in last.index}
    return part["phase_index"].map(before).to_numpy()


def _extremes(table: pandas.DataFrame, unit: str) -> str:
    if not table.size:
        return "nothing was recorded"
    last = table.iloc[:, -1]
    return f"at the end from {last.min():.3g} ({last.idxmin()}) to {last.max():.3g} {unit} ({last.idxmax()})"
