"""C1 to C3: losses, scores and the gap between training and test, on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bidora.figures.appearance import (
    SVG_LIMIT,
    Style,
    counted,
    empty,
    finish,
    floats,
    points_trace,
    seeds_in_words,
    styles_of,
    translucent,
)
from bidora.methods import METHODS
from bidora.metrics import LOWER_IS_BETTER, SHARES
from bidora.statistics import proportion_interval
from bidora.wording import score_name

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

X_TITLES = {
    "global_step": "step, over all phases",
    "step": "step of the phase",
    "examples_seen": "training examples seen",
    "seconds": "training time (s)",
    "gradient_evaluations": "gradient evaluations",
}
MOST_WITH_SEEDS = 6
"""Of more methods only the means are drawn: thirteen methods with eight seeds each would be a hundred lines."""

_UPPER = "upper_loss"
_TWO_LEVELS = tuple(method.title for method in METHODS.values() if method.bilevel)
"""What labels of runs with two levels begin with."""


def learning_curves(
    curves: pandas.DataFrame,
    *,
    quantities: Sequence[str] = ("loss", _UPPER),
    x: str = "global_step",
    loss_unit: str = "nats",
    baseline: float | None = None,
    examples: int = 0,
    template: str = "light",
) -> go.Figure:
    """What was measured on the way, one line per run; bold means where a method has several seeds, only these of many methods.

    Args:
        curves: as `bidora.analysis.curves` gives it.
        quantities: what to draw: ("loss", "upper_loss") for the two levels, ("test_accuracy",), ("gap",) …
        x: global_step, step, examples_seen, seconds or gradient_evaluations.
        loss_unit: unit of losses; "squared standardised error" for regression.
        baseline: score of the constant answer, drawn as a line.
        examples: how many test examples each accuracy on the way was measured on; draws Wilson's 95 % band where
            at most two methods with one run each are shown.
        template: "light", "dark" or a plotly template.
    """
    import plotly.graph_objects as go

    chosen = curves[curves["quantity"].isin(quantities) & curves[x].notna()]
    title = _title(quantities[0])
    if chosen.empty:
        return empty(title, f"No {' or '.join(quantities)} was recorded.", template=template)
    figure, looks = go.Figure(), styles_of(chosen, template=template)
    banded, every_seed = False, len(looks) <= MOST_WITH_SEEDS
    for (label, quantity), part in chosen.groupby(["label", "quantity"], sort=False):
        name = _name(label, quantity, quantities)
        _draw(figure, part, x, looks[label], name=name, upper=quantity == _UPPER, every_seed=every_seed)
        if examples and _metric(quantity).endswith("accuracy") and len(looks) <= 2 and part["run"].nunique() == 1:
            _draw_band(figure, part, x, looks[label], examples)
            banded = True
    share = all(_metric(quantity) in SHARES or quantity == "gap" for quantity in quantities)
    figure.update_xaxes(title_text=X_TITLES.get(x, x), rangemode="tozero")
    figure.update_yaxes(title_text=_y_title(quantities, loss_unit), tickformat=".3~%" if share else None)
    if baseline is not None:
        figure.add_hline(y=baseline, line=dict(dash="dot", width=1), annotation_text="constant answer")
    _mark_retraining(figure, chosen, x)
    runs = f"{counted(chosen['run'].nunique(), 'run')}, {seeds_in_words(chosen['seed'])}"
    drawn = [each for each in quantities if (chosen["quantity"] == each).any()]
    convention = f"{_split_words(drawn, examples, banded=banded)} · {runs}"
    if chosen.groupby("label")["run"].nunique().max() > 1:
        convention += " (thin) and their mean (bold)" if every_seed else ", means over seeds"
    ends = chosen.sort_values(x).groupby(["label", "quantity"], sort=False)["value"].last()
    alt = "Last values: " + ", ".join(
        f"{_name(label, quantity, quantities)} {value:.3g}" for (label, quantity), value in ends.items()
    )
    return finish(figure, title=title, alt=f"{alt}.", convention=convention, template=template)


def _draw(
    figure: go.Figure, part: pandas.DataFrame, x: str, style: Style, *, name: str, upper: bool, every_seed: bool
) -> None:
    """One thin line per run and phase, and a bold mean where several runs share their steps."""
    several = part["run"].nunique() > 1
    common: dict[str, Any] = dict(legendgroup=name, name=name)
    # A tick at every upper step; elsewhere a dozen marks, as more would hide the dashes.
    marks = dict(symbol="line-ns-open", size=9) if upper else dict(symbol=style.symbol, size=7, maxdisplayed=12)
    shown, place = False, "<br>%{x:,.5~g}: %{y:.4~g}"
    for _, phase in part.groupby("phase_index", sort=True):
        for run, line in phase.groupby("run", sort=False) if every_seed or not several else ():
            line = line.sort_values(x)
            figure.add_trace(
                points_trace(len(line))(
                    x=floats(line[x]),
                    y=floats(line["value"]),
                    mode="lines" if several else _mode(line),
                    line=dict(color=style.colour, dash=style.dash, width=1 if several or upper else 2),
                    marker=dict(color=style.colour, **marks),
                    opacity=0.45 if several else 1.0,
                    showlegend=not several and not shown,
                    hovertemplate=f"{name}, seed {line['seed'].iloc[0]}{place}<extra>{run}</extra>",
                    **common,
                )
            )
            shown = True
        if several:
            middle = phase.groupby("global_step")[[x, "value"] if x != "global_step" else ["value"]]
            complete = middle.size() == phase["run"].nunique()
            means = middle.mean()[complete].reset_index()
            figure.add_trace(
                points_trace(len(means))(
                    x=floats(means[x]),
                    y=floats(means["value"]),
                    mode=_mode(means),
                    line=dict(color=style.colour, dash=style.dash, width=1.5 if upper else 2.5),
                    marker=dict(color=style.colour, **marks),
                    showlegend=bool(phase["phase_index"].iloc[0] == part["phase_index"].min()),
                    hovertemplate=f"{name}, mean of {phase['run'].nunique()}{place}<extra></extra>",
                    **common,
                )
            )


def _mode(line: pandas.DataFrame) -> str:
    return "lines+markers" if len(line) < SVG_LIMIT else "lines"


def _draw_band(figure: go.Figure, part: pandas.DataFrame, x: str, style: Style, examples: int) -> None:
    """Wilson's 95 % band of an accuracy measured on so many examples."""
    for _, line in part.sort_values(x).groupby("phase_index", sort=True):
        bounds = [proportion_interval(round(value * examples), examples) for value in line["value"]]
        for side, fill in ((0, None), (1, "tonexty")):
            figure.add_scatter(
                x=floats(line[x]),
                y=floats([each[side] for each in bounds]),
                mode="lines",
                line=dict(width=0),
                fill=fill,
                fillcolor=translucent(style.colour, 0.18),
                showlegend=False,
                hoverinfo="skip",
            )


def _mark_retraining(figure: go.Figure, chosen: pandas.DataFrame, x: str) -> None:
    later = chosen[chosen["phase_index"] > 0]
    if x == "step" or later.empty:
        return
    ends = chosen[(chosen["phase_index"] == 0) & chosen["run"].isin(later["run"])].groupby("run")[x].max()
    if not ends.empty and ends.max() - ends.min() <= 0.1 * ends.max():
        figure.add_vline(
            x=float(ends.mean()),
            line=dict(dash="dot", width=1),
            annotation=dict(
                text=f"{', '.join(dict.fromkeys(later['label']))}: retraining →",
                yref="paper",
                y=1,
                yanchor="top",
                xanchor="left",
                showarrow=False,
            ),
        )


def _metric(quantity: str) -> str:
    return quantity.removeprefix("test_").removeprefix("train_")


def _title(quantity: str) -> str:
    if quantity == "gap":
        return "How far is training ahead of test?"
    if quantity.endswith("loss"):
        return "How fast does the loss fall?"
    return f"How does {_words(quantity)} develop?"


def _name(label: str, quantity: str, quantities: Sequence[str]) -> str:
    if len(quantities) == 1:
        return label
    if quantity == _UPPER:
        return f"{label}, upper level"
    both_levels = quantity == "loss" and _UPPER in quantities
    return (
        f"{label}, lower level"
        if both_levels and label.startswith(_TWO_LEVELS)
        else (label if both_levels else f"{label}, {quantity.replace('_', ' ')}")
    )


def _y_title(quantities: Sequence[str], loss_unit: str) -> str:
    first = quantities[0]
    if first.endswith("loss"):
        return f"loss ({loss_unit})"
    if first == "gap":
        return "training score − test score"
    words = " and ".join(_words(quantity) for quantity in quantities)
    return f"{words} (in the target's unit)" if _metric(first) in LOWER_IS_BETTER else words


def _words(quantity: str) -> str:
    """test_macro_f1 → test macro F1."""
    metric = _metric(quantity)
    return quantity.removesuffix(metric).replace("_", " ") + score_name(metric)


def _split_words(quantities: Sequence[str], examples: int, *, banded: bool) -> str:
    if _UPPER in quantities:
        return "Lower level on its part of the training data, upper level (ticks) on the other part"
    if quantities[0].startswith("test_"):
        words = f"Test data, a sample of {examples:,}" if examples else "Test data"
        return words + (" · band: 95 % (Wilson)" if banded else "")
    return "Training and test data" if quantities[0] == "gap" else "Training data"
