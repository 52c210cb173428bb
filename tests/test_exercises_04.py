"""Notebook 04: solutions pass, misconceptions are named, pictures hold what they promise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from bidora.exercises import Misconception, check
from bidora.exercises.checking import solution_code
from bidora.exercises.leaving_out import both_phases, final_points, recorded, twice, without_point
from bidora.exercises.nb04 import EXERCISES, cloud, layers, slope_of
from bidora.statistics import fit_dynamics

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "04_reading_the_plot.py"
VERIFY: dict[str, Callable[..., str]] = {each.key: each.verify for each in EXERCISES}


def r_of(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x, y)[0, 1])


@pytest.fixture
def points() -> pandas.DataFrame:
    """Twelve final points: one far out along ΔD, one far off in ΔM, as in the recorded DoRA run on Reuters."""
    delta_d = [0.005, 0.019, 0.005, 0.010, 0.004, 0.009, 0.005, 0.008, 0.006, 0.005, 0.039, 0.014]
    delta_m = [0.029, 0.031, 0.029, 0.029, 0.029, 0.030, 0.034, 0.030, 0.030, 0.032, 0.034, 0.039]
    modules = ["query", "value"] * 6
    return pandas.DataFrame(
        {"layer": np.repeat(range(6), 2), "module": modules, "delta_d": delta_d, "delta_m": delta_m}
    )


@pytest.fixture
def facts() -> dict[str, Any]:
    return {"points": 144, "slope": 0.474, "pearson": 0.489}


def test_every_solution_passes(points: pandas.DataFrame, monkeypatch, capsys) -> None:
    monkeypatch.setenv("BIDORA_EXERCISES", "strict")
    table = points.assign(run="a", seed=0)
    for exercise in EXERCISES:
        exec(solution_code(exercise.key), {"np": np, "check": check, "final": points, "fit": fit_dynamics(table)})
    said = capsys.readouterr().out
    assert said.count("✓") == len(EXERCISES)


def test_unanswered_exercises_are_friendly(points: pandas.DataFrame, facts: dict[str, Any], capsys) -> None:
    nothing = lambda *_: None  # noqa: E731
    for key in ("04-slope", "04-leave-one-out", "04-bootstrap"):
        check(key, nothing)
    check("04-impossible", ...)
    check("04-parting", points, ...)
    check("04-sentence", facts, "")
    said = capsys.readouterr().out
    assert said.count("not tried yet") == 6
    assert "✗" not in said


def test_headings_in_the_notebook_are_those_of_the_exercises() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    for exercise in EXERCISES:
        place = text.index(f"### Exercise {exercise.key}")
        assert exercise.heading in text[place : place + 120]
        assert f'# %% exercise="{exercise.key}"' in text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (lambda x, y: (r_of(x, y), r_of(x, y)), "slope is r itself"),
        (lambda x, y: (r_of(x, y), slope_of(x, y)), "each other's place"),
        (lambda x, y: (slope_of(y, x), r_of(x, y)), "wrong way round"),
        (lambda x, y: (x @ y / (x @ x), r_of(x, y)), "goes through the origin"),
        (lambda x, y: (np.cov(x, y)[0, 1] / np.var(x), r_of(x, y)), "same divisor"),
        (lambda x, y: (slope_of(x, y), r_of(x, y) ** 2), "r², the share"),
        (lambda x, y: (slope_of(x, y), slope_of(x, y)), "your r is the slope"),
        (lambda x, y: (slope_of(x, y), 0.123), "never beyond"),
        (lambda x, y: slope_of(x, y), "two numbers"),
        (lambda x, y: (slope_of(x, y), np.corrcoef(x, y)), "table of all pairs"),
    ],
)
def test_slope(line: Callable[..., Any], message: str) -> None:
    with pytest.raises(Misconception, match=message):
        VERIFY["04-slope"](line)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"a", "b"}, "cannot be correlations"),
        ({"a", "b", "c", "d"}, "between −1 and 1"),
        ({"c"}, "may be negative"),
        ({"c", "x"}, "letters of all"),
    ],
)
def test_impossible(answer: set[str], message: str) -> None:
    with pytest.raises(Misconception, match=message):
        VERIFY["04-impossible"](answer)


def each_without(of: Callable[..., float]) -> Callable[..., list[float]]:
    return lambda x, y: [of(np.delete(x, i), np.delete(y, i)) for i in range(len(x))]


def zeroed(x: np.ndarray, y: np.ndarray) -> list[float]:
    keep = ~np.eye(len(x), dtype=bool)
    return [slope_of(x * each, y * each) for each in keep]


def cumulative(x: np.ndarray, y: np.ndarray) -> list[float]:
    slopes = []
    for _ in range(len(x)):
        x, y = x[1:], y[1:]
        slopes.append(slope_of(x, y) if len(x) > 1 else 0.0)
    return slopes


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x, y: np.full(len(x), slope_of(x, y)), "nothing was left out"),
        (lambda x, y: np.array(each_without(slope_of)(x, y)) - slope_of(x, y), "changes of the slope"),
        (each_without(r_of), "these are correlations"),
        (zeroed, "a zero is a point"),
        (cumulative, "begin from all again"),
        (lambda x, y: [1.0, 2.0], "one slope for each"),
        (lambda x, y: each_without(slope_of)(x, y[::-1]), "same place out of x and of y"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_leave_one_out(answer: Callable[..., Any], message: str) -> None:
    with pytest.raises(Misconception, match=message):
        VERIFY["04-leave-one-out"](answer)


def test_leave_one_out_is_what_the_library_reports() -> None:
    x, y = cloud()
    slopes = each_without(slope_of)(x, y)
    fit = fit_dynamics(pandas.DataFrame({"delta_d": x, "delta_m": y}))
    assert fit.slope_without_a_point == pytest.approx((min(slopes), max(slopes)))


@pytest.mark.parametrize(
    ("answer", "message"),
    [((5, "value"), "largest ΔM"), ((0, "query"), "another one moves it more"), ((9, "query"), "no point")],
)
def test_parting(points: pandas.DataFrame, answer: tuple[int, str], message: str) -> None:
    with pytest.raises(Misconception, match=message):
        VERIFY["04-parting"](points, answer)


def bootstrap(x: np.ndarray, y: np.ndarray, layer: np.ndarray, draws: int, *, how: str) -> np.ndarray:
    generator = np.random.default_rng(5)
    members = [np.flatnonzero(layer == each) for each in np.unique(layer)]
    if how == "points":
        members = [np.array([place]) for place in range(len(x))]
    slopes = []
    for _ in range(draws):
        drawn = generator.choice(len(members), size=len(members), replace=how != "once")
        places = np.concatenate([members[each] for each in drawn])
        slopes.append(slope_of(x[places], y[places]))
    return np.quantile(slopes, [0, 1] if how == "range" else [0.025, 0.975])


@pytest.mark.parametrize(
    ("how", "message"),
    [("points", "drew single points"), ("once", "with replacement"), ("range", "smallest to the largest")],
)
def test_bootstrap(how: str, message: str) -> None:
    with pytest.raises(Misconception, match=message):
        VERIFY["04-bootstrap"](lambda *given: bootstrap(*given, how=how))


def test_drawing_points_instead_of_layers_is_too_sure() -> None:
    x, y, layer = layers()
    by_layer, by_point = (np.ptp(bootstrap(x, y, layer, 500, how=how)) for how in ("layers", "points"))
    assert by_point < 0.7 * by_layer


GOOD = "Over 144 points (seeds 0, 1, 2; per output unit) the slope is 0.47 (95 % 0.33 to 1.71) and r = 0.49."


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        (GOOD.replace("the slope is 0.47", "the correlation is 0.47"), "the very slip"),
        (GOOD + " This proves it.", "claims more"),
        (GOOD.replace("144 points", "all points"), "how many points"),
        (GOOD.replace("seeds 0, 1, 2; ", ""), "which seeds"),
        (GOOD.replace("per output unit", "as always"), "the axis"),
        (GOOD.replace(" and r = 0.49", ""), "name r"),
        (GOOD.replace(" (95 % 0.33 to 1.71)", ""), "interval"),
    ],
)
def test_sentence(facts: dict[str, Any], sentence: str, message: str) -> None:
    assert "check this sentence" in VERIFY["04-sentence"](facts, GOOD)
    with pytest.raises(Misconception, match=message):
        VERIFY["04-sentence"](facts, sentence)


def test_pictures_show_all_points_and_all_but_one(points: pandas.DataFrame) -> None:
    table = twice(points, 11)
    assert table["label"].value_counts().to_dict() == {"all 12 points": 12, "without layer 5 query": 11}
    assert "without layer 5 query" in without_point("DoRA", seed=0, leave_out=11).layout.meta["alt"]
    assert len(without_point("LoRA", seed=1, leave_out=0).layout.annotations) == 2  # one panel, one convention line


def test_what_the_notebook_says_of_the_recordings() -> None:
    """Slope and correlation part ways when a point is left out; phase and axis turn the sign."""
    for seed, gone, slopes, tight in ((0, 10, (0.126, 0.272), (0.41, 0.40)), (2, 11, (0.134, 0.149), (0.37, 0.83))):
        final = final_points("dora", seed)
        for table, slope, r in zip((final, final.drop(index=final.index[gone])), slopes, tight, strict=True):
            fit = fit_dynamics(table, resamples=10)
            assert (fit.slope, fit.pearson) == (pytest.approx(slope, abs=1e-3), pytest.approx(r, abs=6e-3))
    phases = {label: fit_dynamics(part, resamples=10).slope for label, part in both_phases().groupby("label")}
    assert phases == {
        "search: m moves": pytest.approx(1.09, abs=0.01),
        "retraining: m fixed": pytest.approx(-0.28, abs=0.01),
    }
    assert len(recorded("recorded-peptides")) == 12
