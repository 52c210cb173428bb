"""Makes the recordings of data/recordings: `python -m benchmarks.recordings`.

Two tasks, four methods, three seeds, each trained in a process of its own on two CPU threads, so that seconds and memory
are those of a small computer. What is there already (equal settings) is left alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bidora.config import RunConfig
from bidora.recordings import record, recordings_root
from bidora.runs import Run, list_runs

THREADS = 2

TASKS = {
    "reuters": RunConfig(task="reuters", variant="r8", examples_per_class=16, max_length=64),
    "peptides": RunConfig(task="peptides", examples_per_class=32),
}

INPUTS = {"reuters": False, "peptides": True}
"""Whether test inputs may be passed on: Reuters articles may not, the peptides (BSD-3) may."""


def plan() -> Iterator[tuple[str, RunConfig]]:
    """Group and settings of every recording. Rank 4 as in the published scripts, s = α/r = 2 as in this lab's defaults."""
    for name, common in TASKS.items():
        for seed in range(3):
            for method in ("bidora", "dora", "lora", "full"):
                rate = 1e-4 if method == "full" else 3e-3
                changes = dict(
                    method=method, seed=seed, learning_rate=rate, rank=4, alpha=8.0, device="cpu", threads=THREADS
                )
                yield f"recorded-{name}", common.replace(**changes)


def make(group: str, config: RunConfig, scratch: Path, out: Path) -> str:
    """Train one run in a process of its own and record it; returns a line for the log."""
    began = time.monotonic()
    run = Run.create(config, scratch, group=group, tags=("recording",))
    environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS)}
    finished = subprocess.run(
        [sys.executable, "-m", "bidora", "work", str(run.path)], capture_output=True, env=environment
    )
    if finished.returncode:
        return f"{run.path}: exit code {finished.returncode}: {finished.stderr.decode(errors='replace')[-500:]}"
    record(run, out, inputs=INPUTS[config.task], adapter=config.seed == 0)
    score = run.result["scores"][run.result["primary"]]["value"]
    return f"{group} {config.method} seed {config.seed}: {score:.4f}, {time.monotonic() - began:.0f} s"


def main() -> None:
    """Make the recordings that are missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recordings", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=recordings_root(), help="folder of the recordings")
    parser.add_argument("--scratch", type=Path, default=Path("runs"), help="folder of the whole runs")
    parser.add_argument(
        "--workers", type=int, default=1, help="runs at the same time; more make the seconds unreliable"
    )
    args = parser.parse_args()
    there = {run.config.digest() for run in list_runs(args.out)}
    todo = [(group, config) for group, config in plan() if config.digest() not in there]
    print(f"{len(there)} recordings are there, {len(todo)} to do", flush=True)
    with ThreadPoolExecutor(args.workers) as pool:
        for line in pool.map(lambda each: make(*each, args.scratch, args.out), todo):
            print(line, flush=True)


if __name__ == "__main__":
    main()
