"""From a setting of RunConfig to a widget: its metadata gives label, help, choices and the sentence on a wrong value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import Field
from typing import Any

import streamlit as st

from app.page import worded
from bidora.config import allowed_range, checked
from bidora.errors import LabError

SUGGESTIONS: dict[str, tuple[str, ...]] = {
    "unroll_scale": ("0", "lr", "adam", "1"),
    "target_modules": ("query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"),
}
"""Settings that take any text, with the values that are usual."""


def label_of(setting: Field[Any]) -> str:
    """The name of a setting in a form: `learning rate η`."""
    symbol = setting.metadata["symbol"]
    return setting.name.replace("_", " ") + (f" {symbol}" if symbol else "")


def help_of(setting: Field[Any]) -> str:
    """What a setting means, its range and default, and its flag."""
    described = setting.metadata
    facts = [f"{described['help'][:1].upper()}{described['help'][1:]}."]
    if not described["choices"] and (described["minimum"], described["maximum"]) != (None, None):
        facts.append(f"Allowed: {allowed_range(setting)}.")
    if setting.default not in ("", False):
        shown = ", ".join(setting.default) if isinstance(setting.default, tuple) else setting.default
        facts.append(f"Default: {shown}.")
    facts.append(f"In commands: `--{setting.name.replace('_', '-')}`.")
    return " ".join(facts)


def step_of(setting: Field[Any]) -> float:
    """By how much the buttons of a number change it: a tenth of the default's power of ten, at most 0.1."""
    size = abs(float(setting.default))
    power = 0.1
    while size and power > size / 5:
        power /= 10
    return power


def widget(
    setting: Field[Any],
    key: str,
    *,
    disabled: bool = False,
    options: Sequence[str] = (),
    named: Callable[[str], str] = str,
) -> Any:
    """Draw one setting; a value that is not allowed is explained below it, and returned as it is.

    Args:
        setting: the field of RunConfig.
        key: a key of the session state that holds the value to begin with.
        disabled: show it and let nobody change it.
        options: values to choose from, where the field itself does not list any.
        named: how an option is shown.
    """
    about: dict[str, Any] = {"key": key, "help": help_of(setting), "disabled": disabled}
    label = label_of(setting)
    choices = [*(setting.metadata["choices"] or options)]
    if isinstance(setting.default, bool):
        value: Any = st.toggle(label, **about)
    elif isinstance(setting.default, tuple):
        usual = [*dict.fromkeys([*SUGGESTIONS[setting.name], *st.session_state[key]])]
        value = tuple(st.multiselect(label, usual, accept_new_options=True, **about))
    elif setting.name in SUGGESTIONS:
        usual = [*dict.fromkeys([*SUGGESTIONS[setting.name], str(st.session_state[key])])]
        value = st.selectbox(label, usual, accept_new_options=True, **about)
    elif choices:
        if st.session_state[key] not in choices:
            choices.append(st.session_state[key])
        value = st.selectbox(label, choices, format_func=named, **about)
    elif isinstance(setting.default, int):
        value = st.number_input(label, step=1, format="%d", **about)
    elif isinstance(setting.default, float):
        value = st.number_input(label, step=step_of(setting), format="%g", **about)
    else:
        value = st.text_input(label, max_chars=400, **about)
    explain(setting, value)
    return value


def explain(setting: Field[Any], value: Any) -> None:
    """Say what is wrong with a value, and what is allowed; nothing where it is fine."""
    try:
        checked(setting, "" if value is None else value)
    except LabError as error:
        st.error(f"{worded(error.message)}. {worded(error.hint)}.", icon=":material/error:")
