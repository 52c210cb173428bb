"""The README's study from its runs: `python -m benchmarks.tuned RUNS [RUNS …]` writes benchmarks/results/study_tuned.csv.

RUNS are folders in which `bidora sweep --tune …` ran (the README has the commands). Trials keep their selection scores only:
nobody chooses by test scores, so nobody needs to see those of settings that were not chosen.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import pandas

from bidora.analysis import runs_table
from bidora.runs import Run, list_runs

COLUMNS = (
    "group", "task", "variant", "method", "seed", "examples_per_class", "steps", "learning_rate", "selection_accuracy",
    "selection_macro_f1", "accuracy", "macro_f1", "mcc", "n_train", "n_lower", "n_upper", "n_test",
    "gradient_evaluations", "seconds_training", "peak_memory_bytes", "trainable_parameters", "delta_m", "delta_d",
)  # fmt: skip
WHOLE = ("n_train", "n_lower", "n_upper", "n_test", "gradient_evaluations", "peak_memory_bytes", "trainable_parameters")
TEST_SCORES = ["accuracy", "macro_f1", "mcc"]
TARGET = Path("benchmarks/results/study_tuned.csv")


def study(runs: Iterable[Run]) -> pandas.DataFrame:
    """One row per finished run of a study with tuning, in a fixed order."""
    table = runs_table(run for run in runs if run.state == "finished")[list(COLUMNS)]
    table.loc[table["group"].str.endswith("-tuning"), TEST_SCORES] = float("nan")
    table = table.astype(dict.fromkeys(WHOLE, "Int64"))
    return table.sort_values(["group", "task", "method", "learning_rate", "seed"], ignore_index=True)


if __name__ == "__main__":
    found = study(run for root in sys.argv[1:] for run in list_runs(root))
    found.to_csv(TARGET, index=False, float_format="%.6g")
    print(found.groupby("group").size().to_string())
    print(TARGET)
