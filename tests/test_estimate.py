"""Estimates: scaled from what finished, nearest first, and honest about what they rest on."""

from __future__ import annotations

import pytest

from bidora.config import RunConfig, gradient_evaluations
from bidora.estimate import estimate, estimate_of_group, total
from bidora.runs import Run, write_json

BASE = RunConfig(task="peptides", method="lora", steps=100, batch_size=16)


def finished(root, config=BASE, *, seconds=50.0, around=10.0, memory=1e9, recording=None, cores=None):
    run = Run.create(config, root)
    run.update_status(state="finished")
    cost = {"gradient_evaluations": gradient_evaluations(config), "seconds_training": seconds}
    cost |= {"seconds_total": seconds + around, "peak_memory_bytes": memory}
    write_json(run.path / "result.json", {"cost": cost})
    run.update_meta(device={"type": "cpu", "cores": cores}, **({"recording": recording} if recording else {}))
    return run


def test_nothing_is_known_without_finished_runs(tmp_path):
    unfinished = Run.create(BASE, tmp_path)
    found = estimate(BASE, [unfinished])
    assert (found.seconds, found.memory) == (None, None)
    assert "unknown until step 5" in found.basis


def test_time_grows_with_steps_batch_and_length_and_what_is_around_stays(tmp_path):
    runs = [finished(tmp_path)]
    assert estimate(BASE, runs).seconds == pytest.approx(60)
    assert estimate(BASE.replace(steps=200), runs).seconds == pytest.approx(110)
    assert estimate(BASE.replace(batch_size=8), runs).seconds == pytest.approx(35)
    assert estimate(BASE.replace(max_length=32), runs).seconds == pytest.approx(35)
    assert estimate(BASE.replace(steps=50, seed=9), runs).seconds == pytest.approx(35)
    assert estimate(BASE, runs).basis == "from 1 finished run with this model on this machine"


def test_another_method_costs_its_passes_and_is_said_to_be_unknown(tmp_path):
    runs = [finished(tmp_path)]
    found = estimate(BASE.replace(method="bidora"), runs)
    assert found.seconds == pytest.approx(4 * 50 * 1.2 + 10)
    assert "of lora, none of bidora yet" in found.basis
    runs.append(finished(tmp_path, BASE.replace(method="bidora"), seconds=400))
    assert estimate(BASE.replace(method="bidora"), runs).seconds == pytest.approx(410)


def test_the_median_of_several_counts_and_other_models_do_not(tmp_path):
    runs = [finished(tmp_path, seconds=seconds) for seconds in (40, 50, 900)]
    runs.append(finished(tmp_path, BASE.replace(task="reuters"), seconds=5000))
    assert estimate(BASE, runs).seconds == pytest.approx(60)
    assert "3 finished runs" in estimate(BASE, runs).basis


def test_memory_grows_with_the_tokens_of_a_batch_and_never_shrinks(tmp_path):
    runs = [finished(tmp_path, memory=1e9)]
    assert estimate(BASE, runs).memory == pytest.approx(1e9)
    assert estimate(BASE.replace(batch_size=4), runs).memory == pytest.approx(1e9)
    assert estimate(BASE.replace(batch_size=32), runs).memory == pytest.approx(0.45e9 + 2 * 0.55e9)


def test_a_recording_is_a_rough_guess_and_gives_way_to_runs_of_this_machine(tmp_path):
    recording = finished(tmp_path, seconds=5, recording={"machine": "8 cores"})
    assert estimate(BASE, [recording]).basis == "a rough guess, from 1 run made on 8 cores"
    other = finished(tmp_path, seconds=5, cores=10_000)
    assert "another machine" in estimate(BASE, [other]).basis
    assert estimate(BASE, [recording, other, finished(tmp_path)]).seconds == pytest.approx(60)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"cost": 3}', '{"cost": {"gradient_evaluations": 0, "seconds_training": 1}}']
)
def test_a_result_that_says_nothing_is_passed_over(tmp_path, text):
    run = finished(tmp_path)
    (run.path / "result.json").write_text(text)
    assert estimate(BASE, [run]).seconds is None


def test_a_group_adds_up_and_memory_is_that_of_those_at_once(tmp_path):
    runs = [finished(tmp_path)]
    group = [BASE.replace(seed=seed) for seed in range(3)] + [BASE.replace(batch_size=32)]
    found = estimate_of_group(group, runs)
    assert found.seconds == pytest.approx(3 * 60 + 110)
    assert found.memory == pytest.approx(1.55e9)
    assert estimate_of_group(group, runs, limit=2).memory == pytest.approx(2.55e9)
    assert estimate_of_group([*group, RunConfig(task="reuters")], runs).seconds is None
    assert total([]).seconds is None
