"""Finished, running and broken run folders with made-up numbers, as the views and analyses read them; no training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas

from bidora.config import RunConfig
from bidora.runs import Run, write_json

MODULES = ("query", "value")
PHASES = {"bidora": ("search", "retrain")}


def write_run(
    root: Path,
    method: str = "lora",
    seed: int = 0,
    accuracy: float = 0.9,
    *,
    task: str = "reuters",
    state: str = "finished",
    group: str = "",
    recorded: bool = False,
    steps: int = 40,
    **settings: object,
) -> Run:
    """One run folder with everything that training leaves behind; unless finished, without its result."""
    config = RunConfig(task=task, method=method, seed=seed, steps=steps, **settings)  # type: ignore[arg-type]
    run = Run.create(config, root, group=group)
    draw = np.random.default_rng([seed, len(method)])
    phases = PHASES.get(method, ("train",))
    _write_metrics(run, phases, steps, accuracy, draw)
    _write_dynamics(run, phases, steps, draw)
    if state == "finished":
        _write_result(run, accuracy, phases, steps)
        _write_predictions(run, accuracy, draw)
    run.update_status(state=state)
    run.update_meta(
        data={"train": {"sha256": f"{task} train {seed}"}, "test": {"sha256": f"{task} test"}},
        device={"type": "cpu", "name": "x86_64", "threads": 2},
        model={"sha256": f"{task} weights"},
        labels=["acq", "earn"],
        **({"recording": {"command": "bidora run", "machine": "2 cores"}} if recorded else {}),
    )
    return run


def write_comparison(
    root: Path, seeds: tuple[int, ...] = (0, 1, 2), *, methods: str = "lora dora bidora full"
) -> list[Run]:
    """Methods × seeds of one task; BiDoRA is above DoRA at every seed, LoRA is not."""
    base = {"lora": 0.9, "dora": 0.9, "bidora": 0.915, "full": 0.92}
    return [
        write_run(root, method, seed, base[method] + 0.004 * seed * (-1 if method == "lora" else 1), group="demo")
        for method in methods.split()
        for seed in seeds
    ]


def _write_metrics(run: Run, phases: tuple[str, ...], steps: int, accuracy: float, draw: np.random.Generator) -> None:
    lines = []
    for index, phase in enumerate(phases):
        for step in range(1, steps + 1):
            done = index * steps + step
            line = dict(phase=phase, phase_index=index, step=step, seconds=0.4 * done, loss=2 * 0.95**step)
            line |= dict(examples_seen=16 * done, gradient_evaluations=done * (4 if phase == "search" else 1))
            if phase == "search":
                line |= dict(upper_loss=2.1 * 0.96**step, direct_norm=0.02, cosine=float(draw.uniform(-1, 1)))
                line["implicit_norm"] = float(draw.uniform(1e-5, 1e-4))
            if step % 10 == 0:
                score = accuracy * step / steps
                line |= dict(test_accuracy=score, train_accuracy=score + 0.05, gap=0.05)
            lines.append(json.dumps(line))
    (run.path / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_dynamics(run: Run, phases: tuple[str, ...], steps: int, draw: np.random.Generator) -> None:
    rows = [
        dict(phase=phase, phase_index=index, step=step, layer=layer, module=module)
        | dict(delta_d=1e-4 * step * (1 + layer) * draw.uniform(0.5, 1), delta_m=1e-3 * step * draw.uniform(0.5, 1))
        | dict(delta_m_signed_percent=float(draw.normal()), angle_degrees=0.1 * step * (1 + layer))
        for index, phase in enumerate(phases)
        for step in range(0, steps + 1, steps // 4)
        for layer in range(6)
        for module in MODULES
    ]
    run.write_dynamics(pandas.DataFrame(rows), len(phases) - 1, steps)


def _write_result(run: Run, accuracy: float, phases: tuple[str, ...], steps: int) -> None:
    value = dict(accuracy=accuracy, macro_f1=accuracy - 0.1)
    evaluations = steps if len(phases) == 1 else 5 * steps
    write_json(
        run.path / "result.json",
        {
            "kind": "classification",
            "primary": "accuracy",
            **dict(
                n_train=128, n_lower=102 if len(phases) > 1 else 128, n_upper=26 if len(phases) > 1 else 0, n_test=2189
            ),
            "scores": {name: dict(value=each, low=each - 0.01, high=each + 0.01) for name, each in value.items()},
            "train_scores": {name: min(1.0, each + 0.06) for name, each in value.items()},
            "baseline": dict(accuracy=0.5, macro_f1=0.3),
            "cost": dict(
                seconds_training=0.4 * evaluations,
                seconds_total=60.0,
                peak_memory_bytes=500_000_000,
                gradient_evaluations=evaluations,
                examples_seen=640,
                trainable_parameters=100_000,
                total_parameters=22_000_000,
            ),
            "dynamics": dict(delta_m=0.02, delta_d=0.001, slope=1.5, pearson=0.9, spearman=0.8, points=48),
        },
    )


def _write_predictions(run: Run, accuracy: float, draw: np.random.Generator) -> None:
    target = draw.choice(["acq", "earn"], 200)
    right = draw.uniform(size=200) < accuracy
    other = np.where(target == "acq", "earn", "acq")
    table = pandas.DataFrame(
        dict(id=[f"item-{place}" for place in range(200)], target=target, prediction=np.where(right, target, other))
    )
    table.assign(probability=draw.uniform(0.5, 1, 200), correct=right).to_parquet(run.path / "predictions.parquet")
