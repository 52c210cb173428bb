"""The lesson-link builder: a view with controls set, hidden or locked, and a question, as one short address."""

from __future__ import annotations

from dataclasses import fields

import streamlit as st

from app.page import all_runs, link
from app.teaching.replaying import title_of
from app.teaching.visitor import base, only_here
from bidora.config import RunConfig, allowed_range
from bidora.lessons.controls import LINKED, SANDBOXES, allowed, hideable, label_of, names_of, starts_of
from bidora.lessons.links import QUESTION_LENGTH, SPEEDS, LessonLink, plain_question
from bidora.lessons.replay import replayable
from bidora.presets import PRESETS, SIZES

_CONFIG = {each.name: each for each in fields(RunConfig)}


def links_part() -> None:
    """Build a link and try it."""
    st.markdown("A lesson link opens a view as you set it up, with your question above it.")
    view = st.selectbox("View", list(LINKED), key="link-view", format_func=LINKED.__getitem__)
    preset = _preset() if view == "new_run" else ""
    settings = _settings(view)
    hide = _names(view, "hide", "Hide", "Not shown at all.")
    lock = _names(view, "lock", "Lock", "Shown, but fixed.")
    made = LessonLink(
        view=view,
        preset=preset,
        settings=starts_of(view, lock) | settings,
        hide=hide,
        lock=lock,
        runs=_runs(view),
        speed=_speed(view),
        question=plain_question(
            st.text_input(
                "Question above the view",
                key="link-question",
                max_chars=QUESTION_LENGTH,
                placeholder="What do you expect to happen when …?",
            )
        ),
    )
    with st.container(border=True):
        st.markdown("**The link**")
        st.code(made.address(base()), language=None, wrap_lines=True)
        for sentence in made.in_words():
            st.markdown(f"- {sentence}")
        link(view, "Try it", icon=":material/arrow_forward:", **made.query())
        only_here(base())


def _preset() -> str:
    """A preset of New run, where there are any."""
    names = {name: preset.title for name, preset in PRESETS.items()}
    return st.selectbox(
        "Preset", ["", *names], key="link-preset", format_func=lambda name: names.get(name, "None: the defaults")
    )


def _settings(view: str) -> dict[str, str]:
    names = names_of(view)
    if not names:
        return {}
    chosen = st.multiselect(
        "Controls to set", names, key=f"link-set-{view}", format_func=lambda name: label_of(view, name)
    )
    values = {name: _value(view, name) for name in chosen}
    return {name: value for name, value in values.items() if value}


def _value(view: str, name: str) -> str:
    """The value of one control; empty, with a sentence, where it is not allowed."""
    key, label = f"link-{view}-{name}", label_of(view, name)
    label = label[0].upper() + label[1:]
    options = next((each.options for each in SANDBOXES.get(view, ()) if each.name == name), ())
    if view == "new_run":
        options = tuple(SIZES) if name == "size" else _CONFIG[name].metadata["choices"]
    if name == "method":
        return ",".join(st.multiselect(label, options, key=key, help="Several are run beside each other."))
    if options:
        return st.selectbox(label, options, key=key)
    if view != "new_run":
        control = next(each for each in SANDBOXES[view] if each.name == name)
        value = st.text_input(label, key=key, value=f"{control.low:g}", help=f"{control.low:g} to {control.high:g}")
        limits = f"{control.low:g} to {control.high:g}"
    else:
        default = _CONFIG[name].default
        text = ",".join(default) if isinstance(default, tuple) else str(default)
        value, limits = st.text_input(label, key=key, value=text), allowed_range(_CONFIG[name])
    if not allowed(view, name, value.strip()):
        st.warning(f"This value is left out of the link; allowed: {limits}.")
        return ""
    return value.strip()


def _names(view: str, what: str, label: str, note: str) -> tuple[str, ...]:
    names = hideable(view)
    if not names:
        return ()
    taken = st.session_state.get(f"link-hide-{view}", []) if what == "lock" else []
    return tuple(
        st.multiselect(
            label,
            [name for name in names if name not in taken],
            key=f"link-{what}-{view}",
            format_func=lambda name: label_of(view, name),
            help=note,
        )
    )


def _runs(view: str) -> tuple[str, ...]:
    if view not in ("compare", "classroom"):
        return ()
    there = {run.id: run for run in replayable(all_runs())}
    if not there:
        st.caption("There are no finished runs or recordings yet.")
        return ()
    return tuple(
        st.multiselect(
            "Runs",
            list(there),
            key=f"link-runs-{view}",
            format_func=lambda run_id: title_of(there[run_id]),
            max_selections=4 if view == "classroom" else 24,
        )
    )


def _speed(view: str) -> str:
    if view != "classroom":
        return ""
    return (
        st.segmented_control("Speed", SPEEDS, key="link-speed", default="5", format_func=lambda speed: f"{speed}×")
        or ""
    )
