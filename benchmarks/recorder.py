"""What recording costs: the time inside the recorders as a share of the time of training."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from transformers import TrainerCallback

from benchmarks.contestants import DEFAULT
from benchmarks.settings import Part, Settings
from benchmarks.timing import wait_for
from benchmarks.workloads import Encoder, Size, config_of, encoder_of, trainer_of
from bidora.config import RunConfig
from bidora.level_trainer import LevelTrainer
from bidora.recorder import DynamicsRecorder, ProgressRecorder, base_weights
from bidora.runs import Run
from bidora.trainer import BiLevelTrainer

SIZES = (Size("minilm", 16, 64), Size("minilm", 16, 128))
QUICK_SIZES = (Size("tiny", 4, 12),)

STEPS = 30
"""Steps of one training; records come as often as in a run of 150 steps, every third step."""

METHODS: dict[str, dict[str, Any]] = {DEFAULT: dict(method="bidora"), "DoRA, our layer": dict(method="dora")}

COLUMNS = {
    "method": "training",
    "share": "share of the recorders",
    "spread": "quartiles",
    "difference": "with / without",
    "step_milliseconds": "ms per step without",
}


def run(settings: Settings) -> Part:
    """Train with and without recorders, in turns."""
    rows, notes = [], []
    for size in QUICK_SIZES if settings.quick else SIZES:
        encoder = encoder_of(size.model, settings)
        notes.append(encoder.note)
        for method, changes in METHODS.items():
            steps = 6 if settings.quick else STEPS
            config = config_of(size, settings, steps=steps, record_every=3, **changes)
            rows.append({"setting": str(size), "method": method, **_shares(encoder, size, config, settings)})
    notes.append(
        "share: time inside the recorders of status, metrics and weight dynamics / time of the same training; target: below 3 %"
    )
    notes.append("with / without: whole trainings, interleaved; noisier than the share")
    return Part("what recording costs", COLUMNS, rows, group="setting", notes=sorted(set(notes), key=notes.index))


def _shares(encoder: Encoder, size: Size, config: RunConfig, settings: Settings) -> dict[str, float]:
    shares, differences, steps = [], [], []
    for _ in range(settings.rounds_or(2)):
        plain, _ = _train(encoder, size, config, settings, recorded=False)
        recorded, inside = _train(encoder, size, config, settings, recorded=True)
        shares.append(inside / recorded)
        differences.append(recorded / plain)
        steps.append(plain / config.steps)
    low, high = np.percentile(shares, [25, 75])
    return {
        "share": float(np.median(shares)),
        "share_low": float(low),
        "share_high": float(high),
        "difference": float(np.median(differences)),
        "step_milliseconds": float(np.median(steps)) * 1e3,
    }


def _train(
    encoder: Encoder, size: Size, config: RunConfig, settings: Settings, *, recorded: bool
) -> tuple[float, float]:
    """Seconds of one training, and seconds of these inside the recorders."""
    trainer = trainer_of(encoder, size, config, settings)
    stopwatches = [Stopwatch(each) for each in _recorders(trainer, config, settings)] if recorded else []
    for stopwatch in stopwatches:
        trainer.add_callback(stopwatch)
    clock = Clock(settings)
    trainer.callback_handler.callbacks.insert(0, clock)
    trainer.train()
    return clock.seconds, sum(stopwatch.seconds for stopwatch in stopwatches)


def _recorders(trainer: LevelTrainer, config: RunConfig, settings: Settings) -> list[TrainerCallback]:
    """The recorders that `train(run)` adds, but for test scores, whose cost is that of the evaluation."""
    run = Run.create(config, settings.scratch / "runs")
    phase = "search" if config.method == "bidora" else "train"
    base = base_weights(trainer.model, config.target_modules)
    source: Callable[[], Any] | None = (
        (lambda: trainer.last_hypergradient) if isinstance(trainer, BiLevelTrainer) else None
    )
    return [
        ProgressRecorder(run, phase=phase, phase_index=0, done_before=0, total=config.steps, cost=trainer.cost),
        DynamicsRecorder(
            run, trainer.model, base, phase=phase, phase_index=0, every=config.record_every, source=source
        ),
    ]


class Clock(TrainerCallback):
    """Time from the first step's beginning to the end of training."""

    def __init__(self, settings: Settings) -> None:
        self.device, self.seconds, self._began = settings.device, 0.0, 0.0

    def on_train_begin(self, *args: Any, **rest: Any) -> None:
        """Training begins."""
        wait_for(self.device)
        self._began = time.perf_counter()

    def on_train_end(self, *args: Any, **rest: Any) -> None:
        """Training ended."""
        wait_for(self.device)
        self.seconds = time.perf_counter() - self._began


class Stopwatch(TrainerCallback):
    """A recorder whose time is added up."""

    def __init__(self, recorder: TrainerCallback) -> None:
        self.recorder, self.seconds = recorder, 0.0

    def __getattribute__(self, name: str) -> Any:
        """Every event goes to the recorder and is timed."""
        if not name.startswith("on_"):
            return super().__getattribute__(name)
        event = getattr(self.recorder, name)

        def timed(*args: Any, **rest: Any) -> Any:
            began = time.perf_counter()
            try:
                return event(*args, **rest)
            finally:
                self.seconds += time.perf_counter() - began

        return timed
