"""Runs: all of them as a table, or one of them with its tabs; the address says which."""

from __future__ import annotations

import streamlit as st

from app.run_details.page import details
from app.run_list.page import run_list

if name := st.query_params.get("run", ""):
    details(name)
else:
    run_list()
