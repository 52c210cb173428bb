"""Notebook cells that repeat what a page shows: the same runs, the same library calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bidora.runs import Run


@dataclass(frozen=True)
class Cell:
    """Lines that find some runs again, to be followed by what is drawn of them.

    Attributes:
        runs: lines that assign `runs`.
    """

    runs: str

    def draw(self, call: str, *, prepare: str = "") -> str:
        """The whole cell.

        Args:
            call: an expression with `analysis`, `figures` and `runs`, whose value the notebook shows.
            prepare: lines before it.
        """
        return "\n".join(filter(None, ["from bidora import analysis, figures", self.runs, "", prepare, call]))


def cell(runs: Sequence[Run], *, recorded: frozenset[str] = frozenset()) -> Cell:
    """A cell that finds these runs again, in the folders in which they are now.

    Args:
        runs: to be found.
        recorded: ids of recordings, which come with the lab and are found wherever it is.
    """
    own = [run for run in runs if run.id not in recorded]
    folders = list(dict.fromkeys(str(run.path.resolve().parent) for run in own))
    lines, sources = [], [f"*list_runs({folder!r})" for folder in folders]
    if len(own) < len(runs):
        lines.append("from bidora.recordings import recordings")
        sources.append("*recordings()")
    if own:
        lines.append("from bidora.runs import list_runs")
    names = ",\n".join(f"    {run.id!r}" for run in runs)
    lines += ["", f"wanted = [\n{names},\n]" if runs else "wanted = []"]
    lines.append(f"runs = [run for run in [{', '.join(sources)}] if run.id in wanted]")
    return Cell("\n".join(lines))
