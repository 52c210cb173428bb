"""Analyses of run folders, kept until a file of one of the runs changes: a click on a switch reads nothing again."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from hashlib import sha256
from typing import Any

import streamlit as st

from bidora.recordings import recordings_root
from bidora.runs import Run
from bidora.wording import score_name

_FILES = ("config.json", "meta.json", "status.json", "result.json", "metrics.jsonl", "dynamics.parquet")


def stamp(runs: Sequence[Run]) -> str:
    """What changes when a run does: its files' times and its state (a worker that died writes nothing).

    Nobody works on recordings, so one look at the folder does for them.
    """
    recorded = recordings_root()
    marks = [
        (str(run.path), _time(run, ""))
        if run.path.parent == recorded
        else (str(run.path), run.state, *(_time(run, name) for name in _FILES))
        for run in runs
    ]
    return sha256(repr(marks).encode()).hexdigest()


def of_runs(analysis: Callable[..., Any], runs: Sequence[Run], **options: Hashable) -> Any:
    """The result of `analysis(runs, **options)`; callers get a copy of their own.

    Args:
        analysis: a function of bidora.analysis.
        runs: what it reads.
        options: its other arguments.
    """
    name = f"{analysis.__module__}.{analysis.__qualname__}"
    return _kept(name, stamp(runs), tuple(sorted(options.items())), _analysis=analysis, _runs=list(runs))


@st.cache_data(max_entries=128, show_spinner=False)
def _kept(
    name: str,
    stamped: str,
    options: tuple[tuple[str, Hashable], ...],
    _analysis: Callable[..., Any],
    _runs: list[Run],
) -> Any:
    return _analysis(_runs, **dict(options))


def which_score(metrics: Sequence[str]) -> str:
    """Let the visitor choose one of the scores that the runs have, by the names that tables use.

    Addresses may name a score as files do (macro_f1), too: so did those that this page gave out at first.
    """
    asked = st.query_params.get("metric", "")
    if asked in metrics and asked != score_name(asked):
        st.query_params["metric"] = score_name(asked)  # the box knows readable names only, and reads the address once
        st.rerun()
    return st.selectbox(
        "Score", metrics, format_func=score_name, key="metric", bind="query-params", persist_state="page"
    )


def _time(run: Run, name: str) -> int:
    try:
        return os.stat(f"{run.path}/{name}").st_mtime_ns
    except OSError:
        return 0
