"""Replay of runs: loss, magnitude and direction as they stood after so many seconds, on axes that do not move."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from bidora.figures.appearance import Style, finish, floats, seeds_in_words, styles_of

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

TITLE = "How do loss, magnitude and direction move?"


def replay(
    curves: pandas.DataFrame,
    drift: pandas.DataFrame,
    *,
    duration: float,
    until: float | None = None,
    template: str = "light",
) -> go.Figure:
    """Three panels over training seconds: loss, signed magnitude change and angle.

    Lines are means over layers, one per run; with one run the single layers are drawn thin. The axes are those of the
    whole recording, so that nothing jumps. In each panel an invisible line spans the whole time: a page can uncover the
    drawing from the left, as a share of its width, instead of sending a new one for each moment.

    Args:
        curves: as `bidora.analysis.curves`.
        drift: as `bidora.analysis.dynamics_table` with every record, and a column seconds.
        duration: seconds of the whole recording.
        until: seconds up to which lines are drawn; by default all.
        template: "light", "dark" or a plotly template.
    """
    from plotly.subplots import make_subplots

    losses = curves[curves["quantity"] == "loss"]
    table = losses if len(losses) else drift
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.05)
    names, looks = _names(table), _looks(table, template)
    for panel, part, look, name in _parts(losses, drift, names, looks):
        shown = part if until is None else part[part["seconds"].isna() | (part["seconds"] <= until + 1e-4)]
        trace = _trace(panel, name, look).update(x=floats(shown["seconds"]), y=floats(shown["value"]))
        figure.add_trace(trace, row=_ROW[panel], col=1)
    for row in (1, 2, 3):
        span = dict(x=floats([0, duration]), y=floats([0, 0]), mode="lines", line=dict(color="rgba(0,0,0,0)", width=1))
        figure.add_scatter(**span, showlegend=False, hoverinfo="skip", name="span", row=row, col=1)
    _axes(figure, losses, drift, duration, several=len(names) > 1)
    convention = "Seconds of training, evaluation not counted · mean over layers"
    convention += (", thin: single layers" if len(names) == 1 else "") + " · norm per output unit · axes of the whole "
    convention += f"recording · {seeds_in_words(table['seed'])}"
    alt = standing(curves, drift, duration if until is None else until)
    return finish(figure, title=TITLE, alt=alt, convention=convention, template=template, height=600)


def standing(curves: pandas.DataFrame, drift: pandas.DataFrame, seconds: float) -> str:
    """What the figure shows after so many seconds, in words: the last loss, magnitude and angle of each run."""
    losses = curves[curves["quantity"] == "loss"]
    words = []
    for run, name in _names(losses if len(losses) else drift).items():
        known = losses[(losses["run"] == run) & (losses["seconds"] <= seconds + 1e-4)]
        moved = drift[(drift["run"] == run) & (drift["seconds"] <= seconds + 1e-4)]
        said = []
        if len(known):
            last = known.iloc[known["seconds"].argmax()]
            said = [*filter(None, [_PHASES.get(str(last["phase"]), "")]), f"loss {last['value']:.3g}"]
        if len(moved):
            last = moved[moved["seconds"] == moved["seconds"].max()]
            said.append(f"magnitude {_short(last['delta_m_signed_percent'].mean(), '+')} %")
            said.append(f"turned by {_short(last['angle_degrees'].mean())} degrees")
        words.append(f"{name}: {', '.join(said) or 'nothing yet'}")
    return f"After {seconds:.1f} seconds of training. {'; '.join(words)}."


def _looks(table: pandas.DataFrame, template: str) -> dict[str, Style]:
    """Run → its method's style; a further seed of the same label has the same colour and another mark."""
    styles, seen, found = styles_of(table, template=template), dict[str, int](), {}
    for row in table.drop_duplicates("run").itertuples():
        style, again = styles[row.label], seen.get(row.label, 0)
        symbol = style.symbol.removesuffix("-open")
        marks = (style.symbol, symbol, f"{symbol}-open-dot", f"{symbol}-dot")
        found[row.run] = style._replace(symbol=marks[again % len(marks)])
        seen[row.label] = again + 1
    return found


_ROW = {"loss": 1, "magnitude": 2, "angle": 3, "layers' magnitude": 2, "layers' angle": 3}
_PHASES = {"search": "searching m", "retrain": "retraining"}
_COLUMNS = {"magnitude": "delta_m_signed_percent", "angle": "angle_degrees"}


def _parts(
    losses: pandas.DataFrame, drift: pandas.DataFrame, names: dict[str, str], looks: dict[str, Style]
) -> Iterator[tuple[str, pandas.DataFrame, Style, str]]:
    """Every line: its panel, a table of seconds and value, the look and the run's name."""
    for run, part in losses.groupby("run", sort=False):
        yield "loss", _with_gaps(part, ["phase_index"]), looks[run], names[run]
    for run, part in drift[drift["run"].isin(list(looks))].groupby("run", sort=False):
        for panel, column in _COLUMNS.items():
            valued = part.assign(value=part[column])
            if len(names) == 1:
                yield f"layers' {panel}", _with_gaps(valued, ["phase_index", "layer", "module"]), looks[run], names[run]
            mean = valued.groupby(["phase_index", "seconds"], as_index=False)["value"].mean()
            yield panel, _with_gaps(mean, ["phase_index"]), looks[run], names[run]


def _with_gaps(part: pandas.DataFrame, keys: list[str]) -> pandas.DataFrame:
    """One table with a gap after each group: retraining begins anew, and 24 traces would take long to draw."""
    import pandas

    gap = pandas.DataFrame({"seconds": [np.nan], "value": [np.nan]})
    pieces = []
    for _, line in part.groupby(keys, sort=True):
        pieces += [line[["seconds", "value"]].sort_values("seconds"), gap]
    return pandas.concat(pieces[:-1], ignore_index=True) if pieces else gap


def _trace(panel: str, name: str, look: Style) -> go.Scatter:
    import plotly.graph_objects as go

    if panel.startswith("layers'"):
        line = dict(color=look.colour, width=0.7)
        return go.Scatter(mode="lines", line=line, opacity=0.45, showlegend=False, hoverinfo="skip", name="layers")
    return go.Scatter(
        mode="lines+markers",
        line=dict(color=look.colour, dash=look.dash, width=2),
        marker=dict(color=look.colour, symbol=look.symbol, size=6, maxdisplayed=12),
        name=name,
        legendgroup=name,
        showlegend=panel == "loss",
        hovertemplate=f"{name}<br>%{{x:.1f}} s: %{{y:.3~g}}<extra></extra>",
    )


def _short(value: float, sign: str = "") -> str:
    """Three digits; what is below a ten-thousandth is rounding of float32 and shown as 0."""
    return f"{value:{sign}.3g}" if abs(value) >= 1e-4 else "0"


def _names(table: pandas.DataFrame) -> dict[str, str]:
    """Run → label, with the seed where a label is there more than once."""
    runs = table.drop_duplicates("run")
    twice = runs["label"].duplicated(keep=False)
    return {
        row.run: f"{row.label}, seed {row.seed}" if again else str(row.label)
        for row, again in zip(runs.itertuples(), twice)
    }


def _axes(
    figure: go.Figure, losses: pandas.DataFrame, drift: pandas.DataFrame, duration: float, *, several: bool
) -> None:
    """Ranges of the whole recording, titles and units."""
    figure.update_xaxes(range=[0, 1.02 * duration if duration else 1])
    figure.update_xaxes(title_text="training time (s)", row=3, col=1)
    columns = ("delta_m_signed_percent", "angle_degrees")
    shown = [losses["value"]] if len(losses) else [[0.0, 1.0]]
    for column in columns:
        if several:
            shown.append(drift.groupby(["run", "seconds"])[column].mean() if len(drift) else [0.0, 1.0])
        else:
            shown.append(drift[column] if len(drift) else [0.0, 1.0])
    titles = ("training loss", "m − m₀ (% of m₀)", "turn (degrees)")
    for row, (values, title) in enumerate(zip(shown, titles), start=1):
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        low = min(low, 0.0)
        room = 0.06 * (high - low) or 1.0
        figure.update_yaxes(title_text=title, range=[low - room if low < 0 else 0, high + room], row=row, col=1)
