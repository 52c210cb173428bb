"""The README's picture from the study `methods`: `python -m benchmarks.picture` (needs plotly's kaleido and a browser)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy import stats

from bidora.figures import STYLES

TITLES = {"reuters": "Reuters R8, 16 articles per class", "peptides": "Antimicrobial peptides, 32 per class"}
METHODS = {"lora": "LoRA", "bidora": "BiDoRA", "full": "full<br>fine-tuning"}


def picture(table: pandas.DataFrame) -> go.Figure:
    """Difference to DoRA in points of test accuracy, paired by seed: every seed a mark, mean and 95 % t-interval beside it.

    Args:
        table: rows of study_methods.csv: task, method, seed, test_accuracy.
    """
    figure = make_subplots(
        cols=len(TITLES), subplot_titles=list(TITLES.values()), shared_yaxes=True, horizontal_spacing=0.04
    )
    for column, task in enumerate(TITLES, start=1):
        scores = 100 * table[table["task"] == task].pivot(index="seed", columns="method", values="test_accuracy")
        for place, method in enumerate(METHODS):
            difference = (scores[method] - scores["dora"]).to_numpy()
            half = stats.t.ppf(0.975, len(difference) - 1) * stats.sem(difference)
            style = STYLES[method]
            spread = place - 0.12 + 0.04 * np.linspace(-1, 1, len(difference))
            marks = dict(color=style.colour, symbol=style.symbol, size=8, opacity=0.55)
            figure.add_scatter(
                x=spread, y=difference, mode="markers", marker=marks, showlegend=False, row=1, col=column
            )
            figure.add_scatter(
                x=[place + 0.14],
                y=[difference.mean()],
                error_y=dict(type="data", array=[half], thickness=2.5, width=7, color=style.colour),
                mode="markers",
                marker=dict(color=style.colour, symbol=style.symbol, size=12, line=dict(color="#222222", width=1)),
                showlegend=False,
                row=1,
                col=column,
            )
        ticks = [f"{name}<br>{scores[method].mean():.1f} %" for method, name in METHODS.items()]
        figure.update_xaxes(
            tickvals=list(range(len(METHODS))), ticktext=ticks, range=[-0.5, len(METHODS) - 0.5], row=1, col=column
        )
        figure.layout.annotations[column - 1].text += f"<br>DoRA: {scores['dora'].mean():.1f} %"
    figure.add_hline(y=0, line=dict(color="#D55E00", dash="dash", width=1.5))
    figure.update_yaxes(title_text="difference to DoRA, same seed (points of test accuracy)", row=1, col=1)
    figure.update_yaxes(gridcolor="#DDDDDD", zeroline=False)
    seeds = table["seed"].nunique()
    figure.update_layout(
        template="simple_white",
        width=900,
        height=460,
        margin=dict(t=70, b=95, l=70, r=20),
        font=dict(size=13),
        title=None,
    )
    note = f"n = {seeds} seeds; small marks: seeds, large: mean with 95 % t-interval; below: mean test accuracy; 150 steps of 16 a phase"
    figure.add_annotation(
        text=note, xref="paper", yref="paper", x=0, y=-0.29, showarrow=False, xanchor="left", font=dict(size=12)
    )
    return figure


if __name__ == "__main__":
    target = Path("docs/methods.svg")
    picture(pandas.read_csv("benchmarks/results/study_methods.csv")).write_image(target)
    print(target)
