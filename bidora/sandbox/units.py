"""Lengths and headings in numpy: the same quantities as bidora.decomposition, which a test compares, without torch."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from bidora.errors import LabError

Axis = Literal["output", "input"]
"""Which units carry a magnitude: "output", one per row of nn.Linear.weight (PEFT); "input", one per column."""

SHAPE = (3, 4)
"""(out, in) of the matrix that can be edited; not square, so that the axis shows in every shape."""

INITIAL = np.array([[3.0, 4.0, 0.0, 0.0], [0.0, 3.0, 0.0, 4.0], [1.0, 2.0, 2.0, 0.0]])
"""W0: rows of length 5, 5 and 3."""

CHANGED = np.array([[3.6, 4.8, 0.0, 0.0], [0.0, 4.0, 0.0, 3.0], [1.0, 2.0, 2.0, 0.0]])
"""W as the page opens: row 1 only became longer, row 2 only turned, row 3 stayed."""

VECTOR = (2.0, 30.0)
"""Length and heading (degrees) of the vector W0."""

LARGEST = 100.0
"""Largest absolute value of an entry."""


class Decomposed(NamedTuple):
    """W = m ⊙ V: `magnitude` m (3,) or (4,), `direction` V, shaped like W, with norm 1 per unit."""

    magnitude: np.ndarray
    direction: np.ndarray


class Units(NamedTuple):
    """What happened to each of the k units between two weights; every entry has shape (k,).

    before, after: magnitudes m₀ and m, in the weight's units.
    magnitude: |m − m₀|; its mean is ΔM (DoRA, eq. 3).
    direction: 1 − cos of the angle between both headings, 0 to 2; its mean is ΔD (DoRA, eq. 4).
    angle: that angle in degrees, 0 to 180.
    """

    before: np.ndarray
    after: np.ndarray
    magnitude: np.ndarray
    direction: np.ndarray
    angle: np.ndarray

    @property
    def delta_m(self) -> float:
        """ΔM, the mean of |m − m₀| over the units (DoRA, eq. 3)."""
        return float(self.magnitude.mean())

    @property
    def delta_d(self) -> float:
        """ΔD, the mean of 1 − cos over the units (DoRA, eq. 4)."""
        return float(self.direction.mean())


def arrow(length: float, degrees: float) -> np.ndarray:
    """The vector (2,) of that length and heading; 0° points right, 90° up.

    >>> arrow(2.0, 90.0).round(12).tolist()
    [0.0, 2.0]
    """
    turned = np.radians(degrees)
    return length * np.array([np.cos(turned), np.sin(turned)])


def vector_pair(length: float, turn: float) -> tuple[np.ndarray, np.ndarray]:
    """W0 and W, both (2,): W has that length and is turned by so many degrees against W0."""
    return arrow(*VECTOR), arrow(length, VECTOR[1] + turn)


def decompose(weight: np.ndarray, axis: Axis = "output") -> Decomposed:
    """Split a weight into length and heading per unit: W = m ⊙ V (DoRA, eq. 2).

    Args:
        weight: (out, in), as nn.Linear stores it.
        axis: "output" gives one magnitude per row (PEFT), "input" one per column (the published BiDoRA code).

    Raises:
        LabError: a unit is zero, so that it has no direction.

    >>> decompose(np.array([[3.0, 4.0]])).magnitude.tolist()
    [5.0]
    """
    along = 1 if axis == "output" else 0
    norm = np.linalg.norm(weight, axis=along, keepdims=True)
    zero = np.flatnonzero(norm == 0)
    if len(zero):
        unit = "row" if axis == "output" else "column"
        raise LabError(
            f"{unit} {zero[0] + 1} is zero: its length is 0 and its direction undefined",
            hint=f"give one entry of this {unit} another value, or choose the other axis",
            kind="model",
        )
    return Decomposed(magnitude=norm.squeeze(along), direction=weight / norm)


def unit_changes(before: np.ndarray, after: np.ndarray, axis: Axis = "output") -> Units:
    """How length and heading of each unit changed (DoRA, eqs 3 and 4, before the mean over units).

    For unit vectors 1 − u·v = ‖u − v‖²/2, which keeps its digits where the angle is tiny.

    Args:
        before: W0, (out, in).
        after: W, (out, in).
        axis: whose units are compared.

    Raises:
        LabError: a unit of either weight is zero.
    """
    first, second = decompose(before, axis), decompose(after, axis)
    along = 1 if axis == "output" else 0
    apart = np.linalg.norm(second.direction - first.direction, axis=along)
    together = np.linalg.norm(second.direction + first.direction, axis=along)
    return Units(
        before=first.magnitude,
        after=second.magnitude,
        magnitude=np.abs(second.magnitude - first.magnitude),
        direction=apart**2 / 2,
        angle=np.degrees(2 * np.arctan2(apart, together)),
    )


def rebuilding_error(weight: np.ndarray, axis: Axis = "output") -> float:
    """Largest absolute entry of m ⊙ V − W: rounding only, since nothing is lost by the split."""
    magnitude, direction = decompose(weight, axis)
    return float(np.abs(np.expand_dims(magnitude, 1 if axis == "output" else 0) * direction - weight).max())


def unit_rows(change: Units, axis: Axis) -> list[dict[str, float | str]]:
    """One row per unit for a table."""
    names = ("m₀", "m", "|m − m₀|", "1 − cos", "angle°")
    unit = "row" if axis == "output" else "column"
    return [
        {"unit": f"{unit} {number + 1}"}
        | {name: round(float(column[number]), 2 if name == names[-1] else 4) for name, column in zip(names, change)}
        for number in range(len(change.before))
    ]


def shape_text(values: np.ndarray) -> str:
    """A shape for a formula: 3 × 4."""
    return r" \times ".join(map(str, values.shape))


def matrix_text(weight: np.ndarray) -> str:
    """A matrix as it stands in an address: "3,4,0,0;0,3,0,4;1,2,2,0"."""
    return ";".join(",".join(f"{entry:.6g}" for entry in row) for row in weight)


def matrix_from(text: str) -> np.ndarray:
    """The matrix in an address; the opposite of `matrix_text`.

    Raises:
        LabError: not 3 rows of 4 finite numbers from −100 to 100.
    """
    try:
        rows = [[float(entry) for entry in row.split(",")] for row in text[:400].split(";")]
    except ValueError:
        rows = []
    if len(rows) != SHAPE[0] or any(len(row) != SHAPE[1] for row in rows):
        raise _unreadable(text)
    return checked(np.array(rows))


def checked(weight: np.ndarray) -> np.ndarray:
    """The same matrix, if all of its entries can be used.

    Raises:
        LabError: an entry is missing, not finite, or larger than 100.
    """
    weight = np.asarray(weight, dtype=np.float64)
    wrong = np.argwhere(~(np.abs(weight) <= LARGEST))
    if len(wrong):
        row, column = wrong[0]
        value = weight[row, column]
        shown = "empty" if np.isnan(value) else f"{value:g}"
        raise LabError(
            f"row {row + 1}, column {column + 1} is {shown}; allowed are numbers from −{LARGEST:g} to {LARGEST:g}",
            hint="type a number into this cell",
        )
    return weight


def usable(weight: np.ndarray) -> bool:
    """Whether every entry is a number that `checked` lets pass."""
    return bool((np.abs(weight) <= LARGEST).all())


def _unreadable(text: str) -> LabError:
    shown = text[:40] + ("…" if len(text) > 40 else "")
    return LabError(
        f"W={shown!r} in the address is not a matrix of {SHAPE[0]} rows and {SHAPE[1]} columns",
        hint=f"write it like W={matrix_text(INITIAL)}; the matrix below is the one that the page begins with",
    )
