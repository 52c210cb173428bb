"""What will happen: how many runs, how long, in which phases, what stands in the way, and the same as code."""

from __future__ import annotations

import re
from collections.abc import Sequence

import streamlit as st

from app.charts import plain
from app.forms import label_of
from app.page import all_runs, link, root, worded
from bidora.config import RunConfig
from bidora.drafts import FIELDS
from bidora.errors import LabError
from bidora.estimate import Estimate, estimate_of_group
from bidora.preflight import Check, preflight_of_group, worst
from bidora.preview import command_lines, kinds_in_words, notebook_cell, sweep_line, work_in_words
from bidora.queueing import read_queue
from bidora.wording import counted, duration, size

ICONS = {True: ":material/check_circle:", False: ":material/cancel:", None: ":material/info:"}
WORDS = {True: "fine", False: "in the way", None: "to know"}
"""What an icon means, for those who do not see it."""
_COLUMN_NAMED = re.compile(r"\bname ([a-z ]+) with (input_column|label_column)\b")
"""What a hint for commands says; here these settings are fields."""


def outlook_part(configs: Sequence[RunConfig], *, group: str, code: bool = True) -> bool:
    """Show it; returns whether nothing stands in the way of a start."""
    expected = _estimate(configs)
    st.header("What will happen")
    st.markdown(
        f"**{counted(len(configs), 'run')}**, time **{_about(duration(expected.seconds), expected.seconds)}** one after the "
        f"other, peak memory **{_about(size(expected.memory), expected.memory)}** ({plain(expected.basis)}).\n\n"
        f"{plain(work_in_words(configs))}"
    )
    for line in kinds_in_words(configs):
        st.markdown(f"- {plain(line)}")
    with st.spinner("Looking at data, model and machine …"):
        checks = preflight_of_group(configs, root(), memory=expected.memory)
    _checks(checks)
    if code:
        _code(configs, group)
    return worst(checks) is not False


def _about(words: str, value: float | None) -> str:
    return f"about {words}" if value else "unknown"


def _estimate(configs: Sequence[RunConfig]) -> Estimate:
    try:
        return estimate_of_group(configs, all_runs(), limit=read_queue(root()).limit)
    except LabError:  # said by the preflight
        return Estimate(None, None, "unknown, as something stands in the way")


def _checks(checks: Sequence[Check]) -> None:
    """Problems and things to know in sight; what is fine, folded."""
    for check in checks:
        if check.ok is False:
            words = f"**{check.topic}**: {worded(check.sentence)}"
            st.error(f"{words} {_hint(check)}", icon=ICONS[False])
    for check in checks:
        if check.ok is None:
            st.markdown(f"{ICONS[None]} **{check.topic}**: {worded(check.sentence)} {_hint(check)}")
            if check.run:
                link("runs", f"Open {check.run}", icon=":material/open_in_new:", run=check.run)
    fine = [check for check in checks if check.ok]
    with st.expander(f"{counted(len(fine), 'check is', 'checks are')} fine", key="new-run-checks"):
        for check in fine:
            st.markdown(f"{ICONS[True]} **{check.topic}**: {worded(check.sentence)}")


def _hint(check: Check) -> str:
    hint = _COLUMN_NAMED.sub(lambda found: f"choose {found[1]} under {label_of(FIELDS[found[2]])}", check.hint)
    return f"*{worded(hint[:1].upper() + hint[1:])}.*" if hint else ""


def _code(configs: Sequence[RunConfig], group: str) -> None:
    with st.expander("The same as command, as notebook cell", key="new-run-code"):
        command, cell = st.tabs(["As command", "As notebook cell"])
        sweep = sweep_line(configs, group=group) if len(configs) > 3 else ""
        command.code(sweep or command_lines(configs, group=group), language="bash", wrap_lines=True)
        if sweep:
            command.caption("One command for all; stopped and started again, it goes on where it was.")
        cell.code(notebook_cell(configs, group=group), language="python", wrap_lines=True)
