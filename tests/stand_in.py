"""A train(run) of a few milliseconds for tests of processes, signals and the command line.

A worker process finds it in place of bidora.train when the folder of `install` leads its PYTHONPATH. What it does is
said by the setting `data`: "" trains; "deaf" never looks at the wish to stop; "user-error", "crash", "no-memory",
"full-disk" raise; "die" kills its own process; "slow" waits while it is still preparing.
"""

from __future__ import annotations

SOURCE = """
import errno, json, os, signal, sys, time, types
from importlib.machinery import ModuleSpec

def train(run, *, progress=None):
    config, start = run.config, run.status.get("step") or 0
    from bidora.errors import LabError
    if config.data == "slow":
        time.sleep(30)
    if config.data == "user-error":
        raise LabError("rank=8 is above the layer's width 4", hint="use a rank of at most 4", kind="model")
    if config.data == "crash":
        raise RuntimeError("matrices of another world")
    if config.data == "no-memory":
        raise MemoryError
    if config.data == "full-disk":
        raise OSError(errno.ENOSPC, "No space left on device")
    run.update_status(state="running", phase="train", total=config.steps)
    for step in range(start + 1, config.steps + 1):
        time.sleep(0.02)
        run.append_metrics({"phase": "train", "phase_index": 0, "step": step, "loss": 1 / step})
        run.update_status(step=step)
        if progress is not None:
            progress("train", step, config.steps)
        if config.data == "die" and step == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        if run.stop_requested() and config.data != "deaf":
            run.update_status(state="stopped")
            return {}
    scores = {"accuracy": {"value": 0.75, "low": 0.7, "high": 0.8}}
    cost = {"seconds_training": 1.5, "peak_memory_bytes": 3e8, "trainable_parameters": 1200}
    result = {"kind": "classification", "primary": "accuracy", "n_train": 8, "n_test": 4, "scores": scores,
              "baseline": {"accuracy": 0.5}, "cost": cost, "dynamics": {"delta_m": 0.01, "delta_d": 0.02}}
    from bidora.runs import write_json
    write_json(run.path / "result.json", result)
    run.update_status(state="finished", exit_code=0)
    return result

module = types.ModuleType("bidora.train")
module.train = train
module.__spec__ = ModuleSpec("bidora.train", None)
sys.modules["bidora.train"] = module
"""


def install(folder, monkeypatch):
    """Put the stand-in before everything else in worker processes that are started from now on."""
    import os

    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(SOURCE)
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *([before] if before else [])]))


def install_here(monkeypatch):
    """Put the stand-in into this process."""
    import sys

    before = sys.modules.get("bidora.train")
    exec(compile(SOURCE, "stand-in", "exec"), {})
    stand_in = sys.modules.pop("bidora.train")
    if before is not None:
        sys.modules["bidora.train"] = before
    monkeypatch.setitem(sys.modules, "bidora.train", stand_in)
