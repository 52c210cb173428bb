"""Tab Samples: what is taken for what, and single examples: worst, best, random."""

from __future__ import annotations

import streamlit as st

from app.charts import show
from app.comparing.reading import of_runs, stamp
from app.page import is_recording, theme
from bidora import figures
from bidora.analysis import cell, sampled
from bidora.analysis.examples import CHOICES, examples_of, has_inputs
from bidora.runs import Run
from bidora.wording import counted

_ORDER = {
    "worst": "wrong, the surest first (regression: farthest off; several labels or entities: most wrong ones; texts: farthest from a "
    "reference)",
    "best": "right, the surest first (regression: nearest; several labels or entities: fewest wrong ones; texts: nearest to a "
    "reference)",
    "random": "drawn at random, the same ones each time",
}


_TEXTS = ("input", "prediction", "target")
"""Columns of written texts; at this width they are wrapped."""


def samples_tab(run: Run) -> None:
    """Test predictions as a picture and one by one."""
    mark, shown = stamp([run]), of_runs(sampled, [run])
    if shown.predictions.empty:
        st.info(
            "There are no predictions: predictions.parquet is missing or cannot be read."
            if run.state == "finished"
            else "Predictions are made at the end of the run, on the whole test set.",
            icon=":material/schedule:",
        )
        return
    show(
        lambda: figures.samples(shown.predictions, kind=shown.kind, unit=shown.unit, template=theme()),
        key="samples",
        kept=mark,
        table=shown.predictions,
        code=cell([run], recorded=frozenset({run.id} if is_recording(run) else ())).draw(
            f"figures.samples(runs[0].predictions(), kind={shown.kind!r}, unit={shown.unit!r})"
        ),
    )
    st.markdown("## Single examples")
    if not has_inputs(shown.predictions):
        st.info(
            "The inputs are not here: the data of this recording may not be passed on, so it holds targets and predictions "
            "only. A run of your own keeps the first 200 characters of each input."
            if is_recording(run)
            else "The inputs were left out when this run was exported.",
            icon=":material/lock:",
        )
    which = st.segmented_control(
        "Which examples",
        list(CHOICES),
        default="worst",
        required=True,
        key="examples",
        bind="query-params",
        persist_state="page",
    )
    table = examples_of(shown.predictions, which, kind=shown.kind)
    st.caption(f"{counted(len(table), 'test example')}: {_ORDER[which]}.")
    if table.empty:
        st.markdown("There are none.")
        return
    written = shown.kind == "generation"
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        key="examples-table",
        row_height=130 if written else 56 if "input" in table else None,
        column_config={name: st.column_config.TextColumn(width="medium") for name in _TEXTS} if written else None,
    )
