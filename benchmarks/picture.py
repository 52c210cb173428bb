"""The README's picture from the study of tuned methods: `python -m benchmarks.picture` (needs plotly's kaleido and a browser)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy import stats

from bidora.figures import STYLES
from bidora.wording import METHOD_NAMES

STUDIES = {
    "study-reuters": "Reuters R8, 16 articles per class",
    "study-peptides": "Antimicrobial peptides, 32 per class",
}
"""Group of runs → what it is called above its half of the picture."""

REFERENCE = "dora"


def accuracies(table: pandas.DataFrame, group: str) -> pandas.DataFrame:
    """Test accuracies of one group in %, one row per seed and one column per method."""
    return 100 * table[table["group"] == group].pivot(index="seed", columns="method", values="accuracy")


def interval(values: np.ndarray) -> float:
    """Half the width of the 95 % t-interval of a mean."""
    return float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))


def picture(table: pandas.DataFrame) -> go.Figure:
    """Difference to DoRA in points of test accuracy, paired by seed: every seed a mark, mean and 95 % t-interval above it.

    Args:
        table: rows of study_tuned.csv: group, method, seed, accuracy.
    """
    methods = [name for name in METHOD_NAMES if name != REFERENCE][::-1]
    figure = make_subplots(cols=len(STUDIES), subplot_titles=list(STUDIES.values()), horizontal_spacing=0.16)
    for column, group in enumerate(STUDIES, start=1):
        scores = accuracies(table, group)
        for place, method in enumerate(methods):
            found = (scores[method] - scores[REFERENCE]).to_numpy()
            style = STYLES[method]
            marks = dict(color=style.colour, symbol=style.symbol, size=6, opacity=0.45)
            figure.add_scatter(x=found, y=np.full(len(found), place - 0.22), marker=marks, row=1, col=column)
            figure.add_scatter(
                x=[found.mean()],
                y=[place + 0.14],
                error_x=dict(type="data", array=[interval(found)], thickness=2.5, width=5, color=style.colour),
                marker=dict(color=style.colour, symbol=style.symbol, size=10, line=dict(color="#222222", width=1)),
                row=1,
                col=column,
            )
        names = [f"{METHOD_NAMES[method]} {scores[method].mean():.1f}" for method in methods]
        names = [f"<b>{name}</b>" if method == "bidora" else name for name, method in zip(names, methods)]
        figure.update_yaxes(
            tickvals=list(range(len(methods))), ticktext=names, range=[-0.6, len(methods) - 0.4], row=1, col=column
        )
        figure.layout.annotations[column - 1].text += f"<br>DoRA {scores[REFERENCE].mean():.1f} %"
    figure.add_vline(x=0, line=dict(color=STYLES[REFERENCE].colour, dash="dash", width=1.5))
    figure.update_xaxes(
        gridcolor="#DDDDDD", zeroline=False, matches="x", title_text="difference to DoRA (points of accuracy)"
    )
    figure.update_traces(mode="markers", showlegend=False)
    figure.update_layout(
        template="simple_white",
        width=960,
        height=600,
        margin=dict(t=60, b=90, l=10, r=20),
        font=dict(size=13),
        yaxis_automargin=True,
    )
    seeds = table[table["group"].isin(STUDIES)]["seed"].nunique()
    note = f"n = {seeds} seeds; small marks: seeds, large: mean difference with 95 % t-interval; beside the name: mean test accuracy in %"
    figure.add_annotation(
        text=note, xref="paper", yref="paper", x=0, y=-0.17, showarrow=False, xanchor="left", font=dict(size=12)
    )
    return figure


def rows_for_readme(table: pandas.DataFrame) -> str:
    """The README's table: accuracy, difference to DoRA with t-interval, in how many seeds higher, for both tasks."""
    lines, groups = [], {group: accuracies(table, group) for group in STUDIES}
    for method, name in METHOD_NAMES.items():
        cells = [f"| {'**BiDoRA**' if method == 'bidora' else name}"]
        for group, scores in groups.items():
            found = (scores[method] - scores[REFERENCE]).to_numpy()
            cells.append(f"{scores[method].mean():.1f} ± {scores[method].std():.1f}")
            low, high = found.mean() - interval(found), found.mean() + interval(found)
            shown = f"{found.mean():+.2f} [{low:+.2f}, {high:+.2f}], {int((found > 0).sum())} of {len(found)}"
            cells.append("–" if method == REFERENCE else shown.replace("-", "−"))
            rows = table[(table["group"] == group) & (table["method"] == method)]
            cells.append(f"{rows['learning_rate'].iloc[0]:g}")
        rows = table[table["group"].isin(STUDIES) & (table["method"] == method)]
        cells.append(f"{rows['gradient_evaluations'].iloc[0]:.0f} |")
        lines.append(" | ".join(cells))
    return "\n".join(lines)


if __name__ == "__main__":
    target = Path("docs/tuned.svg")
    runs = pandas.read_csv("benchmarks/results/study_tuned.csv")
    picture(runs).write_image(target)
    print(rows_for_readme(runs))
    print(target)
