"""The draft of the visitor's session: kept beside the widgets, so that it outlives a visit to another page."""

from __future__ import annotations

import streamlit as st

from app.page import known_run, root
from bidora.drafts import NOT_IN_LINKS, Draft, of_config, of_query
from bidora.errors import LabError
from bidora.grid import group_name
from bidora.own_data import is_kept

_DRAFT, _VERSION, _LINK, _REMARKS = "new-run-draft", "new-run-version", "new-run-link", "new-run-remarks"
_GROUP = "new-run-group"


def draft() -> Draft:
    """The draft as the widgets left it; a link that was not followed yet replaces it."""
    query = {name: st.query_params[name] for name in st.query_params}
    if st.session_state.get(_LINK) != query or _DRAFT not in st.session_state:
        followed = bool(query) or _DRAFT not in st.session_state
        st.session_state[_LINK] = query
        if followed:
            found, remarks = of_query(query)
            if query.get("clone"):
                found, remarks = _clone(query["clone"], found, remarks)
            replace(found)
            st.session_state[_REMARKS] = remarks
    current: Draft = st.session_state[_DRAFT]
    return current


def replace(new: Draft) -> None:
    """Put another draft into place; all widgets begin anew with its values."""
    st.session_state[_DRAFT] = new
    st.session_state[_VERSION] = st.session_state.get(_VERSION, 0) + 1
    st.session_state[_REMARKS] = []


def remarks() -> list[str]:
    """What was passed over in the link that was followed."""
    return list(st.session_state.get(_REMARKS, []))


def key(name: str) -> str:
    """The key of a widget that belongs to this draft and to no earlier one."""
    return f"new-{name}-{st.session_state.get(_VERSION, 0)}"


def seeded(name: str, value: object) -> str:
    """The key of a widget, whose state is set to the draft's value where it has none yet."""
    found = key(name)
    if found not in st.session_state:
        st.session_state[found] = value
    return found


def _clone(name: str, before: Draft, remarks: list[str]) -> tuple[Draft, list[str]]:
    try:
        found = of_config(known_run(name).config)
    except (LabError, OSError):
        return before, [*remarks, f"There is no run {name[:40]!r} to copy the settings of."]
    found.hide, found.lock, found.question = before.hide, before.lock, before.question
    for name in NOT_IN_LINKS:  # an imported run may name any file of this machine
        value = found.values[name]
        if value and value != "hub" and not is_kept(value, root()):
            found.values[name] = ""
            remarks = [*remarks, f"The run's {name} was not uploaded here and was passed over; upload it below."]
    return found, remarks


def group(current: Draft) -> str:
    """The name of the group that the draft's runs will have: the question, and when it was asked first."""
    name = current.preset or "own"
    stored: tuple[str, str] | None = st.session_state.get(_GROUP)
    if stored is None or stored[0] != name:
        stored = (name, group_name(name))
        st.session_state[_GROUP] = stored
    return stored[1]


def begin_another_group() -> None:
    """Runs that are started from now on belong to another group than those before."""
    st.session_state.pop(_GROUP, None)
