"""Published results: the tables of the paper as printed, in test items, and beside our own runs."""

from __future__ import annotations

import streamlit as st

from app.charts import plain
from app.comparing.reading import of_runs
from app.page import all_runs, explained, link
from bidora import published

TABLES = {table.name: table for table in published.TABLES}

st.title("Published results")
st.caption(
    "The tables of the BiDoRA paper as printed, what their differences amount to, and finished runs of this lab beside them. "
    "No number in the first two parts is ours."
)
with explained():
    left, right = st.columns(2)
    title = left.selectbox("Table", list(TABLES), key="table", bind="query-params", persist_state="page")
    table = TABLES[title]
    others = published.compared_with(table)
    second = right.selectbox(
        "Difference of BiDoRA to",
        others,
        index=others.index("DoRA"),
        key=f"minus-{table.key}",
        help="Where several ranks are printed, those of equal rank are compared.",
    )

    st.header("As printed", anchor="printed", divider="gray")
    st.dataframe(published.printed(table), hide_index=True, width="stretch", key="published-scores")
    st.caption(f"Source: {published.SOURCE}. MCC and correlations are printed times 100; MSE: lower is better.")
    if table.note:
        st.markdown(plain(table.note))

    st.header("In test items", anchor="items", divider="gray")
    st.markdown(
        "How many answers of the test set each published difference is. Both scores are printed with one decimal, so each "
        "count may be off by the number after ±."
    )
    st.dataframe(
        published.differences_table(table, "BiDoRA", second), hide_index=True, width="stretch", key="published-items"
    )
    if table.number == "Table 1":
        st.markdown(plain(published.signed_rank_sentence()))

    st.header("Beside our runs", anchor="ours", divider="gray")
    found = of_runs(published.beside, all_runs())
    ours = found[found["key"] == table.key]
    if ours.empty:
        st.info(
            "No finished run of yours has a task and a method of this table yet. `bidora reproduce --list` names the "
            "official settings; any task of the table can be trained under New run, too.",
            icon=":material/play_arrow:",
        )
        link("new_run", "Train one of these tasks", icon=":material/play_arrow:")
    else:
        st.dataframe(ours.drop(columns=["key", "table"]), hide_index=True, width="stretch", key="published-ours")
        st.caption(
            "Runs with another model, other data or other settings do not repeat a published one; the columns say which. "
            "Brackets: 95 % intervals, with one seed of another test set, with several of another seed."
        )
    link("glossary", "What the tests and test items mean", icon=":material/menu_book:", term="test_items")
