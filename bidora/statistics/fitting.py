"""The line through ΔM against ΔD, and everything that keeps a reader from believing it too much.

A slope has a unit (weight units per 1 − cos) and says how steep; a correlation has none and says how tight. The BiDoRA
abstract's "correlation" −8.042 is a slope, so both are always given, with intervals and with what single points do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bidora.errors import LabError
from bidora.statistics.intervals import NAN, quantile_interval
from bidora.statistics.resampling import Floats, multiplicities, weighted_correlation, weighted_ranks

if TYPE_CHECKING:
    import pandas

TINY_DIRECTION_CHANGE = 1e-4
"""Below this ΔD a layer's direction has hardly moved, and its point says little about the slope."""

Range = tuple[float, float]


@dataclass(frozen=True)
class DynamicsFit:
    """A least-squares line ΔM = intercept + slope · ΔD with its uncertainties. Undefined numbers are NaN.

    Attributes:
        points: how many (layer, module, checkpoint) points.
        clusters: how many (layer, module) they come from; these are what the bootstrap draws.
        slope: weight units per 1 − cos.
        intercept: weight units.
        pearson: linear correlation, −1 … 1.
        spearman: rank correlation, −1 … 1.
        slope_interval: 95 %, bootstrap over clusters; so pearson_interval and spearman_interval.
        slope_without_a_point: smallest and largest slope when one point is left out; so pearson_without_a_point.
        slope_without_a_layer: the same when one whole layer is left out; so pearson_without_a_layer.
        tiny_share: share of points with ΔD < 1e-4.
        note: plain words when the picture hangs on little; empty otherwise.
        lines: (resamples, 2) intercept and slope of every bootstrap sample, for the band.
    """

    points: int
    clusters: int
    slope: float = NAN
    intercept: float = NAN
    pearson: float = NAN
    spearman: float = NAN
    slope_interval: Range = (NAN, NAN)
    pearson_interval: Range = (NAN, NAN)
    spearman_interval: Range = (NAN, NAN)
    slope_without_a_point: Range = (NAN, NAN)
    pearson_without_a_point: Range = (NAN, NAN)
    slope_without_a_layer: Range = (NAN, NAN)
    pearson_without_a_layer: Range = (NAN, NAN)
    tiny_share: float = NAN
    note: str = ""
    lines: Floats = field(default_factory=lambda: np.empty((0, 2)), repr=False, compare=False)

    def band(self, x: Floats) -> tuple[Floats, Floats]:
        """Lower and upper end of the 95 % band of the line at each x: two (n,); empty where there is no bootstrap."""
        lines = self.lines[np.isfinite(self.lines).all(axis=1)]
        if not len(lines):
            return np.empty(0), np.empty(0)
        heights = lines[:, :1] + lines[:, 1:] * np.asarray(x, dtype=np.float64)
        low, high = np.quantile(heights, [0.025, 0.975], axis=0)
        return low, high

    def as_row(self) -> dict[str, Any]:
        """Everything but the lines in one flat row; ranges become two columns, `_low` and `_high`."""
        row: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, tuple):
                row[f"{name}_low"], row[f"{name}_high"] = value
            elif name != "lines":
                row[name] = value
        return row


def fit_dynamics(points: pandas.DataFrame, *, resamples: int = 2000, seed: int = 0) -> DynamicsFit:
    """Fit ΔM on ΔD over layers and checkpoints.

    Args:
        points: one row per (layer, module, checkpoint) with `delta_d` and `delta_m`, and `layer`, `module` or `name` to
            tell what belongs together; without any of these every row counts as a layer of its own.
        resamples: bootstrap samples. All points of a (layer, module) are drawn together, since the checkpoints of one
            layer are not independent.
        seed: of the draws.

    Raises:
        LabError: a needed column is missing.

    >>> import pandas
    >>> table = pandas.DataFrame({"delta_d": [0.1, 0.2, 0.3], "delta_m": [1.0, 3.0, 5.0], "layer": [0, 1, 2]})
    >>> round(fit_dynamics(table).slope, 6)
    20.0
    """
    missing = {"delta_d", "delta_m"} - set(points.columns)
    if missing:
        raise LabError(
            f"the table has no column {', '.join(sorted(missing))}",
            hint="use a table of weight dynamics, as Run.dynamics() or dynamics_of() give it",
            kind="data",
        )
    x_all, y_all = (points[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in ("delta_d", "delta_m"))
    usable = np.isfinite(x_all) & np.isfinite(y_all)
    x, y = x_all[usable], y_all[usable]
    cluster, layer = _memberships(points.loc[usable])
    clusters = int(cluster.max()) + 1 if len(x) else 0
    dropped = len(usable) - len(x)
    if len(x) < 3 or np.ptp(x) == 0:
        what = f"{len(x)} points" if len(x) < 3 else "ΔD is the same at all points"
        why = f"no line: {what}" + (f" ({dropped} without a number)" if dropped else "")
        tiny = float(np.mean(x < TINY_DIRECTION_CHANGE)) if len(x) else NAN
        return DynamicsFit(points=len(x), clusters=clusters, tiny_share=tiny, note=why)
    found = _point_estimates(x, y)
    found |= _uncertainties(x, y, cluster, layer, resamples=resamples, seed=seed)
    found["tiny_share"] = float(np.mean(x < TINY_DIRECTION_CHANGE))
    fit = DynamicsFit(points=len(x), clusters=clusters, **found)
    note = _note(fit) + (["ΔM does not move between the checkpoints"] if _rests(points.loc[usable], cluster, y) else [])
    note += [f"{dropped} points have no number"] if dropped else []
    return DynamicsFit(**{**vars(fit), "note": "; ".join(note)})


def _memberships(points: pandas.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """For each point, the number of its cluster (layer and module) and of its layer."""

    def numbered(columns: list[str]) -> np.ndarray:
        return points.groupby(columns, sort=False, dropna=False).ngroup().to_numpy()

    columns = set(points.columns)
    if {"layer", "module"} <= columns:
        cluster = numbered(["layer", "module"])
    elif columns & {"layer", "name"}:
        cluster = numbered(["name"] if "name" in columns else ["layer"])
    else:
        cluster = np.arange(len(points))
    return cluster, numbered(["layer"]) if "layer" in columns else cluster


def _point_estimates(x: Floats, y: Floats) -> dict[str, Any]:
    """As scipy.stats.linregress, pearsonr and spearmanr give them; tests compare."""
    u, v, once = x - x.mean(), y - y.mean(), np.ones((1, len(x)))
    slope = float(u @ v / (u @ u))
    varies = np.ptp(y) > 0
    return {
        "slope": slope,
        "intercept": float(y.mean() - slope * x.mean()),
        "pearson": float(weighted_correlation(x, y, once)[0]) if varies else NAN,
        "spearman": float(_rank_correlation(x, y, once)[0]) if varies else NAN,
    }


def _uncertainties(
    x: Floats, y: Floats, cluster: np.ndarray, layer: np.ndarray, *, resamples: int, seed: int
) -> dict[str, Any]:
    """Bootstrap intervals and leave-one-out ranges, all from sums over points, clusters and layers."""
    # Standardised first: the sums of squares below lose no digits then.
    centre_x, centre_y, spread_x, spread_y = x.mean(), y.mean(), x.std(), y.std() or 1.0
    u, v = (x - centre_x) / spread_x, (y - centre_y) / spread_y
    sums = np.stack([np.ones_like(u), u, v, u * u, v * v, u * v], axis=1)
    total = sums.sum(axis=0)

    def lines(of: Floats) -> tuple[Floats, Floats, Floats]:
        slope, intercept, correlation = _lines_from_sums(of)
        steepness = slope * spread_y / spread_x
        return steepness, centre_y + spread_y * intercept - steepness * centre_x, correlation

    def extremes(of: Floats) -> Range:
        known = of[np.isfinite(of)]
        return (float(known.min()), float(known.max())) if len(known) else (NAN, NAN)

    found: dict[str, Any] = {}
    slope, _, correlation = lines(total - sums)
    found |= {"slope_without_a_point": extremes(slope), "pearson_without_a_point": extremes(correlation)}
    if layer.max() > 0:
        slope, _, correlation = lines(total - _added_up(sums, layer))
        found |= {"slope_without_a_layer": extremes(slope), "pearson_without_a_layer": extremes(correlation)}
    if cluster.max() > 0:
        drawn = multiplicities(int(cluster.max()) + 1, resamples, seed=seed)
        slope, intercept, correlation = lines(drawn @ _added_up(sums, cluster))
        ranked = [_rank_correlation(u, v, part[:, cluster]) for part in np.array_split(drawn, -(-resamples // 100))]
        found |= {
            "slope_interval": quantile_interval(slope),
            "pearson_interval": quantile_interval(correlation),
            "spearman_interval": quantile_interval(np.concatenate(ranked)),
            "lines": np.stack([intercept, slope], axis=1),
        }
    return found


def _added_up(sums: Floats, group: np.ndarray) -> Floats:
    added = np.zeros((int(group.max()) + 1, sums.shape[1]))
    np.add.at(added, group, sums)
    return added


def _lines_from_sums(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Slope, intercept and correlation from rows of (n, Σu, Σv, Σu², Σv², Σuv); NaN where u does not vary."""
    count, u, v, uu, vv, uv = sums.T
    with np.errstate(invalid="ignore", divide="ignore"):
        along_u, along_v, together = uu - u * u / count, vv - v * v / count, uv - u * v / count
        varies = (count > 1.5) & (along_u > 1e-13 * count)
        slope = np.where(varies, together / along_u, np.nan)
        correlation = np.where(varies & (along_v > 1e-13 * count), together / np.sqrt(along_u * along_v), np.nan)
        return slope, (v - slope * u) / count, np.clip(correlation, -1, 1)


def _rank_correlation(u: Floats, v: Floats, weights: Floats) -> Floats:
    return weighted_correlation(weighted_ranks(u, weights), weighted_ranks(v, weights), weights)


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _note(fit: DynamicsFit) -> list[str]:
    """What a reader must know before believing the slope."""
    words = []
    if _changes_sign(fit.slope_without_a_point):
        low, high = fit.slope_without_a_point
        words.append(
            f"one point decides the sign: without it the slope lies between {_number(low)} and {_number(high)}"
        )
    elif _jumps(fit.slope, fit.slope_without_a_point):
        low, high = fit.slope_without_a_point
        words.append(f"one point changes the slope by more than half (range {_number(low)} to {_number(high)})")
    if _changes_sign(fit.slope_without_a_layer) and not _changes_sign(fit.slope_without_a_point):
        low, high = fit.slope_without_a_layer
        words.append(
            f"one layer decides the sign: without it the slope lies between {_number(low)} and {_number(high)}"
        )
    if fit.clusters < 2:
        words.append("one layer only: no interval")
    elif _changes_sign(fit.slope_interval):
        words.append("the 95 % interval of the slope holds both signs")
    if fit.tiny_share > 0.5:
        words.append(f"{100 * fit.tiny_share:.0f} % of the points have ΔD below {TINY_DIRECTION_CHANGE:g}")
    if not np.isfinite(fit.pearson):
        words.append("ΔM is the same at all points: no correlation")
    return words


def _rests(points: pandas.DataFrame, cluster: np.ndarray, y: Floats) -> bool:
    """Whether ΔM stays as it is within every layer while there are several checkpoints, as while m is fixed."""
    import pandas

    spread = 1e-3 * np.ptp(y)
    runs = points["run"].to_numpy() if "run" in points else np.zeros(len(y))
    within = pandas.Series(y).groupby([cluster, runs]).agg(["count", "min", "max"])
    return bool((within["count"] > 1).all() and (within["max"] - within["min"]).max() <= spread)


def _changes_sign(ends: Range) -> bool:
    return ends[0] < 0 < ends[1]


def _jumps(slope: float, ends: Range) -> bool:
    return any(abs(end - slope) > 0.5 * abs(slope) for end in ends if np.isfinite(end))
