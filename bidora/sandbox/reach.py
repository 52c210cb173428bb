"""What a low-rank update can reach: LoRA in closed form, DoRA by Gauss–Newton from two starts.

A 6 × 8 weight W0 shall become W*. LoRA of rank r reaches W0 + BA; its best is the truncated singular value
decomposition of W* − W0 (Eckart and Young 1936). DoRA reaches m ⊙ (W0 + BA) / ‖W0 + BA‖, one magnitude per row. With
d = m / ‖W0 + BA‖ this is D·W0 + C, where D = diag(d) is free and C = D·B·A is any matrix of rank r; so only the six
numbers d must be searched, and for each d the best C is again a truncated decomposition. LoRA is the case d = 1. Lengths
are kept positive: PEFT does not forbid a magnitude below zero, but it would no longer be a length.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from bidora.sandbox.units import arrow, decompose

Change = Literal["lengths", "headings", "both"]
Turning = Literal["own", "shared"]

BASE = np.array(
    [
        [0.0, 0.3, -0.3, -0.9, -0.5, -1.0, 0.1, 1.3],
        [-0.5, -0.6, 0.5, 0.4, 0.1, -0.9, 0.0, 0.7],
        [-1.3, -0.5, -1.9, -1.3, -1.8, -0.2, -1.3, 0.3],
        [0.2, -0.2, -2.5, -0.5, 0.0, 0.1, -1.5, -0.5],
        [-1.0, -0.8, 1.1, -0.8, 0.0, 0.9, -0.6, -0.1],
        [0.1, 0.1, -1.2, 0.1, 1.4, -1.5, 0.9, 0.1],
    ]
)
"""W0, (6, 8): made up once with a random generator."""

TOWARDS = np.array(
    [
        [2.0, -2.6, 0.4, -0.6, -0.5, -0.2, -2.0, -0.2],
        [-0.9, 3.3, 0.2, -0.4, -0.3, -0.7, -1.1, -0.4],
        [0.5, -0.2, 1.0, -0.2, 0.0, 1.5, 0.5, -0.5],
        [-0.2, 0.5, 1.9, -0.3, -0.2, 1.0, -0.9, -0.3],
        [0.9, 0.6, 0.1, 0.7, -2.8, 1.0, -1.0, -1.7],
        [0.3, 0.7, -0.4, -1.1, 0.0, -0.1, 1.4, 0.7],
    ]
)
"""Where each row turns to, (6, 8); all rows turn towards the first one where the turn is shared."""

STRETCH = np.array([1.0, -0.8, 0.6, -0.4, 0.9, -0.5])
"""How the lengths change, per row, as a share of the largest change."""

RANKS = (1, 2, 3, 4)
LEAST_SCALE = 0.02
"""How little of W0 a row keeps at least; at 0 it would have no direction left that W0 has a part in."""

MOST_STEPS = 300
"""Where the search is ended if it does not stand still by itself."""

NONE = 1e-9
"""Below this share of W0's size there is no change to speak of."""


class Fit(NamedTuple):
    """The nearest weight that was found.

    weight: (6, 8). update: B·A, (6, 8), of rank r. magnitude: m, (6,), the row norms for LoRA. steps: of the search.
    """

    weight: np.ndarray
    update: np.ndarray
    magnitude: np.ndarray
    steps: int


class Reach(NamedTuple):
    """One rank: what share of the change is left over, ‖W* − W‖ / ‖W* − W0‖ (Frobenius), and how many numbers are free."""

    rank: int
    lora_left: float
    dora_left: float
    lora_numbers: int
    dora_numbers: int
    steps: int


def target_weight(change: Change, *, percent: float, degrees: float, turning: Turning = "own") -> np.ndarray:
    """W*, (6, 8): what the weight shall become.

    Args:
        change: "lengths" (each row by its own percentage), "headings" (each row by `degrees`), or "both".
        percent: the largest change of a length; other rows change by less, some become shorter.
        degrees: the angle by which every row turns.
        turning: "own", each row towards its own vector; "shared", all rows towards the same one.
    """
    magnitude, direction = decompose(BASE)
    if change != "headings":
        magnitude = magnitude * (1 + percent / 100 * STRETCH)
    if change != "lengths":
        towards = TOWARDS if turning == "own" else np.repeat(TOWARDS[:1], len(BASE), axis=0)
        across = towards - (towards * direction).sum(axis=1, keepdims=True) * direction
        along, sideways = arrow(1.0, degrees)
        direction = along * direction + sideways * across / np.linalg.norm(across, axis=1, keepdims=True)
    return magnitude[:, None] * direction


def lora_fit(target: np.ndarray, rank: int) -> Fit:
    """The best W0 + BA of that rank: the largest singular values of W* − W0 are kept (Eckart–Young)."""
    left, values, right = np.linalg.svd(target - BASE, full_matrices=False)
    update = (left[:, :rank] * values[:rank]) @ right[:rank]
    weight = BASE + update
    return Fit(weight, update, np.linalg.norm(weight, axis=1), steps=0)


def dora_fit(target: np.ndarray, rank: int) -> Fit:
    """The best m ⊙ (W0 + BA)/‖W0 + BA‖ that is found: a local optimum, the better of two starts.

    The first start is LoRA's optimum, so DoRA never ends above LoRA of the same rank; the second gives each row the
    length that fits best without any update.
    """
    fitting = (target * BASE).sum(axis=1) / (BASE**2).sum(axis=1)
    starts = (np.ones(len(BASE)), np.maximum(fitting, 0.1))
    found = [nearest_scale(target, rank, start) for start in starts]
    scale, low_rank, _, steps = min(found, key=lambda each: each[2])
    weight = scale[:, None] * BASE + low_rank
    update = low_rank / scale[:, None]
    return Fit(weight, update, scale * np.linalg.norm(BASE + update, axis=1), steps)


def nearest_scale(target: np.ndarray, rank: int, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Minimise ‖W* − D·W0 − C‖² over d and over C of rank r; returns d, C, the minimum and the number of steps.

    C is always the best for its d, so what is left is the tail of the singular values. Gauss–Newton steps on log d (variable
    projection), which keep d positive, damped until they help; converged when a step gains less than 1e-9 of the whole change.
    """
    whole, damping = float(((target - BASE) ** 2).sum()), 1e-4
    left, values, right = np.linalg.svd(target - scale[:, None] * BASE, full_matrices=False)
    error, steps = float((values[rank:] ** 2).sum()), 0
    while error > 1e-20 * whole and steps < MOST_STEPS:
        rest = (left[:, rank:] * values[rank:]) @ right[rank:]  # what no C of this rank can take away
        free = BASE - (BASE @ right[:rank].T) @ right[:rank]  # the part of W0 that C does not cover already
        free = scale[:, None] * free  # by log d, not by d
        slope = (rest * free).sum(axis=1)
        bend = (np.eye(len(BASE)) - left[:, :rank] @ left[:, :rank].T) * (free @ free.T)
        held = (scale <= LEAST_SCALE) & (slope < 0)
        slope[held], bend[held], bend[:, held] = 0.0, 0.0, 0.0
        while True:
            step = np.linalg.solve(bend + damping * np.diag((free**2).sum(axis=1) + 1e-12), slope)
            moved = np.maximum(scale * np.exp(np.clip(step, -1, 1)), LEAST_SCALE)
            decomposed = np.linalg.svd(target - moved[:, None] * BASE, full_matrices=False)
            new_error = float((decomposed[1][rank:] ** 2).sum())
            if new_error < error or damping > 1e8:
                break
            damping *= 10
        gain, steps = error - new_error, steps + 1
        if gain <= 0:
            break
        scale, error, damping = moved, new_error, max(damping / 10, 1e-9)
        left, values, right = decomposed
        if gain < 1e-9 * whole:
            break
    return scale, (left[:, :rank] * values[:rank]) @ right[:rank], error, steps


def reach_by_rank(target: np.ndarray, ranks: tuple[int, ...] = RANKS) -> list[Reach]:
    """How much of the change from W0 to the target is left over, per rank; empty where there is no change."""
    whole = np.linalg.norm(target - BASE)
    if whole < NONE * np.linalg.norm(BASE):
        return []
    out, inputs = BASE.shape
    found = []
    for rank in ranks:
        lora, dora = lora_fit(target, rank), dora_fit(target, rank)
        found.append(
            Reach(
                rank=rank,
                lora_left=float(np.linalg.norm(target - lora.weight) / whole),
                dora_left=float(np.linalg.norm(target - dora.weight) / whole),
                lora_numbers=rank * (out + inputs),
                dora_numbers=rank * (out + inputs) + out,
                steps=dora.steps,
            )
        )
    return found
