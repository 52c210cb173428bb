"""Start: a finished comparison, the last run, three doors, and what this machine has."""

from __future__ import annotations

import streamlit as st

from app.page import explained
from app.starting.doors import doors, last_run
from app.starting.finished import finished_comparison
from app.starting.here import data_card, device_card
from app.starting.opening import ADVICE, INTRODUCTION, TITLE

st.title(TITLE)
st.markdown(f"{INTRODUCTION}  \n:material/lightbulb: {ADVICE}")
left, right = st.columns([2, 1], gap="medium")
with left, explained():
    finished_comparison()
with right:
    with explained():
        last_run()
    doors()
left, right = st.columns(2, gap="medium")
with left:
    device_card()
with right:
    data_card()
