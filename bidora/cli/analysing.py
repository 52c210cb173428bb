"""bidora analyse: what training did to the weights, for any PEFT adapter folder and any two checkpoints."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidora.cli.flags import Commands, add_command
from bidora.cli.formatting import number, table
from bidora.cli.progress import ProgressLine
from bidora.errors import LabError
from bidora.runs import find_run, write_json
from bidora.uploads import shown
from bidora.wording import left_out_in_words

if TYPE_CHECKING:
    import pandas

    from bidora.statistics import DynamicsFit

DESCRIPTION = """How far each layer's magnitude (ΔM) and direction (ΔD) moved, and how the two go together.

  bidora analyse last                                     the adapter of a run
  bidora analyse my-adapter --base roberta-base           any PEFT adapter folder that changes weights
  bidora analyse tuned/ --base original/                  any two checkpoints (safetensors)
  bidora analyse last --json out.json                     both norm axes, table and fit, for other programs

Only safetensors files are read."""

AXES = {"output": "one per output unit: a row of nn.Linear.weight, as in PEFT", "input": "one per input unit: a column"}


def add_commands(commands: Commands) -> None:
    """Add analyse."""
    analyse = add_command(
        commands, "analyse", _analyse, help="what training did to the weights of any adapter", description=DESCRIPTION
    )
    analyse.add_argument(
        "after", metavar="ADAPTER_OR_CHECKPOINT", help="adapter folder, checkpoint folder or file, or run"
    )
    analyse.add_argument(
        "--base", metavar="MODEL_OR_CHECKPOINT", help="the model before (default: the one that the adapter names)"
    )
    analyse.add_argument(
        "--axis", default="output", choices=tuple(AXES), help="which units carry a magnitude (default: output)"
    )
    analyse.add_argument(
        "--modules", metavar="NAME,NAME", default="", help="only layers whose names end so, such as query,value"
    )
    analyse.add_argument("--csv", metavar="FILE", help="write the table to a file, too")
    analyse.add_argument(
        "--json", metavar="FILE", help="write table and fit for both norm axes (or the error) to a file, too"
    )


def _analyse(args: argparse.Namespace) -> int:
    try:
        return _analysed(args)
    except LabError as error:
        if args.json:
            write_result(args.json, {"error": {"message": error.message, "hint": error.hint, "kind": error.kind}})
        raise


def _analysed(args: argparse.Namespace) -> int:
    after, named = _after(args)
    base = base_weights(args.base or named or base_named_by(after))
    from bidora.statistics import fit_dynamics

    tables = tables_of(base, after, axes=tuple(AXES) if args.json else (args.axis,), modules=_words(args.modules))
    if args.json:
        axes = {axis: _as_json(table) for axis, table in tables.items()}
        write_result(args.json, {"base": base, "after": after, "axes": axes})
    dynamics = tables[args.axis]
    if isinstance(dynamics, LabError):
        raise dynamics
    print(f"{after} against {base}\nunits: {AXES[args.axis]}; means over units\n")
    print(dynamics_table(dynamics))
    for words in left_out_in_words(dynamics.attrs):
        print(words)
    print()
    print(fit_in_words(fit_dynamics(dynamics)))
    if args.csv:
        write_csv(dynamics, args.csv)
    return 0


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def tables_of(
    base: str, after: str, *, axes: tuple[str, ...], modules: tuple[str, ...] = ()
) -> dict[str, pandas.DataFrame | LabError]:
    """The weight dynamics for each norm axis, with a line on stderr for each layer where there is more than one axis.

    An axis along which all units of a layer are zero has its error as its value.

    Raises:
        LabError: no axis can be measured; the first one's reason.
    """
    from bidora.weights import dynamics_of

    found: dict[str, pandas.DataFrame | LabError] = {}
    for axis in axes:

        def tell(name: str, axis: str = axis) -> None:
            print(f"{axis} axis: {shown(name)}", file=sys.stderr, flush=True)

        try:
            each = tell if len(axes) > 1 else None
            found[axis] = dynamics_of(base, after, axis=axis, modules=modules, each=each)  # type: ignore[arg-type]
        except LabError as error:
            found[axis] = error
    errors = [table for table in found.values() if isinstance(table, LabError)]
    if len(errors) == len(found):
        raise errors[0]
    return found


def _as_json(table: pandas.DataFrame | LabError) -> dict[str, Any]:
    if isinstance(table, LabError):
        return {"error": {"message": table.message, "hint": table.hint, "kind": table.kind}}
    from bidora.statistics import fit_dynamics

    return {"table": table.to_dict("records"), "fit": fit_dynamics(table).as_row(), "attrs": dict(table.attrs)}


def write_csv(frame: pandas.DataFrame, file: str) -> None:
    """Write a table to a CSV file and say so.

    Raises:
        LabError: the file cannot be written.
    """
    from bidora.analysis.spreadsheet import csv_of

    try:
        Path(file).write_text(csv_of(frame), encoding="utf-8", newline="")
    except OSError as error:
        raise LabError(
            f"--csv {file} cannot be written: {error.strerror or error}", hint="name another file"
        ) from error
    print(f"\nwritten: {file}")


def write_result(file: str, result: dict[str, Any]) -> None:
    """Write what was found as JSON, whole; NaN becomes null.

    Raises:
        LabError: the file cannot be written.
    """
    try:
        write_json(Path(file), result)
    except OSError as error:
        raise LabError(
            f"--json {file} cannot be written: {error.strerror or error}", hint="name another file"
        ) from error


def _after(args: argparse.Namespace) -> tuple[str, str]:
    """The folder or file to look at, and the base model that a run names (else an empty text)."""
    if Path(args.after).exists() and not (Path(args.after) / "config.json").is_file():
        return args.after, ""
    if (Path(args.after) / "adapter").is_dir() or not Path(args.after).exists():
        try:
            run = find_run(str(Path(args.after)), args.root)
        except LabError as error:
            raise LabError(
                f"{args.after} is neither a file, a folder nor a run",
                hint="give an adapter folder, or an id from `bidora list`",
            ) from error
        if not run.adapter_dir.is_dir():
            raise LabError(
                f"run {run.id} has no adapter yet: it is {run.state}", hint="wait until it is finished", kind="run"
            )
        from bidora.sources import refuse_without_motion
        from bidora.tasks import get_task

        refuse_without_motion(run)
        return str(run.adapter_dir), run.config.model or get_task(run.config.task).default_model
    return args.after, ""


def base_named_by(after: str) -> str:
    """The base model that an adapter's own adapter_config.json names.

    Raises:
        LabError: it names none.
    """
    try:
        described = json.loads((Path(after) / "adapter_config.json").read_text(encoding="utf-8"))
        named = described.get("base_model_name_or_path") if isinstance(described, dict) else None
    except (OSError, ValueError, RecursionError):
        named = None
    if not named:
        raise LabError(f"{after} does not say what it was trained from", hint="name the model before with --base")
    return str(named)


def base_weights(name: str) -> str:
    """A folder or file with the weights of a packaged model, a path, or a hub id (fetched when it is not here).

    Raises:
        LabError: there is no such model, or it cannot be fetched.
    """
    if Path(name).exists():
        return name
    from bidora.models import model_folder

    progress = ProgressLine()
    try:
        folder = model_folder(name, progress)
    finally:
        progress.close()
    return folder if Path(folder).exists() else _from_hub(folder)


def _from_hub(name: str) -> str:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return str(snapshot_download(name, allow_patterns=["*.safetensors", "*.safetensors.index.json", "config.json"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise LabError(
            f"{name} is no folder here and could not be fetched from the hub: {reason}",
            hint="check the name and the network, or give a folder with --base",
            kind="download",
        ) from error


def dynamics_table(dynamics: pandas.DataFrame) -> str:
    """One line per layer and module."""
    rows: list[list[Any]] = [
        [
            row["layer"],
            shown(row["module"]),
            number(row["delta_m"]),
            f"{row['delta_m_signed_percent']:+.3g}",
            number(row["delta_d"]),
            f"{row['angle_degrees']:.3g}",
        ]
        for row in dynamics.to_dict("records")
    ]
    return table(["layer", "module", "ΔM", "ΔM %", "ΔD", "angle °"], rows)


def fit_in_words(fit: DynamicsFit) -> str:
    """Slope and correlations of ΔM on ΔD with their bootstrap intervals over layers, and what to be careful about."""
    lines = [f"ΔM against ΔD, {fit.points} points from {fit.clusters} layers and modules; 95 % bootstrap over these"]
    for name, value, interval in (
        ("slope", fit.slope, fit.slope_interval),
        ("Pearson", fit.pearson, fit.pearson_interval),
        ("Spearman", fit.spearman, fit.spearman_interval),
    ):
        lines.append(f"  {name:<9} {number(value):>9}  [{number(interval[0])}, {number(interval[1])}]")
    lines.append("  (the slope has a unit: change of weight norm per 1 − cos; it is not a correlation)")
    if fit.note:
        lines.append(f"  note: {fit.note}")
    return "\n".join(lines)
