"""Killed at any moment, a run is found as lost, resumes, and ends with the same bits as one that was never touched."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import warm
from safetensors.torch import load_file

from bidora.config import RunConfig
from bidora.runs import Run
from bidora.train import train

STEPS = 30


def config_of(model: Path, table: Path) -> RunConfig:
    return RunConfig(
        task="csv",
        data=str(table),
        model=str(model),
        method="bidora",
        rank=2,
        steps=STEPS,
        batch_size=8,
        learning_rate=1e-2,
        dropout=0.1,
        backbone_dropout=0.1,
        unroll_scale="adam",
        threads=1,
        checkpoint_every=4,
    )


def outcome(run: Run) -> dict[str, Any]:
    """Everything that must be equal: weights, scores, costs but time, dynamics, metrics but time."""
    metrics = run.metrics().drop(columns=["seconds"])
    cost = {
        name: run.result["cost"][name] for name in ("gradient_evaluations", "examples_seen", "trainable_parameters")
    }
    return {
        "weights": load_file(run.adapter_dir / "adapter_model.safetensors"),
        "head": load_file(run.adapter_dir / "head.safetensors"),
        "scores": run.result["scores"],
        "after_search": run.result["after_search"],
        "cost": cost,
        "dynamics": run.dynamics(),
        "metrics": metrics,
    }


def assert_equal(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for part in ("weights", "head"):
        assert found[part].keys() == wanted[part].keys()
        assert all(torch.equal(found[part][name], tensor) for name, tensor in wanted[part].items()), part
    for part in ("scores", "after_search", "cost"):
        assert found[part] == wanted[part]
    columns = ["phase_index", "step", "name", "delta_m", "delta_d", "magnitude_gradient_norm"]
    assert found["dynamics"][columns].equals(wanted["dynamics"][columns])
    steps = ["phase", "step", "loss", "upper_loss", "test_accuracy"]
    assert found["metrics"][steps].equals(wanted["metrics"][steps])


@pytest.fixture(scope="module")
def untouched(tiny_bert: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    run = Run.create(config_of(tiny_bert, table), tmp_path_factory.mktemp("untouched"))
    train(run)
    return outcome(run)


def wait_for_step(run: Run, process: warm.Process, step: int) -> None:
    """Wait until the run's metrics show a step (over both phases), or the process is over."""
    while process.poll() is None:
        status = run.status
        if status.get("pid") != process.pid or status["state"] in ("preparing", "lost"):  # still importing
            time.sleep(0.01)
            continue
        reached = max((record["phase_index"] * STEPS + record["step"] for record in run.records()), default=0)
        if reached >= step:
            return
        time.sleep(0.01)


def test_killed_at_ten_random_moments(tiny_bert: Path, table: Path, tmp_path: Path, untouched: dict[str, Any]) -> None:
    """Five SIGKILL, five SIGTERM, at steps and moments drawn by a seed; one run goes through all ten."""
    generator = random.Random(20_261_123)
    moments = sorted(generator.sample(range(1, 2 * STEPS), 10))
    run = Run.create(config_of(tiny_bert, table), tmp_path)
    killed = 0
    for number, moment in enumerate(moments):
        process = warm.worker(run)
        wait_for_step(run, process, moment)
        time.sleep(generator.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL if number % 2 == 0 else signal.SIGTERM)
        code = process.wait(timeout=120)
        if code == 0:
            break
        killed += 1
        state = run.state
        assert state in (("lost",) if number % 2 == 0 else ("stopped", "lost")), (state, run.log_tail())
    assert killed == 10, (killed, run.log_tail())
    train(run)
    assert run.state == "finished"
    assert_equal(outcome(run), untouched)


def test_a_stop_is_granted_after_the_step_and_resumed(
    tiny_bert: Path, table: Path, tmp_path: Path, untouched: dict[str, Any]
) -> None:
    run = Run.create(config_of(tiny_bert, table), tmp_path)

    def progress(text: str, done: float, total: float) -> None:
        if text.startswith("search") and done == 13:
            run.request_stop()

    assert train(run, progress=progress) == {}
    assert run.state == "stopped"
    assert run.status["step"] == 13
    train(run)
    found = outcome(run)
    assert all(torch.equal(found["weights"][name], tensor) for name, tensor in untouched["weights"].items())
    assert found["scores"] == untouched["scores"]


def test_a_checkpoint_that_was_cut_off_does_not_count(
    tiny_bert: Path, table: Path, tmp_path: Path, untouched: dict[str, Any]
) -> None:
    run = Run.create(config_of(tiny_bert, table), tmp_path)
    train(run, progress=lambda text, done, total: run.request_stop() if done == 13 else None)
    newest = max((run.checkpoints_dir / "search").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    (newest / "complete").unlink()
    (newest / "trainable.safetensors").write_bytes(b"half")
    train(run)
    assert_equal(outcome(run), untouched)
