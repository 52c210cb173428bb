"""A run with its tabs; refreshed every two seconds while it is at work, and not at all otherwise."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.charts import plain
from app.page import explained, known_run, link, show_error, tab_title
from app.run_details.actions import actions
from app.run_details.config import config_tab
from app.run_details.files import files_tab
from app.run_details.header import header
from app.run_details.levels import levels_tab
from app.run_details.live import live_tab
from app.run_details.log import log_tab
from app.run_details.samples import samples_tab
from app.run_details.weights import weights_tab
from bidora.errors import LabError
from bidora.queueing import read_queue
from bidora.runs import ACTIVE, Run

REFRESH_SECONDS = 2

TABS: dict[str, Callable[[Run], None]] = {
    "Live": live_tab,
    "Weights": weights_tab,
    "Two levels": levels_tab,
    "Samples": samples_tab,
    "Config": config_tab,
    "Log": log_tab,
    "Files": files_tab,
}


def details(name: str) -> None:
    """Show the run of that id; an id that is none is explained.

    Args:
        name: from the page's address; not to be trusted.
    """
    link("runs", "All runs", icon=":material/arrow_back:")
    try:
        run = known_run(name)
    except LabError as error:
        st.title("No such run")
        show_error(error)
        return
    title = str(run.meta.get("name") or run.id)[:200]
    st.set_page_config(page_title=tab_title(title))
    st.title(plain(title))
    st.caption(run.id)
    watched = is_watched(run)
    st.fragment(_body, run_every=REFRESH_SECONDS if watched else None)(run, watched)


def is_watched(run: Run) -> bool:
    """Whether something is about to change by itself: the run is at work, or waits while others are."""
    state = run.state
    return state in ACTIVE or (state == "queued" and bool(read_queue(run.path.parent).active))


def _body(run: Run, watched: bool) -> None:
    if not run.path.is_dir():
        st.rerun()  # somebody has deleted it: the whole page says so
    with explained():
        if watched and not is_watched(run):
            st.rerun()  # it is over: the page is drawn once more, and from then on nothing polls
        standing = header(run)
        actions(run, standing)
    tab = st.segmented_control(
        "Part",
        list(TABS),
        default="Live",
        required=True,
        key="tab",
        bind="query-params",
        persist_state="page",
        help="Only the chosen part is computed and drawn.",
    )
    with explained():
        TABS[tab](run)
