"""Tab Config: settings, those that differ from the defaults first; as command, as notebook cell; environment and hashes."""

from __future__ import annotations

import streamlit as st

from bidora.analysis.described import environment_table, settings_of
from bidora.preview import command_lines, notebook_cell
from bidora.runs import Run


def config_tab(run: Run) -> None:
    """With what the run was made."""
    config = run.config
    changed, defaults = settings_of(config)
    st.markdown("## Settings that differ from the defaults")
    st.dataframe(changed, hide_index=True, width="stretch", key="changed-table")
    with st.expander(f"{len(defaults)} settings at their defaults", icon=":material/tune:"):
        st.dataframe(defaults, hide_index=True, width="stretch", key="defaults-table")
    group = str(run.meta.get("group") or "")
    st.markdown("## The same run as command")
    st.code(command_lines([config], group=group), language="bash", wrap_lines=True)
    st.markdown("## The same run as notebook cell")
    st.code(notebook_cell([config], group=group), language="python", wrap_lines=True)
    st.markdown("## Environment, data and weights")
    table = environment_table(run.meta)
    if table.empty:
        st.info("Written when data and model have been read.", icon=":material/schedule:")
        return
    st.dataframe(table, hide_index=True, width="stretch", key="environment-table")
    st.caption("Equal hashes: the very same examples or weights, bit for bit.")
