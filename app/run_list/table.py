"""The table: filters above it, rows to choose; a click on a name opens the run."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

import streamlit as st

from app.run_details.states import IN_TABLES, SIGNS
from bidora.analysis.grouping import METHOD_NAMES
from bidora.analysis.overview import SORTS, Row, chosen_rows, overview, sorted_rows

CHOSEN, OPEN = "runs-chosen", "runs-open"
"""Session keys: ids of chosen runs; id of a run that is to be opened."""

_GENERATION = "runs-generation"


def filters(rows: Sequence[Row]) -> list[Row]:
    """Let the visitor narrow the list and put it in order; the address of the page says how."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Search",
            key="q",
            bind="query-params",
            persist_state="page",
            placeholder="name, tag, note, id …",
            help="Every word must occur somewhere in name, id, note, group, tags, task or method.",
            width=260,
        )
        by = st.selectbox("Sort by", SORTS, key="sort", bind="query-params", persist_state="page", width=180)
        with st.popover("Filter", icon=":material/filter_list:"):
            wanted = {
                name: _some(label, name, options)
                for name, label, options in (
                    ("task", "Task", sorted({row.task for row in rows})),
                    ("method", "Method", [name for name in METHOD_NAMES if any(row.method == name for row in rows)]),
                    ("state", "State", [name for name in SIGNS if any(row.state == name for row in rows)]),
                    ("group", "Group", sorted({row.group for row in rows} - {""})),
                    ("tag", "Tag", sorted({tag for row in rows for tag in row.tags})),
                )
            }
    return sorted_rows(chosen_rows(rows, text=text, **wanted), by)


def _some(label: str, name: str, options: Sequence[str]) -> list[str]:
    words = {"state": {state: sign.word for state, sign in SIGNS.items()}, "method": METHOD_NAMES}.get(name, {})
    key = f"filter-{name}"
    _keep_known(key, options)
    return st.multiselect(
        label, options, key=key, format_func=lambda each: words.get(each, each), placeholder="All", persist_state="page"
    )


def _keep_known(key: str, known: Collection[str]) -> None:
    """What is no longer there cannot be chosen.

    Set only where something is lost: a field that is set forgets what is being typed into it, and the page draws itself anew
    every two seconds.
    """
    before = st.session_state.get(key, [])
    kept = [each for each in before if each in known]
    if kept != before:
        st.session_state[key] = kept


def table(rows: Sequence[Row], shown: Sequence[Row]) -> list[str]:
    """Show the rows; returns the ids of those that are chosen."""
    known = {row.id: row for row in rows}
    _keep_known(CHOSEN, known)
    if not shown:
        st.info("No run fits the search and the filters.", icon=":material/search_off:")
    else:
        _draw(shown, st.session_state.get(CHOSEN, ()))
    return st.multiselect(
        "Chosen runs",
        list(known),
        key=CHOSEN,
        format_func=lambda each: f"{known[each].name} · {each}",
        placeholder="Tick rows above, or choose here",
        help="What the buttons below act on.",
        on_change=_redraw,
    )


def _draw(shown: Sequence[Row], chosen: Sequence[str]) -> None:
    ids = [row.id for row in shown]
    # Rows are chosen by their place: another order or number of rows must be another table.
    mark = hashlib.sha256("".join(ids).encode()).hexdigest()[:12]
    key = f"runs-table-{mark}-{st.session_state.get(_GENERATION, 0)}"
    st.dataframe(
        overview(shown, signs=IN_TABLES),
        key=key,
        hide_index=True,
        width="stretch",
        height=min(36 * len(ids) + 40, 560),
        on_select=lambda: _selected(key, ids),
        selection_mode=["multi-row", "single-cell"],
        selection_default={"selection": {"rows": [place for place, each in enumerate(ids) if each in chosen]}},
        column_config=_columns(),
        placeholder="–",
        alt="All runs, one row each; the same choice can be made in the field below.",
    )
    st.caption(
        "Click a name to open the run; tick rows to compare, change or delete several. ⚠: part of the folder is damaged."
    )


def _columns() -> dict[str, object]:
    column = st.column_config
    return {
        "name": column.TextColumn("Name", help="Click to open"),
        "state": "State",
        "steps": "Steps",
        "task": "Task",
        "method": "Method",
        "seed": column.NumberColumn("Seed", format="%d"),
        "score": column.NumberColumn(
            "Test score", format="%.3f", help="The task's primary score on the whole test set"
        ),
        "interval": column.TextColumn("95 % interval", help="Over test examples"),
        "metric": "Score is",
        "training_seconds": column.NumberColumn("Training (s)", format="%.1f"),
        "group": "Group",
        "tags": column.ListColumn("Tags"),
        "created": column.DatetimeColumn("Made", format="YYYY-MM-DD HH:mm"),
        "origin": "Origin",
        "note": column.TextColumn("Note", width="medium"),
        "id": "Id",
    }


def _selected(key: str, ids: Sequence[str]) -> None:
    if not key.endswith(f"-{st.session_state.get(_GENERATION, 0)}"):
        return  # with "back" the browser sends an earlier table's click once more
    selection = st.session_state[key]["selection"]
    st.session_state[CHOSEN] = [ids[row] for row in selection["rows"] if row < len(ids)]
    for row, column in selection["cells"]:
        if column == "name" and row < len(ids):
            st.session_state[OPEN] = ids[row]
            _redraw()  # the table of before is over, see above


def _redraw() -> None:
    """Draw the table anew, so that its ticks agree with what was chosen elsewhere."""
    st.session_state[_GENERATION] = st.session_state.get(_GENERATION, 0) + 1
