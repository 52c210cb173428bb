"""What is compared: a preset's question, or methods × seeds."""

from __future__ import annotations

import streamlit as st

from app.new_run.state import key, replace, seeded
from app.page import explained
from bidora.analysis import METHOD_NAMES
from bidora.drafts import Draft, fresh, of_preset
from bidora.grid import arm_in_words, parse_seeds
from bidora.methods import METHODS
from bidora.presets import PRESETS, SIZES

OWN = "my own question"
_MEANINGS = [f"- **{method.title}**: {method.summary}" for method in METHODS.values()]


def preset_part(draft: Draft) -> None:
    """The presets and their sizes; choosing one fills the form."""
    if "preset" not in draft.hide:
        locked = "preset" in draft.lock
        st.selectbox(
            "Question",
            ["", *PRESETS],
            format_func=lambda name: PRESETS[name].title if name else OWN,
            key=seeded("preset", draft.preset),
            on_change=_choose,
            args=(draft,),
            disabled=locked,
            help="Each preset is a small experiment that answers one question. It fills the form; change what you like.",
        )
        if draft.preset and "size" not in draft.hide:
            st.segmented_control(
                "About, per BiDoRA run",
                list(SIZES),
                key=seeded("size", draft.size),
                on_change=_choose,
                args=(draft,),
                disabled=locked or "size" in draft.lock,
                required=True,
                help="On two free cores. Longer ones have more seeds, too.",
            )
    preset = draft.chosen_preset()
    if preset is not None:
        with st.container(border=True):
            st.markdown(f"**{preset.question}**")
            st.markdown(preset.why)
            st.markdown(f"*Where to look afterwards:* {preset.look}")


def comparison_part(draft: Draft) -> None:
    """Methods, or a preset's own variants; seeds; equal effort."""
    preset = draft.chosen_preset()
    if preset is not None and not preset.is_grid:
        places = st.multiselect(
            "Variants",
            range(len(preset.arms)),
            format_func=lambda place: arm_in_words(preset.arms[place]),
            key=seeded("arms", list(draft.arms)),
            wrap=True,
            disabled="method" in draft.lock,
            help="What the preset compares. Choose “my own question” above to combine settings freely.",
        )
        draft.arms = tuple(sorted(places))
    elif "method" not in draft.hide:
        methods = st.pills(
            "Methods",
            list(METHOD_NAMES),
            selection_mode="multi",
            format_func=METHOD_NAMES.get,
            key=seeded("methods", list(draft.methods)),
            wrap=True,
            disabled="method" in draft.lock,
            help="\n".join(["Each chosen method is trained with each seed.", "", *_MEANINGS]),
        )
        draft.methods = tuple(name for name in METHOD_NAMES if name in methods)
        if not methods:
            st.error("No method is chosen; choose at least one.", icon=":material/error:")
    left, right = st.columns(2, vertical_alignment="bottom")
    if "seed" not in draft.hide:
        draft.seeds = left.text_input(
            "Seeds",
            key=seeded("seeds", draft.seeds),
            max_chars=400,
            disabled="seed" in draft.lock,
            help="Each draws its own examples, split, initial values and order. Write 0, 1, 2 or 0-4 or 3 seeds. "
            "One seed shows nothing about methods: five DoRA runs of one setting spread more than methods differ.",
        )
        with explained():
            parse_seeds(draft.seeds)
    draft.equal_effort = right.toggle(
        "Equal gradient evaluations",
        key=seeded("equal", draft.equal_effort),
        disabled="steps" in draft.lock,
        help="Methods that need fewer forward and backward passes get more steps, until all have about as many.",
    )


def _choose(before: Draft) -> None:
    """Fill the form from the chosen preset; what a link hides, locks and asks stays."""
    name = st.session_state.get(key("preset"), before.preset) or ""
    size = st.session_state.get(key("size")) or before.size
    new = of_preset(name, size) if name else fresh()
    new.hide, new.lock, new.question = before.hide, before.lock, before.question
    replace(new)
