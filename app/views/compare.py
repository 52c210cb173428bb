"""Compare: all methods side by side, with any number of seeds, from own runs and recordings."""

from __future__ import annotations

import streamlit as st

from app.comparing.choosing import choose
from app.comparing.curves import curves_part, levels_part
from app.comparing.fairness import fairness_box
from app.comparing.others import cost_part, samples_part, settings_part
from app.comparing.scores import scores_part
from app.comparing.weights import weights_part
from app.page import explained, link

PARTS = {
    "Scores": scores_part,
    "Settings": settings_part,
    "Curves": curves_part,
    "Weights": weights_part,
    "Two levels": levels_part,
    "Cost": cost_part,
    "Samples": samples_part,
}

st.title("Compare")
st.caption(
    "Methods side by side, seed by seed, with what may and may not be concluded. The address of this page is a link to it."
)
with explained():
    compared = choose()
    if compared is None:
        st.markdown("Comparisons need finished runs: two methods or more, best with three seeds each or more.")
        link("new_run", "Train methods and seeds as a group", icon=":material/play_arrow:")
    else:
        fairness_box(compared)
        part = st.segmented_control(
            "Part",
            list(PARTS),
            default="Scores",
            required=True,
            key="part",
            bind="query-params",
            persist_state="page",
            help="Only the chosen part is computed and drawn.",
        )
        PARTS[part](compared)
