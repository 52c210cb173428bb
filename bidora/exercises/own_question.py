"""What notebook 09 stands on: a made-up table where there is no own one, the runs of a question, and its figures."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bidora.analysis import baseline_of, comparison
from bidora.config import RunConfig
from bidora.figures import scores
from bidora.grid import grid
from bidora.runs import Run, runs_root

if TYPE_CHECKING:
    import plotly.graph_objects as go

ROWS = 240
COLUMNS = ("name", "sequence", "binds", "affinity", "plate")
DEFAULT_ARMS = ({"method": "lora"}, {"method": "dora"})
BINDING = 0.28
"""Made-up rule: a peptide binds where so large a part of it is K or R, but for one label in ten, for which a coin is thrown."""


def own_table(data: str = "") -> Path:
    """The path of a table: one's own, or of a made-up one in the folder of runs, written at the first call."""
    if data:
        return Path(data).expanduser().absolute()
    path = runs_root().absolute() / "made-up-binders.csv"
    return path if path.is_file() else made_up_table(path)


def made_up_table(path: Path, *, rows: int = ROWS, seed: int = 0) -> Path:
    """Write made-up peptides: name (which gives the label away), sequence, binds (yes or no), affinity, plate.

    Args:
        path: of the CSV; its folder is made.
        rows: how many peptides.
        seed: of the draws.
    """
    draws = np.random.default_rng(seed)
    letters, often = list("ACDEFGHIKLMNPQRSTVWY"), np.ones(20)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(COLUMNS)
        for row in range(rows):
            weights = often.copy()
            weights[[letters.index("K"), letters.index("R")]] = draws.uniform(1, 6)
            sequence = "".join(draws.choice(letters, size=draws.integers(10, 20), p=weights / weights.sum()))
            charged = sum(map(sequence.count, "KR")) / len(sequence)
            binds = bool(charged >= BINDING) if draws.random() < 0.9 else bool(draws.random() < 0.5)
            affinity = 10 * charged + draws.normal(0, 0.5)
            word = "yes" if binds else "no"
            writer.writerow([f"{'B' if binds else 'N'}{row:03d}", sequence, word, f"{affinity:.2f}", 1 + row % 4])
    return path


def plan_of(shared: Mapping[str, Any], arms: Any, seeds: Any) -> list[RunConfig]:
    """The runs of a question; where the arms or seeds are not written yet, LoRA against DoRA with seeds 0 and 1.

    Raises:
        LabError: a setting does not exist or is not allowed.
    """
    if not isinstance(arms, (list, tuple)) or not arms:
        print("No arms yet: LoRA against DoRA is taken.")
        arms = DEFAULT_ARMS
    if not isinstance(seeds, (list, tuple, range)) or not len(seeds):
        seeds = (0, 1)
    return grid(shared, arms=list(arms), seeds=list(seeds))


def scores_of(runs: Sequence[Run], metric: str) -> go.Figure:
    """The scores of some runs of one task with their intervals and the constant answer."""
    return scores(comparison(runs), metric=metric, baseline=baseline_of(runs, metric=metric))
