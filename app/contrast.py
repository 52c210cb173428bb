"""Words in the main colour: dark pages need a lighter one than buttons with white words can have (4.5 : 1 for both)."""

from __future__ import annotations

import streamlit as st

_CHOSEN = (
    '[data-testid="stSliderThumbValue"] p, '
    'button[data-variant="segmented_control"][data-selected="true"] p, '
    'button[data-variant="pills"][data-selected="true"] p'
)
_STYLE = f"<style>{_CHOSEN} {{color: light-dark(#00735A, #5FD3B3);}}</style>"
"""The main colour of light pages, and the colour of links on dark ones; see app/.streamlit/config.toml."""


def readable_choices() -> None:
    """Let values of sliders and chosen options be read on dark pages; Streamlit writes them in the main colour."""
    st.html(_STYLE)
