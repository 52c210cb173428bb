"""Recordings: what is copied of a run, and whether those that come with the lab are whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from bidora.analysis import paired_differences, runs_table
from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.recordings import record, recordings, recordings_root
from bidora.runs import Run
from bidora.train import train

SHIPPED = Path(__file__).resolve().parents[1] / "data" / "recordings"


@pytest.fixture(scope="module")
def finished(tiny_bert: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = RunConfig(task="csv", data=str(table), model=str(tiny_bert), method="bidora", rank=2, steps=4, threads=1)
    run = Run.create(config, tmp_path_factory.mktemp("runs"), name="a run")
    train(run)
    return run


@pytest.mark.parametrize("inputs", [True, False])
def test_a_recording_keeps_what_can_be_shown(finished: Run, tmp_path: Path, monkeypatch, inputs: bool) -> None:
    copy = record(finished, tmp_path, inputs=inputs)
    monkeypatch.setenv("BIDORA_RECORDINGS", str(tmp_path))
    assert [run.id for run in recordings()] == [finished.id]
    assert copy.state == "finished" and copy.result == finished.result
    assert ("input" in copy.predictions()) is inputs
    assert len(copy.predictions()) == len(finished.predictions())
    assert len(copy.dynamics()) == len(finished.dynamics()) > 0
    assert len(copy.units()) == len(finished.units()) > 0
    assert copy.meta["recording"]["command"].startswith("bidora run --task csv")
    assert not copy.checkpoints_dir.exists() and not (copy.path / "log.txt").exists()
    assert not {"pid", "host"} & copy.status.keys()


def test_without_the_adapter_it_is_smaller(finished: Run, tmp_path: Path) -> None:
    assert (record(finished, tmp_path / "with", inputs=False).adapter_dir / "adapter_model.safetensors").is_file()
    assert not record(finished, tmp_path / "without", inputs=False, adapter=False).adapter_dir.exists()


def test_a_run_that_is_not_finished_or_there_already_is_refused(finished: Run, tmp_path: Path) -> None:
    waiting = Run.create(RunConfig(task="peptides"), tmp_path / "runs")
    with pytest.raises(LabError, match="is queued"):
        record(waiting, tmp_path / "recordings", inputs=False)
    record(finished, tmp_path / "recordings", inputs=False)
    with pytest.raises(LabError, match="there already"):
        record(finished, tmp_path / "recordings", inputs=False)


def test_the_recordings_of_the_lab_are_whole_small_and_hold_no_article() -> None:
    assert recordings_root() == SHIPPED
    runs = recordings()
    table = runs_table(runs)
    assert set(table.groupby(["task", "method"])["seed"].nunique()) == {3}
    assert set(table["method"]) == {"lora", "dora", "bidora", "full"}
    assert set(table["state"]) == {"finished"}
    assert len(paired_differences(runs)) == 12  # six pairs of methods on two tasks
    for run in runs:
        size = sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
        assert size < (400_000 if run.adapter_dir.exists() else 200_000), run.id
        assert len(run.dynamics()) and len(run.units()) and len(run.metrics())
        assert run.meta["recording"].keys() == {"command", "machine"}
        if run.config.task == "reuters":
            assert "input" not in run.predictions()
