"""bidora reproduce: the official scripts' settings by name, and the lab's own for every task."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any

from bidora.cli.flags import Commands, add_command, add_settings, values_from
from bidora.cli.formatting import table
from bidora.cli.sweeping import add_order, order_from
from bidora.errors import LabError

OTHER_TABLES = """
Only table 1's settings for RoBERTa are known. The methods of the other published tables, in the lab's own untuned settings:
  table 1, DeBERTa-XXL   bidora reproduce cola-ours --model microsoft/deberta-v2-xxlarge --method dora bidora
  table 2                bidora reproduce cola-ours --method full bitfit lora adalora vera fourierft dora bidora --rank 8
  table 4                bidora convert aligner.safetensors --into aligner
                         bidora reproduce bbp-ours --data FOLDER --model aligner --method full lora dora bidora"""

DESCRIPTION = """Train what others have trained, by name; says first what it will cost on this machine.

  bidora reproduce --list
  bidora reproduce glue-base-cola --dry-run
  bidora reproduce glue-base-cola --seed 0 --data glue_data
  bidora reproduce peptides-ours

glue-base-TASK and glue-large-TASK are the settings of the official BiDoRA scripts, TASK-ours the lab's own. Any setting may
be changed by its flag, several values make a grid (--method lora dora bidora). The same command again goes on."""


def add_commands(commands: Commands) -> None:
    """Add reproduce."""
    reproduce = add_command(
        commands, "reproduce", _reproduce, help="the official scripts' settings, by name", description=DESCRIPTION
    )
    reproduce.add_argument("name", nargs="?", default="", metavar="NAME", help="what to reproduce; --list shows all")
    reproduce.add_argument("--list", action="store_true", help="show what can be reproduced")
    add_order(reproduce)
    add_settings(reproduce, several=True)
    reproduce.usage = (
        "bidora reproduce NAME [--seed SEED ...] [--dry-run] [--data FOLDER] [--SETTING VALUE ...] [--parallel N]\n"
        "                        [--tune SETTING=A,B,C] [--group GROUP] | --list"
    )


def _reproduce(args: argparse.Namespace) -> int:
    from bidora.cli.carrying_out import carry_out
    from bidora.cli.ordering import with_notes
    from bidora.reproducing import get_reproduction

    if args.list:
        _list()
        return 0
    if not args.name:
        raise LabError("nothing to reproduce was named", hint="`bidora reproduce --list` shows what there is")
    found = get_reproduction(args.name)
    axes: dict[str, list[Any]] = {"method": list(found.methods), "seed": list(found.seeds), **values_from(args)}
    if "task" in axes:
        raise LabError(f"--task does not fit {found.name}, whose task is {found.task}", hint="leave --task out")
    changed = [name for name in axes if name in found.settings and axes[name] != [found.settings[name]]]
    base = {name: value for name, value in found.settings.items() if name not in axes}
    order = order_from(args, axes, base, group=found.name)
    notes = [f"\n{found.title}"]
    if changed:
        told = ", ".join(f"{name} {'/'.join(map(str, axes[name]))} (there: {found.settings[name]})" for name in changed)
        notes.append(f"Changed by flags: {told}.")
    notes += [
        textwrap.fill(f"· {note}", width=120, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
        for note in found.notes
    ]
    code = carry_out(with_notes(order, *notes), dry_run=args.dry_run)
    if not args.dry_run and found.official:
        print(f"The published scores beside these: bidora published --task {found.task}")
    return code


def _list() -> None:
    from bidora.config import gradient_evaluations
    from bidora.reproducing import REPRODUCTIONS

    rows = []
    for found in REPRODUCTIONS.values():
        configs = found.configs()
        passes = sum(map(gradient_evaluations, configs))
        model = configs[0].model or "the task's default"
        rows.append([found.name, model, len(configs), max(each.total_steps for each in configs), passes])
    print(table(["name", "model", "runs", "steps of the longest", "gradient evaluations in all"], rows))
    print(OTHER_TABLES)
    print("\nWhat belongs beside each, and what it costs here: bidora reproduce NAME --dry-run")
