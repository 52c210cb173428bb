"""bidora sweep: methods × tasks × seeds × settings as one command, which can be interrupted and given again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidora.cli.flags import Commands, add_command, add_settings, settings_file, values_from
from bidora.config.portable import flag_of
from bidora.errors import LabError

if TYPE_CHECKING:
    from bidora.cli.ordering import Order

DESCRIPTION = """A grid of runs: every combination of the values that the flags give; each setting takes several.

  bidora sweep --task peptides --method lora dora bidora --seed 0-4
  bidora sweep --task peptides reuters --method dora bidora --seed 0 1 2 --learning-rate 1e-3 3e-3
  bidora sweep --task peptides --method lora dora bidora --seed 0-4 \\
      --selection-fraction 0.2 --tune learning_rate=3e-4,1e-3,3e-3

It says first what will happen. The same command again passes over finished runs and goes on with stopped and interrupted
ones; with another seed more it makes the missing runs only. It stops when two runs fail in the same way.

--tune tries the same values for every method, scores them on the selection split (part of the training data, never
trained on), and runs the best with all seeds; how many were tried is noted in these runs."""


def add_commands(commands: Commands) -> None:
    """Add sweep."""
    sweep = add_command(
        commands, "sweep", _sweep, help="a grid of methods, tasks, seeds, settings", description=DESCRIPTION
    )
    sweep.add_argument(
        "--config", metavar="FILE", help="settings from a JSON file that all runs share; flags go on top"
    )
    sweep.add_argument(
        "--equal-effort",
        action="store_true",
        help="give methods with fewer gradient evaluations more steps, as many as match the one with most",
    )
    add_order(sweep)
    add_settings(sweep, several=True)
    sweep.usage = (
        "bidora sweep [--SETTING VALUE ...] [--tune SETTING=A,B,C] [--tune-seed SEED ...] [--equal-effort]\n"
        "                    [--parallel N] [--group GROUP] [--config FILE] [--dry-run]"
    )


def add_order(parser: argparse.ArgumentParser) -> None:
    """Add the flags by which a batch of runs is steered: tuning, group, parallel, dry-run."""
    parser.add_argument(
        "--tune",
        action="append",
        default=[],
        metavar="SETTING=A,B",
        help="choose a setting for each method on the selection split; may be given for several settings",
    )
    parser.add_argument(
        "--tune-seed", nargs="+", metavar="SEED", help="seeds of the trials (default: the first three of --seed)"
    )
    parser.add_argument("--parallel", type=int, default=1, metavar="N", help="runs at once; they share the cores [1]")
    parser.add_argument("--group", default="", help="name of the group (default: made from the tasks)")
    parser.add_argument("--tags", default="", metavar="A,B", help="words to find the runs by")
    parser.add_argument("--dry-run", action="store_true", help="say what would happen, and do nothing")


def order_from(args: argparse.Namespace, axes: dict[str, list[Any]], base: dict[str, Any], *, group: str) -> Order:
    """What the flags ask for, checked as far as it can be before anything is read.

    Raises:
        LabError: settings are not allowed, or --parallel is.
    """
    from bidora.cli.ordering import Order
    from bidora.queueing import LARGEST_LIMIT
    from bidora.sweeping import combinations_of
    from bidora.tuning import parse_tuning

    if not 1 <= args.parallel <= LARGEST_LIMIT:
        raise LabError(
            f"parallel={args.parallel} is outside 1 <= parallel <= {LARGEST_LIMIT} (runs at once)",
            hint="use 1 where the runs share few cores",
        )
    configs = combinations_of(axes, base, equal_effort=getattr(args, "equal_effort", False))
    tuning = None
    if args.tune:
        from bidora.grid import parse_seeds

        seeds = list(dict.fromkeys(config.seed for config in configs))
        chosen = parse_seeds(" ".join(args.tune_seed)) if args.tune_seed else tuple(seeds[:3])
        tuning = parse_tuning(args.tune, chosen)
        twice = [name for name in tuning.values if len(axes.get(name, ())) > 1]
        if twice:
            raise LabError(f"{twice[0]} is both tuned and swept", hint=f"leave {flag_of(twice[0])} out")
    tags = tuple(tag.strip() for tag in args.tags.split(",") if tag.strip())
    return Order(configs, args.group or group, args.root, args.parallel, tags, tuning, ("bidora", *args.typed))


def default_group(word: str, tasks: list[str]) -> str:
    """A name that the same tasks always give, so that a command that is given again finds its runs."""
    named = "-".join(tasks) if len(tasks) <= 3 else f"{len(tasks)}-tasks"
    return f"{word}-{named}"


def _sweep(args: argparse.Namespace) -> int:
    from bidora.cli.carrying_out import carry_out

    base = settings_file(Path(args.config)) if args.config else {}
    axes = values_from(args)
    if not axes and not base:
        raise LabError(
            "nothing to vary was named",
            hint="for example `bidora sweep --task peptides --method lora dora bidora --seed 0-2`",
        )
    axes.setdefault("seed", [base.get("seed", 0)])
    axes.setdefault("task", [base.get("task", "reuters")])
    axes.setdefault("method", [base.get("method", "bidora")])
    order = order_from(args, axes, base, group=default_group("sweep", list(map(str, axes["task"]))))
    return carry_out(order, dry_run=args.dry_run)
