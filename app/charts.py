"""One way to show a figure: chart, words for those who cannot see it, data as table and CSV, code for a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

_BAR = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d"], "responsive": True}


def show(figure: go.Figure, *, key: str, table: pandas.DataFrame | None = None, code: str = "") -> None:
    """Draw a figure of bidora.figures with everything that belongs to it.

    Args:
        figure: its `layout.meta["alt"]` says in words what there is to see.
        key: unique on the page.
        table: the numbers behind it; shown folded, and offered as CSV.
        code: lines for a notebook that draw the same figure.
    """
    alt = str((figure.layout.meta or {}).get("alt", ""))
    st.plotly_chart(figure, key=key, theme=None, width="stretch", config=_BAR)
    if not alt and table is None and not code:
        return
    with st.expander("In words, as a table, as code", icon=":material/table_view:"):
        if alt:
            st.markdown(alt)
        if table is not None:
            st.dataframe(table, key=f"{key}-table", width="stretch", hide_index=True)
            st.download_button(
                "Download CSV",
                table.to_csv(index=False).encode(),
                file_name=f"{key}.csv",
                mime="text/csv",
                key=f"{key}-csv",
                icon=":material/download:",
                on_click="ignore",
            )
        if code:
            st.caption("The same figure in a notebook:")
            st.code(code, language="python")
