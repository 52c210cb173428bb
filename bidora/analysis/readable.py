"""Tables of numbers as tables of words, for people: scores with their intervals, units in the headings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bidora.metrics import LOWER_IS_BETTER, SHARES
from bidora.statistics import CORRECTIONS
from bidora.wording import counted, score_name, signed

if TYPE_CHECKING:
    import pandas

NONE = "–"
_COSTS = {
    "training (s)": ("seconds_training", 1.0),
    "peak memory (MB)": ("peak_memory_bytes", 1e-6),
    "gradient evaluations": ("gradient_evaluations", 1.0),
    "trainable parameters": ("trainable_parameters", 1.0),
}
_FITS = ("slope", "pearson", "spearman")


def readable_comparison(table: pandas.DataFrame) -> pandas.DataFrame:
    """`comparison` of one task in words: method, seeds, each score with its interval, cost, change of weights."""
    import pandas

    metrics = [name.removesuffix("_low") for name in table.columns if name.endswith("_low")]
    rows = []
    for row in table.to_dict("records"):
        shown = {"method": row["label"], "runs": row["runs"], "seeds": row["seeds"]}
        for metric in metrics:
            shown[_heading(metric)] = _with_interval(row, metric)
        shown["interval"] = row["interval"]
        shown |= {name: _whole(scale * row[key]) for name, (key, scale) in _COSTS.items()}
        shown |= {"ΔM (weight units)": _short(row["delta_m"]), "ΔD (1 − cos)": _short(row["delta_d"])}
        rows.append(shown)
    return pandas.DataFrame(rows)


def readable_differences(table: pandas.DataFrame) -> pandas.DataFrame:
    """`paired_differences` or `pooled_differences` in words: what − what, pairs, mean, in how many higher, p, effect size."""
    import pandas

    rows = []
    for row in table.to_dict("records"):
        metric = str(row.get("metric", ""))
        scale = 100.0 if metric in SHARES else 1.0
        mean, low, high = (scale * row[name] for name in ("mean", "low", "high"))
        what = {"tasks": row["tasks"]} if "tasks" in row else {"shared seeds": row["seeds"] or "none"}
        digits = "+.3f" if "tasks" in row else "+.2f"
        rows.append(
            {
                "difference": f"{row['first']} − {row['second']}",
                **what,
                f"mean [95 %]{_unit(metric, ' (points)')}": _bracketed(mean, low, high, digits),
                "higher in": f"{row['higher']} of {row['pairs']}",
                "lower in": f"{row['lower']} of {row['pairs']}",
                "p (Wilcoxon)": _short(row["p"]),
                **_corrected(row),
                "smallest p": _short(row["smallest_p"]),
                "effect size d_z": _signed(row["effect_size"]),
                "rank-biserial r": _signed(row["rank_biserial"]),
            }
        )
    return pandas.DataFrame(rows)


def _corrected(row: dict[str, Any]) -> dict[str, str]:
    """The corrected p under its name; nothing where nothing was to be corrected."""
    if row["correction"] == "none":
        return {}
    return {f"p ({CORRECTIONS[row['correction']]}, {counted(row['tests'], 'test')})": _short(row["p_corrected"])}


def readable_fits(table: pandas.DataFrame) -> pandas.DataFrame:
    """`dynamics_fits` in words: n, slope and correlations with intervals and leave-one-out ranges, note."""
    import pandas

    rows = []
    for row in table.to_dict("records"):
        shown = {"method": row["label"], "runs": row["runs"], "n (points)": row["points"], "layers": row["clusters"]}
        for name in _FITS:
            heading = f"{'slope (weight units per 1 − cos)' if name == 'slope' else name.capitalize()} [95 %]"
            low, high = (row[f"{name}_interval_{end}"] for end in ("low", "high"))
            shown[heading] = _bracketed(row[name], low, high, "+.3g" if name == "slope" else "+.2f")
        for part in ("point", "layer"):
            low, high = (row[f"slope_without_a_{part}_{end}"] for end in ("low", "high"))
            shown[f"slope without one {part}"] = _range(low, high)
        low, high = (row[f"pearson_without_a_layer_{end}"] for end in ("low", "high"))
        shown["Pearson without one layer"] = _range(low, high)
        shown["points with ΔD < 1e-4"] = NONE if math.isnan(row["tiny_share"]) else f"{100 * row['tiny_share']:.0f} %"
        rows.append(shown | {"note": row["note"] or NONE})
    return pandas.DataFrame(rows)


def not_beaten(table: pandas.DataFrame, metric: str, cost: str = "seconds_training") -> list[str]:
    """Labels for which no other row of `comparison` has a mean score at least as good at lower cost (Pareto front)."""
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    rows = [(row["label"], sign * row[metric], row[cost]) for row in table.to_dict("records")]
    rows = [row for row in rows if math.isfinite(row[1]) and math.isfinite(row[2])]
    return [
        label
        for label, score, price in rows
        if not any(
            other != label and better >= score and less <= price and (better > score or less < price)
            for other, better, less in rows
        )
    ]


def _heading(metric: str) -> str:
    return f"{score_name(metric)}{_unit(metric, ' (%)')}" + (" ↓" if metric in LOWER_IS_BETTER else "")


def _unit(metric: str, unit: str) -> str:
    return unit if metric in SHARES else ""


def _with_interval(row: dict[str, Any], metric: str) -> str:
    scale, digits = (100.0, ".1f") if metric in SHARES else (1.0, ".3f")
    value, low, high = (scale * row.get(name, math.nan) for name in (metric, f"{metric}_low", f"{metric}_high"))
    return _bracketed(value, low, high, digits)


def _bracketed(value: float, low: float, high: float, digits: str) -> str:
    if math.isnan(value):
        return NONE
    return _minus(format(value, digits)) + _after(low, high, digits)


def _after(low: float, high: float, digits: str) -> str:
    return "" if math.isnan(low) else _minus(f" [{format(low, digits)}, {format(high, digits)}]")


def _range(low: float, high: float) -> str:
    return NONE if math.isnan(low) else _minus(f"{low:+.3g} to {high:+.3g}")


def _whole(value: float) -> str:
    return NONE if math.isnan(value) else f"{value:,.0f}"


def _short(value: float) -> str:
    return NONE if math.isnan(value) else f"{value:.3g}"


def _signed(value: float) -> str:
    if math.isnan(value):
        return NONE
    return signed(value) if math.isfinite(value) else ("+∞" if value > 0 else "−∞")


def _minus(text: str) -> str:
    """A minus sign that is one, in place of the hyphen of programs."""
    return text.replace("-", "−")
