"""Headings of every view go down one level at a time: who listens to a page moves along them (WCAG 2.2, technique H42)."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason="the app's packages are not installed: pip install -e .[app]")

import itertools

from run_folders import write_comparison, write_run
from visiting import visit

from bidora.lessons import LESSONS

COMPARED = ("Scores", "Settings", "Curves", "Weights", "Two levels", "Cost", "Samples")
TABS = ("Live", "Weights", "Two levels", "Samples", "Config", "Log", "Files")
PAGES = [
    *[(view, {}) for view in ("start", "two_levels", "new_run", "runs", "analyse", "glossary", "published")],
    *[("decompose", {"part": part}) for part in ("A vector", "A matrix", "What an update reaches")],
    *[("compare", {"group": "demo", "part": part}) for part in COMPARED],
    *[("runs", {"run": "bidora", "tab": tab}) for tab in TABS],
    *[("classroom", {"tab": tab}) for tab in ("lessons", "links", "votes", "replay")],
    *[("classroom", {"lesson": each.key, "notes": "1"}) for each in LESSONS],
    ("classroom", {"lesson": LESSONS[0].key, "project": "1", "slide": "4"}),
    ("glossary", {"term": "magnitude"}),
]


def levels(app) -> list[tuple[int, str]]:
    """Level and words of every heading, in the order of the page."""
    found = []
    for each in app.main:
        if each.type in ("title", "header", "subheader"):
            found.append((int(each.tag[1]), each.value))
        elif each.type == "markdown":
            found += [(len(signs), words) for signs, words in re.findall(r"^(#+) (.+)$", each.value, re.MULTILINE)]
    return found


@pytest.mark.parametrize(
    ("view", "query"), PAGES, ids=lambda each: each if isinstance(each, str) else " ".join(each.values())
)
def test_no_level_is_left_out(app, view, query):
    runs = write_comparison(Path(os.environ["BIDORA_RUNS"]), seeds=(0, 1))
    write_run(Path(os.environ["BIDORA_RECORDINGS"]), "bidora", recorded=True, group="demo")
    if query.get("run"):
        query = query | {"run": next(run.id for run in runs if run.config.method == query["run"])}
    found = levels(visit(app, view, **query))
    assert [level for level, _ in found].count(1) == 1 and found[0][0] == 1, found
    for (above, _), (below, words) in itertools.pairwise(found):
        assert below <= above + 1, f"{words!r} is of level {below}, below one of level {above}"
