import pytest
import torch
import torch.nn.functional as F
from exercise_answers import said, solved, text_problems
from torch import nn

from bidora.exercises.against_peft import peft_layer, peft_tensors
from bidora.exercises.nb03 import EXERCISES, gradients_of, parts, pulls, radial_share


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda each: each.key)
def test_the_solution_passes(exercise):
    assert solved(exercise).startswith("✓")


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda each: each.key)
def test_no_answer_yet_is_friendly(exercise):
    assert said(exercise.key, ...).startswith("○")
    if exercise.key != "03-layer":
        assert said(exercise.key, lambda *given: ...).startswith("○")


@pytest.mark.parametrize(
    ("start", "named"),
    [
        (lambda w: nn.Parameter(torch.ones(len(w)).double()), "all lengths are 1"),
        (lambda w: nn.Parameter(torch.zeros(len(w)).double()), "all lengths are 0"),
        (lambda w: nn.Parameter(w.norm(dim=0)), "wrong axis"),
        (lambda w: nn.Parameter(w.norm()), "whole matrix"),
        (lambda w: nn.Parameter(w.square().sum(1)), "square root"),
        (lambda w: w.norm(dim=1), "never be trained"),
        (lambda w: nn.Parameter(w.norm(dim=1), requires_grad=False), "never be trained"),
        (lambda w: nn.Parameter(w.norm(dim=1) + 1), "lengths of the rows"),
    ],
)
def test_start(start, named):
    words = said("03-start", start)
    assert words.startswith("✗") and named in words


def rows(tensor):
    return tensor.norm(dim=1, keepdim=True)


@pytest.mark.parametrize(
    ("merging", "named"),
    [
        (lambda w, A, B, m, s: m[:, None] * (w + B @ A) / rows(w + B @ A), "scale is missing"),
        (lambda w, A, B, m, s: m[:, None] * (w + s * B @ A) / rows(w), "divided by ‖W0‖"),
        (lambda w, A, B, m, s: m[:, None] * (w + s * B @ A), "not normalised"),
        (lambda w, A, B, m, s: (w + s * B @ A) / rows(w + s * B @ A), "m is missing"),
        (lambda w, A, B, m, s: w + s * B @ A, "this is LoRA"),
        (lambda w, A, B, m, s: m[:, None] * w / rows(w) + s * B @ A, "after the normalisation"),
        (lambda w, A, B, m, s: m[:, None] * (w + s * B @ A) / (w + s * B @ A).norm(dim=0), "wrong axis of the norm"),
        (lambda w, A, B, m, s: m[:, None] * (w + s * B @ A) / (w + s * B @ A).norm(), "one norm for the whole"),
        (lambda w, A, B, m, s: m * (w + s * B @ A) / rows(w + s * B @ A), "wrong axis of m"),
        (lambda w, A, B, m, s: m * (w + s * B @ A) / (w + s * B @ A).norm(dim=0), "one magnitude per column"),
        (lambda w, A, B, m, s: m * (w + s * B @ A) / (w + s * B @ A).norm(dim=1), "wrong axis"),
        (lambda w, A, B, m, s: torch.zeros(7) + w, "shapes do not fit"),
        (lambda w, A, B, m, s: 2 * w, "is not m ⊙ V"),
    ],
)
def test_weight(merging, named):
    words = said("03-weight", merging)
    assert words.startswith("✗") and named in words


def merged(w, A, B, m, s, *, norm=lambda t: t.detach(), direction=lambda t: t, magnitude=lambda t: t):
    V = direction(w + s * B @ A)
    return magnitude(m)[:, None] * V / norm(rows(V))


def constant(tensor):
    return tensor.detach()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (dict(norm=lambda t: t), "forgot detach"),
        (dict(direction=constant), "A and B would never be trained"),
        (dict(magnitude=constant), "m would never be trained"),
        (dict(direction=constant, magnitude=constant), "nothing has a gradient"),
        (dict(norm=lambda t: 2 * t), "value has changed"),
        (dict(norm=lambda t: t.detach() ** 2 / t), "neither"),
    ],
)
def test_detach(changes, named):
    words = said("03-detach", lambda *given: merged(*given, **changes))
    assert words.startswith("✗") and named in words


class Layer(nn.Module):
    """A right layer, with switches for what can be wrong."""

    def __init__(self, base, rank, alpha, *, wrong=""):
        super().__init__()
        self.base = base.requires_grad_(wrong == "base trained")
        self.scale, self.wrong = {"scale": 1.0, "alpha": alpha}.get(wrong, alpha / rank), wrong
        self.lora_A = nn.Parameter(torch.randn(rank, base.in_features))
        zero = torch.ones if wrong == "B drawn" else torch.zeros
        shape = (rank, base.out_features) if wrong == "B turned" else (base.out_features, rank)
        self.lora_B = nn.Parameter(zero(*shape))
        norm = base.weight.detach().norm(dim=1)
        self.magnitude = norm.clone() if wrong == "m no parameter" else nn.Parameter(norm.clone())
        if wrong == "m of ones":
            self.magnitude = nn.Parameter(torch.ones_like(norm))
        self.first_norm = norm.unsqueeze(1)

    def forward(self, x):
        wrong = self.wrong
        if wrong == "B turned":
            return self.base(x)
        V = self.base.weight + self.scale * self.lora_B @ self.lora_A
        if wrong == "lora":
            return F.linear(x, V, self.base.bias)
        norm = self.first_norm if wrong == "norm once" else V.norm(dim=0 if wrong == "columns" else 1, keepdim=True)
        norm = norm if wrong == "attached" else norm.detach()
        y = F.linear(x, self.magnitude[:, None] * V / norm)
        bias = {"no bias": 0, "bias twice": 2}.get(wrong, 1) * self.base.bias
        if wrong == "no bias":  # as at step 0, so that only the comparison can tell
            bias = self.base.bias if not self.lora_B.any() else 0
        if wrong == "bias twice" and not self.lora_B.any():
            bias = self.base.bias
        return y + bias + (0.01 * self.lora_B.abs().sum() if wrong == "other" else 0)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("base trained", "stays frozen"),
        ("m no parameter", "magnitude would never be trained"),
        ("B drawn", "B must begin at zero"),
        ("m of ones", "m must begin at the row norms"),
        ("columns", "the forward is at fault"),
        ("alpha", "scaled by α"),
        ("B turned", "self.lora_B should have shape"),
        ("scale", "scale α/r is missing"),
        ("lora", "this is LoRA"),
        ("norm once", "computed once"),
        ("attached", "forgot detach"),
        ("no bias", "bias is missing"),
        ("bias twice", "stands twice"),
        ("other", "differ from PEFT's"),
    ],
)
def test_layer(wrong, named):
    words = said("03-layer", lambda base, rank, alpha: Layer(base, rank, alpha, wrong=wrong))
    assert words.startswith("✗") and named in words


def test_an_unfinished_layer_is_friendly():
    class Unfinished(nn.Module):
        def __init__(self, base, rank, alpha):
            super().__init__()

        def forward(self, x):
            return ...

    assert said("03-layer", Unfinished).startswith("○")


@pytest.mark.parametrize(
    ("forward", "named"),
    [
        (lambda x, d, base, c, low: base(x) + (c - 1) * base(x) + low(x), "nothing was dropped"),
        (lambda x, d, base, c, low: c * base(d) + low(d), "too much was dropped"),
        (lambda x, d, base, c, low: c * base(x) + low(d), "only the low-rank part"),
        (lambda x, d, base, c, low: base(x) + (c - 1) * base(d) + low(d) / c, "scaled by c"),
        (lambda x, d, base, c, low: base(x) + c * base(d) + low(d), "stands twice"),
        (lambda x, d, base, c, low: base(x), "not PEFT's formula"),
    ],
)
def test_dropout(forward, named):
    def answer(x, dropped, weight, bias, A, B, m, s):
        c = m / (weight + s * B @ A).norm(dim=1)
        return forward(x, dropped, lambda each: each @ weight.T, c, lambda each: c * s * (each @ A.T @ B.T)) + bias

    words = said("03-dropout", answer)
    assert words.startswith("✗") and named in words


def test_dropout_scale_and_bias():
    def answer(x, dropped, weight, bias, A, B, m, s, *, scale=1.0, with_bias=1.0):
        c = m / (weight + s * B @ A).norm(dim=1)
        added = (c - 1) * (dropped @ weight.T) + c * s * scale * (dropped @ A.T @ B.T)
        return x @ weight.T + with_bias * bias + added

    assert "scale is missing" in said("03-dropout", lambda *given: answer(*given, scale=1 / given[-1]))
    assert "bias is missing" in said("03-dropout", lambda *given: answer(*given, with_bias=0.0))


def test_the_formula_with_dropout_is_that_of_peft():
    """A mask that PEFT draws is given to the solution's formula."""
    base = nn.Linear(7, 5)
    layer = peft_layer(base, rank=2, alpha=4, dropout=0.5).train()
    seen = []
    layer.lora_dropout["default"].register_forward_hook(lambda module, given, result: seen.append(result.detach()))
    x = torch.randn(4, 7)
    y = layer(x)
    A, B, m = peft_tensors(layer)
    names = {"torch": torch, "check": lambda *given: None}
    exec(EXERCISES[-1].solution, names)
    mine = names["dora_with_dropout"](x, seen[0], base.weight, base.bias, A, B, m, 2.0)
    torch.testing.assert_close(mine, y, atol=1e-5, rtol=1e-5)


def test_an_attached_norm_leaves_nothing_along_v():
    each = parts(4, 6)
    for norm, share in ((lambda t: t, 0.0), (lambda t: t.detach(), None)):
        V = (each.weight + each.scale * each.lora_B @ each.lora_A).requires_grad_()
        loss = (each.x @ (V / norm(rows(V))).T).square().mean()
        (step,) = torch.autograd.grad(loss, V)
        found = radial_share(step, V.detach())
        assert found < 1e-12 if share == 0.0 else 0.01 < found <= 1


def test_gradients_of_says_none_where_nothing_arrives():
    each = parts(3, 5)
    m = each.weight.norm(dim=1)
    assert gradients_of(lambda *given: each.weight, each, m) == (None, None, None)


@pytest.mark.parametrize(("angle", "sense"), [(40.0, "shorter"), (90.0, "neither"), (150.0, "longer")])
def test_pulls_draws_what_each_norm_does(angle, sense):
    figure = pulls(angle)
    assert sense in figure.layout.meta["alt"]
    assert {"step, norm attached", "step, norm detached"} <= {trace.name for trace in figure.data}


def test_along_v_nothing_is_left_for_an_attached_norm():
    assert "step, norm attached" not in {trace.name for trace in pulls(0.0).data}


def test_text():
    assert text_problems("03", EXERCISES) == []
