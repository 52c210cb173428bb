"""Final scores side by side, each with the interval that its runs allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bidora.figures.appearance import empty, finish, floats, is_dark, styles_of
from bidora.metrics import LOWER_IS_BETTER, SHARES
from bidora.wording import score_name

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

TITLE = "How well does each method do on the test data?"


def scores(
    table: pandas.DataFrame, *, metric: str = "", baseline: float | None = None, template: str = "light"
) -> go.Figure:
    """One line per method with its score and 95 % interval.

    Args:
        table: rows of one task as `bidora.analysis.comparison` gives them.
        metric: by default the task's primary one.
        baseline: score of the constant answer, drawn as a line.
        template: "light", "dark" or a plotly template.
    """
    import plotly.graph_objects as go

    if table.empty:
        return empty(TITLE, "There are no finished runs.", template=template)
    metric = metric or str(table["primary"].iloc[0])
    words = score_name(metric)
    if metric not in table or not table[metric].notna().any():
        return empty(TITLE, f"No {words} was recorded.", template=template)
    looks, share = styles_of(table, template=template), metric in SHARES
    scale, unit = (100.0, " (%)") if share else (1.0, "")
    figure = go.Figure()
    for row in table.to_dict("records"):
        style, value = looks[row["label"]], scale * row[metric]
        low, high = scale * row[f"{metric}_low"], scale * row[f"{metric}_high"]
        figure.add_scatter(
            x=floats([value]),
            y=[row["label"]],
            mode="markers",
            marker=dict(color=style.colour, symbol=style.symbol, size=13, line=dict(width=2, color=style.colour)),
            error_x=dict(
                type="data",
                symmetric=False,
                array=floats([high - value]),
                arrayminus=floats([value - low]),
                color=style.colour,
                thickness=2,
                width=7,
            ),
            name=row["label"],
            hovertemplate=f"%{{y}}: %{{x:.4~g}} [{low:.4g}, {high:.4g}]<extra></extra>",
        )
    near = baseline is not None and _near(scale * baseline, table, metric, scale)
    if near:
        grey = "#A6A6A6" if is_dark(template) else "#555555"
        figure.add_vline(x=scale * float(baseline or 0), line=dict(dash="dot", width=1.5, color=grey))
    labels = table["label"].tolist()
    better = ", lower is better" if metric in LOWER_IS_BETTER else ""
    figure.update_xaxes(title_text=f"test {words}{unit}{better}")
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=labels[::-1])
    figure.update_yaxes(range=[-0.6, len(labels) - 0.4])
    intervals = " or ".join(dict.fromkeys(str(each) for each in table["interval"]))
    seeds = "; ".join(dict.fromkeys(str(each) for each in table["seeds"]))
    n_test = f" · n = {table['n_test'].iloc[0]:,.0f} test examples" if "n_test" in table else ""
    sign = "dotted: the constant answer," if near else "not drawn, far away: the constant answer,"
    constant = f" · {sign} {scale * baseline:.3g}{' %' if share else ''}" if baseline is not None else ""
    return finish(
        figure,
        title=TITLE,
        alt=" ".join(
            f"{row['label']}: {scale * row[metric]:.4g} "
            f"({scale * row[f'{metric}_low']:.4g} to {scale * row[f'{metric}_high']:.4g})."
            for row in table.to_dict("records")
        ),
        convention=f"Whiskers: 95 %, {intervals} · seeds {seeds}{n_test}{constant}",
        notes=_notes(table),
        template=template,
        height=170 + 40 * len(labels),
        legend=False,
    )


def _near(baseline: float, table: pandas.DataFrame, metric: str, scale: float) -> bool:
    """Whether drawing the baseline leaves the intervals at least a third of the width."""
    ends = scale * table[[metric, f"{metric}_low", f"{metric}_high"]].to_numpy()
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    return max(high, baseline) - min(low, baseline) <= 3 * (high - low)


def _notes(table: pandas.DataFrame) -> tuple[str, ...]:
    if len(set(table["interval"])) > 1:
        return ("The intervals answer different questions: another test set, or another seed.",)
    return ()
