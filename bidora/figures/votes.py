"""The result of a prediction vote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bidora.figures.appearance import NEUTRAL, STYLES, counted, finish, floats, wrapped

if TYPE_CHECKING:
    import plotly.graph_objects as go


def vote_result(
    options: Sequence[str], counts: Sequence[int], *, right: int = -1, template: str = "light", large: bool = False
) -> go.Figure:
    """One bar per option, with votes and share written beside it; the right one is hatched and says so.

    Args:
        options: in their order.
        counts: votes for each.
        right: place of the right option; −1: not shown.
        template: "light", "dark" or a plotly template.
        large: big type, for a wall.
    """
    import plotly.graph_objects as go

    total, size = sum(counts), 24 if large else 15
    letters = [f"<b>{'ABCDEF'[place]}</b>" for place in range(len(options))]
    texts = [
        f" {count}" + (f" ({100 * count / total:.0f} %)" if total else "") + ("<br> right" if place == right else "")
        for place, count in enumerate(counts)
    ]
    figure = go.Figure(
        go.Bar(
            x=floats(counts),
            y=letters,
            orientation="h",
            text=texts,
            textposition="outside",
            cliponaxis=False,
            textfont=dict(size=size),
            marker=dict(
                color=[STYLES["bidora"].colour if place == right else NEUTRAL for place in range(len(options))],
                pattern=dict(shape=["/" if place == right else "" for place in range(len(options))]),
            ),
            hovertext=["<br>".join(wrapped(option, width=60)) for option in options],
            hoverinfo="text",
        )
    )
    figure.update_yaxes(autorange="reversed", tickfont=dict(size=size), type="category")
    figure.update_xaxes(title_text="votes", rangemode="tozero", range=[0, max(1, 1.45 * max(counts))])
    figure.update_xaxes(tickformat="d", tick0=0, dtick=max(1, -(-max(counts) // 5)))
    said = "; ".join(f"{option}: {count}" for option, count in zip(options, counts))
    return finish(
        figure,
        title="What does the class expect?",
        alt=f"{said}." + (f" Right: {options[right]}." if right >= 0 else ""),
        convention=f"{counted(total, 'vote')}, one per browser",
        template=template,
        height=140 + (72 if large else 62) * len(options),
        legend=False,
    )
