"""What recordings say to a step of a lesson: sentences, and a figure where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from app import charts
from app.page import all_runs, theme
from bidora import figures
from bidora.analysis import curves, dynamics_table, paired_differences, suggested
from bidora.lessons import Lesson, evidence
from bidora.lessons.slides import Numbers
from bidora.recordings import recordings
from bidora.runs import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go

_ON_A_WALL = 4
"""Panels side by side on a slide, which is wide and low."""


def material() -> list[Run]:
    """The recordings; where there are none, the visitor's own finished runs."""
    return recordings() or [run for run in all_runs() if run.state == "finished"]


def show_evidence(key: str, *, place: str, level: int) -> None:
    """Sentences with numbers, and the figure behind them.

    Args:
        key: of bidora.lessons.evidence.
        place: unique on the page.
        level: of the figure's title among the page's headings.
    """
    paths = _paths()
    for sentence in _sentences(key, paths):
        st.markdown(f"- {charts.plain(sentence)}")
    figure = _figure(key, paths, theme())
    if figure is not None:
        charts.show(figure, key=f"evidence-{place}", kept=(key, paths), level=level)


def recorded_numbers(shown: Lesson) -> dict[str, Numbers]:
    """What recordings say to each step of a lesson; no sentences where the figure holds the same numbers."""
    paths, found = _paths(), {}
    for key in (step.evidence for step in shown.steps if step.evidence):
        drawn = _figure(key, paths, theme(), side_by_side=_ON_A_WALL) is not None
        found[key] = Numbers(() if drawn and key == "fits" else _sentences(key, paths), drawn)
    return found


def project_figure(key: str) -> None:
    """The figure behind numbers, as a slide of its own: its title is the slide's."""
    paths = _paths()
    figure = _figure(key, paths, theme(), side_by_side=_ON_A_WALL)
    if figure is not None:
        charts.show(figure, key=f"slide-{key}", kept=(key, paths), level=1, projected=True)


def _paths() -> tuple[str, ...]:
    return tuple(str(run.path) for run in material())


@st.cache_data(show_spinner="Reading recordings", max_entries=64, ttl=600)
def _sentences(key: str, paths: tuple[str, ...]) -> list[str]:
    return evidence(key, [Run(Path(path)) for path in paths])


@st.cache_data(show_spinner="Drawing", max_entries=32, ttl=600)
def _figure(key: str, paths: tuple[str, ...], template: str, *, side_by_side: int = 3) -> go.Figure | None:
    look = dict(template=template, side_by_side=side_by_side)
    runs = suggested([Run(Path(path)) for path in paths])
    if not runs:
        return None
    if key == "fits":
        return figures.magnitude_vs_direction(dynamics_table(runs), **look)
    if key == "drift":
        return figures.direction_drift(dynamics_table(runs, checkpoints=0, every_phase=True), **look)
    if key == "differences":
        return figures.paired_differences(paired_differences(runs), template=template)
    if key == "levels":
        table = curves(runs)
        return figures.two_levels(table, template=template) if "direct_norm" in set(table["quantity"]) else None
    return None
