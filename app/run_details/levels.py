"""Tab Two levels: direct and implicit part of the hypergradient, and whether m is alive."""

from __future__ import annotations

import streamlit as st

from app.charts import plain, show
from app.comparing.reading import of_runs, stamp
from app.page import is_recording, link, theme
from bidora import figures
from bidora.analysis import Cell, cell, curves, dynamics_table
from bidora.analysis.motion import magnitude_motion
from bidora.config import is_bilevel
from bidora.methods import METHODS
from bidora.runs import ACTIVE, Run
from bidora.verdict import has_magnitude, magnitude_verdict

_PARTS = ["direct_norm", "implicit_norm", "cosine"]
_COLUMNS = ["phase", "step", "examples_seen", "seconds", "gradient_evaluations", "quantity", "value"]


def levels_tab(run: Run) -> None:
    """What happens on the two levels; a sentence for methods that have one."""
    code = cell([run], recorded=frozenset({run.id} if is_recording(run) else ()))
    if is_bilevel(run.config):
        _hypergradient(run, code)
    else:
        others = " and ".join(method.title for method in METHODS.values() if method.bilevel)
        st.info(
            "This method has one level: everything that is trained is trained on the same data by the same steps. Of the "
            f"methods, {others} train one part on data that are kept from the rest.",
            icon=":material/stacks:",
        )
        link("two_levels", "What two levels are, by hand", icon=":material/stacks:")
    mark, motion = stamp([run]), of_runs(_motion, [run])
    verdict = magnitude_verdict(run.config, motion)
    if not has_magnitude(run.config):
        st.markdown(plain(verdict.sentence))
        return
    label = str(motion["label"].iloc[0]) if len(motion) else ""
    show(
        lambda: figures.magnitude_motion(motion, verdicts={label: verdict.sentence}, template=theme()),
        key="motion",
        kept=mark,
        table=motion.drop(columns=["run", "label", "method", "seed"]) if len(motion) else None,
        code=code.draw(
            "figures.magnitude_motion(magnitude_motion(analysis.dynamics_table(runs, checkpoints=0, every_phase=True)))",
            prepare="from bidora.analysis.motion import magnitude_motion",
        ),
    )


def _hypergradient(run: Run, code: Cell) -> None:
    mark, table = stamp([run]), of_runs(curves, [run])
    parts = table[table["quantity"].isin(_PARTS)]
    if parts.empty:
        st.info(
            "No hypergradient is recorded yet: its first values come after a few steps of the search."
            if run.state in (*ACTIVE, "queued")
            else "No hypergradient was recorded: the run ended before its first values, or metrics.jsonl is missing.",
            icon=":material/stacks:",
        )
        return
    show(
        lambda: figures.two_levels(table, template=theme()),
        key="levels",
        kept=mark,
        table=parts[_COLUMNS],
        code=code.draw("figures.two_levels(analysis.curves(runs))"),
    )


def _motion(runs: list[Run]) -> object:
    return magnitude_motion(dynamics_table(runs, checkpoints=0, every_phase=True))
