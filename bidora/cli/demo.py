"""bidora demo: LoRA, DoRA and BiDoRA on real articles and real peptides, small enough for a laptop without a GPU."""

from __future__ import annotations

import argparse
import shlex
import sys
import time

from bidora.cli.flags import Commands, add_command
from bidora.cli.formatting import duration
from bidora.config import RunConfig
from bidora.launch import start, stop
from bidora.runs import ACTIVE, Run, list_runs, runs_root

STOP_SECONDS = 60.0
"""How long Ctrl-C waits for the worker to save."""

METHODS = ("lora", "dora", "bidora")

# Numbers of steps are chosen for two cores and no GPU: all six runs together train for less than six minutes.
STUDIES: dict[str, RunConfig] = {
    "demo-reuters": RunConfig(
        task="reuters", variant="r8", examples_per_class=16, steps=60, batch_size=16, max_length=64, seed=0
    ),
    "demo-peptides": RunConfig(task="peptides", examples_per_class=32, steps=60, batch_size=16, seed=0),
}
"""Group → what its runs have in common; they differ in the method only."""


def add_commands(commands: Commands) -> None:
    """Add demo."""
    add_command(
        commands,
        "demo",
        _demo,
        help="train LoRA, DoRA and BiDoRA on two small real tasks and compare them (some minutes)",
        description="Fetches real weights and data once, trains six small runs, and prints one table per task.\n"
        "What is there already is not done again; an interrupted run is gone on with.",
    )


def plan() -> list[tuple[str, RunConfig]]:
    """The runs of the demonstration: group and settings, in the order in which they are trained."""
    return [(group, common.replace(method=method)) for group, common in STUDIES.items() for method in METHODS]


def _demo(args: argparse.Namespace) -> int:
    from bidora.cli.fetching import fetch
    from bidora.cli.side_by_side import print_comparison
    from bidora.sweeping import equal_run

    began = time.monotonic()
    fetch(())
    there = list_runs(args.root)
    done: list[Run] = []
    for place, (group, config) in enumerate(plan(), start=1):
        run = equal_run(there, group, config)
        words = {"finished": "already there", None: "begins"}.get(run.state if run else None, "goes on")
        run = run or Run.create(config, args.root, group=group, tags=("demo",))
        print(f"[{place}/{len(plan())}] {config.task} {config.method}: {words}, run {run.id}", file=sys.stderr)
        code = _train(run)
        if code:
            return code
        done.append(run)
    for group in STUDIES:
        print()
        print_comparison([run for run in done if run.meta.get("group") == group])
    print(f"\nAll of it took {duration(time.monotonic() - began)}; the runs are in {args.root or runs_root()}.")
    print(_next_step(done[-1], args))
    return 0


def _train(run: Run) -> int:
    """Train a run in a worker process, so that its peak memory is its own, and follow it; 0 when finished."""
    from bidora.cli.listing import follow

    try:
        if run.state not in ("finished", *ACTIVE):
            start(run)
        follow(run)
    except KeyboardInterrupt:
        print("\nsaving and stopping …", file=sys.stderr)
        state = stop(run, wait=STOP_SECONDS)
        print(f"run {run.id} is {state}; the same command goes on with the demonstration", file=sys.stderr)
        return 130
    if run.state == "finished":
        return 0
    status = run.status
    error = status.get("error") or {}
    print(f"run {run.id} is {status['state']}: {error.get('message', '')}".rstrip(": "), file=sys.stderr)
    print(error.get("hint") or f"see `bidora show {run.id}`; the same command goes on with it", file=sys.stderr)
    return int(status.get("exit_code") or 1)


def _next_step(run: Run, args: argparse.Namespace) -> str:
    group = str(run.meta.get("group"))
    root = ["--root", args.root] if args.root else []
    again = shlex.join(["bidora", "run", *run.config.replace(seed=1).flags(), "--group", group, *root])
    look = shlex.join(["bidora", "compare", "--group", group, *root])
    return (
        f"One seed says little. Another for the last row:\n  {again}\n  {look}\n"
        f"What happened to the weights: {shlex.join(['bidora', 'analyse', run.id, *root])}"
    )
