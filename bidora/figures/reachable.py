"""What is left over of a wanted change after the best update of each rank, without and with magnitudes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bidora.figures.appearance import STYLES, empty, finish, floats

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from bidora.sandbox import Reach

TITLE = "What is left over of the change?"


def reachable(found: Sequence[Reach], *, template: str = "light") -> go.Figure:
    """Share of the change that is left over, by rank, for LoRA and for DoRA.

    Args:
        found: as `bidora.sandbox.reach_by_rank` gives it.
        template: "light", "dark" or a plotly template.
    """
    import plotly.graph_objects as go

    if not found:
        return empty(TITLE, "W* equals W0: ask for a change.", template=template)
    figure = go.Figure()
    ranks = [each.rank for each in found]
    for method, label, place, left in (
        ("lora", "LoRA: W0 + BA", "top center", [each.lora_left for each in found]),
        ("dora", "DoRA: magnitudes as well", "bottom center", [each.dora_left for each in found]),
    ):
        style = STYLES[method]
        figure.add_trace(
            go.Scatter(
                x=ranks,
                y=floats(left),
                mode="lines+markers+text",
                line=dict(color=style.colour, dash=style.dash, width=2),
                marker=dict(color=style.colour, symbol=style.symbol, size=11),
                text=[f"{value:.0%}" if value > 0.0005 else "0" for value in left],
                textposition=place,
                cliponaxis=False,
                name=label,
                hovertemplate=f"{method}, rank %{{x}}: %{{y:.2%}} left over<extra></extra>",
            )
        )
    figure.update_xaxes(title_text="rank r", tickvals=ranks, range=[ranks[0] - 0.4, ranks[-1] + 0.4])
    figure.update_yaxes(title_text="left over, share of ‖W* − W0‖", tickformat=".0%", range=[-0.12, 1.08])
    words = ", ".join(f"rank {each.rank}: LoRA {each.lora_left:.0%}, DoRA {each.dora_left:.0%}" for each in found)
    return finish(
        figure,
        title=TITLE,
        alt=f"Left over at {words}.",
        convention="‖W* − W‖ / ‖W* − W0‖, Frobenius norm; 6 × 8 weight, one magnitude per row (output axis)",
        notes=["LoRA: exact, by singular values. DoRA: the better of two local optima; there may be a lower one."],
        template=template,
        height=380,
    )
