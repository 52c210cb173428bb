"""C11: what a score costs in seconds and in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bidora.figures.appearance import empty, finish, floats, styles_of
from bidora.metrics import LOWER_IS_BETTER, SHARES
from bidora.wording import score_name

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

TITLE = "What does the score cost in time and memory?"


def cost(table: pandas.DataFrame, *, metric: str = "", template: str = "light") -> go.Figure:
    """Score with 95 % interval against training time and peak memory, one point per method.

    Args:
        table: rows of one task as `bidora.analysis.comparison` gives them.
        metric: by default the task's primary one.
        template: "light", "dark" or a plotly template.
    """
    from plotly.subplots import make_subplots

    if table.empty:
        return empty(TITLE, "There are no finished runs.", template=template)
    metric = metric or str(table["primary"].iloc[0])
    if metric not in table or table[metric].notna().sum() == 0:
        return empty(TITLE, f"No {metric.replace('_', ' ')} was recorded.", template=template)
    looks = styles_of(table, template=template)
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.05)
    for column, (quantity, scale, _) in enumerate(_QUANTITIES, start=1):
        for row in table.to_dict("records"):
            style, value = looks[row["label"]], row[metric]
            figure.add_scatter(
                x=floats([row[quantity] / scale]),
                y=floats([value]),
                error_y=_whiskers(row, metric, style.colour),
                mode="markers",
                marker=dict(color=style.colour, symbol=style.symbol, size=13, line=dict(width=2.5, color=style.colour)),
                name=row["label"],
                legendgroup=row["label"],
                showlegend=column == 1,
                hovertemplate=f"{row['label']}<br>%{{x:.4~g}}: %{{y:.4~g}}<extra></extra>",
                row=1,
                col=column,
            )
        figure.update_xaxes(title_text=_QUANTITIES[column - 1][2], rangemode="tozero", row=1, col=column)
    words = score_name(metric)
    better = " (lower is better)" if metric in LOWER_IS_BETTER else ""
    figure.update_yaxes(
        title_text=f"test {words}{better}", tickformat=".1%" if metric in SHARES else None, row=1, col=1
    )
    alt = " ".join(
        f"{row['label']}: {words} {row[metric]:.3f}, {row['seconds_training']:.0f} s, "
        f"{row['peak_memory_bytes'] / 1e6:.0f} MB."
        for row in table.to_dict("records")
    )
    seeds = "; ".join(dict.fromkeys(str(each) for each in table["seeds"]))
    intervals = " or ".join(dict.fromkeys(str(each) for each in table["interval"]))
    convention = (
        f"Whiskers: 95 %, {intervals} · seeds {seeds} · seconds and memory: means over runs, evaluation not counted"
    )
    return finish(figure, title=TITLE, alt=alt, convention=convention, template=template, panels=2)


_QUANTITIES = (
    ("seconds_training", 1.0, "training time (s)"),
    ("peak_memory_bytes", 1e6, "peak memory (MB)"),
)


def _whiskers(row: dict[str, Any], metric: str, colour: str) -> dict[str, Any]:
    value, low, high = (row.get(name, float("nan")) for name in (metric, f"{metric}_low", f"{metric}_high"))
    return dict(
        type="data",
        symmetric=False,
        array=floats([high - value]),
        arrayminus=floats([value - low]),
        thickness=1.5,
        width=6,
        color=colour,
    )
