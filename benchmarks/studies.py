"""Studies over many seeds: `python -m benchmarks.studies upper_rate --workers 2`.

A study is a list of settings; every finished run becomes one line of a CSV, so a study that was cut off goes on where it
was. Settings are chosen by the selection scores; test scores are there to be looked at afterwards.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bidora.config import RunConfig

TASKS: dict[str, dict[str, Any]] = {
    "reuters": dict(task="reuters", variant="r8", examples_per_class=16, max_length=64),
    "peptides": dict(task="peptides", examples_per_class=32),
}
"""The two few-shot tasks of the studies, with the packaged encoders."""

SETTINGS = (
    "task", "method", "seed", "examples_per_class", "steps", "learning_rate", "upper_learning_rate_ratio",
    "magnitude_learning_rate_ratio", "unroll_scale", "unroll_steps", "upper_data", "upper_fraction", "retrain",
    "magnitude_decay", "selection_fraction",
)  # fmt: skip


def upper_rate() -> Iterator[RunConfig]:
    """Which multiple of the learning rate should the magnitude have? Chosen on the selection split, 8 seeds, 2 tasks."""
    for seed in range(8):
        for common in TASKS.values():
            base = RunConfig(**common, method="bidora", seed=seed, selection_fraction=0.2)
            yield base.replace(method="lora")
            yield base.replace(method="dora")
            for retrain in ("restart", "continue"):
                for ratio in (1.0, 3.0, 10.0, 30.0):
                    yield base.replace(upper_learning_rate_ratio=ratio, retrain=retrain)


def unroll() -> Iterator[RunConfig]:
    """Does the implicit term matter, and is it the held-out split? ξ = 0, lr, adam, 1, and alternation on the same data."""
    for seed in range(8):
        for common in TASKS.values():
            base = RunConfig(**common, method="bidora", seed=seed, selection_fraction=0.2)
            for scale in ("0", "adam", "1"):
                yield base.replace(unroll_scale=scale)
            yield base.replace(upper_data="same")


def methods() -> Iterator[RunConfig]:
    """LoRA, DoRA and BiDoRA with the default settings, 10 seeds, all training data; test scores. The README quotes it."""
    for seed in range(10):
        for common in TASKS.values():
            for method in ("lora", "dora", "bidora", "full"):
                rate = 1e-4 if method == "full" else 3e-3
                yield RunConfig(**common, method=method, seed=seed, learning_rate=rate)


STUDIES = {"upper_rate": upper_rate, "unroll": unroll, "methods": methods}


def row_of(config: RunConfig) -> dict[str, Any]:
    """Train one run and flatten what came of it."""
    from bidora.runs import Run
    from bidora.train import train

    row = {"digest": config.digest(), **{name: getattr(config, name) for name in SETTINGS}}
    with tempfile.TemporaryDirectory() as root:
        run = Run.create(config, root)
        try:
            result = train(run)
        except Exception as error:  # one bad run must not end a study; the line says what it was
            traceback.print_exc()
            return {**row, "error": f"{type(error).__name__}: {error}"}
        device = run.meta.get("device", {}).get("name", "")
    row.update({f"test_{name}": score["value"] for name, score in result["scores"].items()})
    row.update({f"selection_{name}": value for name, value in result.get("selection_scores", {}).items()})
    row.update({f"after_search_{name}": value for name, value in result.get("after_search", {}).items()})
    row.update({f"train_{name}": value for name, value in result["train_scores"].items()})
    row.update({name: result[name] for name in ("n_train", "n_lower", "n_upper", "n_test")})
    return {**row, **result["cost"], **result["dynamics"], "device": device, "error": ""}


def work(config: RunConfig) -> dict[str, Any]:
    """One run in a worker process, on one thread."""
    import torch

    torch.set_num_threads(1)
    return row_of(config)


def main() -> None:
    """Run a study, or what is left of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies", description=__doc__.split("\n")[0])
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--workers", type=int, default=2, help="runs at the same time")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder of the CSV")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no further run after this time")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"study_{args.study}.csv"
    rows = list(csv.DictReader(path.open())) if path.exists() else []
    there = {row["digest"] for row in rows if not row["error"]}
    todo = [config for config in STUDIES[args.study]() if config.digest() not in there]
    rows = [row for row in rows if row["digest"] in there]
    began = time.perf_counter()
    print(f"{args.study}: {len(there)} runs are there, {len(todo)} to do")
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        for number, row in enumerate(pool.imap_unordered(work, todo), start=1):
            rows.append(row)
            names = list(dict.fromkeys(name for each in rows for name in each))
            with path.open("w", newline="") as handle:
                writer = csv.DictWriter(handle, names, restval="")
                writer.writeheader()
                writer.writerows(rows)
            spent = time.perf_counter() - began
            print(
                f"{number}/{len(todo)}  {spent:.0f} s, {spent / number * (len(todo) - number):.0f} s left", flush=True
            )
            if spent > args.seconds:
                pool.terminate()
                break


if __name__ == "__main__":
    main()
