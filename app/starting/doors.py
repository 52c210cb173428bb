"""Three doors, and the way back to the last run."""

from __future__ import annotations

import streamlit as st

from app.charts import plain
from app.page import explained, go, link, root
from bidora.launch import resume
from bidora.runs import ACTIVE, Run, list_runs

DOORS = (
    (
        "Learn",
        ":material/school:",
        "See what length and direction of a weight are, and what two levels do: at once, without training.",
        (("decompose", "Decompose a weight"), ("two_levels", "Two levels")),
    ),
    (
        "Train",
        ":material/play_arrow:",
        "Train LoRA, DoRA, BiDoRA or everything on real data: from 30 seconds, on this machine.",
        (("new_run", "New run"), ("runs", "Runs")),
    ),
    (
        "Analyse",
        ":material/query_stats:",
        "Compare finished runs fairly, or see what any PEFT adapter did to its weights.",
        (("compare", "Compare runs"), ("analyse", "Analyse an adapter")),
    ),
)
"""Title, icon, sentence, and links (view, label)."""


def doors() -> None:
    """Learn, Train, Analyse: a card each, with one sentence."""
    for title, icon, sentence, links in DOORS:
        with st.container(border=True):
            st.markdown(f"## {icon} {title}")
            st.markdown(sentence)
            for view, label in links:
                link(view, label)


def last_run() -> None:
    """The newest run of this machine, as far as it got, and how to go on with it."""
    runs = list_runs(root())
    if not runs:
        return
    run = runs[0]
    with st.container(border=True):
        st.markdown("## :material/history: Your last run")
        st.markdown(f"{plain(str(run.meta.get('name') or run.id))}: **{plain(_where(run))}**")
        if run.state in ("stopped", "lost") and st.button(
            "Go on with it", icon=":material/resume:", help="From its last checkpoint, in a process of its own."
        ):
            with explained():
                resume(run)
                go("runs", run=run.id)
        words = "Watch it" if run.state in ACTIVE else "Open it"
        link("runs", words, icon=":material/monitoring:", run=run.id)


def _where(run: Run) -> str:
    status = run.status
    step, total = status.get("step"), status.get("total")
    if status["state"] == "lost":
        return f"interrupted at step {step}" if step else "interrupted"
    if status["state"] in ("finished", "queued") or not step:
        return str(status["state"])
    return f"{status['state']}, step {step} of {total}" if total else f"{status['state']}, step {step}"
