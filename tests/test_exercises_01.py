import pytest
import torch
from exercise_answers import said, solved, text_problems

from bidora.decomposition import decompose, direction_change, magnitude_change
from bidora.exercises.nb01 import EXERCISES, row_made_longer, tiny_turn, turned


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda each: each.key)
def test_the_solution_passes(exercise):
    assert solved(exercise).startswith("✓")


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda each: each.key)
def test_no_answer_yet_is_friendly(exercise):
    assert said(exercise.key, lambda *given: ...).startswith("○")
    assert said(exercise.key, lambda *given: None).startswith("○")


@pytest.mark.parametrize(
    ("lengths", "named"),
    [
        (lambda w: w.norm(dim=0), "wrong axis"),
        (lambda w: w.norm(), "whole matrix"),
        (lambda w: w.norm(dim=1, keepdim=True), "keepdim"),
        (lambda w: w.square().sum(1), "square root"),
        (lambda w: w.abs().sum(1), "1-norm"),
        (lambda w: w.sum(1), "signs cancel"),
        (lambda w: w.square().mean(1).sqrt(), "mean in place of a sum"),
        (lambda w: w.norm(dim=1) + 1, "not the lengths"),
        (lambda w: 3.0, "should be a tensor"),
    ],
)
def test_length(lengths, named):
    words = said("01-length", lengths)
    assert words.startswith("✗") and named in words


@pytest.mark.parametrize(
    ("rebuild", "named"),
    [
        (lambda m, v: m * v, "column"),
        (lambda m, v: m @ v, "matrix product"),
        (lambda m, v: v, "as they are"),
        (lambda m, v: v / m[:, None], "divided"),
        (lambda m, v: m[:, None] + v, "do not give W back"),
        (lambda m, v: torch.zeros(9) + v, "PyTorch cannot combine"),
    ],
)
def test_rebuild(rebuild, named):
    words = said("01-rebuild", rebuild)
    assert words.startswith("✗") and named in words


def rows_cosine(a, b):
    return torch.cosine_similarity(a, b, dim=1)


@pytest.mark.parametrize(
    ("delta_d", "named"),
    [
        (lambda a, b: rows_cosine(a, b).mean(), "this is the cosine"),
        (lambda a, b: (rows_cosine(a, b) - 1).mean(), "sign"),
        (lambda a, b: (1 - rows_cosine(a, b)).sum(), "sum over the rows"),
        (lambda a, b: 1 - rows_cosine(a, b), "one number per layer"),
        (lambda a, b: rows_cosine(a, b).acos().mean(), "radians"),
        (lambda a, b: rows_cosine(a, b).acos().rad2deg().mean(), "degrees"),
        (lambda a, b: (1 - torch.cosine_similarity(a, b, dim=0)).mean(), "wrong axis"),
        (lambda a, b: 1 - torch.cosine_similarity(a.flatten(), b.flatten(), dim=0), "whole matrix"),
        (lambda a, b: (1 - (a * b).sum(1)).mean(), "not normalised"),
        (lambda a, b: (decompose(a).direction - decompose(b).direction).norm(dim=1).mean(), "half of its square"),
        (lambda a, b: direction_change(a, b) + 0.1, "ΔD is"),
    ],
)
def test_delta_d(delta_d, named):
    words = said("01-delta-d", delta_d)
    assert words.startswith("✗") and named in words


def apart(a, b):
    return decompose(a).direction - decompose(b).direction


@pytest.mark.parametrize(
    ("delta_d", "named"),
    [
        (lambda a, b: (1 - (decompose(a).direction * decompose(b).direction).sum(1)).mean(), "cancels"),
        (lambda a, b: apart(a, b).square().sum(1).mean(), "twice too large"),
        (lambda a, b: apart(a, b).norm(dim=1).mean(), "half of its square"),
        (lambda a, b: apart(a, b).norm(dim=1), "one number per layer"),
        (lambda a, b: torch.tensor(0.3), "is 1 − cos"),
    ],
)
def test_tiny(delta_d, named):
    words = said("01-tiny", delta_d)
    assert words.startswith("✗") and named in words


def test_double_precision_is_an_answer_as_well():
    words = said("01-tiny", lambda a, b: (1 - rows_cosine(a.double(), b.double())).mean())
    assert words.startswith("✓")


def test_tiny_turn_turns_by_what_it_says():
    assert direction_change(*tiny_turn(1e-2)) == pytest.approx(1e-4 / 2, rel=1e-2)


def test_one_longer_row_is_a_length_by_rows_and_both_by_columns():
    before, after = row_made_longer(20)
    assert magnitude_change(before, after) > 0.1
    assert direction_change(before, after) == pytest.approx(0, abs=1e-12)
    assert magnitude_change(before, after, "input") > 0.1
    assert direction_change(before, after, "input") > 1e-4


def test_turned_draws_what_it_is_told():
    assert "length 1.50; the angle between them is 40 degrees" in turned(1.5, 40.0).layout.meta["alt"]


def test_text():
    assert text_problems("01", EXERCISES) == []


@pytest.mark.parametrize(
    ("key", "answer", "named"),
    [
        ("01-length", lambda w: w / w.norm(dim=1, keepdim=True), "these are the directions"),
        (
            "01-delta-d",
            lambda b, a: (1 - decompose(b).direction * decompose(a).direction).mean(),
            "a sum over their entries",
        ),
        (
            "01-delta-d",
            lambda b, a: (decompose(b).direction - decompose(a).direction).abs().mean(),
            "entries of V moved",
        ),
    ],
)
def test_directions_taken_for_something_else(key, answer, named):
    words = said(key, answer)
    assert words.startswith("✗") and named in words
