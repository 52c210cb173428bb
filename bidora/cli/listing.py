"""bidora list and show: what there is, and how one run stands. Needs no torch, and pandas for --csv only."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from datetime import datetime
from typing import Any

from bidora.cli.flags import Commands, add_command
from bidora.cli.formatting import duration, facts, number, score, size, table
from bidora.cli.progress import last_record
from bidora.config import RunConfig, differences
from bidora.errors import LabError
from bidora.runs import ACTIVE, Run, find_run, finite, list_runs, runs_root
from bidora.runs.health import unreadable_runs

FOLLOW_SECONDS = 1.0


def add_commands(commands: Commands) -> None:
    """Add list and show."""
    listing = add_command(commands, "list", _list, help="list runs, tasks, models or methods")
    listing.add_argument(
        "what", nargs="?", default="runs", choices=("runs", "tasks", "models", "methods"), help="default: runs"
    )
    listing.add_argument("--json", action="store_true", help="as JSON, for programs")
    listing.add_argument("--csv", metavar="FILE", help="write all runs with settings, scores and costs to a table, too")

    show = add_command(commands, "show", _show, help="show how one run stands")
    show.add_argument("run", metavar="RUN", help="its id, a part of it, or `last`")
    show.add_argument("--json", action="store_true", help="as JSON, for programs")
    show.add_argument("--follow", action="store_true", help="keep showing its progress until it is over")


def _list(args: argparse.Namespace) -> int:
    if args.csv and args.what != "runs":
        raise LabError(f"--csv is for runs, not for {args.what}", hint=f"`bidora list {args.what} --json`")
    if args.what == "tasks":
        from bidora.tasks import TASKS

        return _registry(
            list(TASKS.values()), ("name", "title", "variants", "default_model", "licence", "size", "source"), args
        )
    if args.what == "methods":
        return _methods(args)
    if args.what == "models":
        from bidora.models import MODELS

        code = _registry(list(MODELS.values()), ("name", "title", "parameters", "licence", "size", "source"), args)
        if not args.json:
            print(
                "\n--model also takes a folder or a hub id; `bidora convert` makes a folder of another program's checkpoint."
            )
        return code
    runs = list_runs(args.root)
    rows = [row_of(run) for run in runs]
    if args.json:
        print(json.dumps(finite(rows), indent=1))
    elif not rows:
        print(f"no runs in {args.root or runs_root()}; start one with `bidora run`, or see `bidora demo`")
    else:
        shown = [
            [
                row["id"],
                row["name"],
                row["state"],
                f"{row['step']}/{row['total']}",
                f"{row['primary']} {number(row['score'], 3)}" if row["score"] is not None else "–",
                duration(row["age_seconds"]),
            ]
            for row in rows
        ]
        print(table(["id", "name", "state", "step", "score", "age"], shown))
    for name, why in unreadable_runs(args.root, readable={run.id for run in runs}):
        print(f"left out: {name} ({why})", file=sys.stderr)
    if args.csv:
        _write_table(args, runs)
    return 0


def _write_table(args: argparse.Namespace, runs: Sequence[Run]) -> None:
    """One line per run, for a spreadsheet or a paper's appendix."""
    from bidora.analysis import runs_table
    from bidora.cli.analysing import write_csv

    with redirect_stdout(sys.stderr if args.json else sys.stdout):
        write_csv(runs_table(runs), args.csv)


def row_of(run: Run) -> dict[str, Any]:
    """One run in a few words: id, name, group, settings that matter, state, step, primary score and age."""
    status, meta, result, config = run.status, run.meta, run.result, run.config
    primary = result.get("primary", "")
    return {
        "id": run.id,
        "name": meta.get("name", ""),
        "group": meta.get("group", ""),
        "tags": meta.get("tags", []),
        "task": config.task,
        "method": config.method,
        "seed": config.seed,
        "state": status["state"],
        "step": status.get("step") or 0,
        "total": status.get("total") or config.total_steps,
        "primary": primary,
        "score": (result.get("scores", {}).get(primary) or {}).get("value"),
        "age_seconds": _age(meta),
    }


def _age(meta: dict[str, Any]) -> float | None:
    try:
        return time.time() - datetime.fromisoformat(str(meta.get("created"))).timestamp()
    except ValueError:
        return None


def _methods(args: argparse.Namespace) -> int:
    """One line for each method, with its paper and the learning rates that are usual."""
    from bidora.methods import METHODS

    if args.json:
        names = ("name", "title", "summary", "convention", "settings", "bilevel")
        rows = [{name: getattr(method, name) for name in names} for method in METHODS.values()]
        for row, method in zip(rows, METHODS.values(), strict=True):
            row.update(learning_rates=[*method.rates], paper=method.paper.full, address=method.paper.address)
        print(json.dumps(rows, indent=1))
        return 0
    for method in METHODS.values():
        low, high = method.rates
        print(f"{method.name:<10} {method.summary}")
        print(f"{'':<10} usual learning rates {low:g} to {high:g} · {method.paper.short}, {method.paper.address}")
    print(
        "\nBottleneck adapters are not among them: PEFT has none, and AdapterHub's library needs an older transformers."
    )
    return 0


def _registry(entries: list[Any], names: tuple[str, ...], args: argparse.Namespace) -> int:
    """A table of what a registry holds; longer texts follow below it."""
    rows = [{name: getattr(entry, name, None) for name in names} for entry in entries]
    if args.json:
        print(json.dumps(finite(rows), indent=1, default=str))
        return 0
    for row in rows:
        row["size"] = size(row["size"]) if isinstance(row["size"], (int, float)) else row["size"]
        print(facts([(name, ", ".join(value) if isinstance(value, tuple) else value) for name, value in row.items()]))
        print()
    return 0


def _show(args: argparse.Namespace) -> int:
    run = find_run(args.run, args.root)
    if args.follow:
        follow(run)
    if args.json:
        shown = {"id": run.id, "path": str(run.path), "config": run.config.to_dict(), "meta": run.meta}
        print(json.dumps(finite({**shown, "status": run.status, "result": run.result}), indent=1))
        return 0
    print(details(run))
    return 0


def follow(run: Run) -> None:
    """Show a run's progress on stderr until it is over; Ctrl-C ends the showing, not the run."""
    from bidora.cli.progress import ProgressLine

    line = ProgressLine(run.path / "metrics.jsonl")
    try:
        while (status := run.status)["state"] in (*ACTIVE, "queued"):
            running = status["state"] == "running"
            step, total = (status.get("step") or 0, status.get("total") or 0) if running else (0, 0)
            what = str(status.get("phase") if running else status["state"])
            left = None if running else status.get("eta_seconds")
            line(f"{what} · {duration(left)} of testing left" if left else what, step, total)
            time.sleep(FOLLOW_SECONDS)
    finally:
        line.close()


def summary(run: Run) -> str:
    """The scores of a finished run with their 95 % intervals, and what it cost."""
    result = run.result
    scores, baseline, cost = (result.get(name) or {} for name in ("scores", "baseline", "cost"))
    pairs: list[tuple[str, Any]] = [
        (
            f"test {name}",
            score(each.get("value"), each.get("low"), each.get("high"))
            + (f"   baseline {score(baseline[name])}" if name in baseline else ""),
        )
        for name, each in scores.items()
    ]
    if "seconds_training" in cost:
        pairs.append(
            ("training", f"{duration(cost['seconds_training'])}, peak memory {size(cost.get('peak_memory_bytes'))}")
        )
    return facts(pairs)


def details(run: Run) -> str:
    """Everything worth knowing about a run, as text."""
    status, meta, config = run.status, run.meta, run.config
    parts = [facts([("run", run.id), *((name, meta.get(name)) for name in ("name", "group", "note")), *_progress(run)])]
    changed = differences([RunConfig(), config])
    parts.append(
        "settings that differ from the defaults\n"
        + (facts([(f"  {name}", _plain(values[1])) for name, values in changed.items()]) or "  none")
    )
    if notes := meta.get("notes"):
        parts.append("notes on the data\n" + "\n".join(f"  {note}" for note in notes))
    result = run.result
    if result:
        splits = ", ".join(
            f"{name[2:]} {number(result[name])}" for name in result if name.startswith("n_") and result[name]
        )
        parts.append(f"scores with 95 % intervals ({splits})\n{summary(run)}")
        parts.append(
            "cost\n"
            + facts([(f"  {name.replace('_', ' ')}", _cost(name, v)) for name, v in (result.get("cost") or {}).items()])
        )
        parts.append(
            "weights\n" + facts([(f"  {_greek(n)}", number(v)) for n, v in (result.get("dynamics") or {}).items()])
        )
    error = status.get("error")
    if error:
        parts.append(
            f"error ({error.get('kind', '')}): {error.get('message', '')}\nnext step: {error.get('hint', '') or '–'}"
        )
    if status["state"] in ("failed", "lost") and (tail := run.log_tail()):
        parts.append(f"end of {run.path / 'log.txt'}\n{tail}")
    if status["state"] in ("failed", "lost", "stopped", "queued"):
        parts.append(f"go on with: bidora resume {run.id}")
    return "\n\n".join(parts)


def _progress(run: Run) -> list[tuple[str, Any]]:
    status = run.status
    state = status["state"]
    step, total = status.get("step") or 0, status.get("total") or run.config.total_steps
    shown = [("state", f"interrupted at step {step}" if state == "lost" else state)]
    shown.append(("step", f"{step} of {total}" + (f", {status['phase']}" if status.get("phase") else "")))
    if state in ACTIVE:
        shown.append(("time left", duration(status.get("eta_seconds"))))
        record = last_record(run.path / "metrics.jsonl", "loss")
        shown.append(("loss", number(record["loss"]) if record else ""))
    return shown


def _plain(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _cost(name: str, value: Any) -> str:
    if name.startswith("seconds"):
        return duration(value)
    return size(value) if name.endswith("bytes") else number(value)


def _greek(name: str) -> str:
    return {"delta_m": "ΔM", "delta_d": "ΔD"}.get(name, name)
