"""Methods side by side as text: scores with intervals, differences seed by seed, and what may be said about them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bidora.cli.formatting import duration, number, score, size, table
from bidora.errors import LabError
from bidora.runs import Run
from bidora.wording import CORRECTIONS

if TYPE_CHECKING:
    import pandas

EVERY_PAIR = "all"
"""What --reference says where every two methods are to be compared."""

SECOND_METRICS = {
    "accuracy": ("macro_f1", "f1"),
    "mcc": ("accuracy",),
    "pearson": ("spearman",),
    "micro_f1": ("macro_f1",),
    "spearman": ("rmse", "mse"),
    "bleu": ("nist", "rouge_l"),
    "entity_f1": ("entity_precision", "entity_recall"),
}
"""Primary metric → what stands beside it in the table; --json and --csv have all metrics."""


@dataclass(frozen=True)
class Terms:
    """How differences are taken.

    Attributes:
        metric: score; empty for each task's primary one.
        reference: label of the method that all others are compared with; empty for every two.
        correction: of p, one of bidora.statistics.CORRECTIONS.
        pooled: whether to test over tasks, too.
    """

    metric: str = ""
    reference: str = ""
    correction: str = "holm"
    pooled: bool = False

    def pairs(self, runs: Sequence[Run]) -> pandas.DataFrame:
        """The paired differences."""
        from bidora.analysis import paired_differences

        return paired_differences(runs, self.metric, reference=self.reference, correction=self.correction)

    def over_tasks(self, runs: Sequence[Run]) -> pandas.DataFrame | None:
        """The differences over tasks, where they are asked for."""
        from bidora.analysis import pooled_differences

        if not self.pooled:
            return None
        return pooled_differences(runs, reference=self.reference, correction=self.correction)


def chosen_reference(wish: str, rows: pandas.DataFrame) -> str:
    """The label of the method that all others are compared with; empty for every two.

    Args:
        wish: a label in any case, "all" for every two, or empty: as `bidora.analysis.usual_reference` says.
        rows: of `bidora.analysis.comparison`.

    Raises:
        LabError: no method has that label.
    """
    if not wish:
        from bidora.analysis import usual_reference

        return usual_reference(rows)
    labels = list(dict.fromkeys(rows["label"]))
    found = next((each for each in labels if each.casefold() == wish.casefold()), None)
    if found is None and wish.casefold() != EVERY_PAIR:
        known = ", ".join(labels)
        raise LabError(f"--reference {wish!r} is no method of these runs", hint=f"there are {known}; {EVERY_PAIR}")
    return found or ""


def print_comparison(runs: Sequence[Run], terms: Terms | None = None) -> None:
    """One table per task with final scores, differences seed by seed, and what is fair about the comparison."""
    from bidora.analysis import BLOCK, comparison, fairness

    rows = comparison(runs)
    terms = terms or Terms(reference=chosen_reference("", rows))
    pairs = terms.pairs(runs)
    for number_of_table, ((task, variant, examples), members) in enumerate(rows.groupby(BLOCK, sort=False)):
        if number_of_table:
            print()
        here = pairs[(pairs[BLOCK] == members.iloc[0][BLOCK]).all(axis=1)] if len(pairs) else pairs
        amount = f", {examples:,} examples per class" if examples else ""
        print(f"{' '.join(filter(None, [task, variant]))}{amount}: test scores with 95 % intervals")
        print(comparison_table(members.to_dict("records")))
        print("\n".join([*_footnotes(runs, members, terms), *here["sentence"]]))
        _print_differences(here)
    _print_pooled(runs, terms)
    print()
    print("\n".join(f"· {sentence}" for sentence in fairness(runs)))


def _print_differences(pairs: pandas.DataFrame) -> None:
    """A table of tests and effect sizes, where there is more than one seed."""
    from bidora.analysis import readable_differences

    several = pairs[pairs["pairs"] > 1]
    if len(several):
        shown = readable_differences(several)
        print()
        print(table(list(shown.columns), shown.to_numpy().tolist()))


def _print_pooled(runs: Sequence[Run], terms: Terms) -> None:
    from bidora.analysis.pooling import MEANING

    over_tasks = terms.over_tasks(runs)
    if over_tasks is None:
        return
    print("\nOver tasks")
    if over_tasks.empty:
        print("No two methods share seeds on two tasks or more.")
        return
    rows = [
        [f"{row['first']} − {row['second']}", row["pairs"], row["higher"], row["lower"]]
        + [number(row[name], 3) for name in ("mean", "p", "p_corrected", "smallest_p", "effect_size", "rank_biserial")]
        for row in over_tasks.to_dict("records")
    ]
    named = "p, no correction" if terms.correction == "none" else f"p ({CORRECTIONS[terms.correction]})"
    print(table(["difference", "tasks", "better", "worse", "mean", "p", named, "smallest p", "d_z", "r"], rows))
    print(textwrap.fill(MEANING, width=120))


def comparison_table(rows: Sequence[dict[str, Any]]) -> str:
    """Methods × scores, cost, and change of the weights."""
    primary = str(rows[0]["primary"])
    metrics = [primary, *(name for name in SECOND_METRICS.get(primary, ()) if name in rows[0])]
    headers = ["method", "seeds", *(name.replace("_", "-") for name in metrics)]
    headers += ["training", "peak memory", "trainable", "gradients", "ΔM", "ΔD"]
    cells = [
        [
            row["label"],
            row["seeds"],
            *(score(row.get(name), row.get(f"{name}_low"), row.get(f"{name}_high")) for name in metrics),
            duration(row["seconds_training"]),
            size(row["peak_memory_bytes"]),
            _whole(row["trainable_parameters"]),
            _whole(row["gradient_evaluations"]),
            number(row["delta_m"], 3),
            number(row["delta_d"], 3),
        ]
        for row in rows
    ]
    return table(headers, cells)


def _footnotes(runs: Sequence[Run], members: pandas.DataFrame, terms: Terms) -> list[str]:
    """What the intervals mean, the baseline, the convention of ΔM and ΔD, and which methods are compared."""
    from bidora.analysis import MOST_IN_PAIRS

    kinds = list(dict.fromkeys(members["interval"]))
    notes = [f"intervals: {'; '.join(kinds)}; ΔM, ΔD: means over layers, one magnitude per output unit"]
    ids = {each for row in members["ids"] for each in row}
    primary = str(members.iloc[0]["primary"])
    for run in runs:
        value = (run.result.get("baseline") or {}).get(primary) if run.id in ids else None
        if value is not None:
            notes.append(f"baseline without training: {primary.replace('_', '-')} {score(value)}")
            break
    if terms.reference and len(members) > MOST_IN_PAIRS:
        notes.append(f"differences: all others against {terms.reference}; --reference {EVERY_PAIR} takes every two")
    return notes


def _whole(value: float) -> str:
    return "–" if math.isnan(value) else f"{round(value):,}"
