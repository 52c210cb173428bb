"""Two levels."""

from __future__ import annotations

import streamlit as st

st.title("Two levels")
