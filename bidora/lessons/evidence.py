"""Numbers that a lesson shows, computed from recordings each time, never written into a text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from bidora.analysis import (
    METHOD_NAMES,
    comparison,
    curves,
    dynamics_fits,
    dynamics_table,
    fairness,
    paired_differences,
    runs_table,
    suggested,
)
from bidora.config import is_bilevel
from bidora.metrics import SHARES
from bidora.runs import Run
from bidora.wording import score_name, signed

NONE = "No recorded run shows this yet. Train one under New run, or put recordings into data/recordings."


def evidence(key: str, runs: Sequence[Run]) -> list[str]:
    """Sentences with numbers from the runs of one task; one that says what to do where there are none.

    Args:
        key: drift, parameters, levels, fits, leave-one-out, fairness, differences, intervals.
        runs: finished runs; those of the task about which most can be said are taken.
    """
    chosen = suggested(runs)
    return (_SENTENCES[key](chosen) if chosen and key in _SENTENCES else []) or [NONE]


def replay_runs(runs: Sequence[Run], *, limit: int = 3) -> list[Run]:
    """For a lesson's replay: one run per method, of the task about which most can be said, with the lowest seed."""
    found: dict[str, Run] = {}
    for run in sorted(suggested(runs), key=lambda run: (run.config.seed, run.id)):
        if (run.path / "metrics.jsonl").is_file():
            found.setdefault(run.config.method, run)
    order = list(METHOD_NAMES)
    return sorted(found.values(), key=lambda run: order.index(run.config.method))[:limit]


def _drift(runs: Sequence[Run]) -> list[str]:
    ends = dynamics_table(runs, checkpoints=1)
    words = []
    for label, part in ends.groupby("label", sort=False):
        words.append(
            f"{label}, {_runs(part['run'].nunique())}: layers turned by {part['angle_degrees'].mean():.2f} degrees on average "
            f"(ΔD {part['delta_d'].mean():.2g}), at most {part['angle_degrees'].max():.2f}; lengths changed by "
            f"{signed(part['delta_m_signed_percent'].mean())} % on average, between "
            f"{signed(part['delta_m_signed_percent'].min())} and {signed(part['delta_m_signed_percent'].max())} %."
        )
    return words


def _parameters(runs: Sequence[Run]) -> list[str]:
    table = runs_table(runs)
    counts = table.dropna(subset=["trainable_parameters"]).groupby("method", sort=False)["trainable_parameters"].first()
    words = [f"{METHOD_NAMES[method]}: {count:,.0f} trainable parameters." for method, count in counts.items()]
    if {"lora", "dora"} <= set(counts.index):
        more = counts["dora"] - counts["lora"]
        share = 100 * more / counts["lora"]
        words.append(
            f"DoRA has {more:,.0f} more than LoRA ({share:.1f} %): one for each output unit of each adapted weight."
        )
    return words


def _levels(runs: Sequence[Run]) -> list[str]:
    two = [run for run in runs if is_bilevel(run.config)]
    if not two:
        return []
    table, words = runs_table(two), []
    first = table.iloc[0]
    words.append(
        f"{first['label']}: {first['n_train']:,.0f} training examples, {first['n_lower']:,.0f} in the lower split and "
        f"{first['n_upper']:,.0f} in the upper split; {first['n_test']:,.0f} test examples."
    )
    found = curves(two)
    for label, part in found[found["quantity"].isin(["direct_norm", "implicit_norm"])].groupby("label", sort=False):
        wide = part.pivot_table(index=["run", "global_step"], columns="quantity", values="value")
        wide = wide[wide["direct_norm"] > 0] if {"direct_norm", "implicit_norm"} <= set(wide.columns) else wide.iloc[:0]
        if len(wide):
            ratio = (wide["implicit_norm"] / wide["direct_norm"]).median()
            xi = next(run.config.unroll_scale for run in two)
            words.append(f"{label}: implicit over direct part {ratio:.2g}, median over the search ({_xi(xi)}).")
    return words


def _fits(runs: Sequence[Run]) -> list[str]:
    return [
        f"{row['label']}: slope {signed(row['slope'], '.3g')} ({_between(row, 'slope_interval')}) weight units per 1 − cos, "
        f"r {signed(row['pearson'])}, ρ {signed(row['spearman'])}, {row['points']:,} points."
        for row in _fit_rows(runs)
    ]


def _leave_one_out(runs: Sequence[Run]) -> list[str]:
    words = []
    for row in _fit_rows(runs):
        note = f" {row['note'][0].upper()}{row['note'][1:]}." if row["note"] else ""
        words.append(
            f"{row['label']}: slope {signed(row['slope'], '.3g')}; without a point {_between(row, 'slope_without_a_point', '')}, "
            f"without a layer {_between(row, 'slope_without_a_layer', '')}.{note}"
        )
    return words


def _fit_rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    points = dynamics_table(runs)
    rows = dynamics_fits(points).to_dict("records") if len(points) else []
    return [row for row in rows if math.isfinite(row["slope"])]


def _differences(runs: Sequence[Run]) -> list[str]:
    return [f"{sentence}." for sentence in paired_differences(runs)["verdict"]]


def _intervals(runs: Sequence[Run]) -> list[str]:
    table, words = comparison(runs), []
    for row in table.to_dict("records"):
        words.append(f"{row['label']}, seeds {row['seeds']}: {_score(row, row['primary'])} ({row['interval']}).")
    single = runs_table(runs).to_dict("records")[0]
    words.append(
        f"One run of {single['label']} alone, seed {single['seed']}: {_score(single, single['primary'])} "
        f"(test set of {single['n_test']:,.0f})."
    )
    return words


_SENTENCES: dict[str, Callable[[Sequence[Run]], list[str]]] = {
    "drift": _drift,
    "parameters": _parameters,
    "levels": _levels,
    "fits": _fits,
    "leave-one-out": _leave_one_out,
    "fairness": fairness,
    "differences": _differences,
    "intervals": _intervals,
}

EVIDENCE = tuple(_SENTENCES)
"""Keys that a step may name."""


def _score(row: dict[str, Any], metric: str) -> str:
    value, low, high = (float(row[name]) for name in (metric, f"{metric}_low", f"{metric}_high"))
    words = score_name(metric)
    if metric in SHARES:
        value, low, high = (100 * each for each in (value, low, high))
        return f"{words} {value:.1f} %" + (f", 95 % {low:.1f} to {high:.1f} %" if low == low else "")
    return f"{words} {value:.3f}" + (f", 95 % {low:.3f} to {high:.3f}" if low == low else "")


def _between(row: dict[str, Any], name: str, level: str = "95 % ") -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{level}{signed(low, '.3g')} to {signed(high, '.3g')}" if math.isfinite(low) else "no interval"


def _xi(scale: str) -> str:
    return {"lr": "ξ = learning rate", "adam": "ξ = the step AdamW takes"}.get(scale, f"ξ = {scale}")


def _runs(count: int) -> str:
    return f"{count} run" + ("" if count == 1 else "s")
