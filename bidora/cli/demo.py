"""bidora demo: LoRA, DoRA and BiDoRA on real articles and real peptides, small enough for a laptop without a GPU."""

from __future__ import annotations

import argparse
import shlex
import time
from typing import TYPE_CHECKING

from bidora.cli.flags import Commands, add_command
from bidora.cli.formatting import duration
from bidora.config import RunConfig
from bidora.runs import runs_root

if TYPE_CHECKING:
    from bidora.cli.ordering import Order

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


def orders(root: str | None = None) -> list[Order]:
    """What the demonstration asks for, one order per task: the same settings for each method."""
    from bidora.cli.ordering import Order

    words = ("bidora", "demo", *(["--root", root] if root else []))
    return [
        Order([common.replace(method=method) for method in METHODS], group, root, 1, tags=("demo",), words=words)
        for group, common in STUDIES.items()
    ]


def _demo(args: argparse.Namespace) -> int:
    from bidora.cli.carrying_out import carry_out
    from bidora.cli.fetching import fetch

    began = time.monotonic()
    fetch(())
    for order in orders(args.root):
        print()
        code = carry_out(order)
        if code:
            return code
    print(f"\nAll of it took {duration(time.monotonic() - began)}; the runs are in {args.root or runs_root()}.")
    print(_next_step(order))
    return 0


def _next_step(order: Order) -> str:
    """How to get another seed of the last run, and how to look at its weights."""
    from bidora.sweeping import planned

    last = planned(order.configs, order.group, order.root)[-1]
    root = ["--root", order.root] if order.root else []
    again = shlex.join(["bidora", "run", *last.config.replace(seed=1).flags(), "--group", order.group, *root])
    look = shlex.join(["bidora", "compare", "--group", order.group, *root])
    weights = shlex.join(["bidora", "analyse", last.run.id, *root]) if last.run else ""
    return (
        f"One seed says little. Another for the last row:\n  {again}\n  {look}\nWhat happened to the weights: {weights}"
    )
