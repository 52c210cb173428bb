"""Parts Settings, Cost and Samples."""

from __future__ import annotations

import streamlit as st

from app.charts import plain, show
from app.comparing.choosing import Compared
from app.comparing.reading import of_runs, stamp, which_score
from app.page import explained, link, theme
from bidora import figures
from bidora.analysis import comparison, not_beaten, sampled, scored_metrics, settings_table
from bidora.analysis.spreadsheet import csv_of


def settings_part(compared: Compared) -> None:
    """In what the runs differ."""
    only = st.toggle("Differences only", value=True, key="differing", bind="query-params", persist_state="page")
    table = of_runs(settings_table, compared.runs, only_differences=only)
    if table.empty:
        st.info("These runs do not differ in any setting.", icon=":material/equal:")
        return
    st.dataframe(table, hide_index=True, width="stretch", key="settings-table")
    st.download_button(
        "Download CSV",
        lambda: csv_of(table).encode(),
        file_name="settings.csv",
        mime="text/csv",
        key="settings-csv",
        icon=":material/download:",
        on_click="ignore",
    )
    with st.expander("As notebook cell", icon=":material/code:"):
        st.code(compared.cell.draw(f"analysis.settings_table(runs, only_differences={only})"), language="python")


def cost_part(compared: Compared) -> None:
    """Score against time and memory, and who is not beaten in both."""
    table = of_runs(comparison, compared.runs)
    metrics = scored_metrics(table)
    metric = which_score(metrics) if metrics else ""
    show(
        lambda: figures.cost(table, metric=metric, template=theme()),
        key="cost",
        kept=(compared.stamp, metric),
        table=table.drop(columns=["ids"]) if len(table) else None,
        code=compared.cell.draw(f"figures.cost(analysis.comparison(runs), metric={metric!r})"),
    )
    if len(table) > 1:
        time, memory = (not_beaten(table, metric, each) for each in ("seconds_training", "peak_memory_bytes"))
        st.markdown(
            "For these, no other method here reaches the same mean score in less time: "
            f"**{plain(', '.join(time) or 'not known')}**; in less memory: **{plain(', '.join(memory) or 'not known')}**. "
            "Where intervals overlap, the order may be chance."
        )


def samples_part(compared: Compared) -> None:
    """What one run takes for what."""
    by_title = {f"{run.meta.get('name') or run.config.method} · {run.id}": run for run in compared.runs}
    title = st.selectbox("Run", list(by_title), key="sample", bind="query-params", persist_state="page")
    run = by_title[title]
    with explained():
        mark, shown = stamp([run]), of_runs(sampled, [run])
        show(
            lambda: figures.samples(shown.predictions, kind=shown.kind, unit=shown.unit, template=theme()),
            key="samples",
            kept=mark,
            table=shown.predictions if len(shown.predictions) else None,
            code=compared.cell.draw(
                f"figures.samples(run.predictions(), kind={shown.kind!r}, unit={shown.unit!r})",
                prepare=f"run = next(run for run in runs if run.id == {run.id!r})",
            ),
        )
        link("runs", "Best, worst and random samples of this run", icon=":material/list:", run=run.id)
