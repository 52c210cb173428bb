"""Is m alive? Gradient and movement of the magnitude, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas

COLUMNS = (
    *("run", "label", "method", "seed", "phase", "phase_index", "step", "global_step"),
    *("gradient_norm", "moved", "moved_least", "moved_most"),
)


def magnitude_motion(dynamics: pandas.DataFrame) -> pandas.DataFrame:
    """One row per run and recorded step.

    Args:
        dynamics: as `dynamics_table(runs, checkpoints=0, every_phase=True)` gives it.

    Returns:
        run, label, method, seed, phase, phase_index, step, global_step (over all phases); gradient_norm, over all
        layers (loss per weight unit; NaN where none was recorded, as in the retraining phase, which keeps m fixed); moved,
        mean over layers of ΔM = mean |m − m₀| (weight units), and the least and the most of any layer.
    """
    import pandas

    if dynamics.empty or "delta_m" not in dynamics:
        return pandas.DataFrame(columns=COLUMNS)
    table = dynamics.copy()
    if "magnitude_gradient_norm" not in table:
        table["magnitude_gradient_norm"] = np.nan
    if "phase" not in table:
        table["phase"] = ""
    table["squared"] = table["magnitude_gradient_norm"].astype(float) ** 2
    keys = ["run", "label", "method", "seed", "phase", "phase_index", "step"]
    found = (
        table.groupby(keys, sort=False)
        .agg(
            squared=("squared", lambda values: values.sum(min_count=1)),
            moved=("delta_m", "mean"),
            moved_least=("delta_m", "min"),
            moved_most=("delta_m", "max"),
        )
        .reset_index()
    )
    found["gradient_norm"] = np.sqrt(found["squared"])
    found["global_step"] = found["step"] + _steps_before(found)
    return found[list(COLUMNS)].sort_values(["run", "global_step"], kind="stable", ignore_index=True)


def _steps_before(table: pandas.DataFrame) -> np.ndarray:
    """For each row, the steps of the phases of its run before its own."""
    last = table.groupby(["run", "phase_index"])["step"].max()
    before = {
        (run, index): sum(steps for (other, each), steps in last.items() if other == run and each < index)
        for run, index in last.index
    }
    return np.asarray([before[key] for key in zip(table["run"], table["phase_index"], strict=True)], dtype=float)
