"""What the Learn views share: a prediction before looking, and the code behind the numbers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import streamlit as st

from bidora.sandbox import Question


def predicted(question: Question, right: str, *, finding: str, key: str) -> bool:
    """Ask for a prediction, or let the visitor go on without; afterwards compare it with what is seen.

    Args:
        question: from bidora.sandbox.
        right: the option that the sandbox itself finds.
        finding: the numbers behind it, in a sentence.
        key: unique in the app; the prediction is kept for the visit.

    Returns:
        whether the answer is shown.
    """
    kept, choice = f"{key}-guess", f"{key}-choice"
    with st.container(border=True):
        st.markdown(f"**First a prediction.** {question.text}")
        if kept in st.session_state:
            st.markdown(f"{question.verdict(st.session_state[kept], right)} {finding}")
            st.caption(question.why)
            st.button("Ask me again", key=f"{key}-again", on_click=lambda: st.session_state.pop(kept, None))
            return True
        guess = st.radio("Your prediction", question.options, index=None, key=choice)
        with st.container(horizontal=True):
            st.button(
                "Compare with what is seen",
                key=f"{key}-compare",
                type="primary",
                disabled=guess is None,
                on_click=lambda: st.session_state.update({kept: guess}),
            )
            st.button(
                "Show without predicting", key=f"{key}-skip", on_click=lambda: st.session_state.update({kept: ""})
            )
    return False


def show_code(*functions: Callable[..., Any]) -> None:
    """The source of the very functions that computed the numbers on this page, folded."""
    with st.expander("Show the code that computed this", icon=":material/code:"):
        for function in functions:
            st.caption(f"{function.__module__}.{function.__qualname__}")
            st.code(inspect.getsource(function), language="python")
