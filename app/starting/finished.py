"""A finished comparison on the first screen, or what to do where there is none."""

from __future__ import annotations

import streamlit as st

from app.charts import plain, show
from app.comparing.reading import of_runs, stamp
from app.first_view.drawing import figure_of
from app.first_view.stored import pictures_of, stored_view
from app.page import link, root, theme
from bidora.analysis import Headline, cell, headline, suggested
from bidora.recordings import recordings
from bidora.runs import Run, list_runs


def finished_comparison() -> None:
    """One picture with what may be said of it: a recording, else the visitor's own runs."""
    shown = of_runs(suggested, recordings())
    recorded = frozenset(run.id for run in shown)
    shown = shown or of_runs(suggested, list_runs(root()))
    mark = stamp(shown)
    found: Headline | None = of_runs(headline, shown)
    if found is None:
        _nothing_yet()
        return
    kind = "A finished comparison" if found.reference else "A finished run"
    st.header(f"{kind}: {plain(found.task)}")
    where = "Recorded with this lab; each run names the command that made it." if recorded else "Your own runs."
    if found.reference:
        st.markdown(f"Each method against **{plain(found.reference)}**, seed by seed, on the same test data:")
    st.markdown("\n".join(f"- {plain(sentence)}." for sentence in found.sentences))
    _picture(found, shown, mark, recorded)
    st.caption(f"{plain(found.terms)}. {where}")
    if found.reference:
        link("compare", "Open this comparison", icon=":material/balance:", runs=",".join(run.id for run in shown))
    else:
        link("new_run", "Train another method on the same data", icon=":material/play_arrow:")


def _picture(found: Headline, shown: list[Run], mark: str, recorded: frozenset[str]) -> None:
    if found.scores.empty:
        call = f"figures.paired_differences(analysis.paired_differences(runs, reference={found.reference!r}))"
        table = found.differences
    else:
        call = "figures.scores(analysis.comparison(runs))"
        table = found.scores
    view = stored_view() if recorded else None
    show(
        lambda: figure_of(found, template=theme()),
        key="start",
        kept=mark,
        still=pictures_of(view, theme()) if view else None,
        table=table.drop(columns=["differences", "ids"], errors="ignore"),
        code=cell(shown, recorded=recorded).draw(call),
        level=3,
    )


def _nothing_yet() -> None:
    st.header("No finished runs here yet")
    st.markdown(
        "The recordings that come with the lab are not in `data/recordings`, and nothing was trained here. "
        "A first comparison takes a few minutes on two cores: LoRA, DoRA and BiDoRA on the same data, with the same seed."
    )
    link("new_run", "Train a first comparison", icon=":material/play_arrow:")
    link("two_levels", "Or see first what the two levels do, without training", icon=":material/stacks:")
    st.code("bidora demo", language="bash")
    st.caption("The same on the command line.")
