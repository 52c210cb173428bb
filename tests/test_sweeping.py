"""Grids of runs: which there are, what is passed over, when they stop. Workers are stand-ins that end at once."""

from __future__ import annotations

import pytest
from run_folders import write_run

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.runs import Run, list_runs, write_json
from bidora.sweeping import Failure, Sweep, combinations_of, disk_of, equal_run, names_of_sweep, planned, systematic
from bidora.sweeping import sweep as at_work


@pytest.fixture
def workers(monkeypatch):
    """Workers that are over as soon as they are started; `fates` says how, by place: a state, or an error's kind and text."""

    class Workers:
        def __init__(self):
            self.started: list[Run] = []
            self.stopped: list[Run] = []
            self.threads: list[int | None] = []
            self.fates: dict[int, tuple[str, str]] = {}

        def start(self, run, *, threads=None):
            place = len(self.started)
            self.started.append(run)
            self.threads.append(threads)
            kind, words = self.fates.get(place, ("finished", ""))
            if kind == "interrupt":
                run.update_status(state="running", pid=0)
                raise KeyboardInterrupt
            if kind == "finished":
                score = 0.5 + 0.01 * place
                scores = {"accuracy": {"value": score, "low": score - 0.1, "high": score + 0.1}}
                write_json(run.path / "result.json", {"primary": "accuracy", "scores": scores})
                run.update_status(state="finished")
            elif kind in ("stopped", "lost"):
                run.update_status(state="stopped" if kind == "stopped" else "running", pid=2**22 + 1, process_start=1.0)
            else:
                run.update_status(state="failed", error={"kind": kind, "message": words, "hint": "mend it"})

        def stop(self, run, *, wait=0.0):
            self.stopped.append(run)
            return "stopped"

    found = Workers()
    monkeypatch.setattr(at_work, "start", found.start)
    monkeypatch.setattr(at_work, "stop", found.stop)
    monkeypatch.setattr(at_work, "POLL_SECONDS", 0.0)
    return found


AXES = {"task": ["peptides"], "method": ["lora", "dora"], "seed": [0, 1]}


def carry_out(tmp_path, configs, **options):
    told = []
    sweep = Sweep("g", tmp_path, ended=lambda each, left: told.append((each.state, left)), **options)
    return sweep.carry_out(planned(configs, "g", tmp_path)), told


# -- which runs -----------------------------------------------------------------------------------------------------


def test_all_of_a_seed_come_before_those_of_the_next():
    configs = combinations_of({**AXES, "learning_rate": [1e-3, 3e-3]}, {"steps": 5})
    assert len(configs) == 8 and {config.steps for config in configs} == {5}
    assert [config.seed for config in configs] == [0] * 4 + [1] * 4
    assert [(config.learning_rate, config.method) for config in configs[:3]] == [
        (1e-3, "lora"),
        (1e-3, "dora"),
        (3e-3, "lora"),
    ]


def test_a_setting_that_a_method_does_not_use_makes_no_second_run():
    configs = combinations_of({"method": ["lora", "bidora"], "unroll_scale": ["0", "adam"]})
    assert [(config.method, config.unroll_scale) for config in configs] == [
        ("lora", "lr"),
        ("bidora", "0"),
        ("bidora", "adam"),
    ]
    assert len(combinations_of({"method": ["lora"], "threads": [1, 2]})) == 2  # what may change last bits is kept


def test_methods_can_be_given_equal_effort():
    lora, bidora = combinations_of({"method": ["lora", "bidora"]}, {"steps": 20}, equal_effort=True)
    assert (lora.steps, bidora.steps) == (80, 20)


def test_a_sweep_has_a_size_that_can_be_meant():
    with pytest.raises(LabError, match=r"3,000 runs \(allowed: 1 to 2,000\)"):
        combinations_of({"seed": range(3000)})
    with pytest.raises(LabError, match="rank=0"):
        combinations_of({"rank": [4, 0]})
    with pytest.raises(LabError, match="unknown setting"):
        combinations_of({"ranks": [4]})


def test_names_say_what_sets_a_run_apart_within_its_task():
    configs = combinations_of({**AXES, "task": ["peptides", "reuters"], "rank": [4, 8]})
    names = names_of_sweep(configs)
    assert names[0] == "peptides LoRA, rank 4, seed 0" and len(set(names)) == len(names)


def test_equal_settings_are_the_same_run_of_the_group(tmp_path):
    config = RunConfig(task="peptides")
    stopped, finished = (Run.create(config, tmp_path, group="g") for _ in range(2))
    stopped.update_status(state="stopped")
    finished.update_status(state="finished")
    runs = list_runs(tmp_path)
    assert equal_run(runs, "g", config).id == finished.id
    assert equal_run(runs, "other", config) is None and equal_run(runs, "g", config.replace(seed=1)) is None
    assert planned([config, config.replace(seed=1)], "g", tmp_path)[0].run.id == finished.id
    assert planned([config.replace(seed=1)], "g", tmp_path)[0].state == "new"


# -- doing it -------------------------------------------------------------------------------------------------------


def test_runs_are_made_started_and_told_of_in_order(tmp_path, workers):
    configs = combinations_of(AXES)
    runs, told = carry_out(tmp_path, configs, tags=("t",))
    assert [run.config for run in runs] == configs
    assert told == [("finished", 3), ("finished", 2), ("finished", 1), ("finished", 0)]
    assert {run.meta["group"] for run in runs} == {"g"} and runs[0].meta["tags"] == ["t"]
    assert runs[0].meta["name"] == "peptides LoRA, seed 0"
    assert workers.threads == [0] * 4


def test_the_same_again_passes_over_what_is_finished(tmp_path, workers):
    configs = combinations_of(AXES)
    carry_out(tmp_path, configs[:3])
    workers.started.clear()
    runs, told = carry_out(tmp_path, configs)
    assert [run.config for run in workers.started] == configs[3:]
    assert len(runs) == 4 and told == [("finished", 0)]
    workers.started.clear()
    assert carry_out(tmp_path, configs)[1] == [] and not workers.started


def test_stopped_and_lost_runs_are_gone_on_with(tmp_path, workers):
    configs = combinations_of(AXES)
    workers.fates = {0: ("stopped", ""), 1: ("lost", "")}
    runs, told = carry_out(tmp_path, configs[:2])
    assert [state for state, _ in told] == ["stopped", "lost"]
    again, _ = carry_out(tmp_path, configs[:2])
    assert [run.id for run in again] == [run.id for run in runs] == [run.id for run in workers.started[2:]]
    assert [run.state for run in again] == ["finished", "finished"]


def test_several_at_once_share_the_cores(tmp_path, workers, monkeypatch):
    monkeypatch.setattr(at_work, "thread_share", lambda limit: 8 // limit)
    carry_out(tmp_path, combinations_of(AXES), parallel=4)
    assert workers.threads == [2] * 4


def test_a_run_that_somebody_else_has_started_is_waited_for(tmp_path, workers, monkeypatch):
    config = combinations_of(AXES)[0]
    run = Run.create(config, tmp_path, group="g")
    run.claim()  # this process itself: alive
    seen = []
    sweep = Sweep("g", tmp_path, watched=lambda runs: (seen.append(len(runs)), run.update_status(state="finished")))
    assert [each.id for each in sweep.carry_out(planned([config], "g", tmp_path))] == [run.id]
    assert seen == [1, 0] and not workers.started


def test_ctrl_c_asks_what_is_at_work_to_save(tmp_path, workers):
    configs = combinations_of(AXES)
    first = Run.create(configs[0], tmp_path, group="g")
    first.claim()
    workers.fates = {0: ("interrupt", "")}
    with pytest.raises(KeyboardInterrupt):
        Sweep("g", tmp_path, parallel=3).carry_out(planned(configs, "g", tmp_path))
    assert [run.id for run in workers.stopped] == [first.id, first.id]  # all are asked, then waited for


# -- when to stop ---------------------------------------------------------------------------------------------------


def failure(kind="data", message="x"):
    return Failure(None, kind, message, "")  # type: ignore[arg-type]


def test_a_first_run_that_fails_for_its_settings_stops_the_sweep(tmp_path, workers):
    workers.fates = {0: ("data", "no such file")}
    with pytest.raises(LabError, match=r"the very first run failed .* \(data\): no such file") as caught:
        carry_out(tmp_path, combinations_of(AXES))
    assert len(workers.started) == 1 and caught.value.kind == "data"
    assert caught.value.hint == "mend it; then the same command goes on"


def test_two_equal_failures_stop_it_and_two_unlike_ones_do_not(tmp_path, workers):
    configs = combinations_of({**AXES, "seed": [0, 1, 2]})
    workers.fates = {
        1: ("unexpected", "IndexError: 12"),
        3: ("memory", "too small"),
        4: ("unexpected", "IndexError: 7"),
    }
    with pytest.raises(LabError, match="2 runs failed in the same way"):
        carry_out(tmp_path, configs)
    assert len(workers.started) == 5


def test_a_diverged_run_says_something_of_its_settings_only():
    assert systematic([failure("diverged")] * 2, 4) == ""
    assert systematic([failure("diverged")] * 3, 4) == ""
    assert systematic([failure("diverged")] * 3, 3) == "the first three runs all diverged"
    assert systematic([failure("unexpected")], 1) == ""
    assert systematic([failure("setting")], 2) == ""
    assert systematic([], 3) == ""


def test_two_workers_that_are_gone_without_a_word_stop_it(tmp_path, workers):
    workers.fates = {0: ("lost", ""), 1: ("lost", "")}
    with pytest.raises(LabError, match="2 runs failed in the same way.*gone without a word"):
        carry_out(tmp_path, combinations_of(AXES))


def test_disk_is_judged_by_finished_runs_of_the_model(tmp_path):
    runs = [write_run(tmp_path, method, 0, task="peptides") for method in ("lora", "bidora")]
    lora, bidora = (disk_of([RunConfig(task="peptides", method=method)], runs) for method in ("lora", "bidora"))
    assert 0 < lora < bidora
    both = disk_of([RunConfig(task="peptides", method="dora")] * 2, runs)
    assert lora < both / 2 < bidora  # none of the method: the median over all of the model
    assert disk_of([RunConfig(task="reuters")], runs) is None


def test_a_run_that_somebody_else_has_finished_is_passed_over(tmp_path, workers, monkeypatch):
    """`bidora resume`, the queue, or the same sweep in another terminal."""
    configs = [RunConfig(task="peptides", method="lora", steps=3, seed=seed) for seed in range(3)]
    start = workers.start

    def finishing(run, *, threads=None):
        start(run, threads=threads)
        for other in list_runs(tmp_path):
            if other.state == "queued" and other.config.seed == 1:
                other.update_status(state="finished")

    for config in configs:
        Run.create(config, tmp_path, group="g")
    monkeypatch.setattr(at_work, "start", finishing)
    runs, _ = carry_out(tmp_path, configs)
    assert [run.state for run in runs] == ["finished"] * 3 and len(workers.started) == 2
