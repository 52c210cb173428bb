"""Decompose: a weight is a length and a heading; what a low-rank update can reach with and without lengths of its own."""

from __future__ import annotations

import numpy as np
import pandas
import streamlit as st

from app import charts
from app.learning import predicted, show_code
from app.page import explained, link, theme
from bidora import figures, sandbox
from bidora.sandbox import questions, reach, units

VECTOR, MATRIX, REACH = "A vector", "A matrix", "What an update reaches"


def vector() -> None:
    """An arrow with length and heading."""
    st.markdown(
        "A weight vector is a **length** (its magnitude m) and a **heading** (its direction V). Change one at a time: "
        "ΔM answers to the first slider only, ΔD to the second only."
    )
    controls, drawing = st.columns([2, 3], gap="large")
    with controls:
        length = st.slider(
            "Length of W", 0.2, 3.0, 2.6, 0.1, key="length", bind="query-params", help="m; W0 has length 2"
        )
        turn = st.slider(
            "Turn W by (degrees)",
            -180,
            180,
            25,
            key="turn",
            bind="query-params",
            help="against W0, which points to 30°",
        )
        before, after = sandbox.vector_pair(length, turn)
        change = sandbox.unit_changes(before[None], after[None])
        m0, m, moved, apart, angle = (float(each[0]) for each in change)
        with st.container(horizontal=True, gap="small"):
            st.metric("ΔM", f"{moved:.2f}", width="content", help="|m − m₀|: DoRA, eq. 3, for one unit")
            st.metric("Angle", f"{angle:.0f}°", width="content")
            st.metric("ΔD", f"{apart:.4f}", width="content", help="1 − cos: DoRA, eq. 4, for one unit; from 0 to 2")
        st.latex(rf"\Delta M = |{m:.2f} - {m0:.2f}| = {moved:.2f}")
        st.latex(rf"\Delta D = 1 - \cos {angle:.0f}^\circ = {apart:.4f}")
        st.caption(
            "Small angles give tiny ΔD, since 1 − cos φ ≈ φ²/2: 5° is 0.004, 10° is 0.015, 60° is 0.5. "
            "On a plot of ΔM against ΔD, real layers sit far to the left for this reason."
        )
    with drawing:
        charts.show(figures.arrows(before, after, template=theme()), key="arrows")
    show_code(units.vector_pair, units.arrow, units.unit_changes)


def matrix() -> None:
    """A small matrix to edit, along both norm axes."""
    st.markdown(
        "A weight matrix has one length and one heading **per unit**. Which units? PEFT takes the rows of "
        "`nn.Linear.weight` (one per output), the published BiDoRA code its columns (one per input)."
    )
    axis = st.radio(
        "Norm axis",
        ["output", "input"],
        key="axis",
        bind="query-params",
        captions=["one magnitude per row, as in PEFT and DoRA", "one per column, as in the published BiDoRA code"],
    )
    W = edited_matrix()
    with explained():
        W = units.checked(W)
        m, V = sandbox.decompose(W, axis)
        change = sandbox.unit_changes(units.INITIAL, W, axis)
        shapes = rf"\underbrace{{W}}_{{{units.shape_text(W)}}} = \underbrace{{m}}_{{{units.shape_text(m)}}} \odot "
        st.latex(shapes + rf"\underbrace{{V}}_{{{units.shape_text(V)}}}")
        with st.container(horizontal=True, gap="large"):
            st.metric(
                "ΔM", f"{change.delta_m:.4f}", width="content", help="mean of |m − m₀| over the units: DoRA, eq. 3"
            )
            st.metric(
                "ΔD", f"{change.delta_d:.4f}", width="content", help="mean of 1 − cos over the units: DoRA, eq. 4"
            )
            error = units.rebuilding_error(W, axis)
            st.metric(
                "Largest |m ⊙ V − W|", f"{error:.0e}", width="content", help="rounding only: the split loses nothing"
            )
        left, right = st.columns(2, gap="large")
        with left:
            st.markdown(f"**Per {'row' if axis == 'output' else 'column'}: lengths and headings against W0**")
            st.dataframe(pandas.DataFrame(units.unit_rows(change, axis)), hide_index=True, width="stretch")
        with right:
            st.markdown(f"**V: every {'row' if axis == 'output' else 'column'} has norm 1**")
            st.dataframe(pandas.DataFrame(V, columns=columns()), hide_index=True, width="stretch")
        st.latex(rf"\Delta M = \tfrac1{{{len(m)}}}\textstyle\sum_n |m_n - m_{{0,n}}| = {change.delta_m:.4f}")
        st.latex(rf"\Delta D = \tfrac1{{{len(m)}}}\textstyle\sum_n (1 - \cos(V_n, W_{{0,n}})) = {change.delta_d:.4f}")
        st.caption(
            "As the page opens, row 1 only became longer (×1.2), row 2 only turned (16°) and row 3 stayed. By rows this "
            "is plain to see; by columns the same change looks like lengths and headings of all units. Numbers along "
            "different axes cannot be compared."
        )
    show_code(units.decompose, units.unit_changes, units.rebuilding_error)


def columns() -> list[str]:
    """Headings of the matrix's columns."""
    return [f"in {number}" for number in range(1, units.SHAPE[1] + 1)]


def edited_matrix() -> np.ndarray:
    """W as the visitor has it: from the address at first, then from the editor, which keeps the address up to date."""
    state = st.session_state
    asked = st.query_params.get("W")
    if f"W-{state.get('W-version')}" not in state or asked != state["W-text"]:
        state["W-base"], state["W-version"] = units.CHANGED, state.get("W-version", 0) + 1
        known = asked or state.get("W-text")
        if known:
            with explained():
                state["W-base"] = sandbox.matrix_from(known)
    st.markdown("**W: edit any number** (W0 stays; its rows have the lengths 5, 5 and 3)")
    cells = {name: st.column_config.NumberColumn(format="%.4g", step=0.01) for name in columns()}
    table = pandas.DataFrame(state["W-base"], columns=columns())
    edited = st.data_editor(table, key=f"W-{state['W-version']}", column_config=cells, hide_index=True, width="stretch")
    with st.container(horizontal=True):
        st.button("As the page opened", key="W-again", on_click=begin_with, args=(units.CHANGED,))
        st.button("Back to W0", key="W-initial", on_click=begin_with, args=(units.INITIAL,))
    W = edited.to_numpy(dtype=float)
    if units.usable(W) or "W-text" not in state:  # an empty cell is no state to link to
        state["W-text"] = sandbox.matrix_text(W)
    st.query_params["W"] = state["W-text"]
    return W


def begin_with(weight: np.ndarray) -> None:
    """Give the editor another matrix to begin with."""
    st.query_params["W"] = sandbox.matrix_text(weight)


def reachable() -> None:
    """LoRA against DoRA on a change that the visitor describes."""
    st.markdown(
        "A 6 × 8 weight W0 shall become W*. LoRA may add any matrix of rank r; DoRA may also choose the length of every "
        "row. How near do they come?"
    )
    right, left_over = questions.lengths_only_answer()
    finding = f"After LoRA of rank 1, {left_over:.0%} of the change is left over; after DoRA of rank 1, nothing."
    shown = predicted(sandbox.LENGTHS_ONLY, right, finding=finding, key="reach")
    controls, drawing = st.columns([2, 3], gap="large")
    with controls:
        change = st.radio(
            "What changes",
            ["lengths", "headings", "both"],
            key="change",
            bind="query-params",
            captions=["each row by its own percentage", "every row by the same angle", "lengths and headings"],
        )
        percent = st.slider(
            "Largest change of a length (%)",
            0,
            80,
            30,
            key="percent",
            bind="query-params",
            disabled=change == "headings",
        )
        degrees = st.slider(
            "Turn every row by (degrees)", 0, 80, 30, key="degrees", bind="query-params", disabled=change == "lengths"
        )
        turning = st.radio(
            "Rows turn towards",
            ["own", "shared"],
            key="turning",
            bind="query-params",
            disabled=change == "lengths",
            captions=["a vector of their own", "one vector shared by all rows"],
        )
    target = sandbox.target_weight(change, percent=percent, degrees=degrees, turning=turning)
    with drawing:
        if shown:
            found = sandbox.reach_by_rank(target)
            table = pandas.DataFrame(found) if found else None
            charts.show(figures.reachable(found, template=theme()), key="reachable", table=table)
        else:
            st.info("The chart appears with your prediction, or without one: “Show without predicting”.")
    st.latex(r"\text{LoRA:}\quad \min_{\operatorname{rank} BA \le r} \|W^* - (W_0 + BA)\|_F")
    st.latex(
        r"\text{DoRA:}\quad \min_{m,\,\operatorname{rank} BA \le r} \Big\|W^* - m \odot \tfrac{W_0 + BA}{\|W_0 + BA\|}\Big\|_F"
    )
    st.caption(
        "LoRA's best is exact (Eckart and Young). DoRA's has no formula: the search starts from LoRA's best and from the best "
        "lengths alone, is run until it stands still, and keeps the better end: a local optimum, with all lengths above zero. "
        "DoRA has six free numbers more at the same rank (14 r + 6 against 14 r), so its best is never worse; the question is "
        "where these six are worth having. One more rank, 14 numbers, is the comparison on the other side. And that a weight "
        "can be reached does not say that training finds it."
    )
    show_code(reach.lora_fit, reach.dora_fit, reach.nearest_scale, reach.target_weight)


st.title("Decompose")
st.caption(
    "Weights as lengths and headings (DoRA, arXiv 2402.09353, eqs 2 to 5). The address of this page holds what you set."
)
part = st.segmented_control(
    "Part", [VECTOR, MATRIX, REACH], default=VECTOR, required=True, key="part", bind="query-params"
)
{MATRIX: matrix, REACH: reachable}.get(part, vector)()
link("two_levels", "Next: two levels, m on top and V below", icon=":material/arrow_forward:")
