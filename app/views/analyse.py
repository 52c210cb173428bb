"""Analyse an adapter."""

from __future__ import annotations

import streamlit as st

st.title("Analyse an adapter")
