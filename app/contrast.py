"""Words that Streamlit writes in colours too near to the page's: chosen options on dark pages, code on both (4.5 : 1)."""

from __future__ import annotations

import streamlit as st

_CHOSEN = (
    '[data-testid="stSliderThumbValue"] p, '
    'button[data-variant="segmented_control"][data-selected="true"] p, '
    'button[data-variant="pills"][data-selected="true"] p'
)
LINK = ("#00735A", "#5FD3B3")
"""The main colour of light pages, and the colour of links on dark ones; see app/.streamlit/config.toml."""

CODE = {
    "comment prolog doctype cdata punctuation": ("#5B6270", "#A6ABB8"),
    "keyword tag function class-name selector": ("#0B5FB0", "#6FB4F5"),
    "string char attr-value boolean constant symbol": ("#1A7034", "#3CC96A"),
    "number regex": ("#0F6D66", "#38BDA9"),
    "operator entity decorator atrule": ("#A34A05", "#F08A3C"),
    "attr-name property variable": ("#0A6684", "#3DB9DE"),
    "url": ("#6D3FC0", "#B79AF0"),
    "important": ("#B91C1C", "#FF7B7B"),
}
"""Kinds of words in code → their colour on light and on dark pages."""


def _style() -> str:
    rules = [f"{_CHOSEN} {{color: light-dark({LINK[0]}, {LINK[1]});}}"]
    for kinds, (light, dark) in CODE.items():
        names = ", ".join(f'[data-testid="stCode"] pre .token.{kind}' for kind in kinds.split())
        rules.append(f"{names} {{color: light-dark({light}, {dark});}}")
    rules.append('[data-testid="stCaptionContainer"] code {color: inherit;}')
    return f"<style>{' '.join(rules)}</style>"


_STYLE = _style()


def readable_choices() -> None:
    """Let values of sliders, chosen options and code be read on light and dark pages."""
    st.html(_STYLE)
