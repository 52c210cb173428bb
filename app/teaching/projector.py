"""The projector: big type, one thing on the screen, next and back by button or arrow key."""

from __future__ import annotations

import streamlit as st

from app.charts import plain
from app.page import link, theme
from app.teaching.numbers import project_figure, recorded_numbers
from bidora.lessons import Lesson
from bidora.lessons.slides import place_of, slides_of

_STYLE = """<style>
[data-testid="stSidebar"], [data-testid="stHeader"], [data-testid="stExpandSidebarButton"] {{display: none;}}
[data-testid="stMainBlockContainer"] {{padding-top: 2rem; max-width: 70rem; padding-bottom: 7rem;}}
html, .stApp {{background: {paper};}}
:is(.stApp, [data-testid="stAppViewContainer"], :has(> [data-testid="stMain"]), [data-testid="stMain"]) {{
  position: static; height: auto; overflow: visible;}}
[data-testid="stMainBlockContainer"]:has(.st-key-projector [data-testid="stPlotlyChart"]) {{
  max-width: none; padding-inline: max(1rem, 5vw);}}
.st-key-projector-figure {{flex: none; height: max(100dvh - 13rem, 26rem); gap: 0.6rem;}}
.st-key-projector-figure :has([data-testid="stPlotlyChart"]) {{min-height: 0;}}
.st-key-projector, .st-key-projector :is(p, li, h1, h2) {{color: {ink};}}
.st-key-projector h1 {{font-size: clamp(1.9rem, 4.2vw, 3.6rem); line-height: 1.15; padding: 0 0 0.6rem 0;}}
.st-key-projector :is(p, li) {{font-size: clamp(1.25rem, 2.4vw, 2.1rem); line-height: 1.4;}}
.st-key-projector:has([data-testid="stPlotlyChart"], [data-testid="stCode"]) h1 {{font-size: clamp(1.5rem, 3vw, 2.6rem); padding: 0;}}
.st-key-projector ul {{padding-left: 1.2em;}}
.st-key-projector [data-testid="stCaptionContainer"] p {{font-size: clamp(1rem, 1.4vw, 1.3rem);}}
:is(.st-key-projector, .st-key-projector-buttons) [data-testid="stCaptionContainer"] {{opacity: 1; color: {ink};}}
.st-key-projector [data-testid="stExpander"] p {{font-size: 1rem;}}
@media (min-width: 900px) {{.st-key-projector [class*="st-key-wide-"] > * {{min-width: 0;}}}}
@media (max-width: 640px) {{.st-key-projector-figure {{height: 46rem;}}}}
.st-key-projector-buttons {{position: fixed; bottom: 0; left: 0; right: 0; z-index: 99; padding: 0.7rem max(1rem, 5vw);
  background: {paper}; border-top: 1px solid {ink};}}
.st-key-projector-buttons [data-testid="stCaptionContainer"] p {{color: {ink}; font-size: 1.1rem;}}
.st-key-projector pre code {{font-size: clamp(1.1rem, 2vw, 1.8rem);}}
.st-key-projector-buttons button {{min-height: 3.2rem; min-width: 8rem;}}
.st-key-projector-buttons button p {{font-size: 1.25rem;}}
</style>"""
"""The whole page scrolls instead of Streamlit's frame in it, for the keys that scroll act on the page; a figure takes what the
window leaves below its title."""


def big_type() -> None:
    """Black on white or white on black, large, without menu and sidebar."""
    dark = theme() == "dark"
    st.html(_STYLE.format(paper="#000000" if dark else "#ffffff", ink="#ffffff" if dark else "#000000"))


def project(shown: Lesson) -> None:
    """One slide of a lesson; which one stands in the address."""
    slides = slides_of(shown, recorded_numbers(shown))
    place = place_of(st.query_params.get("slide", ""), len(slides))
    slide = slides[place - 1]
    big_type()
    with st.container(key="projector", height="content"):
        if slide.figure:
            with st.container(key="projector-figure", height="stretch"):
                project_figure(slide.figure)
        else:
            st.title(slide.title, anchor=False)
        if slide.text:
            st.markdown(slide.text)
        if slide.points:
            st.markdown("\n".join(f"- {point}" for point in slide.points))
        if slide.numbers:
            st.markdown("\n".join(f"- {plain(sentence)}" for sentence in slide.numbers))
        if slide.footer:
            st.caption(slide.footer)
    with st.container(horizontal=True, key="projector-buttons", vertical_alignment="center"):
        at = dict(on_click=_go_to)
        st.button("Back", key="back", shortcut="Left", args=(place - 1,), disabled=place == 1, **at)
        st.button(
            "Next", key="next", shortcut="Right", type="primary", args=(place + 1,), disabled=place == len(slides), **at
        )
        st.caption(f"{place} of {len(slides)}")
        link("classroom", "Leave", icon=":material/close:", lesson=shown.key)


def _go_to(place: int) -> None:
    st.query_params["slide"] = str(place)
