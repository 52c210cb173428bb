"""C9: is m alive? The gradient that reaches the magnitude, and how far the magnitude has moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bidora.figures.appearance import (
    Style,
    empty,
    finish,
    floats,
    log_axis,
    points_trace,
    seeds_in_words,
    styles_of,
    translucent,
)

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

TITLE = "Is m alive?"


def magnitude_motion(
    motion: pandas.DataFrame, *, verdicts: Mapping[str, str] | None = None, template: str = "light"
) -> go.Figure:
    """Norm of the gradient of m (logarithmic) above, mean |m − m₀| with the range over layers below, by step.

    Args:
        motion: as `bidora.analysis.motion.magnitude_motion` gives it.
        verdicts: label → sentence, as `bidora.verdict.magnitude_verdict` says it; shown below.
        template: "light", "dark" or a plotly template.
    """
    from plotly.subplots import make_subplots

    if motion.empty:
        return empty(TITLE, "No change of the magnitude has been recorded.", template=template)
    looks = styles_of(motion, template=template)
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.5, 0.5], vertical_spacing=0.07)
    seen: set[str] = set()
    for (label, _, _), part in motion.groupby(["label", "run", "phase_index"], sort=False):
        style = looks[label]
        common: dict[str, Any] = dict(name=label, legendgroup=label)
        reached = part[part["gradient_norm"] > 0]  # a logarithm has no place for zero
        _line(figure, reached, "gradient_norm", style, row=1, showlegend=label not in seen, **common)
        _band(figure, part, style)
        _line(figure, part, "moved", style, row=2, showlegend=False, **common)
        seen.add(label)
    if not (motion["gradient_norm"] > 0).any():
        figure.add_annotation(
            text="no gradient above zero", x=0.5, y=0.5, xref="x domain", yref="y domain", showarrow=False
        )
    _mark_fixed(figure, motion)
    figure.update_yaxes(**log_axis(motion["gradient_norm"]), title_text="‖∇m‖ (loss per<br>weight unit)", row=1)
    figure.update_yaxes(rangemode="tozero", exponentformat="power", title_text="mean |m − m₀|<br>(weight units)", row=2)
    figure.update_xaxes(title_text="step, over all phases", row=2)
    ends = motion.sort_values("global_step").groupby("label", sort=False).last()
    alt = " ".join(
        f"{label}: {(motion.loc[motion['label'] == label, 'gradient_norm'] > 0).sum()} recorded steps with a gradient, "
        f"|m − m₀| {row['moved']:.3g} at the end."
        for label, row in ends.iterrows()
    )
    return finish(
        figure,
        title=TITLE,
        alt=alt,
        convention="Gradient of the level that trains m, all layers together · |m − m₀|: mean over layers, band: from the "
        f"least to the most of any layer · {seeds_in_words(motion['seed'])}",
        notes=list((verdicts or {}).values()),
        template=template,
        height=480,
    )


def _line(figure: go.Figure, part: pandas.DataFrame, column: str, style: Style, *, row: int, **common: Any) -> None:
    if part.empty:
        return
    words = "‖∇m‖" if column == "gradient_norm" else "|m − m₀|"
    figure.add_trace(
        points_trace(len(part))(
            x=floats(part["global_step"]),
            y=floats(part[column]),
            mode="lines+markers",
            line=dict(color=style.colour, dash=style.dash, width=2),
            marker=dict(color=style.colour, symbol=style.symbol, size=6, maxdisplayed=20),
            hovertemplate=f"{common['name']}, step %{{x}}: {words} %{{y:.3~g}}<extra>seed {part['seed'].iloc[0]}</extra>",
            **common,
        ),
        row=row,
        col=1,
    )


def _band(figure: go.Figure, part: pandas.DataFrame, style: Style) -> None:
    for column, fill in (("moved_least", None), ("moved_most", "tonexty")):
        figure.add_scatter(
            x=floats(part["global_step"]),
            y=floats(part[column]),
            mode="lines",
            line=dict(width=0),
            fill=fill,
            fillcolor=translucent(style.colour, 0.18),
            showlegend=False,
            hoverinfo="skip",
            name="range over layers",
            row=2,
            col=1,
        )


def _mark_fixed(figure: go.Figure, motion: pandas.DataFrame) -> None:
    """A line where retraining begins: from there on m keeps its value."""
    later = motion[motion["phase_index"] > 0]
    if later.empty:
        return
    figure.add_vline(x=float(later["global_step"].min()), line=dict(dash="dot", width=1), row=2, col=1)
    figure.add_annotation(
        text="retraining, m fixed →",
        x=float(later["global_step"].min()),
        y=1,
        xref="x",
        yref="y2 domain",
        xanchor="left",
        yanchor="top",
        showarrow=False,
    )
