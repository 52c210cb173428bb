"""Start: a finished comparison, the last run, three doors, and what this machine has."""

from __future__ import annotations

import streamlit as st

from app.page import explained
from app.starting.doors import doors, last_run
from app.starting.finished import finished_comparison
from app.starting.here import data_card, device_card
from app.starting.opening import ADVICE, INTRODUCTION, TITLE

# Beside the menu a small window has no room for the doors, whose words would break: they go below the comparison.
DOORS_BELOW = """<style>
.st-key-first-screen [data-testid="stHorizontalBlock"] {flex-wrap: wrap;}
.st-key-first-screen [data-testid="stColumn"] {min-width: min(100%, 14rem);}
</style>"""

st.title(TITLE)
st.markdown(f"{INTRODUCTION}  \n:material/lightbulb: {ADVICE}")
st.html(DOORS_BELOW)
with st.container(key="first-screen"):
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
