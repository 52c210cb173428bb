import pytest
import torch
from exercise_answers import said, solved, text_problems

from bidora.exercises.nb02 import EXERCISES, first_gradients, left_over, parts


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda each: each.key)
def test_the_solution_passes(exercise):
    assert solved(exercise).startswith("✓")


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda each: each.key)
def test_no_answer_yet_is_friendly(exercise):
    assert said(exercise.key, ...).startswith("○")
    if exercise.key != "02-size":
        assert said(exercise.key, lambda *given: ...).startswith("○")


def test_a_pair_of_dots_is_no_answer_yet():
    assert said("02-start", lambda *given: (..., ...)).startswith("○")
    assert said("02-gradient", lambda *given: (..., ...)).startswith("○")


def update(x, A, B):
    return x @ A.T @ B.T


@pytest.mark.parametrize(
    ("forward", "named"),
    [
        (lambda x, w, b, A, B, alpha: x @ w.T + b + update(x, A, B), "scale is missing"),
        (lambda x, w, b, A, B, alpha: x @ w.T + b + alpha * update(x, A, B), "divided by the rank"),
        (lambda x, w, b, A, B, alpha: x @ w.T + b + len(A) / alpha * update(x, A, B), "other way up"),
        (lambda x, w, b, A, B, alpha: x @ w.T + b + alpha * len(A) * update(x, A, B), "α · r"),
        (lambda x, w, b, A, B, alpha: x @ w.T + alpha / len(A) * update(x, A, B), "bias is missing"),
        (lambda x, w, b, A, B, alpha: x @ w.T + alpha / len(A) * (update(x, A, B) + b), "bias was scaled"),
        (lambda x, w, b, A, B, alpha: alpha / len(A) * update(x, A, B), "pretrained product is missing"),
        (lambda x, w, b, A, B, alpha: b + alpha / len(A) * update(x, A, B), "pretrained product is missing"),
        (lambda x, w, b, A, B, alpha: alpha / len(A) * (x @ w.T + update(x, A, B)) + b, "scaled along"),
        (lambda x, w, b, A, B, alpha: x @ w.T + b - alpha / len(A) * update(x, A, B), "sign"),
        (lambda x, w, b, A, B, alpha: x @ w + b + alpha / len(A) * update(x, A, B), "x @ W0.T"),
        (lambda x, w, b, A, B, alpha: x @ w.T + b + alpha / A.shape[1] * update(x, A, B), "A.shape[0]"),
        (lambda x, w, b, A, B, alpha: x @ (w + alpha / len(A) * B @ A).T + b, "BA was formed"),
        (lambda x, w, b, A, B, alpha: x @ w.T + b + alpha / len(A) * (x @ (A.T @ B.T)), "BA was formed"),
        (lambda x, w, b, A, B, alpha: x @ w.T + b + alpha / len(A) * (x @ A @ B), "shapes do not fit"),
        (lambda x, w, b, A, B, alpha: 0 * x @ w.T, "is not x W0ᵀ"),
    ],
)
def test_forward(forward, named):
    words = said("02-forward", forward)
    assert words.startswith("✗") and named in words


@pytest.mark.parametrize(
    ("start", "named"),
    [
        (lambda r, i, o: (torch.zeros(r, i), torch.zeros(o, r)), "nothing ever moves"),
        (lambda r, i, o: (torch.randn(r, i), torch.randn(o, r)), "BA is not zero"),
        (lambda r, i, o: (torch.randn(i, r), torch.zeros(r, o)), "transposed"),
        (lambda r, i, o: (torch.zeros(o, r), torch.randn(r, i)), "each other's place"),
        (lambda r, i, o: (torch.randn(r, o), torch.zeros(i, r)), "A is (rank, in)"),
        (lambda r, i, o: (torch.ones(r, i), torch.zeros(o, r)), "copies of each other"),
        (lambda r, i, o: torch.zeros(o, r), "two tensors"),
    ],
)
def test_start(start, named):
    words = said("02-start", start)
    assert words.startswith("✗") and named in words


def test_the_mirrored_start_is_valid():
    assert "mirror image" in said("02-start", lambda r, i, o: (torch.zeros(r, i), torch.randn(o, r)))


@pytest.mark.parametrize(
    ("merge", "named"),
    [
        (lambda w, A, B, alpha: w + B @ A, "scale is missing"),
        (lambda w, A, B, alpha: w + alpha * B @ A, "divided by the rank"),
        (lambda w, A, B, alpha: alpha / len(A) * B @ A, "update alone"),
        (lambda w, A, B, alpha: alpha / len(A) * (w + B @ A), "scaled along"),
        (lambda w, A, B, alpha: w - alpha / len(A) * B @ A, "sign"),
        (lambda w, A, B, alpha: w + alpha / len(A) * (B @ A).T, "transposed"),
        (lambda w, A, B, alpha: w + alpha / len(A) * A @ B, "shapes do not fit"),
        (lambda w, A, B, alpha: 2 * w, "is not W0"),
    ],
)
def test_merge(merge, named):
    words = said("02-merge", merge)
    assert words.startswith("✗") and named in words


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (204_800, "full fine-tuning"),
        (819_200, "not rank times"),
        (1280, "A alone"),
        (2560, "B alone"),
        (960, "rank 1"),
        (4480, "DoRA"),
        (15_360, "squared"),
        (7, "count the numbers"),
    ],
)
def test_size(answer, named):
    words = said("02-size", answer)
    assert words.startswith("✗") and named in words


def right_gradients(x, g, A, B, s):
    return s * (g @ B).T @ x, s * g.T @ (x @ A.T)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda a, b, s, n: (a / s, b), "scale is missing in ∇A"),
        (lambda a, b, s, n: (a, b / s), "scale is missing in ∇B"),
        (lambda a, b, s, n: (a * s, b), "twice"),
        (lambda a, b, s, n: (a / n, b), "adds up over the tokens"),
        (lambda a, b, s, n: (-a, b), "sign of ∇A"),
        (lambda a, b, s, n: (a.T, b), "transposed"),
        (lambda a, b, s, n: (a, b + 1), "∇B differs"),
        (lambda a, b, s, n: a, "two tensors"),
    ],
)
def test_gradients(change, named):
    words = said("02-gradient", lambda x, g, A, B, s: change(*right_gradients(x, g, A, B, s), s, len(x)))
    assert words.startswith("✗") and named in words


def test_the_formula_is_autograd():
    each = parts(3, 5)
    A, B = each.lora_A.clone().requires_grad_(), each.lora_B.clone().requires_grad_()
    y = each.x @ (each.weight + each.scale * B @ A).T
    g = torch.randn_like(y)
    found = torch.autograd.grad((g * y).sum(), (A, B))
    for one, other in zip(found, right_gradients(each.x, g, each.lora_A, each.lora_B, each.scale)):
        torch.testing.assert_close(one, other)


def test_at_the_start_only_b_has_a_gradient():
    by_A, by_B = first_gradients()
    assert by_A == 0 and by_B > 0


@pytest.mark.parametrize("change", ["lengths", "headings", "both"])
def test_left_over_draws(change):
    assert left_over(change, 30.0, 20.0).layout.meta["alt"]


def test_text():
    assert text_problems("02", EXERCISES) == []


def test_gradients_in_each_others_place():
    words = said("02-gradient", lambda x, g, A, B, s: (s * g.T @ (x @ A.T), s * (g @ B).T @ x))
    assert words.startswith("✗") and "each other's place" in words
