"""Which browser this is, and under which address it reached the lab."""

from __future__ import annotations

import secrets

import streamlit as st

from bidora.lessons.browsers import browser_of

COOKIE = "_streamlit_xsrf"
"""Streamlit sets it in every browser, against forged uploads; here it tells browsers apart and is kept nowhere."""

LOCAL = ("localhost", "127.0.0.1", "[::1]")


def browser() -> str:
    """The mark of this browser; where there is no cookie, of this visit."""
    cookie = st.context.cookies.get(COOKIE)
    found = browser_of(cookie) if isinstance(cookie, str) else ""
    return found or str(st.session_state.setdefault("browser", secrets.token_hex(16)))


def base() -> str:
    """The lab's address with a slash at the end, as this browser reached it; empty where it is not known."""
    address = st.context.url or ""
    return address.split("?")[0].rsplit("/", 1)[0] + "/" if "://" in address else ""


def only_here(address: str) -> None:
    """A sentence where an address works on this machine only."""
    if any(f"//{host}" in address for host in LOCAL) or not address:
        st.caption(
            ":material/info: This address works on this machine only. To let a class in, start the lab with "
            "`streamlit run app/main.py --server.address 0.0.0.0` and replace the first part by this machine's name or "
            "number in the network."
        )
