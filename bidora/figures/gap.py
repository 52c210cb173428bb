"""C3 at the end of training: how far the score on the training data is ahead of the score on the test data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bidora.figures.appearance import STYLES, empty, finish, floats, seeds_in_words, styles_of
from bidora.metrics import LOWER_IS_BETTER, SHARES
from bidora.wording import score_name

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

TITLE = "How far is training ahead of test at the end?"


def generalisation_gap(table: pandas.DataFrame, *, metric: str = "", template: str = "light") -> go.Figure:
    """One thin line from test to training score per run, and the mean of each method in bold.

    Args:
        table: rows of one task as `bidora.analysis.runs_table` gives them.
        metric: by default the task's primary one.
        template: "light", "dark" or a plotly template.
    """
    import plotly.graph_objects as go

    metric = metric or next(iter(table["primary"][table["primary"] != ""]), "") if len(table) else ""
    if not metric or not {metric, f"train_{metric}"} <= set(table.columns):
        return empty(TITLE, "No scores on the training data were recorded.", template=template)
    known = table.dropna(subset=[metric, f"train_{metric}"])
    if known.empty:
        return empty(TITLE, "No scores on the training data were recorded.", template=template)
    words, share = score_name(metric), metric in SHARES
    scale = 100.0 if share else 1.0
    looks = styles_of(known, template=template)
    methods = dict(zip(known["label"], known["method"]))
    labels = sorted(methods, key=lambda label: ([*STYLES, methods[label]].index(methods[label]), label))
    said = []
    figure = go.Figure()
    for label in labels:
        part, style = known[known["label"] == label], looks[label]
        test, train = (scale * part[name].to_numpy() for name in (metric, f"train_{metric}"))
        figure.add_scatter(
            x=floats([test.mean(), train.mean()]),
            y=[label, label],
            mode="lines+markers",
            line=dict(color=style.colour, dash=style.dash, width=2.5),
            marker=dict(color=style.colour, symbol=[style.symbol, "line-ns-open"], size=[12, 16], line=dict(width=2)),
            text=["test", "training"],
            hovertemplate="%{y}, %{text}: %{x:.4~g}<extra></extra>",
            name=label,
        )
        gaps = train - test
        spread = f" ({gaps.min():.3g} to {gaps.max():.3g} over {len(gaps)} runs)" if len(gaps) > 1 else ""
        said.append(f"{label}: training {train.mean():.4g}, test {test.mean():.4g}, gap {gaps.mean():.3g}{spread}")
    figure.update_xaxes(title_text=f"{words} ({'%' if share else 'score'})")
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=labels[::-1])
    figure.update_yaxes(range=[-0.6, len(labels) - 0.4])
    better = " (an error: training lies lower)" if metric in LOWER_IS_BETTER else ""
    return finish(
        figure,
        title=TITLE,
        alt="; ".join(said) + ".",
        convention=f"Method's mark: test data, upright line: training data{better} · means over "
        f"{seeds_in_words(known['seed'])}",
        template=template,
        height=170 + 40 * len(labels),
        legend=False,
    )
