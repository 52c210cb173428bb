"""bidora demo: LoRA, DoRA and BiDoRA on real articles and real peptides, small enough for a laptop without a GPU."""

from __future__ import annotations

import argparse
import sys
import time

from bidora.cli.flags import Commands, add_command
from bidora.cli.formatting import duration
from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.runs import ACTIVE, Run, list_runs, runs_root

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
    from bidora.cli.comparing import print_comparison
    from bidora.cli.fetching import fetch
    from bidora.cli.running import in_foreground

    began = time.monotonic()
    fetch(())
    there = list_runs(args.root)
    done: list[Run] = []
    for number, (group, config) in enumerate(plan(), start=1):
        run = _existing(there, group, config)
        name = f"[{number}/{len(plan())}] {config.task} {config.method}"
        if run is not None and run.state == "finished":
            print(f"{name}: already there, run {run.id}", file=sys.stderr)
        else:
            print(f"{name}: {'goes on' if run else 'begins'}", file=sys.stderr)
            run = run or Run.create(config, args.root, group=group, tags=("demo",))
            code = in_foreground(run, args)
            if code:
                return code
            if run.state != "finished":
                print("the demonstration was stopped; the same command goes on with it", file=sys.stderr)
                return 0
        done.append(run)
    for group in STUDIES:
        print()
        print_comparison([run for run in done if run.meta.get("group") == group])
    print(f"\nAll of it took {duration(time.monotonic() - began)}; the runs are in {args.root or runs_root()}.")
    print(
        "One seed says little: repeat with `bidora run --config "
        f"{done[-1].path / 'config.json'} --seed 1 --group {list(STUDIES)[-1]}` and look again with "
        f"`bidora compare --group {list(STUDIES)[-1]}`."
    )
    return 0


def _existing(runs: list[Run], group: str, config: RunConfig) -> Run | None:
    """The run of that group with equal settings that has come furthest, or None.

    Raises:
        LabError: another process is working on it.
    """
    equal = [run for run in runs if run.meta.get("group") == group and run.config.digest() == config.digest()]
    finished = [run for run in equal if run.state == "finished"]
    for run in equal:
        if not finished and run.state in ACTIVE:
            raise LabError(
                f"run {run.id} of the demonstration is being worked on by process {run.status.get('pid')}",
                hint=f"wait for it (`bidora show {run.id} --follow`) and start the demonstration again",
                kind="run",
            )
    return next(iter(finished + equal), None)
