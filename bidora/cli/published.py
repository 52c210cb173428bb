"""bidora published: the published tables as printed, in test items, and beside our own runs."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bidora.cli.flags import Commands, add_command
from bidora.cli.formatting import table
from bidora.errors import LabError
from bidora.runs import Run, list_runs

if TYPE_CHECKING:
    import pandas

    from bidora.published import Published

DESCRIPTION = """The published tables of BiDoRA as printed; how many test items each difference amounts to; our runs beside them.

  bidora published                      everything
  bidora published --task cola rte      the tables with these tasks, and our runs of them
  bidora published --minus LoRA         differences to LoRA in place of DoRA

None of these numbers is ours, except where it says so. The signed-rank test is computed again from the printed pairs."""


def add_commands(commands: Commands) -> None:
    """Add published."""
    parser = add_command(
        commands, "published", _published, help="the published tables, beside our runs", description=DESCRIPTION
    )
    parser.add_argument("--task", nargs="+", default=[], metavar="TASK", help="only tables with one of these tasks")
    parser.add_argument("--minus", default="DoRA", metavar="METHOD", help="differences of BiDoRA to it [DoRA]")


def _published(args: argparse.Namespace) -> int:
    from bidora.published import TABLES

    known = dict.fromkeys(column.task for each in TABLES for column in each.columns)
    unknown = [task for task in args.task if task not in known]
    if unknown:
        raise LabError(f"no published table has the task {unknown[0]!r}", hint=f"there are {', '.join(known)}")
    methods = dict.fromkeys(row.name.split(" ")[0] for each in TABLES for row in each.rows)
    minus = next((name for name in methods if name.casefold() == args.minus.casefold()), "")
    if not minus or minus == "BiDoRA":
        raise LabError(f"--minus {args.minus!r} is no other published method", hint=f"there are {', '.join(methods)}")
    tables = [each for each in TABLES if not args.task or any(column.task in args.task for column in each.columns)]
    runs = [run for run in list_runs(args.root) if not args.task or run.config.task in args.task]
    print_published(runs, tables=tables, minus=minus)
    return 0


def print_published(
    runs: Sequence[Run], *, tables: Sequence[Published] | None = None, minus: str = "DoRA", only_ours: bool = False
) -> None:
    """Print the tables, their differences, the test over them, and our runs.

    Args:
        runs: of our own.
        tables: which; all by default.
        minus: the method that BiDoRA's differences are to.
        only_ours: leave the published tables themselves out.
    """
    from bidora.published import SOURCE, TABLES, beside, differences_table, printed, signed_rank_sentence

    tables = TABLES if tables is None else tables
    if not only_ours:
        print(f"Published: {SOURCE}.")
        for each in tables:
            print(f"\n{each.name} (published; 100 × MCC and correlations)")
            _print(printed(each))
            if each.note:
                print(textwrap.fill(each.note, width=120))
            found = differences_table(each, "BiDoRA", minus)
            if len(found):
                print(f"\nPublished differences, BiDoRA − {minus}, in test items")
                _print(found)
        if any(each.number == "Table 1" for each in tables) and minus == "DoRA":
            print("\n" + textwrap.fill(signed_rank_sentence(), width=120))
        print()
    ours = beside(runs, tables)
    if ours.empty:
        print("Beside them: no finished run of ours has one of these tasks and methods.")
        return
    print("Published scores and ours (mean, 95 % interval)")
    _print(ours.drop(columns=["key"]))
    print("Runs with another model, other data or settings do not repeat a published one; the columns say which.")


def _print(frame: pandas.DataFrame) -> None:
    print(table(list(frame.columns), frame.to_numpy().tolist()))
