"""Which runs are compared: by link, by group, by hand; the page's address always says which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import streamlit as st

from app.charts import plain
from app.comparing.reading import of_runs, stamp
from app.page import all_runs, is_recording
from bidora.analysis import LIMIT, Cell, Choice, block_in_words, cell, choices, named_runs, suggested
from bidora.analysis.grouping import variant_of
from bidora.runs import Run

_LAST, _METHODS, _RUNS = "compared-last", "compared-methods", "compared-runs"


@dataclass(frozen=True)
class Compared:
    """The runs of one task that the page shows.

    Attributes:
        runs: chosen, in the order of their ids.
        recorded: ids of recordings among all runs.
        stamp: of the runs before anything of them is read for this page.
    """

    runs: tuple[Run, ...]
    recorded: frozenset[str]
    stamp: str

    @cached_property
    def cell(self) -> Cell:
        """A notebook cell that finds them."""
        return cell(self.runs, recorded=self.recorded)


def choose() -> Compared | None:
    """Let the visitor choose runs, and say what a link names in vain; None where nothing can be shown."""
    runs = list({run.id: run for run in reversed(all_runs())}.values())[::-1]
    recorded = frozenset(run.id for run in runs if is_recording(run))
    if not runs:
        return None
    groups = of_runs(choices, runs, recorded=recorded)
    wanted = _wanted(runs, recorded, groups)
    chosen = _by_hand(runs, groups, wanted)
    _remember(chosen)
    if not chosen:
        st.info("Nothing is chosen. Choose at least two methods of one task above.", icon=":material/checklist:")
        return None
    return _of_one_task(chosen, recorded)


def _wanted(runs: Sequence[Run], recorded: frozenset[str], groups: list[Choice]) -> list[str]:
    """Ids that the link names, else those of this visitor's last look, else those about which most can be said."""
    ids, group = st.query_params.get("runs", ""), st.query_params.get("group", "")
    if ids or group:
        found, remarks = named_runs(runs, ids=ids, group=group)
        for remark in remarks:
            st.warning(plain(remark), icon=":material/link_off:")
        if found:
            return _at_most([run.id for run in found], groups)
    known = {run.id for run in runs}
    if not ids and not group and _LAST in st.session_state:
        return [each for each in st.session_state[_LAST] if each in known]
    own = [run for run in runs if run.id not in recorded]
    return [run.id for run in suggested(own) or suggested([run for run in runs if run.id in recorded])]


def _at_most(ids: list[str], groups: list[Choice]) -> list[str]:
    touched = [each for each in groups if not set(ids).isdisjoint((*each.ids, *each.older))]
    if len(touched) <= LIMIT:
        return ids
    st.warning(
        f"The link names {len(touched)} groups of runs; the first {LIMIT} are shown, as more lines cannot be told apart.",
        icon=":material/filter_list:",
    )
    kept = {run_id for each in touched[:LIMIT] for run_id in (*each.ids, *each.older)}
    return [each for each in ids if each in kept]


def _by_hand(runs: Sequence[Run], groups: list[Choice], wanted: list[str]) -> list[Run]:
    by_title = {each.title: (*each.ids, *each.older) for each in groups}
    st.session_state[_METHODS] = [title for title, ids in by_title.items() if not set(ids).isdisjoint(wanted)]
    st.multiselect(
        "Methods to compare",
        list(by_title),
        key=_METHODS,
        max_selections=LIMIT,
        on_change=_methods_changed,
        args=(by_title, tuple(wanted)),
        placeholder="Choose two methods or more",
        help="Runs that differ in nothing but the seed stand together as one entry, with any number of seeds; "
        f"up to {LIMIT} entries. Scores are compared within one task only.",
    )
    within = [run_id for title in st.session_state[_METHODS] for run_id in by_title[title]]
    by_id = {run.id: run for run in runs}
    with st.expander(f"{len(wanted)} of {len(within)} runs are taken: leave single runs out"):
        st.session_state[_RUNS] = [each for each in within if each in wanted]
        st.multiselect(
            "Runs",
            within,
            key=_RUNS,
            format_func=lambda run_id: _named(by_id[run_id]),
            on_change=lambda: _remember_ids(st.session_state[_RUNS]),
            help="Where one seed was run twice, only the newest of the chosen runs counts.",
        )
    return [by_id[each] for each in wanted if each in by_id]


def _named(run: Run) -> str:
    return f"{run.meta.get('name') or run.config.method} · {run.id} · {run.state}"


def _methods_changed(by_title: dict[str, tuple[str, ...]], before: tuple[str, ...]) -> None:
    """An entry that is new brings all its runs; one that stays keeps what was chosen of it."""
    ids: list[str] = []
    for title in st.session_state[_METHODS]:
        kept = [each for each in by_title[title] if each in before]
        ids += kept or by_title[title]
    _remember_ids(ids)


def _remember(runs: Sequence[Run]) -> None:
    ids = [run.id for run in runs]
    st.session_state[_LAST] = ids
    if not st.query_params.get("group") and st.query_params.get("runs", "") != ",".join(ids):
        st.query_params["runs"] = ",".join(ids)


def _remember_ids(ids: Sequence[str]) -> None:
    st.session_state[_LAST] = list(ids)
    st.query_params.pop("group", None)
    st.query_params["runs"] = ",".join(ids)


def _of_one_task(runs: Sequence[Run], recorded: frozenset[str]) -> Compared:
    tasks: dict[str, list[Run]] = {}
    for run in runs:
        config = run.config
        tasks.setdefault(block_in_words((config.task, variant_of(config), config.examples_per_class)), []).append(run)
    names = list(tasks)
    if len(names) > 1:
        st.info(
            f"The runs belong to {len(names)} tasks. Scores can only be compared within a task, so one is shown at a time.",
            icon=":material/call_split:",
        )
        name = st.selectbox("Task", names, key="task", bind="query-params", persist_state="page")
    else:
        name = names[0]
    return Compared(tuple(tasks[name]), recorded, stamp(tasks[name]))
