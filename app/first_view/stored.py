"""What the still picture shows, as it lies beside the recordings; `python -m app.first_view` writes it anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from bidora.recordings import recordings, recordings_root

FILE = "first_view.json"
THEMES = ("light", "dark")
WIDTHS = {"wide": 600, "narrow": 330}
"""Pixels of a picture; the narrow one is for pages of a telephone's width."""


class FirstView(NamedTuple):
    """The comparison in words and pictures.

    Attributes:
        recordings: ids of all recordings that were there when it was drawn.
        task, reference, sentences, terms: as in `bidora.analysis.Headline`.
        title, convention, notes: what is said about the picture.
        drawing: sha256 of the plotly figure, so that a test finds a picture that is out of date.
        pictures: "light-wide", "light-narrow", "dark-wide", "dark-narrow" → SVG.
    """

    recordings: list[str]
    task: str
    reference: str
    sentences: list[str]
    terms: str
    title: str
    convention: str
    notes: list[str]
    drawing: str
    pictures: Mapping[str, str]


def stored_view() -> FirstView | None:
    """The stored picture; None where there is none, or where it was drawn from other recordings than are here."""
    path = recordings_root() / FILE
    try:
        view = _read(path, path.stat().st_mtime_ns)
    except OSError:
        return None
    return view if view is not None and view.recordings == [run.id for run in recordings()] else None


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> FirstView | None:
    try:
        view = FirstView(**json.loads(path.read_text(encoding="utf-8")))
        whole = all(set(pictures_of(view, theme).values()) for theme in THEMES)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return view if whole else None


def pictures_of(view: FirstView, theme: str) -> dict[str, str]:
    """A picture for wide and one for narrow pages: "wide" and "narrow" → SVG."""
    return {name: view.pictures[f"{theme}-{name}"] for name in WIDTHS}
