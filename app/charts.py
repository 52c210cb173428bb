"""One way to show a figure: title, chart, convention, words for those who cannot see it, table and CSV, notebook cell."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Hashable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import streamlit as st

from bidora.analysis.spreadsheet import csv_of
from bidora.figures import drawing_of

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

_BAR = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d"], "responsive": True}
_PANEL = 270
"""Pixels that a panel needs; where panels stand side by side, a narrow page scrolls them sideways."""


_STILL = (
    ".still {container-type: inline-size;} .still img {display: block; max-width: 100%;} .still .narrow {display: none;} "
    "@container (max-width: 479px) {.still .wide {display: none;} .still .narrow {display: block;}}"
)
"""Below 480 pixels the letters of the wide picture would be smaller than 10."""


class _Chart(NamedTuple):
    """A figure as it goes to the browser: the drawing, its title, and what is said about it."""

    drawing: Any
    title: str
    meta: dict[str, Any]


def show(
    figure: go.Figure | Callable[[], go.Figure],
    *,
    key: str,
    table: pandas.DataFrame | None = None,
    code: str = "",
    kept: Hashable = None,
    level: int = 2,
    still: Mapping[str, str] | None = None,
    projected: bool = False,
) -> None:
    """Draw a figure of bidora.figures with everything that belongs to it.

    Title, convention and notes are set as text of the page, which wraps on narrow screens and is read aloud; plotly's
    own text does neither.

    Args:
        figure: its `layout.meta` holds alt, convention, notes and panels.
        key: unique on the page; constant while a chart is updated.
        table: the numbers behind it; shown folded, and offered as CSV.
        code: a notebook cell that draws the same figure.
        kept: what the figure depends on, besides its key and the page's theme: drawn once for all visitors as long as it
            stays the same. Drawing is most of what a page costs. Then `figure` is best a function, which is called only
            where it must be. A stamp of runs is to be taken before they are read, or an older picture would be kept.
        level: of the title among the page's headings: one below the heading that it stands under, which is the page's
            own (1) on most pages. Those who listen to a page move along its headings, and a level left out misleads.
        projected: on a wall: as high as the container around it leaves room, and nothing folded below.
        still: "wide" and "narrow" → SVG of the same figure, shown instead of it: the browser then need not read plotly.
    """
    drawing, title, meta = _chart(figure) if kept is None else _kept(f"{key} {st.context.theme.type} {kept!r}", figure)
    if title:
        st.markdown(f"{'#' * level} {plain(title)}")
    panels = int(meta.get("panels") or 1)
    wide = panels > 1
    if wide:
        st.html(_scrolling(f"wide-{key}", panels * _PANEL))
    alt = title or "Chart, described below"
    height: Literal["stretch", "content"] = "stretch" if projected else "content"
    if still:
        st.html(still_picture(still, alt=alt))
    else:
        with st.container(key=f"wide-{key}" if wide else None, height=height):
            st.plotly_chart(drawing, key=key, theme=None, width="stretch", height=height, config=_BAR, alt=alt)
    if meta.get("convention"):
        st.caption(plain(str(meta["convention"])))
    for note in meta.get("notes") or ():
        st.caption(f":material/info: {plain(str(note))}")
    if not projected:
        _details(str(meta.get("alt", "")), key, table, code)


@st.cache_resource(max_entries=256, show_spinner=False)
def _kept(mark: str, _figure: go.Figure | Callable[[], go.Figure]) -> _Chart:
    return _chart(_figure)


def _chart(figure: go.Figure | Callable[[], go.Figure]) -> _Chart:
    drawn = figure() if callable(figure) else figure
    return _Chart(_drawing()(drawing_of(drawn)), str(drawn.layout.title.text or ""), drawn.layout.meta or {})


@cache
def _drawing() -> Any:
    """A type that passes for a figure and is data and layout only: Streamlit would check and copy them once more."""
    from plotly.basedatatypes import BaseFigure

    class Drawing(BaseFigure):
        def __init__(self, parts: dict[str, Any]) -> None:
            self._parts = parts

        def to_dict(self) -> dict[str, Any]:
            return self._parts

    return Drawing


def still_picture(pictures: Mapping[str, str], *, alt: str) -> str:
    """HTML of a picture that is as wide or narrow as its place; of two, only the one that is seen is read aloud.

    Streamlit takes the addresses out of a `<picture>`, so a query of the place's width chooses, which minds the menu, too.

    Args:
        pictures: "wide" and "narrow" → SVG.
        alt: what it shows, in a few words.
    """
    images = (
        f'<img class="{name}" src="data:image/svg+xml;base64,{base64.b64encode(pictures[name].encode()).decode()}" '
        f'alt="{html.escape(alt)}">'
        for name in ("wide", "narrow")
    )
    return f'<style>{_STILL}</style><div class="still">{"".join(images)}</div>'


def _details(alt: str, key: str, table: pandas.DataFrame | None, code: str) -> None:
    if not alt and table is None and not code:
        return
    with st.expander("In words, as a table, as code", icon=":material/table_view:"):
        if alt:
            st.markdown(plain(alt))
        if table is not None:
            st.dataframe(table, key=f"{key}-table", width="stretch", hide_index=True)
            st.download_button(
                "Download CSV",
                lambda: csv_of(table).encode(),
                file_name=f"{re.sub(r'[^A-Za-z0-9_-]', '-', key)}.csv",
                mime="text/csv",
                key=f"{key}-csv",
                icon=":material/download:",
                on_click="ignore",
            )
        if code:
            st.caption("Copy as notebook cell; it draws the same figure:")
            st.code(code, language="python")


def plain(text: str) -> str:
    """Text as it is: nothing in it is read as Markdown, a formula, an emoji, HTML or an address.

    Addresses (http://…, www.…, a@b.c) become links after escapes are undone, so a word joiner, which nobody sees, parts them.
    """
    escaped = re.sub(r"([\\`*_{}\[\]<>#$~|:])", r"\\\1", text)
    return re.sub(r"https?\\:|www(?=\.)|@", "\\g<0>\u2060", escaped, flags=re.IGNORECASE)


def _scrolling(key: str, width: int) -> str:
    return f"<style>.st-key-{key} {{overflow-x: auto;}} .st-key-{key} > * {{min-width: {width}px;}}</style>"
