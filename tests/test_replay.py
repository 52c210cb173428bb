"""Replay: what is shown after so many seconds is what was on record then, and the clock keeps time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from test_analysis import make_run, write_dynamics

from bidora import figures
from bidora.errors import LabError
from bidora.figures.replay import standing
from bidora.lessons.replay import Clock, recording_of, replayable
from bidora.runs import Run


def recorded(root, method="bidora", seed=0) -> Run:
    """40 steps of half a second in each phase; the weights at every tenth step."""
    run = make_run(root, method, seed)
    phases = ("search", "retrain") if method == "bidora" else ("train",)
    write_dynamics(run, phases=range(len(phases)))
    for index, phase in enumerate(phases):
        for step in range(1, 41):
            seconds = 0.5 * (step + 40 * index)
            run.append_metrics(dict(phase=phase, phase_index=index, step=step, seconds=seconds, loss=2.0 / step))
    return run


def test_the_weights_get_the_seconds_of_their_step(tmp_path):
    recording = recording_of([recorded(tmp_path)])
    drift = recording.drift
    assert recording.duration == 40.0
    first, later = (drift[drift["phase_index"] == index] for index in (0, 1))
    np.testing.assert_allclose(first["seconds"], 0.5 * first["step"])
    np.testing.assert_allclose(later["seconds"], 20.0 + 0.5 * later["step"])


def test_stops_lead_through_the_recording_and_back(tmp_path):
    recording = recording_of([recorded(tmp_path)])
    at, forth = 0.0, []
    while at < recording.duration:
        at = recording.after(at)
        forth.append(at)
    assert forth == [5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0]
    assert recording.after(40.0) == 40.0
    assert [recording.before(40.0), recording.before(5.0), recording.before(0.0)] == [35.0, 0.0, 0.0]
    assert [recording.covered(seconds) for seconds in (-1, 0, 10, 40, 99)] == [100, 100, 75, 0, 0]


def test_the_figure_shows_what_was_on_record_then(tmp_path):
    recording = recording_of([recorded(tmp_path)])
    figure = figures.replay(recording.curves, recording.drift, duration=recording.duration, until=12.0)
    loss = next(trace for trace in figure.data if trace.name == "BiDoRA")
    shown = np.isfinite(loss.x)
    assert loss.x[shown][-1] == 12.0 and shown.sum() == 24
    assert loss.y[shown][-1] == pytest.approx(2.0 / 24)
    assert "After 12.0 seconds" in figure.layout.meta["alt"] and "searching m" in figure.layout.meta["alt"]
    whole = figures.replay(recording.curves, recording.drift, duration=recording.duration)
    for name in ("xaxis3", "yaxis", "yaxis2", "yaxis3"):
        assert whole.layout[name].range == figure.layout[name].range, "axes do not move"
    assert "retraining, loss 0.05" in whole.layout.meta["alt"]


def test_in_each_panel_one_line_spans_the_whole_time(tmp_path):
    """The page uncovers the drawing as a share of this line's width."""
    recording = recording_of([recorded(tmp_path)])
    figure = figures.replay(recording.curves, recording.drift, duration=recording.duration)
    spans = [trace for trace in figure.data if trace.name == "span"]
    assert {trace.yaxis for trace in spans} == {"y", "y2", "y3"}
    for trace in spans:
        others = [each.x for each in figure.data if each.yaxis == trace.yaxis and each.x is not None]
        assert list(trace.x) == [0.0, 40.0]
        assert np.nanmax(np.concatenate(others)) == 40.0 and np.nanmin(np.concatenate(others)) == 0.0


def test_phases_are_not_joined_by_a_line(tmp_path):
    recording = recording_of([recorded(tmp_path)])
    figure = figures.replay(recording.curves, recording.drift, duration=recording.duration)
    loss = next(trace for trace in figure.data if trace.name == "BiDoRA")
    assert np.isnan(loss.x).sum() == 1


def test_two_seeds_of_a_method_can_be_told_apart(tmp_path):
    runs = [recorded(tmp_path, "dora", seed) for seed in (0, 1)]
    recording = recording_of(runs)
    figure = figures.replay(recording.curves, recording.drift, duration=recording.duration)
    shown = [trace for trace in figure.data if trace.showlegend]
    assert [trace.name for trace in shown] == ["DoRA, seed 0", "DoRA, seed 1"]
    assert shown[0].marker.symbol != shown[1].marker.symbol
    assert not any(trace.name == "layers" for trace in figure.data), "single layers only where there is one run"


def test_words_for_every_moment(tmp_path):
    recording = recording_of([recorded(tmp_path)])
    still = recording.drift.assign(delta_m_signed_percent=-1.27e-8, angle_degrees=3e-7)
    assert "magnitude 0 %, turned by 0 degrees" in standing(recording.curves, still, 0.0), "float32 dust is nothing"
    assert "loss" in standing(recording.curves, recording.drift, 0.5)
    assert "nan" not in standing(recording.curves, recording.drift, recording.duration)


def test_what_cannot_be_replayed_is_named(tmp_path):
    silent = make_run(tmp_path, "lora")
    with pytest.raises(LabError, match=silent.id):
        recording_of([silent])
    with pytest.raises(LabError, match="allowed: 1 to 4"):
        recording_of([])
    running = recorded(tmp_path, "dora")
    running.update_status(state="stopped")
    assert replayable([silent, running]) == []


def test_a_run_without_weights_or_with_bad_lines_is_replayed(tmp_path):
    run = make_run(tmp_path, "lora")
    run.append_metrics(dict(phase="train", phase_index=0, step=1, seconds=0.5, loss=math.nan))
    run.append_metrics(dict(phase="train", phase_index=0, step=2, seconds=1.0, loss=0.7))
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"phase": "tr')
    recording = recording_of([run])
    assert recording.duration == 1.0 and len(recording.drift) == 0
    assert figures.replay(recording.curves, recording.drift, duration=1.0).layout.meta["alt"]


def test_the_clock():
    clock = Clock(speed=5.0)
    assert not clock.playing and clock.at(100.0, 60.0) == 0.0
    clock = clock.play(100.0, 60.0)
    assert clock.at(102.0, 60.0) == 10.0
    clock = clock.faster(20.0, 102.0, 60.0)
    assert clock.at(103.0, 60.0) == 30.0
    clock = clock.pause(103.0, 60.0)
    assert clock.at(999.0, 60.0) == 30.0 and not clock.playing
    assert clock.play(0.0, 60.0).at(99.0, 60.0) == 60.0, "it stops at the end"
    assert clock.seek(60.0).play(5.0, 60.0).at(5.0, 60.0) == 0.0, "and begins again from there"
    assert clock.seek(-3.0).at(0.0, 60.0) == 0.0
    assert clock.faster(1.0, 0.0, 60.0).playing is False
