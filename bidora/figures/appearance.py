"""What all figures share: the look of each method, light and dark, the line below, words for screen readers."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bidora.methods import METHODS

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

SVG_LIMIT = 2000
"""From so many points on WebGL draws them; below, SVG is sharper, and WebGL crawls where many x are equal."""

TEMPLATES = {"light": "plotly_white", "dark": "plotly_dark"}
_NARROW = 320
"""Pixels that a telephone has for a drawing."""

_TRACES = ("bar", "contour", "heatmap", "scatter", "scattergl")
_OTHER_AXES = ("geo", "map", "mapbox", "polar", "scene", "ternary")


class Style(NamedTuple):
    """How a method looks everywhere; colour is never the only sign."""

    colour: str
    dash: str
    symbol: str


STYLES = {name: Style(*method.look[:3]) for name, method in METHODS.items()}
"""The look of each method on light pages: no two share a dash or a marker, and the three that are compared most have
colours of Okabe and Ito, told apart by colour-blind readers."""

CONVENTION = "convention"
"""Name of the annotation that holds the lines below a figure."""

NEUTRAL = "#AA4499"
"""For what belongs to no method; readable on light and on dark pages."""

_OTHER = Style("#CC79A7", "longdash", "cross")
_FILLS = ("-open", "", "-open-dot", "-dot")  # tells variants of one method apart


def styles_of(table: pandas.DataFrame, *, template: str = "light") -> dict[str, Style]:
    """The style of each label of a table with columns label and method; variants of a method differ in their fill."""
    found: dict[str, Style] = {}
    seen: dict[str, int] = {}
    for label, method in table[["label", "method"]].drop_duplicates("label").itertuples(index=False):
        style = STYLES.get(method, _OTHER)
        if method in METHODS and METHODS[method].look.on_dark and is_dark(template):
            style = style._replace(colour=METHODS[method].look.on_dark)
        fill = _FILLS[seen.get(method, 0) % len(_FILLS)]
        seen[method] = seen.get(method, 0) + 1
        found[label] = style._replace(symbol=style.symbol + fill)
    return found


def is_dark(template: str) -> bool:
    """Whether a template is drawn on a dark page."""
    return "dark" in template


def translucent(colour: str, opacity: float) -> str:
    """#RRGGBB as rgba(…), which figures need for bands."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def points_trace(count: int) -> Any:
    """The trace class for so many points: Scatter, or Scattergl from 2,000 on."""
    import plotly.graph_objects as go

    return go.Scatter if count < SVG_LIMIT else go.Scattergl


def floats(values: Any) -> np.ndarray:
    """float32 array, which plotly passes on in binary: a quarter of the page's weight."""
    return np.asarray(values, dtype=np.float32)


def log_axis(values: Any) -> dict[str, Any]:
    """A logarithmic axis with ticks in plain numbers: powers of ten, with 2 and 5 between where there are few.

    Args:
        values: what is drawn; only what is above zero counts.
    """
    positive = np.asarray(values, dtype=np.float64)
    positive = positive[np.isfinite(positive) & (positive > 0)]
    if not len(positive):
        return {"type": "log"}
    first, last = int(np.floor(np.log10(positive.min()))), int(np.ceil(np.log10(positive.max())))
    between = (1, 2, 5) if last - first <= 2 else (1,)
    powers = range(first, last + 1, max(1, (last - first) // 6))
    ticks = [(digit, power) for power in powers for digit in between]
    written = [f"{digit * 10.0**power:g}" if -4 < power < 4 else _power(digit, power) for digit, power in ticks]
    return dict(type="log", tickvals=[digit * 10.0**power for digit, power in ticks], ticktext=written)


def _power(digit: int, power: int) -> str:
    return ("" if digit == 1 else f"{digit}·") + f"10<sup>{str(power).replace('-', '−')}</sup>"


def finish(
    figure: go.Figure,
    *,
    title: str,
    alt: str,
    convention: str,
    template: str,
    height: int = 440,
    notes: Sequence[str] = (),
    legend: bool = True,
    above: int = 0,
    panels: int = 1,
) -> go.Figure:
    """Give a figure its title, the convention line below it, alt text, margins and a transparent background.

    Args:
        figure: with traces and axis titles.
        title: a question or a finding.
        alt: what there is to see, in words.
        convention: norm axis, n, seeds, split.
        template: "light", "dark", or a plotly template.
        height: of the drawing in pixels; the lines below come on top.
        notes: what a reader must know before believing it; shown below the convention.
        legend: whether there is a legend above the chart.
        above: further pixels needed between title and chart.
        panels: how many stand side by side; what shows the figure must give each some width.
    """
    lines = [line for text in (convention, *notes) for line in wrapped(text)]
    above += 52 + (22 * _legend_lines(figure) if legend else 0)
    height += 18 * len(lines)
    figure.update_layout(
        template=_template(template),
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        title=dict(text=title, x=0, xref="paper", xanchor="left", y=1, yref="container", yanchor="top", pad=dict(t=14)),
        font=dict(size=13),
        height=height,
        margin=dict(l=70, r=24, t=above, b=72 + 18 * len(lines)),
        # Hung from the top of the page, so that it grows towards the chart and never into the title.
        legend=dict(orientation="h", x=0, xanchor="left", y=1 - 40 / height, yanchor="top", yref="container"),
        showlegend=legend,
        meta={"alt": f"{title} {alt}", "convention": convention, "notes": list(notes), "panels": panels},
    )
    figure.add_annotation(
        name=CONVENTION,
        text="<br>".join(lines),
        x=0,
        xref="paper",
        xanchor="left",
        y=0,
        yref="paper",
        yanchor="top",
        yshift=-56,
        align="left",
        showarrow=False,
        font=dict(size=12),
    )
    return figure


@cache
def _template(name: str) -> Any:
    """plotly's template without what no figure here uses; plotly copies it several times a figure, which takes longest of all.

    Args:
        name: "light", "dark"; anything else is passed on to plotly as it is.
    """
    if name not in TEMPLATES:
        return name
    import plotly.graph_objects as go
    import plotly.io

    whole = plotly.io.templates[TEMPLATES[name]].to_plotly_json()
    return go.layout.Template(
        layout={part: value for part, value in whole["layout"].items() if part not in _OTHER_AXES},
        data={kind: value for kind, value in whole["data"].items() if kind in _TRACES},
    )


def without_words(figure: go.Figure) -> go.Figure:
    """The drawing alone, for pages that set title, convention and notes as text, which wraps on narrow screens.

    The legend then hangs on the chart, and plotly makes room for as many lines as it needs.

    Args:
        figure: as `finish` leaves it; it is not changed.
    """
    import plotly.graph_objects as go

    return go.Figure(drawing_of(figure))


def drawing_of(figure: go.Figure) -> dict[str, Any]:
    """As `without_words`, as plain data and layout: making a figure of them takes longer than all the rest."""
    lines = next((note.text for note in figure.layout.annotations if note.name == CONVENTION), "")
    below = 18 * (lines.count("<br>") + 1) if lines else 0
    headings = any(note.yref == "paper" and note.y and note.y >= 0.99 for note in figure.layout.annotations)
    legend = bool(figure.layout.showlegend)
    gone = 40 + (22 * _legend_lines(figure) if legend else 0)
    top, bottom = max(12, figure.layout.margin.t - gone), figure.layout.margin.b - below - 14
    height = figure.layout.height - gone - below - 14
    if legend:  # lines beyond three on a narrow page make the drawing higher, as they would else be taken from the plot
        height += 26 * max(0, _legend_lines(figure, page=_NARROW) - 3) + 22 * (_legend_lines(figure) - 1)
    plot = max(1, height - top - bottom)
    # Plain dictionaries: each update of a plotly object costs more than all of this.
    layout = figure.layout.to_plotly_json()
    layout.pop("title", None)
    layout["modebar"] = dict(bgcolor="rgba(0,0,0,0)")  # on a phone it lies over the legend
    layout |= dict(height=height + 26 * legend, margin=dict(l=10, r=10, t=top + 26 * legend, b=bottom))
    layout["legend"] = dict(orientation="h", x=0, xanchor="left", yref="paper", yanchor="bottom")
    layout["legend"]["y"] = 1 + (26 if headings else 6) / plot
    layout["annotations"] = [_of_size(note) for note in layout.get("annotations", ()) if note.get("name") != CONVENTION]
    traces = [trace.to_plotly_json() for trace in figure.data]
    for bar in (*traces, *(value for name, value in layout.items() if name.startswith("coloraxis"))):
        if "colorbar" in bar:
            bar["colorbar"]["title"] = _of_size(bar["colorbar"].get("title", {}))
    for name in {"xaxis", "yaxis", *(name for name in layout if name.startswith(("xaxis", "yaxis")))}:
        layout[name] = _fitted(layout.get(name, {}), wraps=name.startswith("x"))
    return {"data": traces, "layout": layout}


def _fitted(axis: dict[str, Any], *, wraps: bool) -> dict[str, Any]:
    """An axis that makes room for its words; those below it are broken into lines."""
    title = _of_size(axis.get("title", {}))
    if wraps and title.get("text"):
        title["text"] = "<br>".join(textwrap.wrap(title["text"], 32))
    return axis | dict(automargin=True, title=title)


def _of_size(words: dict[str, Any]) -> dict[str, Any]:
    """An annotation or title in type of 13 pixels, where it has no size of its own."""
    return words | dict(font={"size": 13} | words.get("font", {}))


def _legend_lines(figure: go.Figure, *, page: int = 640) -> int:
    """How many lines the legend needs on a page of so many pixels."""
    lines, used = 1, 0.0
    for trace in figure.data:
        if trace.showlegend is False or not trace.name:
            continue
        width = 52 + 7.2 * len(trace.name)
        if used + width > page:
            lines, used = lines + 1, 0.0
        used += width
    return lines


def wrapped(text: str, *, width: int = 120) -> list[str]:
    """Lines for a chart, which does not wrap by itself; broken between parts (·, ;) where possible, else at words."""
    lines: list[str] = []
    for part in re.split(r"(?<=;) | (?=· )", text):
        if lines and len(lines[-1]) + len(part) < width:
            lines[-1] += f" {part}"
        else:
            lines += textwrap.wrap(part.removeprefix("· "), width)
    return lines


def grid_columns(panels: int, *, most: int = 3) -> int:
    """How many panels stand side by side: as few rows as there can be, about as many in each; so four are two by two."""
    rows = -(-panels // most)
    return -(-panels // rows)


def empty(title: str, why: str, *, template: str) -> go.Figure:
    """A figure that says why there is nothing to see."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.add_annotation(text=why, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font=dict(size=15))
    return finish(figure, title=title, alt=why, convention="", template=template, height=300, legend=False)


def seeds_in_words(values: Iterable[Any]) -> str:
    """Distinct seeds in order: seed 0, or seeds 0, 1, 2."""
    distinct = sorted(set(values))
    return f"seed{'' if len(distinct) == 1 else 's'} {', '.join(map(str, distinct))}"


def counted(count: int, noun: str) -> str:
    """1 seed, 3 seeds, 2,189 points."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
