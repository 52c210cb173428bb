"""Replay of finished runs: play, pause, step, slider, at 1, 5 or 20 times the recorded speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from app import charts
from app.charts import plain
from app.page import all_runs, explained, is_recording, known_run, theme
from bidora import figures
from bidora.figures.replay import standing
from bidora.lessons.links import run_ids
from bidora.lessons.replay import MOST_RUNS, SPEEDS, Clock, Recording, recording_of, replayable
from bidora.runs import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go

FRAME = 0.5
"""Seconds between two pictures while it plays."""


def replay_part() -> None:
    """Choose runs and play them."""
    there = {run.id: run for run in replayable(all_runs())}
    if not there:
        st.info(
            "There is no finished run to replay yet. Recordings come with the lab in data/recordings; "
            "a run of your own can be replayed once it is finished."
        )
        return
    chosen = st.multiselect(
        "Runs to replay on one clock",
        list(there),
        default=_asked(there),
        key="replay-runs",
        format_func=lambda run_id: title_of(there[run_id]),
        max_selections=MOST_RUNS,
        help="One to four finished runs. With one, single layers are drawn, too.",
        on_change=_remember,
    )
    if not chosen:
        st.info("Choose a run.")
        return
    with explained():
        _play(_recording(tuple(chosen)), chosen)


def _asked(there: dict[str, Run]) -> list[str]:
    asked = [name for name in run_ids(st.query_params.get("replay", "")) if name in there]
    return asked[:MOST_RUNS] or list(there)[-1:]


def _remember() -> None:
    """Keep the choice in the address, and begin at the beginning."""
    st.query_params["replay"] = ",".join(st.session_state["replay-runs"])
    st.session_state.pop("replay-clock", None)


def title_of(run: Run) -> str:
    """A run in a list to choose from; with its whole id, as runs of one day may have one name."""
    name = [str(run.meta["name"])] if run.meta.get("name") else []
    return " · ".join([*name, run.id, *(["recording"] if is_recording(run) else [])])


@st.cache_data(show_spinner="Reading the recording", max_entries=16, ttl=600)
def _recording(names: tuple[str, ...]) -> Recording:
    return recording_of([known_run(name) for name in names])


@st.cache_data(show_spinner="Drawing", max_entries=16, ttl=600)
def _film(names: tuple[str, ...], template: str) -> go.Figure:
    recording = _recording(names)
    return figures.replay(recording.curves, recording.drift, duration=recording.duration, template=template)


def _play(recording: Recording, names: list[str]) -> None:
    clock: Clock = st.session_state.setdefault("replay-clock", Clock(speed=_first_speed()))
    stop = recording.duration
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if clock.playing:
            _button("Pause", "pause", lambda tape, now: tape.pause(now, stop))
        else:
            _button("Play", "play_arrow", lambda tape, now: tape.play(now, stop), primary=True)
        _button("Step back", "skip_previous", lambda tape, now: tape.seek(recording.before(tape.at(now, stop))))
        _button("Step", "skip_next", lambda tape, now: tape.seek(recording.after(tape.at(now, stop))))
        _button("To the start", "replay", lambda tape, now: tape.seek(0.0))
        st.segmented_control(
            "Speed",
            SPEEDS,
            default=int(clock.speed),
            required=True,
            key="replay-speed",
            format_func=lambda speed: f"{speed}×",
            on_change=_faster,
            args=(stop,),
            help="How many recorded seconds pass in one second.",
        )
    st.fragment(_frame, run_every=FRAME if clock.playing else None)(recording)
    with st.container(key="replay-film"):
        charts.show(lambda: _film(tuple(names), theme()), key="replay", kept=tuple(names))
    st.caption(
        "Only drawn, nothing is trained: every line appears at the second of training at which it was recorded. "
        "“Step” goes to the next record of the weights."
    )


def _first_speed() -> float:
    asked = st.query_params.get("speed", "")
    return float(asked) if asked in [str(speed) for speed in SPEEDS] else 5.0


def _button(label: str, icon: str, then: Callable[[Clock, float], Clock], *, primary: bool = False) -> None:
    st.button(
        label,
        key=f"replay-{icon}",
        icon=f":material/{icon}:",
        type="primary" if primary else "secondary",
        on_click=lambda: _turn(then(st.session_state["replay-clock"], time.monotonic())),
    )


def _turn(clock: Clock) -> None:
    """Take over a clock; the slider begins anew with it, so that no older position of it comes back."""
    st.session_state["replay-clock"] = clock
    st.session_state["replay-turns"] = st.session_state.get("replay-turns", 0) + 1


def _faster(stop: float) -> None:
    state = st.session_state
    _turn(state["replay-clock"].faster(state["replay-speed"], time.monotonic(), stop))


def _frame(recording: Recording) -> None:
    """Where the tape stands; while it plays, the fragment comes back every half second and the chart stays as it is."""
    state = st.session_state
    clock: Clock = state["replay-clock"]
    at = clock.at(time.monotonic(), recording.duration)
    if clock.playing and at >= recording.duration:
        _turn(clock.seek(recording.duration))
        st.rerun()
    if clock.playing:  # a slider that moves by itself would send back where it stood a moment ago
        st.progress(at / recording.duration, text=f"{at:.1f} of {recording.duration:.1f} seconds of training")
    else:
        wanted = st.slider(
            "Seconds of training",
            0.0,
            recording.last_tenth,
            round(at, 1),
            step=0.1,
            key=f"replay-at-{state.get('replay-turns', 0)}",
            format="%.1f s",
        )
        if abs(wanted - at) > 0.06:  # moved by hand; else it shows the rounded time of a stop
            at = min(wanted, recording.duration)
            state["replay-clock"] = clock.seek(at)
    covered = recording.covered(clock.at(time.monotonic() + FRAME, recording.duration) if clock.playing else at)
    st.html(_COVER.format(covered=covered, glide=FRAME if clock.playing else 0))
    st.caption(plain(standing(recording.curves, recording.drift, at)))


_COVER = """<style>
.st-key-replay-film .scatterlayer {{clip-path: inset(-30px {covered:.3f}% -30px -30px); transition: clip-path {glide}s linear;}}
@media (prefers-reduced-motion: reduce) {{.st-key-replay-film .scatterlayer {{transition: none;}}}}
</style>"""
"""Uncovers the lines from the left; the browser glides from one moment to the next."""
