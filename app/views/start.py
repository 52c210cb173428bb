"""Start: a finished comparison, three doors, the last run, and what this machine has."""

from __future__ import annotations

import streamlit as st

from app.page import explained
from app.starting.doors import doors, last_run
from app.starting.finished import finished_comparison
from app.starting.here import data_card, device_card

st.title("BiDoRA Lab")
st.caption("What LoRA, DoRA and BiDoRA do to the weights of a model: learn it, train it, compare it.")
doors()
left, right = st.columns([2, 1], gap="medium")
with left, explained():
    finished_comparison()
with right:
    with explained():
        last_run()
    device_card()
    data_card()
