"""The settings of a draft as widgets: common ones in sight, the others folded in their groups."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.forms import label_of, widget
from app.new_run.state import seeded
from bidora.drafts import COMMON, FIELDS, GROUPS, NOT_IN_LINKS, Draft
from bidora.methods import uses
from bidora.models import MODELS
from bidora.tasks import TASKS, Task, get_task

_ELSEWHERE = ("method", "seed", "task", "variant", "model", *NOT_IN_LINKS, "input_column", "label_column", "kind")
"""Settings that have a place of their own on the page."""

_TITLES = {
    "task": "More about the data",
    "model": "More about the model",
    "method": "Adapter",
    "two levels": "Two levels (BiDoRA, BiLoRA)",
    "optimisation": "Optimisation",
    "running": "Running",
}


def task_part(draft: Draft) -> Task:
    """Task, variant and model."""
    columns = st.columns(3)
    with columns[0]:
        name = _field(
            draft, "task", options=list(TASKS), named=lambda name: "your own table" if name == "csv" else name
        )
    task = get_task(name if name in TASKS else "peptides")
    if draft.values.get("variant") and draft.values["variant"] not in task.variants:
        draft.values["variant"] = ""
    if task.variants:
        with columns[1]:
            options = ["", *task.variants]
            named = lambda each: each or f"{task.default_variant} (default)"  # noqa: E731
            _field(draft, "variant", options=options, named=named, part=task.name)
    if "model" not in draft.hide:
        with columns[2 if task.variants else 1]:
            _model(draft, task)
    return task


def _model(draft: Draft, task: Task) -> None:
    about = {"": f"{task.default_model.rpartition('/')[2]} (default)"}  # fields are narrow: the name itself first
    options = [*dict.fromkeys(["", *MODELS, draft.values.get("model", "")])]
    draft.values["model"] = (
        st.selectbox(
            "model",
            options,
            format_func=lambda name: about.get(name, name),
            key=seeded("model", draft.values.get("model", "")),
            accept_new_options=True,
            disabled="model" in draft.lock,
            help="A packaged encoder, or type the id of a model on the hub, which needs a network. In commands: `--model`.",
        )
        or ""
    )


def common_part(draft: Draft) -> None:
    """The settings that most people touch."""
    methods = {str(arm["method"]) for arm in draft.comparison()}
    shown = [
        name for name in COMMON if name not in draft.hide and any(uses(method, name) for method in methods or {""})
    ]
    for first in range(0, len(shown), 3):
        for column, name in zip(st.columns(3), shown[first : first + 3], strict=False):
            with column:
                _field(draft, name)


def advanced_part(draft: Draft) -> None:
    """All other settings, one folded group each; what no chosen method uses is left out."""
    methods = {str(arm["method"]) for arm in draft.comparison()}
    for group, names in GROUPS.items():
        wanted = [each for each in names if each not in (*COMMON, *_ELSEWHERE) and each not in draft.hide]
        wanted = [each for each in wanted if any(uses(method, each) for method in methods)]
        if not wanted:
            continue
        changed = sum(draft.values.get(each, FIELDS[each].default) != FIELDS[each].default for each in wanted)
        title = _TITLES.get(group, group) + (f" · {changed} changed" if changed else "")
        with st.expander(title, key=seeded_name(group)):
            for first in range(0, len(wanted), 2):
                for column, name in zip(st.columns(2), wanted[first : first + 2], strict=False):
                    with column:
                        _field(draft, name)


def seeded_name(group: str) -> str:
    """The key of a group's fold, which stays open while its title counts."""
    return f"new-run-group-{group.replace(' ', '-')}"


def _field(draft: Draft, name: str, *, part: str = "", **how: Any) -> Any:
    """One setting, from the draft and back into it; a preset's variants set theirs themselves."""
    setting = FIELDS[name]
    if name in draft.hide:
        return draft.values.get(name, setting.default)
    value = draft.values.get(name, setting.default)
    by_arms = any(name in arm for arm in draft.comparison()) and name != "method"
    if by_arms:
        st.text_input(label_of(setting), key=seeded(f"arm-{name}", "set by the variants"), disabled=True)
        return value
    start = list(value) if isinstance(value, tuple) else value
    found = widget(setting, seeded(f"setting-{name}{part}", start), disabled=name in draft.lock, **how)
    draft.values[name] = setting.default if found is None else found
    return draft.values[name]
