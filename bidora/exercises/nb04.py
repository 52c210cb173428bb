"""Exercises of notebook 04: slope and correlation, single points, whole layers, and the sentence they allow."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bidora.exercises.exercise import Exercise, Misconception
from bidora.statistics import multiplicities

if TYPE_CHECKING:
    import pandas

Pair = Callable[[np.ndarray, np.ndarray], Any]


def cloud(points: int = 14) -> tuple[np.ndarray, np.ndarray]:
    """Made-up ΔD and ΔM of about the sizes that trained layers have: two (points,), the same at every call."""
    draws = np.random.default_rng(4)
    delta_d = 0.002 + 0.004 * draws.random(points)
    return delta_d, 0.02 + 1.5 * delta_d + 0.004 * draws.standard_normal(points)


def layers(count: int = 10, checkpoints: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Made-up layers whose checkpoints lie close together: ΔD, ΔM and the layer's number, three (count · checkpoints,)."""
    draws = np.random.default_rng(11)
    layer = np.repeat(np.arange(count), checkpoints)
    centre_d, centre_m = draws.random(count), draws.standard_normal(count)
    near = 0.05 * draws.standard_normal((2, len(layer)))
    return centre_d[layer] + near[0], centre_d[layer] + centre_m[layer] + near[1], layer


def slope_of(x: np.ndarray, y: np.ndarray) -> float:
    """Least-squares slope of y on x."""
    u = x - x.mean()
    return float(u @ (y - y.mean()) / (u @ u))


def _same(one: Any, other: Any, tolerance: float = 1e-6) -> bool:
    return np.shape(one) == np.shape(other) and np.allclose(one, other, rtol=tolerance, atol=0)


def _verify_slope(line: Pair) -> str:
    x, y = cloud()
    answer = line(x, y)
    if answer is None:
        raise NotImplementedError
    if not isinstance(answer, (tuple, list, np.ndarray)) or [np.size(each) for each in answer] != [1, 1]:
        raise Misconception(
            "return two numbers, slope and r. (np.corrcoef gives a table of all pairs; r is its entry [0, 1])"
        )
    slope, r = (float(each) for each in answer)
    right, tight, n = slope_of(x, y), float(np.corrcoef(x, y)[0, 1]), len(x)
    wrong_slopes = (
        (tight, "your slope is r itself. r has no unit; the slope is r · σ_M / σ_D, in weight units per 1 − cos"),
        (slope_of(y, x), "wrong way round: this is the slope of ΔD on ΔM, r · σ_D / σ_M. Divide by the spread of ΔD"),
        (float(x @ y / (x @ x)), "this line goes through the origin: take the means off both first"),
        (right * n / (n - 1), "np.cov divides by n − 1 and np.var by n: use the same divisor in both (ddof)"),
        (right * (n - 1) / n, "np.var with ddof=1 under a covariance divided by n: use the same divisor in both"),
    )
    if _same((slope, r), (tight, right)):
        raise Misconception("slope and r are in each other's place")
    for value, why in wrong_slopes:
        if _same(slope, value) and not _same(slope, right):
            raise Misconception(why)
    if not _same(slope, right):
        raise Misconception(f"the slope is {slope:.4g}; for these points it should be {right:.4g}")
    if _same(r, tight**2):
        raise Misconception("this is r², the share of variance; r keeps the sign")
    if _same(r, right):
        raise Misconception("your r is the slope. Divide the covariance by both spreads, not by the variance of ΔD")
    if not _same(r, tight):
        raise Misconception(f"r is {r:.4g}; for these points it should be {tight:.4g}, and never beyond −1 or 1")
    return "slope and r from one covariance: they share the sign and nothing else. slope = r · σ_M / σ_D."


def _verify_impossible(answer: Collection[str]) -> str:
    chosen = {str(each).strip().lower() for each in answer}
    if chosen == {"a", "b"}:
        raise Misconception("these two cannot be correlations; the question was which can")
    if "a" in chosen or "b" in chosen:
        raise Misconception("a correlation lies between −1 and 1: −8.042 and −1.784 cannot be one, whatever the data")
    if chosen == {"c"}:
        raise Misconception("a correlation may be negative: −0.31 is possible as well")
    if chosen != {"c", "d"}:
        raise Misconception("give the letters of all numbers between −1 and 1, such as {'c'}")
    return (
        "c and d. The two of the BiDoRA abstract are slopes, as the title of the paper's own figure says (k = −8.042)."
    )


def _verify_leave_one_out(without_each: Pair) -> str:
    x, y = cloud()
    answer = without_each(x, y)
    if answer is None:
        raise NotImplementedError
    n, full = len(x), slope_of(x, y)
    if np.shape(answer) != (n,):
        raise Misconception(f"one slope for each of the {n} points left out; this has shape {np.shape(answer)}")
    keep = ~np.eye(n, dtype=bool)
    right = np.array([slope_of(x[each], y[each]) for each in keep])
    answer = np.asarray(answer, dtype=float)
    if _same(answer, np.full(n, full)):
        raise Misconception("all slopes are that of all points: nothing was left out")
    if _same(answer, right - full):
        raise Misconception("these are the changes of the slope; return the slopes themselves")
    if _same(answer, [np.corrcoef(x[each], y[each])[0, 1] for each in keep]):
        raise Misconception("these are correlations; the slopes were asked for")
    if _same(answer, [slope_of(x * each, y * each) for each in keep]):
        raise Misconception("the point was set to (0, 0), not left out: a zero is a point like any other")
    if n > 4 and _same(answer[:-3], [slope_of(x[i + 1 :], y[i + 1 :]) for i in range(n)[:-3]]):
        raise Misconception(
            "points stay away once left out: each slope must miss one point only, so begin from all again"
        )
    if not _same(answer, right):
        raise Misconception(
            "some of these are not the slope of the other points: leave the same place out of x and of y"
        )
    return f"{n} slopes from {right.min():.3g} to {right.max():.3g}, the range that fit_dynamics reports."


def _verify_parting(points: pandas.DataFrame, answer: tuple[int, str]) -> str:
    x, y = (points[name].to_numpy(dtype=float) for name in ("delta_d", "delta_m"))
    names = list(zip(points["layer"].astype(int), points["module"].astype(str), strict=True))
    keep = ~np.eye(len(x), dtype=bool)
    slopes = np.array([slope_of(x[each], y[each]) for each in keep])
    tight = np.array([np.corrcoef(x[each], y[each])[0, 1] for each in keep])
    full, r = slope_of(x, y), float(np.corrcoef(x, y)[0, 1])
    far = int(np.argmax(np.abs(slopes - full)))
    given = (int(answer[0]), str(answer[1]))
    if given not in names:
        raise Misconception(f"there is no point {given}; give (layer, module), such as {names[0]}")
    place = names.index(given)
    if place != far and place == int(np.argmax(y)):
        raise Misconception(
            f"this is the point of the largest ΔM. It lies off the line, so r changes most ({r:.2f} to {tight[place]:.2f}), "
            f"but the slope only from {full:.3g} to {slopes[place]:.3g}. What turns a line is a point far out along ΔD"
        )
    if place != far:
        raise Misconception(
            f"without it the slope is {slopes[place]:.3g} instead of {full:.3g}; another one moves it more"
        )
    return (
        f"without {given} the slope goes from {full:.3g} to {slopes[far]:.3g} and r from {r:.2f} to {tight[far]:.2f}: "
        "a point far out along ΔD turns the line like a lever."
    )


def _interval(x: np.ndarray, y: np.ndarray, group: np.ndarray, *, draws: int, widest: bool = False) -> np.ndarray:
    """Bootstrap interval of the slope, groups drawn whole: (2,)."""
    counts = multiplicities(int(group.max()) + 1, draws, seed=1)[:, group]
    mean_x, mean_y = ((counts * each).sum(axis=1, keepdims=True) / counts.sum(axis=1, keepdims=True) for each in (x, y))
    slopes = (counts * (x - mean_x) * (y - mean_y)).sum(axis=1) / (counts * (x - mean_x) ** 2).sum(axis=1)
    return np.quantile(slopes, [0, 1] if widest else [0.025, 0.975])


def _verify_bootstrap(interval: Callable[..., Any]) -> str:
    x, y, layer = layers()
    answer = interval(x, y, layer, 1000)
    if answer is None:
        raise NotImplementedError
    if np.shape(answer) != (2,):
        raise Misconception(f"return two numbers, low and high; this has shape {np.shape(answer)}")
    low, high = (float(each) for each in answer)
    right = _interval(x, y, layer, draws=2000)
    single = _interval(x, y, np.arange(len(x)), draws=2000)
    widest = _interval(x, y, layer, draws=1000, widest=True)
    width, wanted = high - low, right[1] - right[0]
    if width < 0:
        raise Misconception("low lies above high")
    if width < 1e-9 * wanted:
        raise Misconception(
            "all samples are alike: draw with replacement, so that some layers come twice and some never"
        )
    if abs(width - wanted) <= 0.2 * wanted and abs(low - right[0]) <= 0.2 * wanted:
        return f"[{low:.2f}, {high:.2f}]; drawing single points instead would claim [{single[0]:.2f}, {single[1]:.2f}]."
    if abs(width - (single[1] - single[0])) <= 0.2 * (single[1] - single[0]):
        raise Misconception(
            "this interval is too narrow: you drew single points. The checkpoints of a layer are not independent, so a "
            "layer is drawn with all its points or not at all"
        )
    if width > 0.8 * (widest[1] - widest[0]):
        raise Misconception(
            "this is the range from the smallest to the largest slope; a 95 % interval cuts 2.5 % at each end"
        )
    raise Misconception(f"[{low:.2f}, {high:.2f}] is neither; about [{right[0]:.2f}, {right[1]:.2f}] was expected")


_TOO_MUCH = ("prove", "because", "better", "wins", "like full", "learns like", "causes")


def _verify_sentence(facts: Mapping[str, Any], sentence: str) -> str:
    text = sentence.replace("−", "-").replace("–", "-").lower()
    if len(text.split()) < 6:
        raise NotImplementedError
    numbers = [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?", text)]

    def holds(value: float) -> bool:
        return any(abs(number - value) <= 0.011 for number in numbers)

    slope, r, n = (float(facts[name]) for name in ("slope", "pearson", "points"))
    about = re.search(r"correlation\D{0,20}?(-?\d+(?:\.\d+)?)", text)
    if about and abs(float(about[1]) - slope) <= 0.011 and abs(float(about[1]) - slope) < abs(float(about[1]) - r):
        raise Misconception(
            f"{about[1]} is the slope; calling it a correlation is the very slip this notebook is about"
        )
    if any(word in text for word in _TOO_MUCH):
        found = next(word for word in _TOO_MUCH if word in text)
        raise Misconception(f"“{found}” claims more than a line through {n:.0f} points can carry")
    needs = (
        ("slope" in text and holds(slope), f"name the slope with its value ({slope:+.2f})"),
        (holds(r), f"name r with its value ({r:+.2f}) beside the slope"),
        (any(each == n for each in numbers), f"say how many points there are ({n:.0f})"),
        ("seed" in text, "say which seeds, or how many"),
        ("output" in text or "input" in text, "say the axis: one magnitude per output or per input unit"),
        ("interval" in text or "95" in text or " to " in text or "[" in text, "give the interval of the slope"),
    )
    for there, what in needs:
        if not there:
            raise Misconception(f"something is missing: {what}")
    return "slope, r, n, seeds, axis and interval: a reader can check this sentence."


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        key="04-slope",
        level="core",
        difficulty=2,
        minutes=8,
        hints=(
            "Both begin with the same thing: take the mean off x and off y, multiply, add up.",
            "Divide that sum by Σu² for the slope, and by √(Σu² · Σv²) for r.",
            "u, v = x - x.mean(), y - y.mean(); slope = (u @ v) / (u @ u); r divides u @ v by np.sqrt((u @ u) * (v @ v)).",
        ),
        solution="""
def line(x, y):  # ΔD (n,), ΔM (n,)
    u, v = x - x.mean(), y - y.mean()
    slope = u @ v / (u @ u)  # weight units per 1 − cos
    r = u @ v / np.sqrt((u @ u) * (v @ v))  # no unit
    return slope, r

check("04-slope", line)
""",
        verify=_verify_slope,
    ),
    Exercise(
        key="04-impossible",
        level="core",
        difficulty=1,
        minutes=2,
        hints=(
            "What is the largest r that any data can give?",
            "r is a covariance divided by the two spreads: it cannot leave −1 … 1. It may well be negative.",
            "Two of the four lie between −1 and 1.",
        ),
        solution="""
can_be_correlations = {"c", "d"}

check("04-impossible", can_be_correlations)
""",
        verify=_verify_impossible,
    ),
    Exercise(
        key="04-leave-one-out",
        level="core",
        difficulty=2,
        minutes=6,
        hints=(
            "A loop over the places; in each turn all points but one.",
            "np.delete(x, i) gives x without place i; do the same with y.",
            "return np.array([line(np.delete(x, i), np.delete(y, i))[0] for i in range(len(x))])",
        ),
        solution="""
def without_each(x, y):  # → (n,): entry i is the slope without point i
    def slope(x, y):
        u = x - x.mean()
        return u @ (y - y.mean()) / (u @ u)

    return np.array([slope(np.delete(x, i), np.delete(y, i)) for i in range(len(x))])

check("04-leave-one-out", without_each)
""",
        verify=_verify_leave_one_out,
    ),
    Exercise(
        key="04-parting",
        level="core",
        difficulty=1,
        minutes=4,
        hints=(
            "Go through the slider, or ask your own without_each.",
            "Leverage is distance along the horizontal axis.",
            "final.loc[final['delta_d'].idxmax(), ['layer', 'module']]",
        ),
        solution="""
lever = final.loc[final["delta_d"].idxmax()]  # furthest out along ΔD

check("04-parting", final, (lever["layer"], lever["module"]))
""",
        verify=_verify_parting,
    ),
    Exercise(
        key="04-bootstrap",
        level="deeper",
        difficulty=3,
        minutes=12,
        hints=(
            "What is independent here, the points or the layers?",
            "Draw as many layers as there are, with replacement; take all points of each drawn layer, twice if drawn twice.",
            "drawn = rng.integers(k, size=k); places = np.concatenate([np.flatnonzero(layer == each) for each in drawn]).",
        ),
        solution="""
def interval(x, y, layer, draws=1000):  # ΔD, ΔM, number of the layer: (n,) each → low, high
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(layer == each) for each in np.unique(layer)]
    slopes = []
    for _ in range(draws):
        drawn = rng.integers(len(members), size=len(members))  # whole layers, with replacement
        places = np.concatenate([members[each] for each in drawn])
        u = x[places] - x[places].mean()
        slopes.append(u @ y[places] / (u @ u))
    return np.quantile(slopes, [0.025, 0.975])

check("04-bootstrap", interval)
""",
        verify=_verify_bootstrap,
    ),
    Exercise(
        key="04-sentence",
        level="core",
        difficulty=2,
        minutes=6,
        hints=(
            "What would you need to know to repeat it? What to disagree?",
            "Six things: slope, its interval, r, the number of points, the seeds, the axis.",
            "“ΔM rises by … weight units per unit of ΔD (slope …, 95 % … to …; r …; n = …, seeds …, per output unit).”",
        ),
        solution="""
low, high = fit.slope_interval
sentence = (
    f"Over {fit.points} points (seeds 0, 1, 2; one magnitude per output unit) the line has slope {fit.slope:+.2f} "
    f"(95 % interval {low:+.2f} to {high:+.2f}) and r = {fit.pearson:+.2f}."
)
print(sentence)

check("04-sentence", fit.as_row(), sentence)
""",
        verify=_verify_sentence,
    ),
)
