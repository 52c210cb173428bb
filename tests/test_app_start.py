"""Start: recordings, own runs, nothing at all; the last run; the device; fetching."""

from __future__ import annotations

import os
import socket
import sys

import pytest
from run_folders import write_comparison, write_run

from bidora import fetching, machine


def words(app) -> str:
    kinds = ("markdown", "caption", "info", "warning", "error", "header", "title")
    return "\n".join(str(each.value) for kind in kinds for each in getattr(app, kind)).replace("\\", "")


def folder(name: str):
    from pathlib import Path

    return Path(os.environ[name])


def record(runs) -> None:
    for run in runs:
        run.update_meta(recording={"command": "bidora run", "machine": "2 cores"})


def test_without_anything_it_says_what_to_do(app):
    app.run()
    assert not app.exception
    assert "No finished runs here yet" in words(app)
    assert "bidora demo" in [each.value for each in app.code]
    assert not app.get("plotly_chart")


def test_recordings_are_shown_with_sentence_n_seeds_and_split(app):
    record(write_comparison(folder("BIDORA_RECORDINGS"), methods="lora dora bidora"))
    app.run()
    assert not app.exception
    said = words(app)
    assert "BiDoRA higher than DoRA in 3 of 3 seeds, difference 1.5 to 1.5 points" in said
    assert "No difference is shown: LoRA" in said or "LoRA lower than DoRA" in said
    assert "2,189 test examples" in said and "seeds 0, 1, 2" in said and "never trained on" in said
    assert len(app.get("plotly_chart")) == 1
    for word in ("Learn", "Train", "Analyse"):
        assert f" {word}" in said


def test_recordings_come_before_own_runs_and_own_runs_are_named_as_such(app):
    write_comparison(folder("BIDORA_RUNS"), methods="lora dora", seeds=(0, 1))
    app.run()
    assert "Your own runs" in words(app)
    record(write_comparison(folder("BIDORA_RECORDINGS"), methods="dora bidora"))
    app.run()
    assert "Your own runs" not in words(app) and "BiDoRA" in words(app)


def test_one_seed_shows_scores_and_forbids_a_conclusion(app):
    record(write_comparison(folder("BIDORA_RECORDINGS"), seeds=(0,), methods="dora bidora"))
    app.run()
    assert not app.exception
    assert "in one seed: no conclusion" in words(app)
    assert "How well does each method do" in words(app)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [("finished", "finished"), ("stopped", "stopped"), ("running", "interrupted at step 7"), ("failed", "failed")],
)
def test_the_last_run_is_named_with_its_state(app, state, sentence):
    run = write_run(folder("BIDORA_RUNS"), state=state)
    run.update_status(step=7, total=40, pid=2**30, host=socket.gethostname(), process_start=1.0)
    app.run()
    assert not app.exception
    assert "Your last run" in words(app) and sentence in words(app)


def test_a_stopped_run_goes_on_at_a_click(app, monkeypatch):
    run = write_run(folder("BIDORA_RUNS"), state="stopped")
    went = []
    monkeypatch.setattr(sys.modules["bidora.launch"], "start", lambda run: went.append(run.id))
    app.run()
    next(each for each in app.button if each.label == "Go on with it").click().run()
    assert went == [run.id]


def test_the_terms_are_shown_before_anything_is_fetched(app, monkeypatch, tmp_path):
    monkeypatch.setenv("BIDORA_CACHE", str(tmp_path / "cache"))
    app.run()
    assert "not here" in words(app)
    assert "Licence:" in words(app)
    started = []
    monkeypatch.setattr("bidora.fetching.subprocess.Popen", lambda order, **_: started.append(order) or _Worker())
    next(each for each in app.button if each.label.startswith("I have read")).click().run()
    assert not app.exception
    assert [order[2:4] for order in started] == [["bidora", "fetch"]]
    assert "esm2" in started[0] and "reuters" in started[0]
    assert list((tmp_path / "cache" / "notices").iterdir())


class _Worker:
    pid = 2**30

    def poll(self):
        return 0


def test_a_broken_recording_does_no_harm(app):
    runs = write_comparison(folder("BIDORA_RECORDINGS"), methods="dora bidora")
    record(runs)
    (runs[0].path / "result.json").write_text('{"scores": 3, "primary": [', encoding="utf-8")
    (runs[1].path / "config.json").write_text("{", encoding="utf-8")
    app.run()
    assert not app.exception


# -- what is here ---------------------------------------------------------------------------------------------------


def test_a_gpu_that_the_installed_torch_cannot_use_is_said_to_be_idle(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "nvidia_gpus", lambda: ["NVIDIA H100, 81559 MiB"])
    monkeypatch.setattr(machine, "_torch_version", lambda: "2.13.0+cpu")
    found = machine.machine(tmp_path / "not there yet")
    assert (found.device, found.sure) == ("CPU", True) and "built for CPUs only" in found.remark
    monkeypatch.setattr(machine, "_torch_version", lambda: "2.13.0+cu130")
    found = machine.machine(tmp_path)
    assert found.device.startswith("NVIDIA H100") and not found.sure and "first run will show" in found.remark
    monkeypatch.setattr(machine, "_torch_version", lambda: "")
    assert "not installed" in machine.machine(tmp_path).remark
    assert found.cores >= 1 and found.disk_free > 0


def test_nvidia_smi_that_hangs_or_fails_counts_as_none(monkeypatch, tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho NVIDIA A, 1 MiB\nexit 9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.nvidia_gpus() == []
    program.write_text("#!/bin/sh\necho NVIDIA A, 1 MiB\n")
    assert machine.nvidia_gpus() == ["NVIDIA A, 1 MiB"]
    program.write_text("#!/bin/sh\n/bin/sleep 5\n")
    monkeypatch.setattr(machine, "SMI_SECONDS", 0.1)
    assert machine.nvidia_gpus() == []


@pytest.mark.parametrize(
    ("line", "share"),
    [
        ("fetching  41.8 MB of 83.5 MB  3 s left", 0.5006),
        ("weights  900 kB of 1.8 MB", 0.5),
        ("unpacking  3/4", 0.75),
        ("all there, in somewhere", None),
        ("", None),
        ("0 MB of 0 MB", None),
    ],
)
def test_progress_is_read_from_the_lines_that_are_written(line, share):
    assert fetching.share_in(line) == (None if share is None else pytest.approx(share, rel=1e-3))


def test_fetching_says_idle_failed_and_finished(monkeypatch, tmp_path):
    monkeypatch.setenv("BIDORA_CACHE", str(tmp_path))
    assert fetching.fetching().state == "idle"
    (tmp_path / "fetch.json").write_text('{"pid": 1073741824, "began": 5}')
    (tmp_path / "fetch.log").write_text("asking\nerror: no network\n")
    assert fetching.fetching() == ("failed", None, ("asking", "error: no network"))
    (tmp_path / "fetch.log").write_text("name what\n\nall there, in /somewhere\n")
    assert fetching.fetching().state == "finished"
    (tmp_path / "fetch.json").write_text("[]")
    assert fetching.fetching().state in ("idle", "failed", "finished")


def test_fetching_runs_in_a_process_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("BIDORA_CACHE", str(tmp_path))
    monkeypatch.setattr(fetching.sys, "executable", "/bin/false")
    fetching.start_fetching(["peptides"])
    fetching._FETCHERS[-1].wait(10)
    assert fetching.fetching().state == "failed"
    with pytest.raises(fetching.LabError, match="nothing packaged is called 'no such'"):
        fetching.start_fetching(["no such"])
