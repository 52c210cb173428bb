"""bidora report: some runs as one HTML file that opens without a network."""

from __future__ import annotations

import argparse

from bidora.cli.comparing import chosen_runs
from bidora.cli.flags import Commands, add_command
from bidora.cli.formatting import size

DESCRIPTION = """One HTML file with everything that may be said about some runs: scores, differences, fairness, curves, settings.

  bidora report last --out report.html
  bidora report --group demo-reuters --out report.html --title "Few examples of Reuters R8"

It opens in any browser without a network. Inputs of the data are left out; names, settings and paths are in it."""


def add_commands(commands: Commands) -> None:
    """Add report."""
    parser = add_command(commands, "report", _report, help="runs as one HTML file", description=DESCRIPTION)
    parser.add_argument("runs", nargs="*", metavar="RUN", help="ids, or parts of them")
    parser.add_argument("--group", help="all runs of a group")
    parser.add_argument("--out", metavar="FILE", default="report.html", help="file to write (default: report.html)")
    parser.add_argument("--title", default="", help="heading of the report")
    parser.add_argument("--question", default="", help="what the runs were to answer; shown first")
    parser.add_argument("--answer", default="", help="your conclusion; shown beside what the numbers allow")


def _report(args: argparse.Namespace) -> int:
    runs = chosen_runs(args.runs, args.group, root=args.root)
    from bidora.report import write_report

    place = write_report(runs, args.out, title=args.title, question=args.question, answer=args.answer)
    print(f"written: {place} ({size(place.stat().st_size)}); open it in a browser")
    return 0
