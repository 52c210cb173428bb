"""Magnitude, direction and their changes against matrices worked out by hand, and as properties."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bidora.decomposition import (
    decompose,
    direction_change,
    magnitude_change,
    magnitude_percent,
    mean_angle,
    merged_weight,
    unit_change,
)
from bidora.errors import LabError

BEFORE = torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 2.0]], dtype=torch.float64)
AFTER = torch.tensor([[0.0, 10.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64)


def random_weight(seed: int, rows: int, columns: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64)


def test_rows_carry_the_magnitude_by_default():
    magnitude, direction = decompose(BEFORE)
    assert magnitude.tolist() == [5.0, 2.0]
    assert direction.tolist() == [[0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]


def test_columns_carry_it_on_request():
    magnitude, direction = decompose(BEFORE, "input")
    assert magnitude.tolist() == [3.0, 4.0, 2.0]
    assert direction.tolist() == [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


def test_changes_worked_out_by_hand_per_output():
    # Row 0: length 5 → 10, cos = 0.8. Row 1: length 2 → 1, cos = 0.
    change = unit_change(BEFORE, AFTER)
    assert change.magnitude.tolist() == [5.0, -1.0]
    assert change.percent.tolist() == [100.0, -50.0]
    torch.testing.assert_close(change.direction, torch.tensor([0.2, 1.0], dtype=torch.float64), rtol=1e-15, atol=0)
    angles = torch.tensor([math.degrees(math.acos(0.8)), 90.0], dtype=torch.float64)
    torch.testing.assert_close(change.angle, angles, rtol=1e-15, atol=0)
    assert magnitude_change(BEFORE, AFTER).item() == 3.0
    assert direction_change(BEFORE, AFTER).item() == pytest.approx(0.6, rel=1e-15)
    assert magnitude_percent(BEFORE, AFTER).item() == 25.0
    assert mean_angle(BEFORE, AFTER).item() == pytest.approx(angles.mean().item(), rel=1e-15)


def test_changes_worked_out_by_hand_per_input():
    before, after = BEFORE[:, :2], torch.tensor([[0.0, 4.0], [6.0, -3.0]], dtype=torch.float64)
    # Column 0: (3, 0) → (0, 6): length 3 → 6, cos 0. Column 1: (4, 0) → (4, −3): length 4 → 5, cos 0.8.
    change = unit_change(before, after, "input")
    assert change.magnitude.tolist() == [3.0, 1.0]
    torch.testing.assert_close(change.direction, torch.tensor([1.0, 0.2], dtype=torch.float64), rtol=1e-15, atol=0)
    assert magnitude_change(before, after, "input").item() == 2.0


def test_opposite_directions_are_two_apart():
    change = unit_change(BEFORE, -BEFORE)
    assert change.direction.tolist() == [2.0, 2.0]
    assert change.angle.tolist() == [180.0, 180.0]
    assert change.magnitude.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("angle", [1e-3, 1e-6, 1e-9, 1e-12])
def test_tiny_angles_keep_their_digits(angle):
    before = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    after = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    assert direction_change(before, after).item() == pytest.approx(2 * math.sin(angle / 2) ** 2, rel=1e-9)
    assert mean_angle(before, after).item() == pytest.approx(math.degrees(angle), rel=1e-9)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(precision):
    weight = random_weight(0, 5, 300).to(precision)
    magnitude, direction = decompose(weight)
    assert magnitude.dtype == direction.dtype == torch.float32
    torch.testing.assert_close(magnitude, weight.to(torch.float64).norm(dim=1).float(), rtol=1e-6, atol=0)
    assert direction_change(weight, weight).item() == 0.0


@pytest.mark.parametrize("axis", ["output", "input"])
def test_the_direction_is_differentiable(axis):
    weight = random_weight(1, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda matrix: decompose(matrix, axis).direction, (weight,))


@pytest.mark.parametrize(
    ("weight", "axis", "words"),
    [
        (torch.tensor([[1.0, 2.0], [0.0, 0.0]]), "output", "1 of 2 output units are zero (1)"),
        (torch.tensor([[0.0, 2.0], [0.0, 1.0]]), "input", "1 of 2 input units are zero (0)"),
        (torch.ones(2, 3, 4), "output", "(2, 3, 4) is not a matrix"),
        (torch.ones(3), "output", "(3,) is not a matrix"),
        (torch.ones(2, 2), "row", "axis='row'"),
    ],
)
def test_what_has_no_direction_is_refused(weight, axis, words):
    with pytest.raises(LabError) as caught:
        decompose(weight, axis)
    assert words in caught.value.message
    assert caught.value.hint
    assert isinstance(caught.value, ValueError)


def test_different_shapes_are_refused_with_both():
    with pytest.raises(LabError, match=r"\(2, 3\) and \(3, 2\)"):
        unit_change(torch.ones(2, 3), torch.ones(3, 2))


def test_lora_merge_by_hand():
    base = torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    lora_A = torch.tensor([[1.0, 2.0, 0.0]], dtype=torch.float64)
    lora_B = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    merged = merged_weight(base, lora_A, lora_B, 0.5)
    assert merged.tolist() == [[1.5, 1.0, 2.0], [-0.5, 0.0, 0.0]]
    # Rows of the merged weight have norms √7.25 and 0.5.
    dora = merged_weight(base, lora_A, lora_B, 0.5, torch.tensor([2.0, 3.0], dtype=torch.float64))
    expected = torch.stack([merged[0] * (2 / math.sqrt(7.25)), merged[1] * (3 / 0.5)])
    torch.testing.assert_close(dora, expected, rtol=1e-15, atol=0)


def test_a_merge_that_does_not_fit_is_refused():
    base, lora_A, lora_B = torch.ones(2, 3), torch.ones(1, 3), torch.ones(2, 1)
    with pytest.raises(LabError, match="do not fit"):
        merged_weight(base.T, lora_A, lora_B, 1.0)
    with pytest.raises(LabError, match="3 magnitudes"):
        merged_weight(base, lora_A, lora_B, 1.0, torch.ones(3))


shapes = st.tuples(st.integers(1, 6), st.integers(1, 7))
axes = st.sampled_from(["output", "input"])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), shape=shapes, axis=axes, factor=st.floats(1e-3, 1e3))
def test_scaling_a_weight_changes_its_magnitude_only(seed, shape, axis, factor):
    weight = random_weight(seed, *shape)
    first, scaled = decompose(weight, axis), decompose(factor * weight, axis)
    torch.testing.assert_close(scaled.magnitude, factor * first.magnitude)
    torch.testing.assert_close(scaled.direction, first.direction)
    assert direction_change(weight, factor * weight, axis).item() < 1e-30


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), shape=shapes, axis=axes)
def test_changes_stay_in_their_ranges_and_the_parts_make_the_weight(seed, shape, axis):
    weight, other = random_weight(seed, *shape), random_weight(seed + 1, *shape)
    magnitude, direction = decompose(weight, axis)
    spread = magnitude[:, None] if axis == "output" else magnitude[None, :]
    torch.testing.assert_close(spread * direction, weight)
    change = unit_change(weight, other, axis)
    assert len(change.direction) == shape[0 if axis == "output" else 1]
    assert change.direction.min() >= 0 and change.direction.max() <= 2 + 1e-12
    assert change.angle.min() >= 0 and change.angle.max() <= 180
    torch.testing.assert_close(1 - torch.cos(torch.deg2rad(change.angle)), change.direction)
    assert magnitude_change(weight, other, axis) == magnitude_change(other, weight, axis)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), shape=shapes, axis=axes, rank=st.integers(1, 3), scale=st.floats(0.1, 4))
def test_the_magnitude_of_a_merged_weight_is_m(seed, shape, axis, rank, scale):
    base, lora_A, lora_B = (
        random_weight(seed, *shape),
        random_weight(seed + 1, rank, shape[1]),
        random_weight(seed + 2, shape[0], rank),
    )
    magnitude = random_weight(seed + 3, 1, shape[0 if axis == "output" else 1]).flatten().abs() + 0.1
    merged = merged_weight(base, lora_A, lora_B, scale, magnitude, axis=axis)
    torch.testing.assert_close(decompose(merged, axis).magnitude, magnitude)
    torch.testing.assert_close(
        decompose(merged, axis).direction, decompose(merged_weight(base, lora_A, lora_B, scale), axis).direction
    )
