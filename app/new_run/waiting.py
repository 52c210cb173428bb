"""The queue below the form: what is at work, what waits, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.charts import plain
from app.page import explained, link, on_disk, root, show_error
from bidora.errors import LabError
from bidora.launch import stop
from bidora.queueing import LARGEST_LIMIT, Queue, cancel, go_on, move_up, pause, put, read_queue, set_limit, start_next
from bidora.runs import Run
from bidora.wording import counted, duration

_CANCELLED, _PROBLEM = "queue-cancelled", "queue-problem"
EVERY = 2.0
"""Seconds between two looks at the queue while something is in it; an empty queue is not looked at."""


def queue_part() -> None:
    """The queue, renewed by itself while something is at work or waits."""
    queue = read_queue(root())
    busy = bool(queue.active or queue.waiting)
    st.fragment(_queue, run_every=EVERY if busy else None)(busy)


def _queue(was_busy: bool) -> None:
    st.header("Queue")
    problem = st.session_state.pop(_PROBLEM, None)
    if problem is not None:
        show_error(problem)
    with explained():
        start_next(root())  # a worker that was killed asks for nobody
    queue = read_queue(root())
    if was_busy and not (queue.active or queue.waiting):
        st.rerun()  # without the timer
    st.markdown(_sentence(queue))
    _steer(queue)
    for run in queue.active:
        _at_work(run)
    for place, run in enumerate(queue.waiting, start=1):
        _waits(run, place)
    _undo()


def _do(act: Callable[..., object], *arguments: object) -> None:
    """What a button does, before the queue is drawn again; a problem is shown there."""
    try:
        act(*arguments)
    except LabError as error:
        st.session_state[_PROBLEM] = error
    except OSError as error:
        st.session_state[_PROBLEM] = on_disk(error)


def _sentence(queue: Queue) -> str:
    if not queue.active and not queue.waiting:
        return "Nothing is at work and nothing waits. Runs that you start stand here until it is their turn."
    held = " **Paused**: runs at work go on, waiting ones are held back." if queue.paused else ""
    return f"{counted(len(queue.active), 'run')} at work, {len(queue.waiting)} waiting.{held}"


def _steer(queue: Queue) -> None:
    left, right = st.columns([1, 2], vertical_alignment="bottom")
    key = f"queue-limit-{queue.limit}"
    left.number_input(
        "At once, at most",
        min_value=1,
        max_value=LARGEST_LIMIT,
        value=queue.limit,
        step=1,
        key=key,
        on_change=lambda: _do(set_limit, int(st.session_state[key] or 1), root()),
        help="How many runs may be at work at once. Several share the cores: each gets its part of the threads, so on "
        "two cores two runs take about as long as one after the other. Results do not depend on what runs beside them; "
        "the number of threads may change last bits.",
    )
    label, icon, act = ("Go on", "play_arrow", go_on) if queue.paused else ("Pause", "pause", pause)
    right.button(
        label,
        key="queue-pause",
        icon=f":material/{icon}:",
        help="Pausing holds waiting runs back; those at work go on.",
        on_click=_do,
        args=(act, root()),
    )


def _at_work(run: Run) -> None:
    status = run.status
    step, total = status.get("step") or 0, status.get("total") or 0
    left = status.get("eta_seconds") if status["state"] == "running" else None
    words = f"{status['state']}, step {step} of {total}" if total else str(status["state"])
    words += f", {duration(left)} left" if left else ""
    with st.container(border=True, key=f"queue-row-{run.id}"):
        name, open_it, end_it = st.columns([6, 1, 1], vertical_alignment="center")
        name.markdown(f":material/play_circle: **{plain(run.meta.get('name') or run.id)}** · {words}")
        if total:
            name.progress(min(1.0, step / total))
        with open_it:
            link("runs", "Open", run=run.id)
        asked = status["state"] in ("stopping", "finalising") or run.stop_requested()
        end_it.button(
            "Stop",
            key=f"queue-stop-{run.id}",
            help="Saves and stops at the next step; it can be resumed.",
            disabled=asked,
            on_click=_do,
            args=(stop, run),
        )


def _waits(run: Run, place: int) -> None:
    with st.container(border=True, key=f"queue-row-{run.id}"):
        name, up, out = st.columns([6, 1, 1], vertical_alignment="center")
        name.markdown(f":material/schedule: {place}. {plain(run.meta.get('name') or run.id)}")
        up.button(
            "Up",
            key=f"queue-up-{run.id}",
            disabled=place == 1,
            help="Change places with the run before.",
            on_click=_do,
            args=(move_up, run),
        )
        out.button(
            "Cancel",
            key=f"queue-cancel-{run.id}",
            help="Take it out of the queue; it stays among the runs.",
            on_click=_do,
            args=(_cancel, run),
        )


def _cancel(run: Run) -> None:
    cancel(run)
    st.session_state[_CANCELLED] = str(run.path)


def _put_back(path: str) -> None:
    st.session_state.pop(_CANCELLED)
    put(Run(path))


def _undo() -> None:
    path = st.session_state.get(_CANCELLED)
    if not path:
        return
    left, right = st.columns([4, 1], vertical_alignment="center")
    left.markdown("A run was taken out of the queue; it is among the runs as stopped.")
    right.button("Undo", key="queue-undo", icon=":material/undo:", on_click=_do, args=(_put_back, path))
