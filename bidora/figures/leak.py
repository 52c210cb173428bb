"""How near is the test set to the training set? Shares of test sequences with a similar training sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bidora.figures.appearance import NEUTRAL, finish, floats

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

TITLE = "How many test sequences have a relative in the training set?"
_LOOKS = (("#D55E00", "dash"), ("#0072B2", "solid"), ("#009E73", "dot"))


def nearest_relatives(table: pandas.DataFrame, *, threshold: float, template: str = "light") -> go.Figure:
    """For every similarity, the share of test sequences whose nearest training sequence is at least so similar.

    Args:
        table: columns cut (its name) and similarity (of each test sequence to its nearest training sequence, 0 … 1).
        threshold: from which similarity on two sequences count as relatives; drawn as a line.
        template: "light", "dark" or a plotly template.
    """
    import plotly.graph_objects as go

    grid = np.linspace(0, 1, 101)
    figure, words, counts = go.Figure(), [], []
    for place, (name, part) in enumerate(table.groupby("cut", sort=False)):
        colour, dash = _LOOKS[place % len(_LOOKS)]
        ordered = np.sort(part["similarity"].to_numpy(dtype=float))
        share = 1 - np.searchsorted(ordered, grid - 1e-9) / len(ordered)
        figure.add_trace(
            go.Scatter(
                x=floats(grid),
                y=floats(100 * share),
                mode="lines",
                line=dict(color=colour, dash=dash, width=2.5),
                name=str(name),
                hovertemplate=f"{name}: %{{y:.1f}} % at %{{x:.2f}} or more<extra></extra>",
            )
        )
        near = int((ordered >= threshold - 1e-9).sum())
        counts.append(f"{name}: {near:,} of {len(ordered):,}")
        words.append(f"{name}: {near:,} of {len(ordered):,} test sequences ({100 * near / len(ordered):.0f} %)")
    figure.add_vline(x=threshold, line=dict(color=NEUTRAL, width=1.5, dash="dot"))
    figure.update_xaxes(
        title_text="similarity to the nearest training sequence, at least (Jaccard index)", range=[0, 1]
    )
    figure.update_yaxes(title_text="test sequences (%)", range=[0, 102])
    return finish(
        figure,
        title=TITLE,
        alt=f"At a similarity of {threshold:.2f} or more: {'; '.join(words)}.",
        convention=f"Dotted: {threshold:.2f}, from which two count as relatives; {'; '.join(counts)} · one test set of each cut",
        template=template,
    )
