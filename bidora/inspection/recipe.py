"""The same analysis elsewhere: as a command, and as a cell of a notebook. Texts from outside are quoted, never run."""

from __future__ import annotations

import shlex

from bidora.sources import Source


def arguments(before: Source, after: Source) -> list[str]:
    """What follows `bidora` on the command line; both sides are absolute paths or packaged names, so never flags."""
    return ["analyse", after.argument, "--base", before.argument]


def command(before: Source, after: Source, *, axis: str = "output", uploaded: tuple[str, ...] = ()) -> str:
    """The command line that gives the same table.

    Args:
        before: the base model.
        after: adapter or checkpoint.
        axis: output or input.
        uploaded: arguments that are uploads; their titles stand in for the paths on the visitor's own machine.
    """
    words = ["bidora", "analyse", _place(after, uploaded), "--base", _place(before, uploaded)]
    return shlex.join([*words, *(["--axis", axis] if axis != "output" else []), "--csv", "table.csv"])


def notebook_cell(
    before: Source,
    after: Source,
    *,
    axis: str = "output",
    layers: tuple[int, ...] = (),
    modules: tuple[str, ...] = (),
    look: str = "lora",
    uploaded: tuple[str, ...] = (),
) -> str:
    """Lines that measure, fit and draw the same; arguments as for `command`, with the filters of the page."""
    lines = ["from bidora.figures import magnitude_vs_direction"]
    base = repr(_place(before, uploaded))
    if before.kind == "packaged model":
        lines.append("from bidora.models import model_folder")
        base = f"model_folder({base})"
    lines += [
        "from bidora.statistics import fit_dynamics",
        "from bidora.weights import dynamics_of",
        "",
        f"points = dynamics_of({base}, {_place(after, uploaded)!r}, axis={axis!r})",
    ]
    if layers:
        lines.append(f'points = points[points["layer"].isin({list(layers)!r})]')
    if modules:
        lines.append(f'points = points[points["module"].isin({list(modules)!r})]')
    lines += [
        "print(fit_dynamics(points))",
        f"points = points.assign(label={after.title!r}, method={look!r})",
        f"magnitude_vs_direction(points, axis={axis!r})",
    ]
    return "\n".join(lines)


def _place(side: Source, uploaded: tuple[str, ...]) -> str:
    return side.title if side.argument in uploaded else side.argument
