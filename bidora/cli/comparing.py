"""bidora compare: methods side by side, with intervals, costs, and what may be said about the difference."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bidora.cli.analysing import write_csv
from bidora.cli.flags import Commands, add_command
from bidora.cli.formatting import duration, number, score, size, table
from bidora.errors import LabError
from bidora.runs import Run, find_run, finite, list_runs, runs_root

if TYPE_CHECKING:
    import pandas

DESCRIPTION = """Finished runs side by side, one table per task: scores with 95 % intervals, cost, change of weights.

  bidora compare --group demo-reuters
  bidora compare 20260101-120000-ab12 20260101-120100-cd34

Runs that differ in the seed only become one row; methods are compared seed by seed."""

SECOND_METRICS = {
    "accuracy": ("macro_f1", "f1"),
    "mcc": ("accuracy",),
    "pearson": ("spearman",),
    "micro_f1": ("macro_f1",),
    "spearman": ("rmse", "mse"),
}
"""Primary metric → what stands beside it in the table; --json and --csv have all metrics."""


def add_commands(commands: Commands) -> None:
    """Add compare."""
    compare = add_command(commands, "compare", _compare, help="methods side by side", description=DESCRIPTION)
    compare.add_argument("runs", nargs="*", metavar="RUN", help="ids, or parts of them")
    compare.add_argument("--group", help="all runs of a group")
    compare.add_argument("--json", action="store_true", help="as JSON, for programs")
    compare.add_argument("--csv", metavar="FILE", help="write the table with all metrics to a file, too")


def _compare(args: argparse.Namespace) -> int:
    runs = chosen_runs(args.runs, args.group, root=args.root)
    from bidora.analysis import comparison

    rows = comparison(runs)
    if rows.empty:
        states = ", ".join(f"{run.id} is {run.state}" for run in runs[:4])
        raise LabError(
            f"none of the {len(runs)} runs has final scores ({states})", hint="wait, or resume them", kind="run"
        )
    if args.json:
        print(json.dumps(finite(_as_json(runs, rows)), indent=1))
    else:
        print_comparison(runs)
    if args.csv:
        write_csv(rows, args.csv)
    return 0


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


def print_comparison(runs: Sequence[Run]) -> None:
    """One table per task with final scores, differences seed by seed, and what is fair about the comparison."""
    from bidora.analysis import comparison, fairness, paired_differences

    rows = comparison(runs)
    pairs = paired_differences(runs)
    by = ["task", "variant", "examples_per_class"]
    for number_of_table, ((task, variant, examples), members) in enumerate(rows.groupby(by, sort=False)):
        if number_of_table:
            print()
        here = [row for row in pairs.to_dict("records") if all(row[name] == members.iloc[0][name] for name in by)]
        amount = f", {examples:,} examples per class" if examples else ""
        print(f"{' '.join(filter(None, [task, variant]))}{amount}: test scores with 95 % intervals")
        print(comparison_table(members.to_dict("records")))
        print("\n".join([*_footnotes(runs, members), *(row["sentence"] for row in here)]))
    print()
    print("\n".join(f"· {sentence}" for sentence in fairness(runs)))


def comparison_table(rows: Sequence[dict[str, Any]]) -> str:
    """Methods × scores, cost, and change of the weights."""
    primary = str(rows[0]["primary"])
    metrics = [primary, *(name for name in SECOND_METRICS.get(primary, ()) if name in rows[0])]
    headers = ["method", "seeds", *(name.replace("_", "-") for name in metrics)]
    headers += ["training", "peak memory", "trainable", "gradients", "ΔM", "ΔD"]
    cells = [
        [
            row["label"],
            row["seeds"],
            *(score(row.get(name), row.get(f"{name}_low"), row.get(f"{name}_high")) for name in metrics),
            duration(row["seconds_training"]),
            size(row["peak_memory_bytes"]),
            _whole(row["trainable_parameters"]),
            _whole(row["gradient_evaluations"]),
            number(row["delta_m"], 3),
            number(row["delta_d"], 3),
        ]
        for row in rows
    ]
    return table(headers, cells)


def _footnotes(runs: Sequence[Run], members: pandas.DataFrame) -> list[str]:
    """What the intervals mean, the baseline, and the convention of ΔM and ΔD."""
    kinds = list(dict.fromkeys(members["interval"]))
    notes = [f"intervals: {'; '.join(kinds)}; ΔM, ΔD: means over layers, one magnitude per output unit"]
    ids = {each for row in members["ids"] for each in row}
    primary = str(members.iloc[0]["primary"])
    for run in runs:
        value = (run.result.get("baseline") or {}).get(primary) if run.id in ids else None
        if value is not None:
            notes.append(f"baseline without training: {primary.replace('_', '-')} {score(value)}")
            break
    return notes


def _as_json(runs: Sequence[Run], rows: pandas.DataFrame) -> dict[str, Any]:
    from bidora.analysis import fairness, paired_differences

    pairs = paired_differences(runs).to_dict("records")
    return {"rows": rows.to_dict("records"), "pairs": pairs, "fairness": fairness(runs)}


def _whole(value: float) -> str:
    return "–" if math.isnan(value) else f"{round(value):,}"
