"""bidora compare: methods side by side, with intervals, costs, and what may be said about the difference."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidora.cli.analysing import write_csv
from bidora.cli.flags import Commands, add_command
from bidora.cli.formatting import size
from bidora.cli.side_by_side import EVERY_PAIR, Terms, chosen_reference, print_comparison
from bidora.errors import LabError
from bidora.runs import Run, find_run, finite, list_runs, runs_root, write_text
from bidora.wording import CORRECTIONS

if TYPE_CHECKING:
    import pandas

DESCRIPTION = """Finished runs side by side, one table per task: scores with 95 % intervals, cost, change of weights.

  bidora compare --group demo-reuters
  bidora compare 20260101-120000-ab12 20260101-120100-cd34
  bidora compare --group sweep-8-tasks --reference DoRA --pooled --latex table.tex --html report.html

Runs that differ in the seed only become one row; methods are compared seed by seed: mean difference with 95 %
t-interval (the CSV has the bootstrap's, too), Wilcoxon's signed-rank test (exact) with the smallest p that so many pairs
allow, p corrected for the number of tests, effect sizes d_z (mean difference over its spread) and r (balance of the ranks, −1 to 1)."""


def add_commands(commands: Commands) -> None:
    """Add compare."""
    compare = add_command(commands, "compare", _compare, help="methods side by side", description=DESCRIPTION)
    compare.add_argument("runs", nargs="*", metavar="RUN", help="ids, or parts of them")
    compare.add_argument("--group", help="all runs of a group")
    compare.add_argument(
        "--metric", default="", metavar="SCORE", help="the score that differences are of (default: primary)"
    )
    compare.add_argument(
        "--reference",
        default="",
        metavar="METHOD",
        help=f"compare all others with this one, e.g. DoRA (the default with many methods); {EVERY_PAIR}: every two",
    )
    compare.add_argument(
        "--correction",
        choices=tuple(CORRECTIONS),
        default="holm",
        help="of p for several tests: Holm, Benjamini–Hochberg",
    )
    compare.add_argument(
        "--pooled", action="store_true", help="test over tasks, too: one pair per task, as the paper does"
    )
    compare.add_argument("--published", action="store_true", help="show the published scores beside them")
    compare.add_argument("--json", action="store_true", help="as JSON, for programs")
    compare.add_argument("--csv", metavar="FILE", help="write the tables to files, too: FILE, and FILE-differences.csv")
    compare.add_argument("--latex", metavar="FILE", help="write them as LaTeX, too (booktabs, graphicx)")
    compare.add_argument("--html", metavar="FILE", help="write a report with figures, too; it opens without a network")


def _compare(args: argparse.Namespace) -> int:
    runs = chosen_runs(args.runs, args.group, root=args.root)
    from bidora.analysis import comparison

    rows = comparison(runs)
    if rows.empty:
        states = ", ".join(f"{run.id} is {run.state}" for run in runs[:4])
        raise LabError(
            f"none of the {len(runs)} runs has final scores ({states})", hint="wait, or resume them", kind="run"
        )
    terms = Terms(args.metric, chosen_reference(args.reference, rows), args.correction, args.pooled)
    if args.metric and args.metric not in rows.columns:
        known = [name.removesuffix("_low") for name in rows.columns if name.endswith("_low")]
        raise LabError(f"no run has a score {args.metric!r}", hint=f"there are {', '.join(known)}")
    if args.json:
        print(json.dumps(finite(_as_json(runs, rows, terms)), indent=1))
    else:
        print_comparison(runs, terms)
        if args.published:
            from bidora.cli.published import print_published

            print()
            print_published(runs, only_ours=True)
    _write(args, runs, rows, terms)
    return 0


def _write(args: argparse.Namespace, runs: Sequence[Run], rows: pandas.DataFrame, terms: Terms) -> None:
    """Write the files that were asked for, and say so (on stderr where stdout is for programs)."""
    told = sys.stderr if args.json else sys.stdout
    if args.csv:
        with redirect_stdout(told):
            write_csv(rows, args.csv)
            place = Path(args.csv)
            write_csv(terms.pairs(runs), str(place.with_name(f"{place.stem}-differences{place.suffix}")))
    if args.latex:
        _write_latex(args.latex, runs, rows, terms)
        print(f"\nwritten: {args.latex}", file=told)
    if args.html:
        from bidora.report import write_report

        place = write_report(
            runs, args.html, correction=terms.correction, pooled=terms.pooled, reference=terms.reference
        )
        print(f"\nwritten: {place} ({size(place.stat().st_size)}); open it in a browser", file=told)


def _write_latex(file: str, runs: Sequence[Run], rows: pandas.DataFrame, terms: Terms) -> None:
    """Write scores and differences as LaTeX.

    Raises:
        LabError: the file cannot be written.
    """
    from bidora.analysis.latex import differences_in_latex, scores_in_latex

    parts = ["% needs \\usepackage{booktabs,graphicx}\n" + scores_in_latex(rows, metric=terms.metric)]
    pairs, over_tasks = terms.pairs(runs), terms.over_tasks(runs)
    parts += [differences_in_latex(pairs)] if len(pairs) else []
    if over_tasks is not None and len(over_tasks):
        parts.append(differences_in_latex(over_tasks, label="tab:pooled"))
    try:
        write_text(Path(file).expanduser(), "\n".join(parts))
    except OSError as error:
        raise LabError(
            f"--latex {file} cannot be written: {error.strerror or error}", hint="name another file"
        ) from error


def chosen_runs(names: Sequence[str], group: str | None, *, root: str | None) -> list[Run]:
    """The named runs and those of a group, each once.

    Raises:
        LabError: nothing is named, a name fits no run, or the group is empty.
    """
    if not names and not group:
        groups = sorted({str(run.meta.get("group")) for run in list_runs(root) if run.meta.get("group")})
        known = f"groups: {', '.join(groups)}" if groups else "there are no groups yet"
        raise LabError("nothing to compare was named", hint=f"name runs, or a group with --group ({known})", kind="run")
    found = [find_run(name, root) for name in names]
    if group:
        members = [run for run in list_runs(root) if run.meta.get("group") == group]
        if not members:
            raise LabError(
                f"no run in {root or runs_root()} has group {group!r}",
                hint="`bidora list --json` shows groups",
                kind="run",
            )
        found += members
    return list({run.path.resolve(): run for run in found}.values())


def _as_json(runs: Sequence[Run], rows: pandas.DataFrame, terms: Terms) -> dict[str, Any]:
    from bidora.analysis import fairness

    found = {"rows": rows.to_dict("records"), "pairs": terms.pairs(runs).to_dict("records"), "fairness": fairness(runs)}
    over_tasks = terms.over_tasks(runs)
    return found if over_tasks is None else {**found, "pooled": over_tasks.to_dict("records")}
