"""C12 for written texts: how near each one is to the nearest of its references."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bidora.figures.appearance import NEUTRAL, empty, finish, floats, is_dark

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

TITLE = "How near are the texts to their references?"

BARS = 20


def texts(predictions: pandas.DataFrame, *, template: str = "light") -> go.Figure:
    """How often each closeness occurs among the test items of one run.

    Args:
        predictions: as `Run.predictions()` gives it, with rouge_l: F1 of the longest common subsequence with the nearest
            reference, 0 … 1.
        template: "light", "dark" or a plotly template.
    """
    import plotly.graph_objects as go

    known = predictions["rouge_l"].to_numpy(dtype=np.float64) if "rouge_l" in predictions else np.empty(0)
    known = known[np.isfinite(known)]
    if not len(known):
        return empty(TITLE, "There are no texts with a closeness.", template=template)
    counts, edges = np.histogram(known, bins=BARS, range=(0.0, 1.0))
    figure = go.Figure(
        go.Bar(
            x=floats(100 * (edges[:-1] + edges[1:]) / 2),
            y=floats(counts),
            width=floats(np.full(BARS, 100 / BARS)),
            marker=dict(color=NEUTRAL, line=dict(width=1, color="rgba(127,127,127,0.9)")),
            hovertemplate=f"%{{x:.1f}} ± {50 / BARS:g} %: %{{y}} test items<extra></extra>",
            name="test items",
        )
    )
    middle = float(np.median(known))
    figure.add_vline(
        x=100 * middle, line=dict(dash="dot", width=2, color="#FFFFFF" if is_dark(template) else "#1A1A1A")
    )
    figure.update_xaxes(title_text="ROUGE-L with the nearest reference (%)", range=[0, 100])
    figure.update_yaxes(title_text="test items")
    return finish(
        figure,
        title=TITLE,
        alt=f"{len(known):,} test items; half of them are nearer than {100 * middle:.1f} %, from {100 * known.min():.1f} "
        f"to {100 * known.max():.1f} %.",
        convention=f"Test data, n = {len(known):,} · dotted: median, {100 * middle:.1f} % · 100 %: word for word a reference",
        template=template,
        legend=False,
    )
