"""What became of the weights at the end of a run: every unit's magnitude and direction, and the spectrum of the change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bidora.decomposition import decompose, directed_units, unit_change
from bidora.recorder import layers_and_modules

if TYPE_CHECKING:
    import pandas

LEADING = 64
"""So many singular values of each layer are kept; an adapter of rank r changes a direction in at most r dimensions."""

EXACT_UP_TO = 1024
"""Matrices with a shorter side of at most this are decomposed exactly (0.1 s at 768); larger ones by random projection."""


def unit_table(base: Mapping[str, Tensor], merged: Mapping[str, Tensor]) -> pandas.DataFrame:
    """Every output unit before and after, except those that are zero, which have no direction.

    Args:
        base: W0 (out, in) by layer name.
        merged: the weights that act at the end, by the same names.

    Returns:
        name, layer, module, unit, m0, m (weight units, float32), delta_d (1 − cos of the angle between the directions).
    """
    import pandas

    parts, places = [], layers_and_modules(merged)
    for name, weight in merged.items():
        first, second, kept = directed_units(base[name], weight)
        change, before = unit_change(first, second), decompose(first).magnitude
        parts.append(
            pandas.DataFrame(
                {
                    "name": name,
                    **places[name],
                    "unit": kept.nonzero().flatten().cpu().numpy(),
                    "m0": before.float().cpu().numpy(),
                    "m": (before + change.magnitude).float().cpu().numpy(),
                    "delta_d": change.direction.float().cpu().numpy(),
                }
            )
        )
    columns = ["name", "layer", "module", "unit", "m0", "m", "delta_d"]
    return pandas.concat(parts, ignore_index=True) if parts else pandas.DataFrame(columns=columns)


def spectrum_table(
    base: Mapping[str, Tensor], merged: Mapping[str, Tensor], *, leading: int = LEADING
) -> pandas.DataFrame:
    """Singular values of the change W′ − W0 of each layer, largest first.

    LoRA's change sBA has rank r at most. DoRA's and BiDoRA's is diag(m/‖·‖)(W0 + sBA) − W0: a new magnitude scales whole
    rows of W0, so that beyond the first r values there is a tail. Full fine-tuning has no bound.

    Args:
        base: W0 (out, in) by layer name.
        merged: the weights that act at the end, by the same names.
        leading: how many values of each layer are kept.

    Returns:
        name, layer, module, index (from 1), singular_value (weight units), cumulative (share of ‖W′ − W0‖²_F in the
        values up to this one; NaN where nothing changed).
    """
    import pandas

    rows, places = [], layers_and_modules(merged)
    for name, weight in merged.items():
        change = (weight - base[name].to(weight.dtype)).float()
        values = singular_values(change, leading)
        energy = change.double().square().sum().item()
        shares = (values.double().square().cumsum(0) / energy).clamp(max=1.0) if energy else values.double() * torch.nan
        for index, (value, share) in enumerate(zip(values.tolist(), shares.tolist(), strict=True), start=1):
            rows.append(
                {
                    "name": name,
                    **places[name],
                    "index": index,
                    "singular_value": value,
                    "cumulative": share,
                }
            )
    columns = ["name", "layer", "module", "index", "singular_value", "cumulative"]
    return pandas.DataFrame(rows, columns=columns)


def singular_values(matrix: Tensor, leading: int) -> Tensor:
    """The largest singular values of a matrix, at most so many, in falling order.

    Args:
        matrix: (rows, columns).
        leading: how many.

    Returns:
        (min(leading, rows, columns),); exact up to a shorter side of EXACT_UP_TO, else by randomised projection (Halko,
        Martinsson and Tropp 2011) with four power iterations, whose random numbers are its own.
    """
    short = min(matrix.shape)
    count = min(leading, short)
    if short <= EXACT_UP_TO:
        return torch.linalg.svdvals(matrix)[:count]
    with torch.random.fork_rng(devices=[matrix.device] if matrix.device.type == "cuda" else []):
        torch.manual_seed(0)
        _, values, _ = torch.svd_lowrank(matrix, q=min(short, count + 16), niter=4)
    return values[:count]
