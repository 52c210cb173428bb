"""Two methods on the same seeds: one line per pair of methods, with every seed's difference and the interval of the mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bidora.figures.appearance import empty, finish, floats, is_dark, styles_of
from bidora.metrics import LOWER_IS_BETTER, SHARES
from bidora.wording import score_name, signed

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

TITLE = "How large are the differences on the same seeds?"
FEW_SEEDS = 6
"""With fewer pairs an interval leans on the assumption that differences scatter normally."""


def paired_differences(table: pandas.DataFrame, *, template: str = "light") -> go.Figure:
    """Differences of two methods, seed by seed (small marks), their mean and its 95 % interval (large mark, line).

    Args:
        table: rows of one task as `bidora.analysis.paired_differences` gives them.
        template: "light", "dark" or a plotly template.
    """
    import plotly.graph_objects as go

    rows = [row for row in table.to_dict("records") if row["pairs"]]
    if not rows:
        return empty(TITLE, "No two of these methods share a seed and a test set.", template=template)
    metric = str(rows[0]["metric"])
    share = metric in SHARES
    scale = 100.0 if share else 1.0
    looks = styles_of(table.assign(label=table["first"], method=table["first_method"]), template=template)
    names = [f"{row['first']} − {row['second']}" for row in rows]
    figure = go.Figure()
    grey = "#A6A6A6" if is_dark(template) else "#555555"
    figure.add_vline(x=0, line=dict(color=grey, width=1.5))
    for row, name in zip(rows, names):
        _draw(figure, row, name, looks[row["first"]], scale)
    _explain_marks(figure, names[0], grey, several=any(row["pairs"] > 1 for row in rows))
    words = score_name(metric)
    unit = " (points)" if share else " (in the target's unit)" if metric in LOWER_IS_BETTER else ""
    figure.update_xaxes(title_text=f"difference in test {words}{unit}", zeroline=False)
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], type="category", showgrid=False)
    figure.update_yaxes(range=[-0.6, len(names) - 0.4])
    fewest = min(row["pairs"] for row in rows)
    seeds = "; ".join(dict.fromkeys(str(row["seeds"]) for row in rows))
    better = " · left of 0 is better" if metric in LOWER_IS_BETTER else ""
    return finish(
        figure,
        title=TITLE,
        alt=" ".join(f"{row['verdict']}." for row in rows),
        convention=f"First − second on the same seeds ({seeds}) and the same test data{better} · line: 95 % interval "
        "of the mean (Student's t over seeds)",
        notes=_notes(fewest),
        template=template,
        height=170 + 44 * len(rows),
    )


def _draw(figure: go.Figure, row: dict[str, Any], name: str, style: Any, scale: float) -> None:
    single = scale * np.asarray(row["differences"], dtype=np.float64)
    look: dict[str, Any] = dict(color=style.colour, symbol=style.symbol)
    figure.add_scatter(
        x=floats(single),
        y=[name] * len(single),
        mode="markers",
        marker=dict(color=style.colour, symbol="line-ns-open", size=13, line=dict(width=1.5, color=style.colour)),
        name=name,
        showlegend=False,
        text=[f"seed {seed}" for seed in str(row["seeds"]).split(", ")],
        hovertemplate=f"{name}, %{{text}}: %{{x:+.3~g}}<extra></extra>",
    )
    if row["pairs"] < 2:
        return
    mean, low, high = (scale * row[part] for part in ("mean", "low", "high"))
    figure.add_scatter(
        x=floats([mean]),
        y=[name],
        mode="markers",
        error_x=dict(
            type="data",
            symmetric=False,
            array=floats([high - mean]),
            arrayminus=floats([mean - low]),
            color=style.colour,
            thickness=2.5,
            width=7,
        ),
        marker=look | dict(size=12, line=dict(width=2, color=style.colour)),
        name=name,
        showlegend=False,
        hovertemplate=f"{name}, mean %{{x:+.3~g}} [{signed(low)}, {signed(high)}]<extra></extra>",
    )


def _explain_marks(figure: go.Figure, name: str, grey: str, *, several: bool) -> None:
    """Entries of the legend in grey, as the marks mean the same in all colours."""
    marks = {"one seed": dict(symbol="line-ns-open", size=13, line=dict(width=1.5, color=grey))}
    if several:
        marks["mean and 95 % interval"] = dict(symbol="circle", size=12)
    for words, mark in marks.items():
        figure.add_scatter(x=[None], y=[name], mode="markers", marker=dict(color=grey) | mark, name=words)


def _notes(fewest: int) -> Sequence[str]:
    if fewest == 1:
        return ("Where two methods share one seed only, there is no interval, and no conclusion about them.",)
    if fewest < FEW_SEEDS:
        return (
            f"With {fewest} seeds the interval is wide, and it takes for granted that differences scatter normally.",
        )
    return ()
