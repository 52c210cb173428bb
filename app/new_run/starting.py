"""Ask for a prediction, then put the runs into the queue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from app.charts import plain
from app.new_run.state import begin_another_group, key
from app.page import explained, link, root
from bidora.config import RunConfig
from bidora.drafts import Draft
from bidora.preview import names_of
from bidora.queueing import enqueue, read_queue, start_next
from bidora.wording import counted

_STARTED = "new-run-started"


def start_part(draft: Draft, configs: Sequence[RunConfig], *, group: str, ready: bool) -> None:
    """Prediction, name of the group, and the button that starts."""
    prediction = _prediction(draft)
    many = len(configs) > 1
    tags = st.text_input(
        "Tags",
        key=key("tags"),
        max_chars=200,
        placeholder="optional, with commas between",
        help="Words to find the runs by.",
    )
    queue = read_queue(root())
    waits = bool(queue.active or queue.waiting or queue.paused)
    label = f"{'Queue' if waits else 'Start'} {counted(len(configs), 'run')}"
    pressed = st.button(label, type="primary", key="new-run-start", disabled=not ready, icon=":material/play_arrow:")
    if not ready:
        st.markdown("Something stands in the way; see above.")
    if pressed:
        with explained():
            words = tuple(filter(None, (tag.strip() for tag in tags.split(","))))
            names = names_of(configs)
            runs = enqueue(configs, root(), names=names, group=group if many else "", tags=words, meta=prediction)
            st.session_state[_STARTED] = [run.id for run in runs]
            begin_another_group()
            start_next(root())
    _started()


def _prediction(draft: Draft) -> dict[str, Any]:
    """The prediction as an entry of meta.json; empty where none was made."""
    preset = draft.chosen_preset()
    if "prediction" in draft.hide or (preset is None and not draft.question):
        return {}
    with st.container(border=True):
        st.markdown("**Predict first** (you may pass)")
        if draft.question:
            question = draft.question
            st.markdown(plain(question))
            choice = st.text_input("Your prediction", key=key("prediction"), max_chars=300)
        elif preset is not None:
            question = preset.ask
            choice = st.radio(question, preset.options, index=None, key=key("prediction-choice"))
    choice = (choice or "").strip()
    when = datetime.now(UTC).isoformat(timespec="seconds")
    said = {"question": question, "choice": choice, "answer": choice, "when": when}
    return {"prediction": said} if choice else {}


def _started() -> None:
    ids = st.session_state.get(_STARTED)
    if not ids:
        return
    st.success(
        f"{counted(len(ids), 'run')} in the queue. Closing this page does not harm "
        f"{'it' if len(ids) == 1 else 'them'}.",
        icon=":material/check_circle:",
    )
    link("runs", "Watch the first one", icon=":material/visibility:", run=ids[0])
    if len(ids) > 1:
        link("compare", "Compare them", icon=":material/balance:", runs=",".join(ids))
