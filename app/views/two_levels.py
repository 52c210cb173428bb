"""Two levels: the alternation of V and m on two numbers, step by step, with both parts of the hypergradient."""

from __future__ import annotations

import pandas
import streamlit as st

from app import charts
from app.learning import predicted, show_code
from app.page import link, theme
from bidora import figures, sandbox
from bidora.sandbox import alternation, levels, questions

LAST = 150  # the last upper step that can be looked at
PAUSE = 0.6  # seconds between two upper steps while the path plays


def settings() -> dict[str, float]:
    """ξ, the number of lower steps and both rates."""
    return dict(
        xi=st.slider(
            "ξ: length of the unrolled lower step",
            0.0,
            1.0,
            0.0,
            0.05,
            key="xi",
            bind="query-params",
            help="0 is first order: the implicit part is left out. DARTS takes the lower learning rate, Betty 1.",
        ),
        lower_steps=st.slider("Lower steps per upper step", 1, 20, 5, key="lower_steps", bind="query-params"),
        lower_rate=st.slider("Lower rate (of V)", 0.05, 0.5, 0.2, 0.05, key="lower_rate", bind="query-params"),
        outer_rate=st.slider("Outer rate (of m)", 0.02, 1.0, 0.1, 0.02, key="outer_rate", bind="query-params"),
    )


def at(step: int, *, playing: bool = False) -> None:
    """Go to an upper step; runs before the page is drawn."""
    st.session_state["upper_steps"] = min(max(step, 0), LAST)
    st.session_state["playing"] = playing


def buttons(step: int) -> None:
    """Play or pause, one step, reset."""
    with st.container(horizontal=True):
        if st.session_state.get("playing"):
            st.button("Pause", key="pause", icon=":material/pause:", type="primary", on_click=at, args=(step,))
        else:
            play = dict(on_click=at, args=(0 if step >= LAST else step,), kwargs=dict(playing=True))
            st.button("Play", key="play", icon=":material/play_arrow:", type="primary", **play)
        st.button("Step", key="one", icon=":material/skip_next:", on_click=at, args=(step + 1,), disabled=step >= LAST)
        st.button("Reset", key="reset", icon=":material/replay:", on_click=at, args=(0,))


def stage(clock: bool, with_solution: bool) -> None:
    """Controls, path and hypergradient at the present step; while it plays, each call goes one step further.

    Args:
        clock: whether this part of the page is redrawn by a clock.
        with_solution: whether the chart shows the solution.
    """
    state = st.session_state
    if "upper_steps" not in state:
        state["upper_steps"] = sandbox.step_from(st.query_params.get("upper_steps"), LAST)
    if state.get("playing", False) != clock:
        st.rerun()  # starts or stops the clock
    if clock:
        at(state["upper_steps"] + 1, playing=True)
        if state["upper_steps"] >= LAST:
            state["playing"] = False
            st.rerun()
    controls, drawing = st.columns([2, 3], gap="large")
    with controls:
        chosen = settings()
        count = st.slider("Upper steps taken", 0, LAST, key="upper_steps")
        buttons(count)
    if not clock:  # a step of a path that plays is no place to go back to
        if count:
            st.query_params["upper_steps"] = str(count)
        else:
            st.query_params.pop("upper_steps", None)
    problem = sandbox.PROBLEM
    trail = sandbox.alternate(problem, **chosen, upper_steps=count)
    V, m = trail.V[-1], trail.m[-1]
    slope, solved = sandbox.hypergradient(problem, V, m, xi=chosen["xi"]), problem.solved_slope(m)
    with drawing:
        if trail.left:
            st.warning(
                "The path ran out of the picture. A lower rate above 2 / (∂²L_tr/∂V²) or too large an outer rate makes a "
                "level diverge: choose a smaller one, or reset."
            )
        figure = figures.plane(problem, trail, slope, solution=with_solution, template=theme())
        charts.show(figure, key="plane", table=pandas.DataFrame({"V": trail.V, "m": trail.m}))
    arrows, numbers = st.columns(2, gap="large")
    with arrows:
        charts.show(figures.hypergradient_arrows(slope, solved, template=theme()), key="parts")
    with numbers:
        st.latex(rf"h = {slope.direct:+z.3f} {slope.implicit:+z.3f} = {slope.total:+z.3f}")
        st.latex(rf"\tfrac{{dF}}{{dm}} = {solved:+z.3f}")
        state_of(problem, V, m)


def state_of(problem: sandbox.TwoLevels, V: float, m: float) -> None:
    """Where the path is now, in numbers."""
    here = {
        "V": V,
        "V*(m)": problem.best_response(m),
        "m": m,
        "L_tr(V, m)": problem.lower.value(V, m),
        "L_val(V, m)": problem.upper.value(V, m),
        "F(m) = L_val(V*(m), m)": problem.solved_loss(m),
        "∂²L_tr/∂V²": problem.lower.curvature(m),
        "∂²L_tr/∂m∂V": problem.lower.mixed(V, m),
    }
    table = pandas.DataFrame(
        {"now": list(here), "value": [f"{float(value):z.4f}".replace("-", "−") for value in here.values()]}
    )
    st.dataframe(table, hide_index=True, width="stretch")


def explanation() -> None:
    """The formulas behind the page."""
    st.markdown("## The formulas")
    st.markdown(
        "The weight is W = m · (1, V): m stretches it, V turns it. Both losses are those of a linear regression."
    )
    st.latex(r"L(V, m) = \tfrac12 (W - a)^\top H (W - a)")
    st.markdown("The upper level minimises F(m) = L_val(V*(m), m), and V*(m) has a formula here:")
    st.latex(r"V^*(m) = \tfrac1m\big(a_2 - \tfrac{h_{12}}{h_{22}}(m - a_1)\big)")
    st.latex(
        r"\tfrac{dF}{dm} = \partial_m L_{val} - \frac{\partial^2_{mV} L_{tr}}{\partial^2_{VV} L_{tr}}\, \partial_V L_{val}"
    )
    st.markdown("BiDoRA does not wait for V*: it unrolls one lower step (DARTS, arXiv 1806.09055, eqs 6 and 7),")
    st.latex(r"V' = V - \xi\, \partial_V L_{tr}(V, m)")
    st.latex(r"\text{direct} = \partial_m L_{val}(V', m)")
    st.latex(r"\text{implicit} = -\xi\, \partial^2_{mV} L_{tr}(V, m)\, \partial_V L_{val}(V', m)")
    st.latex(r"h = \text{direct} + \text{implicit}")
    st.markdown(
        "Compare the two: once V stands at V*(m), h is the true slope exactly where ξ = 1 / (∂²L_tr/∂V²). A smaller ξ leaves "
        "part of the answer out, a larger one says too much. In a network there is no such single number, and AdamW's "
        "step is no ξ either; how much the implicit part weighs there is shown under Two levels in each BiDoRA run."
    )
    st.caption(
        "The toy leaves out DoRA's division by the norm, noise, batches and AdamW. Training: a = (1.0, 1.2), inputs correlated by "
        "0.8. Upper split: a = (1.8, 1.2), independent inputs. The order is the trainer's: the upper step goes through "
        "the last lower step of each group, before that step is taken."
    )


st.title("Two levels")
st.markdown(
    "The **lower** level trains the direction V on the training part; the **upper** level trains the magnitude m on the upper "
    "split, knowing that V will follow. Two numbers are enough to see what that knowledge is worth."
)
right, first_order, solution = questions.left_out_answer()
shown = predicted(
    sandbox.LEFT_OUT,
    right,
    finding=f"With ξ = 0, m comes to rest at {first_order:.2f}; the solution of both levels is m* = {solution:.2f}, the star below.",
    key="left-out",
)
clock = st.session_state.get("playing", False)
st.fragment(stage, run_every=PAUSE if clock else None)(clock, shown)
explanation()
show_code(alternation.hypergradient, alternation.alternate, levels.Quadratic, levels.TwoLevels)
link("new_run", "Next: a real run with both levels", icon=":material/arrow_forward:")
