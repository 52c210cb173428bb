"""What an analysis found, as tables that figures take, and in words: what can be said from it and what cannot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bidora.errors import LabError
from bidora.uploads import shown
from bidora.wording import left_out_in_words

if TYPE_CHECKING:
    import pandas

    from bidora.statistics import DynamicsFit

AXES = ("output", "input")
"""Norm axes, PEFT's first: one magnitude per output unit."""

_COLUMNS = ("delta_m", "delta_m_signed_percent", "delta_d", "angle_degrees", "units", "layer", "module", "name")


@dataclass(frozen=True)
class Result:
    """What an analysis found.

    Attributes:
        after: title of the side after training; before: of the base model.
        look: the key of its look in figures: dora, lora, or full for two checkpoints.
        axes: norm axis → rows as records, or the error that kept it from being measured.
        left_out: norm axis → sentences about what its means leave out.
        told: whether the method is known from a run, not guessed from the files.
    """

    after: str
    before: str
    look: str
    axes: dict[str, list[dict[str, Any]] | LabError]
    left_out: Mapping[str, list[str]] = field(default_factory=dict)
    told: bool = False

    def points(self, axis: str, *, layers: tuple[int, ...] = (), modules: tuple[str, ...] = ()) -> pandas.DataFrame:
        """The table of one axis with columns label and method, as figures want them; filters left empty let all pass.

        Raises:
            LabError: that axis could not be measured.
        """
        import pandas

        rows = self.axes[axis]
        if isinstance(rows, LabError):
            raise rows
        table = pandas.DataFrame(rows)
        if layers:
            table = table[table["layer"].isin(layers)]
        if modules:
            table = table[table["module"].isin(modules)]
        return table.assign(label=self.after, method=self.look).reset_index(drop=True)

    def layers(self) -> list[int]:
        """Numbers of the layers, in order (−1: outside the numbered ones)."""
        return sorted({int(row["layer"]) for row in self._any_rows()})

    def modules(self) -> list[str]:
        """Names of the modules, in order."""
        return sorted({str(row["module"]) for row in self._any_rows()})

    def _any_rows(self) -> list[dict[str, Any]]:
        return next((rows for rows in self.axes.values() if not isinstance(rows, LabError)), [])


def result_of(found: Mapping[str, Any], *, after: str, before: str, look: str, told: bool = False) -> Result:
    """The result as `bidora analyse --json` wrote it, with texts fit to be shown.

    Args:
        found: the JSON object.
        after: title of the side after training.
        before: title of the base model.
        look: the method's key in figures.
        told: whether a run told the method.
    """
    axes: dict[str, list[dict[str, Any]] | LabError] = {
        axis: problem(each["error"]) if "error" in each else [_row(row) for row in each["table"]]
        for axis, each in found["axes"].items()
    }
    told_by = {axis: each.get("attrs", {}) for axis, each in found["axes"].items()}
    left_out = {
        axis: [shown(words, longest=300) for words in left_out_in_words(each)] for axis, each in told_by.items()
    }
    return Result(after, before, look, axes, left_out, told)


def problem(error: Mapping[str, str]) -> LabError:
    """An error as JSON has it."""
    return LabError(str(error["message"]), hint=str(error["hint"]), kind=str(error["kind"]))


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """One row of the table, with texts fit to be shown."""
    known = {name: row.get(name) for name in _COLUMNS}
    return {name: shown(value, longest=120) if isinstance(value, str) else value for name, value in known.items()}


def statistics_table(fit: DynamicsFit) -> pandas.DataFrame:
    """One row each for slope, Pearson and Spearman: value, 95 % interval, ranges without a point and without a layer."""
    import pandas

    row = fit.as_row()
    names = {"slope": "slope (weight units per 1 − cos)", "pearson": "Pearson r", "spearman": "Spearman ρ"}
    parts = {
        "interval": "95 % interval",
        "without_a_point": "without any one point",
        "without_a_layer": "without any one layer",
    }
    return pandas.DataFrame(
        [
            {
                "statistic": words,
                "value": _signed(row[name]),
                **{label: _range(row, f"{name}_{part}") for part, label in parts.items()},
            }
            for name, words in names.items()
        ]
    )


def _range(row: Mapping[str, Any], name: str) -> str:
    low, high = (row.get(f"{name}_{end}", math.nan) for end in ("low", "high"))
    return f"{_signed(low)} to {_signed(high)}" if math.isfinite(low) else "–"


def _signed(value: float) -> str:
    return f"{value:+.3g}" if math.isfinite(value) else "–"


def what_can_be_said(result: Result, fit: DynamicsFit, axis: str = "output") -> tuple[list[str], list[str]]:
    """Sentences about what these points of one norm axis show, and what they cannot show."""
    trained = "Along the output axis ΔM of a DoRA or BiDoRA adapter is the change of its trained magnitude."
    can = [
        f"How far each of {fit.points} matrices moved: in length (ΔM) and in heading (ΔD), on merged weights.",
        "Whether matrices that turned more also changed more in length: a statement across layers and modules.",
    ]
    cannot = [
        "Nothing about the course of training: one adapter is one moment, so there is one point per layer and module. "
        "The published figures add three earlier checkpoints, so their numbers are not comparable with these.",
        "Nothing about a method: another seed gives other points. Compare several runs for that.",
    ]
    if result.look == "dora" and not result.told:
        cannot.append("Whether DoRA or BiDoRA made it: both save the same layout.")
    if fit.points < 10:
        cannot.append(f"Much about the slope: {fit.points} points are few, and the interval is rough.")
    if result.look in ("dora", "bidora"):
        can.append(trained)
    return [*can, *result.left_out.get(axis, ())], cannot
