"""`bidora demo`: the plan, a second start, stops and failures."""

from __future__ import annotations

import pytest
import stand_in

from bidora.cli import demo, fetching, main
from bidora.runs import Run, list_runs

pytestmark = pytest.mark.usefixtures("own_places")


@pytest.fixture
def small_demo(tmp_path, monkeypatch):
    """The demonstration with the stand-in for training, and nothing to fetch."""
    stand_in.install(tmp_path / "stand-in", monkeypatch)
    monkeypatch.setattr(fetching, "fetch", lambda names: [])
    monkeypatch.setattr("bidora.sweeping.sweep.POLL_SECONDS", 0.02)
    short = {group: config.replace(steps=3) for group, config in demo.STUDIES.items()}
    monkeypatch.setattr(demo, "STUDIES", short)


def test_the_plan_of_the_demonstration():
    planned = [config for order in demo.orders() for config in order.configs]
    assert [(config.task, config.method) for config in planned] == [
        (task, method) for task in ("reuters", "peptides") for method in ("lora", "dora", "bidora")
    ]
    assert {(config.variant, config.examples_per_class) for config in planned[:3]} == {("r8", 16)}
    assert {config.examples_per_class for config in planned[3:]} == {32}
    assert {config.seed for config in planned} == {0}


def test_the_demonstration_trains_six_runs_and_skips_them_the_second_time(tmp_path, small_demo, capsys):
    assert main(["demo"]) == 0
    shown = capsys.readouterr()
    runs = list_runs(tmp_path / "runs")
    assert [run.state for run in runs] == ["finished"] * 6
    assert shown.out.count("test scores with 95 % intervals") == 2
    assert "bidora compare --group demo-peptides" in shown.out
    assert main(["demo"]) == 0
    assert capsys.readouterr().out.count("3 of 3 are finished already") == 2
    assert [run.id for run in list_runs(tmp_path / "runs")] == [run.id for run in runs]


def test_the_demonstration_goes_on_with_a_stopped_run_and_trains_changed_settings_anew(tmp_path, small_demo, capsys):
    order = demo.orders()[0]
    group, config = order.group, order.configs[0]
    stopped = Run.create(config, tmp_path / "runs", group=group)
    stopped.update_status(state="stopped", step=1)
    changed = Run.create(config.replace(rank=2), tmp_path / "runs", group=group)
    elsewhere = Run.create(config, tmp_path / "runs", group="mine")
    assert main(["demo"]) == 0
    assert "1 begun: gone on with" in capsys.readouterr().out
    assert (stopped.state, changed.state, elsewhere.state) == ("finished", "queued", "queued")
    assert len(list_runs(tmp_path / "runs")) == 8


def test_the_demonstration_ends_with_a_sentence_when_a_run_fails(tmp_path, small_demo, monkeypatch, capsys):
    failing = {group: config.replace(data="user-error") for group, config in demo.STUDIES.items()}
    monkeypatch.setattr(demo, "STUDIES", failing)
    assert main(["demo"]) == 2
    err = capsys.readouterr().err
    assert "rank=8 is above the layer's width 4" in err
    assert "use a rank of at most 4" in err


def test_ctrl_c_in_the_demonstration_stops_the_worker(tmp_path, small_demo, monkeypatch, capsys):
    monkeypatch.setattr(demo, "STUDIES", {g: c.replace(steps=5000) for g, c in demo.STUDIES.items()})

    def interrupted(telling, runs):
        if any((run.status.get("step") or 0) >= 2 for run in runs):
            raise KeyboardInterrupt

    monkeypatch.setattr("bidora.cli.carrying_out._Telling._watched", interrupted)
    assert main(["demo"]) == 130
    (run,) = list_runs(tmp_path / "runs")
    assert run.state == "stopped"
    assert "The same command goes on:\n  bidora demo" in capsys.readouterr().err
