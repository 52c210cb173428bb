"""Draws and cuts of examples: stratified, and the same for the same seed on every machine.

Every draw orders examples by a hash of the seed and the input itself. So it does not depend on a library's random
generator, nor on the order of rows in a file, and a larger draw contains the smaller one of the same seed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy

from bidora.errors import LabError
from bidora.tasks.splits import Split

RARE = 0.05
"""Classes too small for both parts of a cut are tolerated while they hold at most this part of all examples."""

BINS = 10
"""Quantile bins by which numbers are stratified."""


def shuffled(keys: Sequence[str], seed: int | str, *, purpose: str) -> numpy.ndarray:
    """Positions of the keys in an order that depends on seed, purpose and key only, (n,) int64."""
    start = hashlib.sha256(f"{purpose}\0{seed}\0".encode())
    marks = []
    for position, key in enumerate(keys):
        mark = start.copy()
        mark.update(key.encode("utf-8", "surrogatepass"))
        marks.append((mark.digest(), position))
    return numpy.array([position for _, position in sorted(marks)], dtype=numpy.int64)


def strata(kind: str, targets: numpy.ndarray, *, bins: int = BINS) -> numpy.ndarray:
    """The stratum of each example, (n,) int64: its class, its rarest label, or the quantile bin of its number.

    Tagging: its rarest tag that is not the most frequent one ("O"). Other kinds have one stratum.
    """
    if kind == "classification":
        return targets.astype(numpy.int64)
    if kind == "multilabel":
        rarity = numpy.where(targets > 0, targets.sum(axis=0)[None, :], numpy.inf)
        rarest = rarity.argmin(axis=1)
        return numpy.where((targets > 0).any(axis=1), rarest, targets.shape[1]).astype(numpy.int64)
    if kind == "tagging":
        counts = numpy.bincount(numpy.concatenate([*targets, numpy.empty(0, dtype=numpy.int64)]))
        return numpy.array([min(each, key=lambda tag: (counts[tag], tag), default=-1) for each in targets], numpy.int64)
    if kind != "regression":
        return numpy.zeros(len(targets), dtype=numpy.int64)
    count = max(1, min(bins, len(targets)))
    ranks = numpy.empty(len(targets), dtype=numpy.int64)
    ranks[numpy.argsort(targets, kind="stable")] = numpy.arange(len(targets))
    return ranks * count // max(1, len(targets))


def draw(split: Split, kind: str, count: int, *, seed: int) -> tuple[numpy.ndarray, dict[int, int]]:
    """Draw training examples: `count` per class, `count` per label, or `count` in all where there are neither.

    Returns:
        positions in ascending order; and for each class that holds fewer than wanted, how many it holds.
    """
    order = shuffled(split.keys, seed, purpose="draw")
    if count == 0:
        return numpy.arange(len(split)), {}
    if kind not in ("classification", "multilabel"):
        chosen = _spread(strata(kind, split.targets), order, min(count, len(split)))
        return chosen, {} if len(split) >= count else {-1: len(split)}
    if kind == "classification":
        kept = [order[split.targets[order] == each][:count] for each in range(int(split.targets.max()) + 1)]
        short = {each: len(part) for each, part in enumerate(kept) if len(part) < count}
        return numpy.sort(numpy.concatenate(kept)), short
    taken: dict[int, None] = {}
    short = {}
    totals = split.targets.sum(axis=0)
    for label in numpy.argsort(totals, kind="stable"):
        have = sum(split.targets[position, label] > 0 for position in taken)
        for position in order[split.targets[order, label] > 0]:
            if have >= count:
                break
            if int(position) not in taken:
                taken[int(position)] = None
                have += 1
        if have < count:
            short[int(label)] = int(have)
    return numpy.array(sorted(taken), dtype=numpy.int64), short


def cut(
    split: Split,
    kind: str,
    fraction: float,
    *,
    seed: int | str,
    purpose: str,
    groups: Sequence[str] = (),
    exact: bool = False,
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Cut examples in two, stratified; groups, where given, are not torn apart.

    Args:
        split: what to cut.
        kind: of its targets.
        fraction: of each stratum that goes into the second part, 0 … 1.
        seed: and purpose: decide which ones.
        purpose: what the cut is for; cuts for different purposes are independent.
        groups: one name per example.
        exact: the second part holds the rounded fraction of all; otherwise of each class (numbers: always of all).

    Returns:
        positions of the first and of the second part, each ascending.
    """
    layers = strata(kind, split.targets)
    quotas = _quotas(layers, fraction, exact=exact or kind != "classification")
    if groups:
        second = _cut_groups(layers, list(groups), quotas, seed=seed, purpose=purpose)
    else:
        order = shuffled(split.keys, seed, purpose=purpose)
        parts = [order[layers[order] == layer][:many] for layer, many in quotas.items()]
        second = numpy.concatenate(parts) if parts else numpy.empty(0, dtype=numpy.int64)
    inside = numpy.zeros(len(split), dtype=bool)
    inside[second] = True
    return numpy.flatnonzero(~inside), numpy.flatnonzero(inside)


def two_levels(
    split: Split, kind: str, fraction: float, *, seed: int, labels: Sequence[str], groups: Sequence[str] = ()
) -> tuple[Split, Split, tuple[str, ...]]:
    """Cut training data into lower and upper split; groups, where given, are not torn apart.

    Returns:
        lower, upper, and remarks on classes that are in one of them only.

    Raises:
        LabError: the fraction leaves a class that matters without an example in one of the two; names the smallest (or
            largest) fraction that works.
    """
    first, second = cut(split, kind, fraction, seed=seed, purpose="upper", groups=groups)
    lower, upper = split.take(first), split.take(second)
    if kind == "classification":
        remarks = _check_classes(split, lower, upper, fraction, labels)
    else:
        if len(lower) == 0 or len(upper) == 0:
            empty = "lower" if len(lower) == 0 else "upper"
            raise LabError(
                f"upper_fraction={fraction:g} leaves no example in the {empty} split ({len(split)} training examples)",
                hint="use more examples" if len(split) < 2 else f"use {_limits(len(split))}",
            )
        remarks = []
    return lower, upper, tuple(remarks)


def _check_classes(split: Split, lower: Split, upper: Split, fraction: float, labels: Sequence[str]) -> list[str]:
    counts = numpy.bincount(split.targets, minlength=len(labels))
    remarks = []
    for name, part in (("upper", upper), ("lower", lower)):
        missing = numpy.flatnonzero((counts > 0) & (numpy.bincount(part.targets, minlength=len(labels)) == 0))
        if not len(missing):
            continue
        if len(part) and counts[missing].sum() <= RARE * len(split):
            names = ", ".join(f"{labels[each]} ({counts[each]})" for each in missing[:8])
            more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
            remarks.append(f"too rare for both levels, so missing in the {name} split: {names}{more}")
            continue
        needed = _smallest_that_matters(counts)
        many = int(counts[needed])
        raise LabError(
            f"upper_fraction={fraction:g} leaves no example of class {labels[needed]!r} "
            f"({many} training {'example' if many == 1 else 'examples'}) in the {name} split",
            hint="give it at least 2 examples" if many == 1 else f"use {_limits(many)}, or more examples of that class",
        )
    return remarks


def _smallest_that_matters(counts: numpy.ndarray) -> int:
    """The smallest class that is not among those tolerated as rare."""
    order = [int(each) for each in numpy.argsort(counts, kind="stable") if counts[each] > 0]
    passed = 0
    for each in order:
        passed += int(counts[each])
        if passed > RARE * counts.sum():
            return each
    return order[-1]


def _limits(count: int) -> str:
    """The fractions that leave at least one of `count` examples on each side, in words."""
    low, high = 0.5 / count, 1 - 0.5 / count
    return f"at least {math.ceil(low * 1000) / 1000:g} and less than {math.floor(high * 1000) / 1000:g}"


def _rounded(value: float) -> int:
    """To the nearest whole number, halves upwards; a hair below a half counts as one (0.1 × 5 is a half)."""
    return math.floor(value + 0.5 + 1e-9)


def _quotas(layers: numpy.ndarray, fraction: float, *, exact: bool) -> dict[int, int]:
    """How many of each layer go into the second part; exact: all together the rounded fraction of all."""
    quotas: dict[int, int] = {}
    seen = 0.0
    for layer, count in zip(*numpy.unique(layers, return_counts=True)):
        seen += count * fraction
        quotas[int(layer)] = _rounded(seen) - sum(quotas.values()) if exact else _rounded(count * fraction)
    return quotas


def _spread(layers: numpy.ndarray, order: numpy.ndarray, count: int) -> numpy.ndarray:
    """`count` positions spread over the layers as evenly as they allow; a larger count contains the smaller one."""
    ranks = numpy.empty(len(layers))
    for layer in numpy.unique(layers):
        members = order[layers[order] == layer]
        ranks[members] = (numpy.arange(len(members)) + 0.5) / len(members)
    position = numpy.empty(len(layers), dtype=numpy.int64)
    position[order] = numpy.arange(len(layers))
    return numpy.sort(numpy.lexsort((position, ranks))[:count])


def _cut_groups(
    layers: numpy.ndarray, groups: list[str], quotas: dict[int, int], *, seed: int | str, purpose: str
) -> numpy.ndarray:
    """Whole groups, in a drawn order, as long as they fit into what each layer still has to give."""
    members: dict[str, list[int]] = {}
    for position, name in enumerate(groups):
        members.setdefault(name, []).append(position)
    names = list(members)
    wanted = dict(quotas)
    chosen: list[int] = []
    for index in shuffled(names, seed, purpose=purpose):
        group = members[names[index]]
        need: dict[int, int] = {}
        for position in group:
            need[int(layers[position])] = need.get(int(layers[position]), 0) + 1
        if all(wanted[layer] >= many for layer, many in need.items()):
            chosen += group
            for layer, many in need.items():
                wanted[layer] -= many
    return numpy.array(sorted(chosen), dtype=numpy.int64)
