"""Part Scores: differences seed by seed, then every method's score with its interval."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal

import streamlit as st

from app.charts import plain, show
from app.comparing.choosing import Compared
from app.comparing.reading import of_runs, which_score
from app.page import theme
from bidora import figures
from bidora.analysis import (
    MOST_IN_PAIRS,
    baseline_of,
    comparison,
    paired_differences,
    readable_comparison,
    readable_differences,
    scored_metrics,
    usual_reference,
)

if TYPE_CHECKING:
    import pandas

_EVERY = "every two"
_MOST_ROWS = 16
"""More sentences than these are folded: 13 methods make 78 pairs, and the chart says the same at a glance."""


def scores_part(compared: Compared) -> None:
    """Sentences, forest plot, scores, tables."""
    table = of_runs(comparison, compared.runs)
    if table.empty:
        st.info(
            "None of these runs has final scores yet. Curves and Weights already show what was measured on the way.",
            icon=":material/hourglass:",
        )
        return
    left, right = st.columns(2)
    metrics, labels = scored_metrics(table), table["label"].tolist()
    with left:
        metric = which_score(metrics)
    reference = right.selectbox(
        "Difference to",
        [_EVERY, *labels],
        index=[_EVERY, *labels].index(usual_reference(table) or _EVERY),
        key="to",
        bind="query-params",
        persist_state="page",
        help=f"Differences are taken seed by seed, on the same training and test data. With more than {MOST_IN_PAIRS} methods "
        "all others are compared with one of them unless you choose every two.",
    )
    _differences(compared, metric, "" if reference == _EVERY else reference)
    baseline = of_runs(baseline_of, compared.runs, metric=metric)
    constant = "" if baseline is None else f", baseline={baseline!r}"
    show(
        lambda: figures.scores(table, metric=metric, baseline=baseline, template=theme()),
        key="scores",
        kept=(compared.stamp, metric),
        table=table.drop(columns=["ids"]),
        code=compared.cell.draw(f"figures.scores(analysis.comparison(runs), metric={metric!r}{constant})"),
    )
    st.markdown("## All scores, costs and changes of the weights")
    st.dataframe(
        readable_comparison(table), hide_index=True, width="stretch", height=_height(table), key="compared-table"
    )
    st.caption("Brackets: 95 % intervals; the column interval says of what. Means over seeds where there are several.")


def _differences(compared: Compared, metric: str, reference: str) -> None:
    pairs = of_runs(paired_differences, compared.runs, metric=metric, reference=reference)
    if pairs.empty:
        st.info("One method alone: add another one of the same task to see differences.", icon=":material/add:")
        return
    _say(pairs["verdict"].tolist())
    readable = readable_differences(pairs)
    if pairs["pairs"].max() > 1:
        st.dataframe(readable, hide_index=True, width="stretch", height=_height(readable), key="differences-table")
        st.markdown(
            "Wilcoxon’s signed-rank test on the shared seeds, exact; [p corrected](glossary?term=p_corrected) for the number "
            "of tests in this table (Holm); [d_z](glossary?term=effect_size): mean difference over its spread; "
            "[r](glossary?term=rank_biserial): balance of the ranks, −1 to 1. So few seeds allow no p below “smallest p”."
        )
    call = f"analysis.paired_differences(runs, {metric!r}, reference={reference!r})"
    show(
        lambda: figures.paired_differences(pairs, template=theme()),
        key="differences",
        kept=(compared.stamp, metric, reference),
        table=readable,
        code=compared.cell.draw(f"figures.paired_differences({call})"),
    )


def _height(table: pandas.DataFrame) -> Literal["content", "auto"]:
    """All methods are seen at once; only longer tables scroll."""
    return "content" if len(table) <= _MOST_ROWS else "auto"


def _say(verdicts: list[str]) -> None:
    """What may be concluded of each difference."""
    many = len(verdicts) > _MOST_ROWS
    with st.expander(f"{len(verdicts)} differences in words", icon=":material/notes:") if many else nullcontext():
        st.markdown("\n".join(f"- {plain(verdict)}" for verdict in verdicts))
