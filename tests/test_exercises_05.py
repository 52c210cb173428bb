"""Notebook 05: solutions pass, misconceptions are named, pictures and solvers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bidora.exercises import Misconception, check
from bidora.exercises.checking import solution_code
from bidora.exercises.nb05 import EXERCISES
from bidora.exercises.solving import Solved, first_order_error, solver_table
from bidora.exercises.two_numbers import path, pulls
from bidora.figures import solver_errors
from bidora.sandbox import PROBLEM

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "05_two_levels_by_hand.py"
VERIFY: dict[str, Callable[..., str]] = {each.key: each.verify for each in EXERCISES}
LOW, UP = PROBLEM.lower, PROBLEM.upper
XI = 0.3


def test_every_solution_passes(monkeypatch, capsys) -> None:
    monkeypatch.setenv("BIDORA_EXERCISES", "strict")
    names = {"torch": torch, "check": check, "L_tr": LOW, "L_val": UP, "PROBLEM": PROBLEM}
    for exercise in EXERCISES:
        exec(solution_code(exercise.key), dict(names))
    assert capsys.readouterr().out.count("✓") == len(EXERCISES)


def test_unanswered_exercises_are_friendly(capsys) -> None:
    nothing = lambda *_: None  # noqa: E731
    for exercise in EXERCISES:
        check(exercise.key, *([nothing, nothing] if exercise.key == "05-chain" else [nothing]))
    said = capsys.readouterr().out
    assert said.count("not tried yet") == len(EXERCISES)


def test_headings_in_the_notebook_are_those_of_the_exercises() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    for exercise in EXERCISES:
        place = text.index(f"### Exercise {exercise.key}")
        assert exercise.heading in text[place : place + 120]
        assert f'# %% exercise="{exercise.key}"' in text


def by_magnitude(loss, V, m):
    g1, g2 = loss.by_weight(V, m)
    return g1 + V * g2


def by_direction(loss, V, m):
    return m * loss.by_weight(V, m)[1]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (lambda loss, V, m: loss.by_weight(V, m)[0], by_direction, r"depends on m as well"),
        (lambda loss, V, m: sum(loss.by_weight(V, m)), by_direction, r"∂W₂/∂m is V"),
        (by_direction, by_magnitude, "each other's place"),
        (by_magnitude, lambda loss, V, m: loss.by_weight(V, m)[1], "scale is missing"),
        (by_magnitude, lambda loss, V, m: m * sum(loss.by_weight(V, m)), "g₁ stays out"),
        (lambda loss, V, m: V + 0 * m, by_direction, "a finite difference gives"),
    ],
)
def test_chain(first: Callable[..., float], second: Callable[..., float], message: str) -> None:
    with pytest.raises(Misconception, match=message):
        VERIFY["05-chain"](first, second)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda loss, V, m: m * (loss.moments[1] + V * loss.moments[2]), "a term is missing"),
        (lambda loss, V, m: loss.by_weight(V, m)[1], "first factor's term alone"),
        (lambda loss, V, m: loss.by_weight(V, m)[1] + loss.moments[1] + V * loss.moments[2], "factor m is missing"),
        (lambda loss, V, m: loss.by_weight(V, m)[1] + m * V * loss.moments[2], "W₁ = m depends on m"),
        (lambda loss, V, m: loss.by_magnitude(V, m) * loss.by_direction(V, m), "no second derivative"),
        (lambda loss, V, m: loss.curvature(m), "how the slope changes with V"),
    ],
)
def test_mixed(answer: Callable[..., float], message: str) -> None:
    with pytest.raises(Misconception, match=message):
        VERIFY["05-mixed"](answer)


def test_the_overlooked_term_vanishes_at_a_lower_optimum_only() -> None:
    for V, there in ((float(PROBLEM.best_response(1.3)), True), (0.3, False)):
        without = 1.3 * (LOW.moments[1] + V * LOW.moments[2])
        assert np.isclose(without, LOW.mixed(V, 1.3)) == there


def after(V: float, m: float, xi: float) -> float:
    return V - xi * LOW.by_direction(V, m)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda V, m, xi: (UP.by_magnitude(after(V, m, xi), m), 0.0), "first order only: the implicit"),
        (lambda V, m, xi: (UP.by_magnitude(V, m), 0.0), "and at V"),
        (
            lambda V, m, xi: (
                UP.by_magnitude(after(V, m, xi), m),
                xi * LOW.mixed(V, m) * UP.by_direction(after(V, m, xi), m),
            ),
            "the sign",
        ),
        (
            lambda V, m, xi: (
                UP.by_magnitude(after(V, m, xi), m),
                -LOW.mixed(V, m) * UP.by_direction(after(V, m, xi), m),
            ),
            "scale ξ is missing",
        ),
        (
            lambda V, m, xi: (UP.by_magnitude(V, m), -xi * LOW.mixed(V, m) * UP.by_direction(V, m)),
            "everything is taken at V",
        ),
        (
            lambda V, m, xi: (UP.by_magnitude(after(V, m, xi), m), -xi * LOW.mixed(V, m) * UP.by_direction(V, m)),
            "not at V",
        ),
        (
            lambda V, m, xi: (
                UP.by_magnitude(after(V, m, xi), m),
                -xi * LOW.mixed(after(V, m, xi), m) * UP.by_direction(after(V, m, xi), m),
            ),
            "starts at V",
        ),
        (
            lambda V, m, xi: (
                UP.by_magnitude(after(V, m, xi), m),
                -xi * UP.mixed(V, m) * UP.by_direction(after(V, m, xi), m),
            ),
            "that of L_tr",
        ),
        (
            lambda V, m, xi: (
                UP.by_magnitude(after(V, m, -xi), m),
                -xi * LOW.mixed(V, m) * UP.by_direction(after(V, m, -xi), m),
            ),
            "uphill",
        ),
        (lambda V, m, xi: UP.by_magnitude(V, m), "2 number"),
    ],
)
def test_unrolled(answer: Callable[..., Any], message: str) -> None:
    with pytest.raises(Misconception, match=message):
        VERIFY["05-unrolled"](answer)


def upper_after(V: float, m: float, xi: float) -> float:
    return UP.value(after(V, m, xi), m)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            lambda V, m, xi, e: (UP.value(after(V, m, xi), m + e) - UP.value(after(V, m, xi), m - e)) / (2 * e),
            "not taken again",
        ),
        (lambda V, m, xi, e: (upper_after(V, m + e, xi) - upper_after(V, m - e, xi)) / e, "divide by 2ε"),
        (lambda V, m, xi, e: (upper_after(V, m - e, xi) - upper_after(V, m + e, xi)) / (2 * e), "comes first"),
        (lambda V, m, xi, e: (upper_after(V, m + e, xi) - upper_after(V, m, xi)) / e, "one-sided"),
    ],
)
def test_difference(answer: Callable[..., float], message: str) -> None:
    with pytest.raises(Misconception, match=message):
        VERIFY["05-difference"](answer)


def by_autograd(V, m, xi, *, graph: bool = True, direct: bool = True, sign: float = 1.0):
    V, m = V.clone().requires_grad_(), m.clone().requires_grad_()
    (slope,) = torch.autograd.grad(LOW.value(V, m), V, create_graph=graph)
    (h,) = torch.autograd.grad(UP.value(V - xi * slope, m if direct else m.detach()), m)
    return sign * h


def gradients_left_behind(V, m, xi):
    V, m = V.clone().requires_grad_(), m.clone().requires_grad_()
    LOW.value(V, m).backward(create_graph=True)
    UP.value(V - xi * V.grad, m).backward()  # adds to what the first call left in m.grad
    return m.grad


@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph")
def test_missing_term_with_gradients_left_behind() -> None:
    with pytest.raises(Misconception, match="Forgot to zero"):
        VERIFY["05-missing-term"](gradients_left_behind)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"graph": False}, "still the direct part only"),
        ({"direct": False}, "direct part is missing"),
        ({"sign": -1.0}, "sign is turned round"),
    ],
)
def test_missing_term(how: dict[str, Any], message: str) -> None:
    with pytest.raises(Misconception, match=message):
        VERIFY["05-missing-term"](lambda V, m, xi: by_autograd(V, m, xi, **how))


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (lambda m: 0.0, "direct part only"),
        (lambda m: 1 / LOW.curvature(m), "the sign"),
        (lambda m: -1.0, "inverse of"),
        (lambda m: -LOW.curvature(m), "not by it"),
        (lambda m: -1 / m, "enters twice"),
    ],
)
def test_implicit(factor: Callable[[float], float], message: str) -> None:
    def answer(m: float) -> float:
        V = float(PROBLEM.best_response(m))
        return UP.by_magnitude(V, m) + factor(m) * LOW.mixed(V, m) * UP.by_direction(V, m)

    with pytest.raises(Misconception, match=message):
        VERIFY["05-implicit"](answer)


def neumann(matvec, b, terms, scale, *, how: str):
    term = total = b
    for _ in range(terms if how == "more" else terms - 1):
        step = {"unscaled": 1.0}.get(how, scale)
        term = scale * matvec(term) if how == "power" else term - step * matvec(term)
        total = total + term
    if how == "last":
        return scale * term
    if how == "late":
        return scale * (total - b + term - scale * matvec(term))
    return total if how == "no scale" else scale * total


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no scale", "scale before the sum"),
        ("more", "one term too many"),
        ("unscaled", "scale belongs inside"),
        ("power", r"not s·H times"),
        ("last", "adds all of them"),
        ("late", "j = 0"),
    ],
)
def test_neumann(how: str, message: str) -> None:
    with pytest.raises(Misconception, match=message):
        VERIFY["05-neumann"](lambda *given: neumann(*given, how=how))


def test_pictures_follow_the_sliders() -> None:
    assert "m = 1.967" in path(xi=0.0).layout.meta["alt"]
    assert "After 0 upper steps" in path(upper_steps=0).layout.meta["alt"]
    assert f"lower level solved {PROBLEM.solved_slope(1.2):+.3f}".replace("-", "−") in pulls(m=1.2).layout.meta["alt"]


def test_solvers_come_to_the_closed_form_and_the_figure_says_so() -> None:
    curvature = torch.tensor([[2.0, 0.3], [0.3, 0.5]], dtype=torch.float64)
    target = torch.tensor([1.0, -1.0], dtype=torch.float64)

    def lower(direction, magnitude):
        V = direction["V"]
        return 0.5 * V @ curvature @ V - V @ magnitude["m"]

    def upper(direction, magnitude):
        return 0.5 * (direction["V"] - target).square().sum() + 0.1 * magnitude["m"].square().sum()

    m = torch.tensor([0.7, 0.2], dtype=torch.float64)
    V = torch.linalg.solve(curvature, m)
    true = torch.linalg.solve(curvature, V - target) + 0.2 * m
    problem = Solved(lower, upper, {"V": V}, {"m": m}, {"m": true})
    table = solver_table(problem, scale=0.4)
    series, conjugate = (part["error"].to_numpy() for _, part in table.groupby("solver", sort=False))
    assert (np.diff(series) < 0).all()
    assert conjugate[-1] < 1e-7
    assert table["products"].tolist()[:6] == [0, 4, 9, 19, 39, 59]
    figure = solver_errors(table, first_order=first_order_error(problem))
    assert f"direct part alone: error {first_order_error(problem):.2g}" in figure.layout.meta["alt"]
    assert [trace.name for trace in figure.data] == [
        "Neumann series, s = 0.4",
        "conjugate gradient",
        "direct part alone (first order)",
    ]
