"""The sandboxes say the same as the library with torch, as finite differences, and as closed forms."""

import time

import numpy as np
import pytest
import torch

from bidora import decomposition
from bidora.errors import LabError
from bidora.hypergradient import conjugate_gradient, implicit_hypergradient
from bidora.hypergradient import hypergradient as torch_hypergradient
from bidora.sandbox import (
    LEFT_OUT,
    LENGTHS_ONLY,
    PROBLEM,
    Quadratic,
    TwoLevels,
    alternate,
    arrow,
    decompose,
    dora_fit,
    hypergradient,
    lora_fit,
    matrix_from,
    matrix_text,
    reach_by_rank,
    settles,
    step_from,
    target_weight,
    unit_changes,
    vector_pair,
)
from bidora.sandbox.questions import left_out_answer, lengths_only_answer
from bidora.sandbox.reach import BASE, MOST_STEPS, RANKS
from bidora.sandbox.units import CHANGED, INITIAL, checked, rebuilding_error, unit_rows

TARGETS = [
    ("lengths", 30, 30, "own"),
    ("headings", 30, 30, "own"),
    ("headings", 10, 80, "shared"),
    ("both", 80, 60, "own"),
    ("both", 5, 5, "shared"),
]

# -- lengths and headings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", ["output", "input"])
def test_decomposition_equals_that_of_the_library(axis):
    numpy_one, torch_one = decompose(CHANGED, axis), decomposition.decompose(torch.tensor(CHANGED), axis)
    np.testing.assert_allclose(numpy_one.magnitude, torch_one.magnitude, rtol=1e-15)
    np.testing.assert_allclose(numpy_one.direction, torch_one.direction, rtol=1e-15)
    assert rebuilding_error(CHANGED, axis) < 1e-14


@pytest.mark.parametrize("axis", ["output", "input"])
def test_changes_equal_those_of_the_library(axis):
    before, after = torch.tensor(INITIAL), torch.tensor(CHANGED)
    ours, theirs = unit_changes(INITIAL, CHANGED, axis), decomposition.unit_change(before, after, axis)
    np.testing.assert_allclose(ours.magnitude, theirs.magnitude.abs(), atol=1e-14)
    np.testing.assert_allclose(ours.direction, theirs.direction, atol=1e-14)
    np.testing.assert_allclose(ours.angle, theirs.angle, atol=1e-12)
    assert ours.delta_m == pytest.approx(float(decomposition.magnitude_change(before, after, axis)))
    assert ours.delta_d == pytest.approx(float(decomposition.direction_change(before, after, axis)))


def test_as_the_page_opens_one_row_is_longer_one_turned_one_stayed():
    change = unit_changes(INITIAL, CHANGED)
    np.testing.assert_allclose(change.magnitude, [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(change.direction, [0, 0.04, 0], atol=1e-12)
    assert (unit_changes(INITIAL, CHANGED, "input").magnitude > 0.01).sum() > 1, "by columns it looks different"
    assert [row["unit"] for row in unit_rows(change, "output")] == ["row 1", "row 2", "row 3"]


@pytest.mark.parametrize(("length", "turn"), [(2.0, 0), (2.6, 25), (0.2, 180), (3.0, -90)])
def test_the_arrow_moves_in_length_and_heading_apart(length, turn):
    before, after = vector_pair(length, turn)
    change = unit_changes(before[None], after[None])
    assert change.magnitude[0] == pytest.approx(abs(length - 2))
    assert change.angle[0] == pytest.approx(abs(turn), abs=1e-9)
    assert change.direction[0] == pytest.approx(1 - np.cos(np.radians(turn)))


def test_a_unit_without_length_is_explained():
    with pytest.raises(LabError, match="row 2 is zero"):
        decompose(np.array([[1.0, 2.0], [0.0, 0.0]]))
    with pytest.raises(LabError, match="column 1 is zero"):
        decompose(np.array([[0.0, 2.0], [0.0, 1.0]]), "input")


def test_a_matrix_comes_back_from_its_address():
    np.testing.assert_allclose(matrix_from(matrix_text(CHANGED)), CHANGED)
    with pytest.raises(LabError, match="row 1, column 2 is empty"):
        checked(np.where(CHANGED == 4.8, np.nan, CHANGED))


@pytest.mark.parametrize(
    "text",
    [
        *("", "1,2", "a;b;c", "1,2,3,4;1,2,3,4", "1,2,3,nan;1,2,3,4;1,2,3,4", "1,2,3,inf;1,2,3,4;1,2,3,4"),
        *("1e400,2,3,4;1,2,3,4;1,2,3,4", "1,2,3,101;1,2,3,4;1,2,3,4", "9" * 10**6, "<script>;../../etc;\x00"),
    ],
)
def test_a_hostile_matrix_is_refused_in_a_short_sentence(text):
    with pytest.raises(LabError) as caught:
        matrix_from(text)
    assert len(caught.value.message) < 200


# -- what low-rank updates reach ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("change", "percent", "degrees", "turning"), TARGETS)
def test_the_target_is_what_was_asked_for(change, percent, degrees, turning):
    units = unit_changes(BASE, target_weight(change, percent=percent, degrees=degrees, turning=turning))
    assert units.magnitude.max() > 0.01 if change != "headings" else units.magnitude.max() < 1e-12
    np.testing.assert_allclose(units.angle, 0 if change == "lengths" else degrees, atol=1e-6)


@pytest.mark.parametrize("rank", RANKS)
def test_lora_leaves_the_small_singular_values(rank):
    target = target_weight("both", percent=30, degrees=30)
    fit = lora_fit(target, rank)
    assert np.linalg.matrix_rank(fit.update) == rank
    left = np.linalg.svd(target - BASE, compute_uv=False)[rank:]
    assert np.linalg.norm(target - fit.weight) == pytest.approx(np.sqrt((left**2).sum()))


@pytest.mark.parametrize(("change", "percent", "degrees", "turning"), TARGETS)
@pytest.mark.parametrize("rank", RANKS)
def test_dora_reaches_at_least_as_far_and_its_weight_is_one_of_dora(change, percent, degrees, turning, rank):
    target = target_weight(change, percent=percent, degrees=degrees, turning=turning)
    fit = dora_fit(target, rank)
    assert np.linalg.norm(target - fit.weight) <= np.linalg.norm(target - lora_fit(target, rank).weight) + 1e-9
    assert np.linalg.matrix_rank(fit.update, rtol=1e-10) <= rank
    assert (fit.magnitude > 0).all(), "a length"
    left, values, right = np.linalg.svd(fit.update)
    merged = decomposition.merged_weight(
        torch.tensor(BASE),
        torch.tensor(right[:rank]),
        torch.tensor(left[:, :rank] * values[:rank]),
        1.0,
        torch.tensor(fit.magnitude),
    )
    np.testing.assert_allclose(merged.numpy(), fit.weight, atol=1e-6)


@pytest.mark.parametrize("rank", [1, 2])
def test_the_search_ends_where_no_small_step_of_m_a_or_b_helps(rank):
    """A local optimum: torch's gradient of the whole expression vanishes there."""
    target = target_weight("both", percent=30, degrees=30)
    fit = dora_fit(target, rank)
    left, values, right = np.linalg.svd(fit.update)
    A = torch.tensor(right[:rank], requires_grad=True)
    B = torch.tensor(left[:, :rank] * values[:rank], requires_grad=True)
    m = torch.tensor(fit.magnitude, requires_grad=True)
    updated = torch.tensor(BASE) + B @ A
    loss = (m[:, None] * updated / updated.norm(dim=1, keepdim=True) - torch.tensor(target)).square().sum()
    loss.backward()
    for parameter in (A, B, m):
        assert parameter.grad.abs().max() < 2e-3 * np.sqrt(loss.item())
    assert 0 < fit.steps < MOST_STEPS, "it stood still before it was stopped"


def test_lengths_are_free_for_dora_and_dear_for_lora():
    for found in reach_by_rank(target_weight("lengths", percent=30, degrees=0)):
        assert found.dora_left < 1e-8
        assert found.lora_left > 0.1
        assert found.dora_numbers - found.lora_numbers == 6


def test_rows_that_turn_towards_one_vector_are_within_rank_one_of_dora_only():
    first = reach_by_rank(target_weight("headings", percent=0, degrees=40, turning="shared"))[0]
    assert first.dora_left < 1e-4 < 0.1 < first.lora_left


def test_no_change_has_no_share():
    assert reach_by_rank(target_weight("lengths", percent=0, degrees=0)) == []


# -- two levels -----------------------------------------------------------------------------------------------------


def torch_loss(loss: Quadratic):
    best = torch.tensor(loss.best, dtype=torch.float64)
    h11, h12, h22 = loss.moments
    moments = torch.tensor([[h11, h12], [h12, h22]], dtype=torch.float64)

    def value(direction, magnitude):
        V, m = direction["V"], magnitude["m"]
        apart = torch.stack([m, m * V]) - best
        return 0.5 * apart @ moments @ apart

    return value


def as_tensors(V: float, m: float):
    return {"V": torch.tensor(V, dtype=torch.float64)}, {"m": torch.tensor(m, dtype=torch.float64)}


LOWER, UPPER = torch_loss(PROBLEM.lower), torch_loss(PROBLEM.upper)
PLACES = [(0.0, 1.0), (0.7, 1.3), (-0.3, 2.2), (1.5, 0.4)]


@pytest.mark.parametrize(("V", "m"), PLACES)
@pytest.mark.parametrize("loss", PROBLEM)
def test_derivatives_equal_finite_differences(loss, V, m):
    step = 1e-5
    value = loss.value
    assert loss.by_magnitude(V, m) == pytest.approx((value(V, m + step) - value(V, m - step)) / (2 * step), abs=1e-8)
    assert loss.by_direction(V, m) == pytest.approx((value(V + step, m) - value(V - step, m)) / (2 * step), abs=1e-8)
    slope = loss.by_direction
    assert loss.mixed(V, m) == pytest.approx((slope(V, m + step) - slope(V, m - step)) / (2 * step), abs=1e-7)
    assert loss.curvature(m) == pytest.approx((slope(V + step, m) - slope(V - step, m)) / (2 * step), abs=1e-7)


@pytest.mark.parametrize(("V", "m"), PLACES)
@pytest.mark.parametrize("xi", [0.0, 0.2, 1.0])
def test_both_parts_equal_those_of_the_library(V, m, xi):
    ours = hypergradient(PROBLEM, V, m, xi=xi)
    theirs = torch_hypergradient(LOWER, UPPER, *as_tensors(V, m), step=xi)
    assert ours.direct == pytest.approx(theirs.direct["m"].item(), abs=1e-12)
    assert ours.implicit == pytest.approx(theirs.implicit["m"].item(), abs=1e-12)
    assert ours.total == pytest.approx(theirs.total()["m"].item(), abs=1e-12)


@pytest.mark.parametrize(("V", "m"), PLACES)
@pytest.mark.parametrize("xi", [0.1, 0.9])
def test_the_total_is_the_slope_of_the_upper_loss_after_the_lower_step(V, m, xi):
    def after_step(m):
        return PROBLEM.upper.value(V - xi * PROBLEM.lower.by_direction(V, m), m)

    step = 1e-5
    slope = (after_step(m + step) - after_step(m - step)) / (2 * step)
    assert hypergradient(PROBLEM, V, m, xi=xi).total == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("m", [0.5, 1.0, 1.9])
def test_the_solved_lower_level_has_its_closed_form(m):
    V = float(PROBLEM.best_response(m))
    assert PROBLEM.lower.by_direction(V, m) == pytest.approx(0, abs=1e-12)
    step = 1e-5
    slope = (PROBLEM.solved_loss(m + step) - PROBLEM.solved_loss(m - step)) / (2 * step)
    assert PROBLEM.solved_slope(m) == pytest.approx(slope, abs=1e-8)
    theirs = implicit_hypergradient(LOWER, UPPER, *as_tensors(V, m), solve=conjugate_gradient)
    assert PROBLEM.solved_slope(m) == pytest.approx(theirs.total()["m"].item(), abs=1e-6)
    exact = hypergradient(PROBLEM, V, m, xi=1 / PROBLEM.lower.curvature(m))
    assert exact.total == pytest.approx(PROBLEM.solved_slope(m), abs=1e-12), "ξ = 1/curvature is the inverse Hessian"


def test_the_solution_has_the_least_upper_loss_of_a_fine_grid():
    grid = np.linspace(0.3, 4.0, 20001)
    assert PROBLEM.solution() == pytest.approx(grid[np.argmin(PROBLEM.solved_loss(grid))], abs=2e-4)


@pytest.mark.parametrize("xi", [0.0, 0.2, 0.45])
@pytest.mark.parametrize("lower_steps", [1, 5])
def test_the_alternation_comes_to_rest_where_it_is_said_to(xi, lower_steps):
    rates = dict(lower_rate=0.2, outer_rate=0.1)
    trail = alternate(PROBLEM, xi=xi, lower_steps=lower_steps, upper_steps=600, **rates)
    assert trail.m[-1] == pytest.approx(settles(PROBLEM, xi=xi), abs=1e-3)
    assert not trail.left


def test_first_order_comes_to_rest_elsewhere_and_costs_upper_loss():
    first_order, solution = settles(PROBLEM, xi=0.0), PROBLEM.solution()
    assert abs(first_order - solution) > 0.3
    assert PROBLEM.solved_loss(first_order) > 1.5 * PROBLEM.solved_loss(solution)


def test_the_order_of_the_steps_is_the_trainer_s():
    """Two lower steps, the upper step between them, through the second one and before it is taken."""
    V0, m0 = 0.0, 1.0
    trail = alternate(PROBLEM, xi=0.3, lower_steps=2, lower_rate=0.2, outer_rate=0.1, upper_steps=1)
    V1 = V0 - 0.2 * PROBLEM.lower.by_direction(V0, m0)
    m1 = m0 - 0.1 * hypergradient(PROBLEM, V1, m0, xi=0.3).total
    V2 = V1 - 0.2 * PROBLEM.lower.by_direction(V1, m0)
    np.testing.assert_allclose(trail.V, [V0, V1, V1, V2])
    np.testing.assert_allclose(trail.m, [m0, m0, m1, m1])
    assert trail.upper == [2]


def test_a_path_that_diverges_is_ended():
    trail = alternate(PROBLEM, xi=1.0, lower_steps=1, lower_rate=0.5, outer_rate=1.0, upper_steps=150)
    assert trail.left
    assert np.isfinite([*trail.V, *trail.m]).all()
    assert len(trail.m) < 20


def test_a_problem_without_coupling_needs_no_implicit_part():
    apart = TwoLevels(Quadratic((1.0, 0.0), (1.0, 0.0, 1.0)), Quadratic((1.5, 0.0), (1.0, 0.0, 1.0)))
    assert hypergradient(apart, 0.0, 1.2, xi=1.0).implicit == 0
    assert settles(apart, xi=0.0) == pytest.approx(settles(apart, xi=0.5))


# -- questions, addresses, speed ------------------------------------------------------------------------------------


def test_the_right_answers_are_computed_not_written_down():
    right, left = lengths_only_answer()
    assert right in LENGTHS_ONLY.options
    assert left == pytest.approx(reach_by_rank(target_weight("lengths", percent=70, degrees=0))[0].lora_left)
    assert (right == LENGTHS_ONLY.options[2]) == (left > 0.5)
    right, first_order, solution = left_out_answer()
    assert (right == LEFT_OUT.options[2]) == (first_order > solution)


def test_a_prediction_is_compared_and_a_missing_one_is_no_mistake():
    assert "what is seen here" in LEFT_OUT.verdict("at a larger m", "at a larger m")
    wrong = LEFT_OUT.verdict("at a smaller m", "at a larger m")
    assert "at a smaller m" in wrong and "at a larger m" in wrong
    assert "predicted" not in LEFT_OUT.verdict("", "at a larger m")


@pytest.mark.parametrize("text", [None, "", "-1", "151", "1e9", "²", "٣", "9" * 5000, "nan", "3.5", "../"])
def test_a_hostile_step_is_the_first(text):
    assert step_from(text, 150) == 0


def test_every_move_is_cheap():
    """A wide margin, for busy machines; measured alone, each takes well under 100 ms."""
    started = time.perf_counter()
    reach_by_rank(target_weight("both", percent=30, degrees=30))
    alternate(PROBLEM, xi=0.5, lower_steps=20, lower_rate=0.05, outer_rate=0.02, upper_steps=150)
    unit_changes(arrow(2, 30)[None], arrow(3, 20)[None])
    assert time.perf_counter() - started < 2
