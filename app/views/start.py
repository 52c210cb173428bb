"""Start: a finished comparison, three doors, the last run, and what this machine has."""

from __future__ import annotations

import streamlit as st

from app.page import explained
from app.starting.doors import doors, last_run
from app.starting.finished import finished_comparison
from app.starting.here import data_card, device_card

st.title("BiDoRA Lab")
st.markdown(
    "**LoRA, DoRA and BiDoRA** adapt a pretrained model by training a small addition to its weights. DoRA splits each weight "
    "into a length (the magnitude) and a direction; BiDoRA trains these two on different parts of the data. This lab lets you "
    "see what that does to the weights, train it on real data, and check whether it helps.  \n"
    ":material/lightbulb: New here? Open **Decompose a weight** and move a slider, or read the finished comparison below."
)
doors()
left, right = st.columns([2, 1], gap="medium")
with left, explained():
    finished_comparison()
with right:
    with explained():
        last_run()
    device_card()
    data_card()
