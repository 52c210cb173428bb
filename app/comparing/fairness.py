"""The fairness box: which conclusions the chosen runs allow."""

from __future__ import annotations

import streamlit as st

from app.charts import plain
from app.comparing.choosing import Compared
from app.comparing.reading import of_runs
from bidora.analysis import Finding, fairness_findings

_EQUAL = (":green[:material/check_circle:]", "equal")
_UNEQUAL = (":orange[:material/warning:]", "not equal")
_UNKNOWN = (":gray[:material/help:]", "not known")
_BARRED = (":red[:material/block:]", "no conclusion allowed")


def fairness_box(compared: Compared) -> None:
    """One line per question of fairness, with a sign and words; red only where no conclusion is allowed."""
    findings: list[Finding] = of_runs(fairness_findings, compared.runs)
    barred = [each for each in findings if each.barred]
    unequal = [each for each in findings if each.fair is False and not each.barred]
    if barred:
        reasons = ", ".join(each.topic for each in barred)
        st.error(f"No conclusion about the methods is allowed: {reasons}. Details below.", icon=":material/block:")
    topics = ", ".join(each.topic for each in [*barred, *unequal])
    heading = "Is this comparison fair? " + (f"Not equal: {topics}" if topics else "Nothing unequal was found")
    with st.expander(heading, expanded=bool(barred), icon=":material/balance:"):
        for each in findings:
            sign, word = _sign(each)
            st.markdown(f"{sign} **{word}** · {plain(each.sentence)}")


def _sign(finding: Finding) -> tuple[str, str]:
    if finding.barred:
        return _BARRED
    return {True: _EQUAL, False: _UNEQUAL, None: _UNKNOWN}[finding.fair]
