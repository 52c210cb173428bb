import os
import signal
from importlib import import_module

import pytest
from tiny import save_tiny_model, write_table

from bidora import Run, RunConfig
from bidora.errors import LabError
from bidora.exercises import trained
from bidora.exercises.training import StatusLine, keep_runs_beside_others
from bidora.exercises.training import __file__ as training_file


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("BIDORA_RUNS", str(tmp_path / "runs"))
    save_tiny_model(tmp_path / "model")
    table = write_table(tmp_path / "table.csv", rows=60)
    return RunConfig(
        task="csv", data=str(table), model=str(tmp_path / "model"), method="bidora", rank=2, steps=3, batch_size=4,
        max_length=16, device="cpu", threads=1,
    )  # fmt: skip


def test_a_run_is_trained_and_kept_where_others_are(settings, tmp_path, capsys):
    run = trained(settings, name="mine")
    assert run.state == "finished" and run.path.parent == tmp_path / "runs" and run.meta["name"] == "mine"
    assert f"run {run.id} is finished: 6 steps, 12 gradient evaluations" in capsys.readouterr().out


def test_the_stop_button_stops_without_loss(settings, monkeypatch, capsys):
    before = signal.getsignal(signal.SIGINT)
    told = []

    def press(line, what, done, total):
        told.append(what)
        if what.startswith("search") and done == 1:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(StatusLine, "__call__", press)
    run = trained(settings)
    assert run.state == "stopped" and "can go on" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is before
    assert trained(run).state == "finished"
    assert told


def test_without_weights_a_recording_is_shown(settings, monkeypatch, capsys):
    def offline(*given, **more):
        raise LabError("esm2 cannot be fetched", kind="download")

    monkeypatch.setattr(import_module("bidora.train"), "train", offline)  # bidora.train names the function
    recording = Run.create(settings)
    assert trained(settings, otherwise=recording) is recording
    words = capsys.readouterr().out
    assert words.count("\n") == 1 and "Nothing was trained: esm2 cannot be fetched" in words
    with pytest.raises(LabError, match="cannot be fetched"):
        trained(settings)


def test_other_errors_are_not_hidden(settings):
    with pytest.raises(LabError, match="target_modules"):
        trained(settings.replace(target_modules=("nothing",)), otherwise=Run.create(settings))


def test_notebooks_keep_their_runs_in_the_repository(monkeypatch):
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(training_file))))
    monkeypatch.setenv("BIDORA_RUNS", "elsewhere")  # so that it is put back
    monkeypatch.delenv("BIDORA_RUNS")
    monkeypatch.chdir(os.path.join(home, "notebooks"))
    keep_runs_beside_others()
    assert os.environ["BIDORA_RUNS"] == os.path.join(home, "runs")
