"""The implicit function theorem on ridge regression, whose optimum and hypergradient have closed forms."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from small_problems import DOUBLE, Parameters, Problem, dora_problem, flat, normal, relative_error
from torch import Tensor

from bidora.errors import LabError
from bidora.hypergradient import conjugate_gradient, hypergradient, implicit_hypergradient, neumann

RIDGE = 0.3
X, Y = normal(20, 6, seed=1), normal(20, 2, seed=2)
UPPER_X, UPPER_Y = normal(9, 6, seed=3), normal(9, 2, seed=4)


def lower(direction: Parameters, magnitude: Parameters) -> Tensor:
    """½‖X diag(m) V − Y‖²/n + ½λ‖V‖²: the magnitude weighs the features; V is (6, 2) in two blocks."""
    V = torch.cat([direction["top"], direction["bottom"]])
    return 0.5 * ((X * magnitude["m"]) @ V - Y).square().sum() / len(X) + 0.5 * RIDGE * V.square().sum()


def upper(direction: Parameters, magnitude: Parameters) -> Tensor:
    V = torch.cat([direction["top"], direction["bottom"]])
    return 0.5 * ((UPPER_X * magnitude["m"]) @ V - UPPER_Y).square().sum() / len(UPPER_X)


def optimum(magnitude: Tensor) -> Tensor:
    """V*(m) = (DXᵀXD/n + λI)⁻¹ DXᵀY/n with D = diag(m)."""
    features = X * magnitude
    hessian = features.T @ features / len(X) + RIDGE * torch.eye(6, dtype=DOUBLE)
    return torch.linalg.solve(hessian, features.T @ Y / len(X))


def blocks(V: Tensor) -> Parameters:
    return {"top": V[:4], "bottom": V[4:]}


@pytest.fixture
def ridge() -> tuple[Problem, Parameters, Parameters]:
    """The problem at its lower optimum; the total derivative and its direct part, through the closed form."""
    m = (1 + 0.3 * normal(6, seed=5)).requires_grad_()
    (total,) = torch.autograd.grad(upper(blocks(optimum(m)), {"m": m}), m)
    V = optimum(m.detach())
    (direct,) = torch.autograd.grad(upper(blocks(V), {"m": m}), m)
    return Problem(lower, upper, blocks(V), {"m": m.detach()}), {"m": total}, {"m": direct}


def test_conjugate_gradient_gives_the_closed_form(ridge: tuple[Problem, Parameters, Parameters]) -> None:
    problem, total, direct = ridge
    at = (problem.lower, problem.upper, problem.direction, problem.magnitude)
    found = implicit_hypergradient(*at, solve=partial(conjugate_gradient, tolerance=1e-12, max_steps=12))
    assert flat(found.lower.direction).norm() < 1e-13
    torch.testing.assert_close(found.direct, direct)
    torch.testing.assert_close(found.total(), total, rtol=1e-10, atol=1e-12)
    assert found.norms().implicit > 0.1 * found.norms().direct


def test_conjugate_gradient_needs_as_many_steps_as_distinct_eigenvalues() -> None:
    """Exact arithmetic would end after three products; the answer is that of a direct solver."""
    values = torch.tensor([1.0, 1.0, 3.0, 3.0, 3.0, 10.0], dtype=DOUBLE)
    rotation = torch.linalg.qr(normal(6, 6, seed=7))[0]
    matrix = rotation @ torch.diag(values) @ rotation.T
    products = 0

    def matvec(x: Parameters) -> Parameters:
        nonlocal products
        products += 1
        return {"x": matrix @ x["x"]}

    b = normal(6, seed=8)
    found = conjugate_gradient(matvec, {"x": b}, tolerance=1e-10)
    torch.testing.assert_close(found["x"], torch.linalg.solve(matrix, b), rtol=1e-9, atol=1e-11)
    assert products == 3
    damped = conjugate_gradient(matvec, {"x": b}, tolerance=1e-12, ridge=2.0)
    expected = torch.linalg.solve(matrix + 2 * torch.eye(6, dtype=DOUBLE), b)
    torch.testing.assert_close(damped["x"], expected, rtol=1e-9, atol=1e-11)


def test_neumann_series_converges_at_its_rate(ridge: tuple[Problem, Parameters, Parameters]) -> None:
    problem, total, _ = ridge
    at = (problem.lower, problem.upper, problem.direction, problem.magnitude)
    features = X * problem.magnitude["m"]
    eigenvalues = torch.linalg.eigvalsh(features.T @ features / len(X) + RIDGE * torch.eye(6, dtype=DOUBLE))
    scale = float(2 / (eigenvalues[0] + eigenvalues[-1]))  # the best one
    rate = float((eigenvalues[-1] - eigenvalues[0]) / (eigenvalues[-1] + eigenvalues[0]))
    errors = [
        relative_error(
            implicit_hypergradient(*at, solve=partial(neumann, terms=terms, scale=scale)).total(),
            total,
        )
        for terms in (1, 20, 40, 200)
    ]
    assert errors[0] > 0.01
    assert errors[2] / errors[1] == pytest.approx(rate**20, rel=0.5)
    assert errors[3] < 1e-9


def test_one_neumann_term_is_the_one_step_unroll_at_an_optimum(ridge: tuple[Problem, Parameters, Parameters]) -> None:
    """There V' = V, and the unrolled step puts ξ·I in place of the inverse Hessian."""
    problem = ridge[0]
    at = (problem.lower, problem.upper, problem.direction, problem.magnitude)
    unrolled = hypergradient(*at, step=0.2)
    implicit = implicit_hypergradient(*at, solve=partial(neumann, terms=1, scale=0.2))
    torch.testing.assert_close(unrolled.implicit, implicit.implicit, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(unrolled.direct, implicit.direct, rtol=1e-10, atol=1e-13)


def test_terms_of_the_neumann_series() -> None:
    """x = s(b + (1 − sλ)b + (1 − sλ)²b) for a number λ."""
    found = neumann(lambda x: {"x": 3.0 * x["x"]}, {"x": torch.tensor([2.0], dtype=DOUBLE)}, terms=3, scale=0.1)
    assert found["x"].item() == pytest.approx(0.1 * 2.0 * (1 + 0.7 + 0.49))


def test_dropout_masks_are_the_same_in_every_hessian_product() -> None:
    """Products come from one graph: H(x) twice is equal, and H is symmetric."""
    problem = dora_problem(dropout=0.3)
    vectors = [
        {name: normal(*tensor.shape, seed=seed + i) for i, (name, tensor) in enumerate(problem.direction.items())}
        for seed in (60, 80)
    ]
    seen = []

    def solve(matvec, b):
        seen.extend([matvec(vectors[0]), matvec(vectors[0]), matvec(vectors[1])])
        return b

    implicit_hypergradient(problem.lower, problem.upper, problem.direction, problem.magnitude, solve=solve)
    assert torch.equal(flat(seen[0]), flat(seen[1]))
    assert float(flat(vectors[1]) @ flat(seen[0])) == pytest.approx(float(flat(vectors[0]) @ flat(seen[2])))


def scaling(factor: float):
    return lambda x: {"x": factor * x["x"]}


def test_failures_say_what_to_do() -> None:
    b = {"x": torch.ones(2, dtype=DOUBLE)}
    with pytest.raises(LabError, match=r"curvature -2 along .* train the lower level further, or use ridge above 2"):
        conjugate_gradient(scaling(-2.0), b)
    with pytest.raises(LabError, match="use ridge above 2"):
        conjugate_gradient(scaling(-2.0), b, ridge=1.5)
    torch.testing.assert_close(conjugate_gradient(scaling(-2.0), b, ridge=2.5)["x"], 2 * b["x"])
    with pytest.raises(LabError, match=r"the Neumann series grows .* below about 0\.25 "):
        neumann(scaling(8.0), b, terms=50, scale=0.5)
    with pytest.raises(LabError, match="negative curvature: train the lower level further"):
        neumann(scaling(-1.0), b, terms=50, scale=0.5)
    with pytest.raises(LabError, match=r"terms=0, scale=0\.5 are outside"):
        neumann(scaling(1.0), b, terms=0, scale=0.5)
    diagonal = torch.tensor([1.0, 100.0], dtype=DOUBLE)
    with pytest.raises(LabError, match="after 1 steps, allowed 1e-06; raise max_steps or tolerance"):
        conjugate_gradient(lambda x: {"x": diagonal * x["x"]}, b, max_steps=1)
    with pytest.raises(LabError, match="curvature nan"):
        conjugate_gradient(scaling(float("nan")), b)


def test_zero_right_hand_side_gives_zero() -> None:
    b = {"x": torch.zeros(2, dtype=DOUBLE)}
    assert torch.equal(conjugate_gradient(scaling(2.0), b)["x"], b["x"])
    assert torch.equal(neumann(scaling(2.0), b, terms=3, scale=0.1)["x"], b["x"])
