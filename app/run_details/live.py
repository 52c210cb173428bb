"""Tab Live: losses of both levels, test score with the constant answer, gap; whether m is alive."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from app.charts import plain, show
from app.comparing.reading import of_runs, stamp
from app.page import is_recording, theme
from bidora import figures
from bidora.analysis import cell, curves, dynamics_table, measured
from bidora.analysis.motion import magnitude_motion
from bidora.config import is_bilevel
from bidora.runs import ACTIVE, Run
from bidora.verdict import Verdict, magnitude_verdict

if TYPE_CHECKING:
    import pandas

_COLUMNS = ["phase", "step", "global_step", "examples_seen", "seconds", "gradient_evaluations", "quantity", "value"]
_BADGES = {
    "alive": ("favorite", "green"),
    "still": ("pause", "orange"),
    "dead": ("heart_broken", "red"),
    "none": ("block", "gray"),
    "unknown": ("help", "gray"),
}


def live_tab(run: Run) -> None:
    """What was measured on the way."""
    verdict = of_runs(_alive, [run])
    icon, colour = _BADGES.get(verdict.kind, _BADGES["unknown"])
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(verdict.short, icon=f":material/{icon}:", color=colour)
        st.caption(plain(verdict.sentence))
    mark, table = _held(run, stamp([run]), of_runs(curves, [run]))
    if table.empty:
        waiting = run.state in (*ACTIVE, "queued")
        st.info(
            "No numbers yet. The first ones are written after the first step."
            if waiting
            else "No numbers were recorded: the run ended before its first step, or metrics.jsonl is missing.",
            icon=":material/show_chart:",
        )
        return
    _charts(run, mark, table)


def _held(run: Run, mark: str, table: pandas.DataFrame) -> tuple[str, pandas.DataFrame]:
    """The newest numbers with their stamp, or those of the moment at which the visitor asked the charts to stand still.

    Streamlit takes a chart with new data for a new chart, so a zoom lasts only as long as the numbers do.
    """
    kept = f"held-{run.id}"
    if run.state not in ACTIVE:
        st.session_state.pop(kept, None)
        return mark, table
    hold = st.toggle(
        "Hold the charts still",
        key="hold",
        help="New numbers redraw the charts and undo a zoom. On: they stay as they are until you switch it off.",
    )
    if not hold:
        st.session_state.pop(kept, None)
        return mark, table
    return st.session_state.setdefault(kept, (mark, table))


def _charts(run: Run, mark: str, table: pandas.DataFrame) -> None:
    about = of_runs(measured, [run])
    code = cell([run], recorded=frozenset({run.id} if is_recording(run) else ()))
    metric = f"test_{about.metric}"
    options = {"examples": about.examples} | ({} if about.baseline is None else {"baseline": about.baseline})
    charts = {
        "loss": (("loss", "upper_loss") if is_bilevel(run.config) else ("loss",), {"loss_unit": about.loss_unit}),
        "score": ((metric,), options),
        "gap": (("gap",), {}),
    }
    for key, (quantities, more) in charts.items():
        words = "".join(f", {name}={value!r}" for name, value in more.items())
        show(
            partial(figures.learning_curves, table, quantities=quantities, template=theme(), **more),
            key=f"live-{key}",
            kept=mark,
            table=table[table["quantity"].isin(quantities)][_COLUMNS],
            code=code.draw(f"figures.learning_curves(analysis.curves(runs), quantities={quantities!r}{words})"),
        )


def _alive(runs: list[Run]) -> Verdict:
    motion = magnitude_motion(dynamics_table(runs, checkpoints=0, every_phase=True))
    return magnitude_verdict(runs[0].config, motion)
