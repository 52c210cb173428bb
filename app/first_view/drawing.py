"""Draws the first page's comparison: for the page itself with plotly, and once as still pictures."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

from app.first_view.stored import THEMES, WIDTHS, FirstView
from bidora import figures
from bidora.analysis import Headline, headline, suggested
from bidora.recordings import recordings

if TYPE_CHECKING:
    import plotly.graph_objects as go


def figure_of(found: Headline, *, template: str) -> go.Figure:
    """Differences by seed, or the scores where there is one seed only."""
    if found.scores.empty:
        return figures.paired_differences(found.differences, template=template)
    return figures.scores(found.scores, template=template)


def view_of_recordings(pictures: Mapping[str, str] | None = None) -> FirstView | None:
    """The view that belongs to the recordings as they are; None where nothing can be compared.

    Args:
        pictures: already drawn; drawn here by default, which needs kaleido and a browser.
    """
    found = headline(suggested(recordings()))
    if found is None:
        return None
    figure = figure_of(found, template="light")
    meta = figure.layout.meta
    return FirstView(
        recordings=[run.id for run in recordings()],
        task=found.task,
        reference=found.reference,
        sentences=list(found.sentences),
        terms=found.terms,
        title=str(figure.layout.title.text),
        convention=meta["convention"],
        notes=list(meta["notes"]),
        drawing=sha256(figure.to_json().encode()).hexdigest(),
        pictures=_pictures(found) if pictures is None else pictures,
    )


def _pictures(found: Headline) -> dict[str, str]:
    drawn = {}
    for theme in THEMES:
        for name, width in WIDTHS.items():
            figure = figures.without_words(figure_of(found, template=theme))
            figure.update_layout(width=width, autosize=False)
            drawn[f"{theme}-{name}"] = figure.to_image(format="svg").decode()
    return drawn
