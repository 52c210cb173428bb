"""The unrolled hypergradient: closed forms, agreement of the products, dropout masks, purity, workers."""

from __future__ import annotations

import doctest
import importlib
import math
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_problems import (
    DOUBLE,
    Parameters,
    Problem,
    batch,
    cosine,
    dora_loss,
    dora_problem,
    flat,
    normal,
    relative_error,
)
from torch import Tensor

from bidora.errors import LabError
from bidora.hypergradient import (
    AdamWStep,
    Clipped,
    GradientStep,
    Loss,
    LowerGradient,
    Mixed,
    RandomState,
    hypergradient,
    lower_gradient,
    mixed_product,
)

PRODUCTS: tuple[Mixed, ...] = ("exact", "central", "one-sided")


def quadratic() -> tuple[Problem, dict[str, Tensor]]:
    """L_tr = ½VᵀHV − VᵀMm,  L_val = ½‖V − t‖² + ½mᵀQm, with V of 4 and m of 3 entries."""
    root = normal(4, 4, seed=1)
    known = {
        "H": root @ root.T + torch.eye(4, dtype=DOUBLE),
        "M": normal(4, 3, seed=2),
        "t": normal(4, seed=3),
        "Q": torch.diag(normal(3, seed=4)),
    }

    def lower(direction: Parameters, magnitude: Parameters) -> Tensor:
        V, m = direction["V"], magnitude["m"]
        return 0.5 * V @ known["H"] @ V - V @ known["M"] @ m

    def upper(direction: Parameters, magnitude: Parameters) -> Tensor:
        V, m = direction["V"], magnitude["m"]
        return 0.5 * ((V - known["t"]) ** 2).sum() + 0.5 * m @ known["Q"] @ m

    return Problem(lower, upper, {"V": normal(4, seed=5)}, {"m": normal(3, seed=6)}), known


@pytest.mark.parametrize("mixed", PRODUCTS)
@pytest.mark.parametrize("scale", [0.0, 1e-3, 0.7])
def test_one_step_unroll_of_a_quadratic_has_its_closed_form(mixed: Mixed, scale: float) -> None:
    """∇²_{m,V} L_tr = −Mᵀ and v = V' − t, so h = Qm + ξMᵀ(V' − t); differences are exact on a quadratic."""
    problem, known = quadratic()
    V, m = problem.direction["V"], problem.magnitude["m"]
    moved = V - scale * (known["H"] @ V - known["M"] @ m)
    found = hypergradient(problem.lower, problem.upper, problem.direction, problem.magnitude, step=scale, mixed=mixed)
    torch.testing.assert_close(found.direct["m"], known["Q"] @ m, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.implicit["m"], scale * known["M"].T @ (moved - known["t"]), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(found.upper_loss, problem.upper({"V": moved}, {"m": m}))
    torch.testing.assert_close(found.total()["m"], found.direct["m"] + found.implicit["m"])


@given(scale=st.floats(1e-6, 10.0), factor=st.floats(-5.0, 5.0))
@settings(max_examples=25, deadline=None)
def test_implicit_part_is_linear_in_the_step_and_in_the_vector(scale: float, factor: float) -> None:
    """With an upper loss that is linear in V, v does not depend on the step."""
    problem = dora_problem()
    slope = {name: normal(*tensor.shape, seed=i) for i, (name, tensor) in enumerate(problem.direction.items())}

    def upper(direction: Parameters, magnitude: Parameters) -> Tensor:
        return factor * torch.stack([(direction[name] * slope[name]).sum() for name in direction]).sum()

    found = hypergradient(problem.lower, upper, problem.direction, problem.magnitude, step=scale)
    unit = mixed_product(problem.lower, problem.direction, problem.magnitude, slope)
    assert not flat(found.direct).any()
    torch.testing.assert_close(flat(found.implicit), -scale * factor * flat(unit), rtol=1e-10, atol=1e-13)


def test_differences_approach_the_exact_product_with_their_orders() -> None:
    """Halving ε halves the error of the one-sided difference and quarters that of the central one."""
    problem = dora_problem()
    lower = lower_gradient(problem.lower, problem.direction, problem.magnitude)
    vector = {name: normal(*tensor.shape, seed=40 + i) for i, (name, tensor) in enumerate(problem.direction.items())}

    def error(mixed: Mixed, epsilon: float) -> float:
        found = mixed_product(
            problem.lower, problem.direction, problem.magnitude, vector, mixed=mixed, epsilon=epsilon, lower=lower
        )
        return relative_error(found, exact)

    exact = mixed_product(problem.lower, problem.direction, problem.magnitude, vector)
    for mixed, ratio in (("one-sided", 2.0), ("central", 4.0)):
        coarse, fine = error(mixed, 0.02), error(mixed, 0.01)
        assert coarse / fine == pytest.approx(ratio, rel=0.05)
    assert error("one-sided", 0.01) < 0.02
    assert error("central", 0.01) < 1e-4


@pytest.mark.parametrize("mixed", PRODUCTS)
@pytest.mark.parametrize("with_lower", [True, False])
def test_products_agree_in_float32(mixed: Mixed, with_lower: bool) -> None:
    """ε = 0.01 leaves enough of float32's digits: cosine at least 0.999 to the float64 answer."""
    problem = dora_problem()
    vector = {name: normal(*tensor.shape, seed=40 + i) for i, (name, tensor) in enumerate(problem.direction.items())}
    exact = mixed_product(problem.lower, problem.direction, problem.magnitude, vector)
    direction, magnitude, along = (
        {name: tensor.float() for name, tensor in group.items()}
        for group in (problem.direction, problem.magnitude, vector)
    )
    inputs, targets = batch(16, seed=9)
    loss = dora_loss(inputs.float(), targets)
    lower = lower_gradient(loss, direction, magnitude) if with_lower else None
    found = mixed_product(loss, direction, magnitude, along, mixed=mixed, lower=lower)
    assert flat(found).dtype == torch.float32
    assert cosine({name: tensor.double() for name, tensor in found.items()}, exact) > 0.999


DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mixed", ["exact", "central", "one-sided"])
@pytest.mark.parametrize("given", ["nothing", "gradient", "graph"])
def test_all_passes_see_the_dropout_masks_of_the_lower_pass(device: str, mixed: Mixed, given: str) -> None:
    problem = dora_problem(dropout=0.3, device=device)
    at = (problem.direction, problem.magnitude)
    torch.manual_seed(3)
    reference = hypergradient(problem.lower, problem.upper, *at, step=0.5, mixed="exact")
    torch.manual_seed(3)
    lower = None
    if given != "nothing":
        lower = lower_gradient(problem.lower, *at, create_graph=given == "graph")
        torch.rand(100, device=device)  # the trainer may draw numbers in between
    found = hypergradient(problem.lower, problem.upper, *at, step=0.5, mixed=mixed, lower=lower, epsilon=1e-4)
    assert relative_error(found.implicit, reference.implicit) < 1e-3
    assert cosine(found.implicit, reference.implicit) > 0.999999


def test_other_masks_would_ruin_the_difference() -> None:
    """The defect of public code: fresh masks in each pass, and the difference measures the noise of dropout."""
    problem = dora_problem(dropout=0.3)
    torch.manual_seed(3)
    lower = lower_gradient(problem.lower, problem.direction, problem.magnitude)
    exact = mixed_product(problem.lower, problem.direction, problem.magnitude, lower.direction, lower=lower)
    fresh = lower._replace(random_state=RandomState.record())  # as if the state had not been kept
    product = mixed_product(
        problem.lower, problem.direction, problem.magnitude, lower.direction, mixed="one-sided", lower=fresh
    )
    assert cosine(product, exact) < 0.9
    assert flat(product).norm() > 3 * flat(exact).norm()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mixed", PRODUCTS)
def test_random_numbers_go_on_as_if_the_mixed_product_had_not_been(device: str, mixed: Mixed) -> None:
    problem = dora_problem(dropout=0.3, device=device)
    noisy_upper = dora_loss(*(tensor.to(device) for tensor in batch(12, seed=10)), dropout=0.3)
    at = (problem.direction, problem.magnitude)

    torch.manual_seed(5)
    problem.lower(*at)
    noisy_upper(*at)
    expected = torch.rand(3, device=device), torch.rand(3)

    torch.manual_seed(5)
    hypergradient(problem.lower, noisy_upper, *at, step=0.5, mixed=mixed)
    assert torch.equal(torch.rand(3, device=device), expected[0])
    assert torch.equal(torch.rand(3), expected[1])

    torch.manual_seed(5)
    hypergradient(problem.lower, noisy_upper, *at, step=0.5, lower=lower_gradient(problem.lower, *at), mixed=mixed)
    assert torch.equal(torch.rand(3, device=device), expected[0])


def test_random_state_is_put_back_after_an_error() -> None:
    def broken(direction: Parameters, magnitude: Parameters) -> Tensor:
        torch.rand(7)
        raise MemoryError

    torch.manual_seed(5)
    before = torch.get_rng_state()
    with pytest.raises(MemoryError):
        mixed_product(broken, {"V": torch.ones(2)}, {"m": torch.ones(2)}, {"V": torch.ones(2)}, mixed="central")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("mixed", PRODUCTS)
def test_inputs_are_untouched(mixed: Mixed) -> None:
    """V and m bit for bit, also as nn.Parameters that ask for gradients, and the given lower pass too."""
    problem = dora_problem(dropout=0.1)
    direction, magnitude = (
        {name: torch.nn.Parameter(tensor.float()) for name, tensor in group.items()}
        for group in (problem.direction, problem.magnitude)
    )
    inputs, targets = batch(16, seed=9)
    loss = dora_loss(inputs.float(), targets, dropout=0.1)
    lower = lower_gradient(loss, direction, magnitude, create_graph=mixed == "exact")
    groups = (direction, magnitude, lower.direction, lower.magnitude)
    before = [{name: tensor.detach().clone() for name, tensor in group.items()} for group in groups]
    zeros = [{name: torch.zeros_like(tensor) for name, tensor in before[0].items()} for _ in range(2)]
    step = Clipped(AdamWStep(0.1, *zeros, dict.fromkeys(direction, 3)), 0.1)
    first = hypergradient(loss, loss, direction, magnitude, step=step, mixed=mixed, lower=lower, reduce=doubled)
    for group, kept in zip(groups, before, strict=True):
        assert all(torch.equal(group[name], kept[name]) for name in kept)
    assert all(tensor.grad is None and tensor.requires_grad for tensor in (direction | magnitude).values())
    assert not any(tensor.requires_grad for tensor in (first.direct | first.implicit).values())
    assert not first.upper_loss.requires_grad
    assert first.lower is not None
    assert first.lower.graph is None


def doubled(parameters: Parameters) -> Parameters:
    """Stands for an all-reduce that works in place: whatever it is given is overwritten."""
    for tensor in parameters.values():
        tensor.mul_(2)
    return parameters


def test_the_same_call_twice_gives_the_same_bits_and_reuses_a_graph() -> None:
    problem = dora_problem(dropout=0.2)
    torch.manual_seed(0)
    lower = lower_gradient(problem.lower, problem.direction, problem.magnitude, create_graph=True)
    calls = [
        hypergradient(problem.lower, problem.upper, problem.direction, problem.magnitude, step=0.5, lower=lower)
        for _ in range(2)
    ]
    assert torch.equal(flat(calls[0].implicit), flat(calls[1].implicit))


def counted(loss: Loss) -> tuple[Loss, list[tuple[bool, bool]]]:
    """The loss, and a list of (does V ask for a gradient, does m) for each of its calls."""
    calls: list[tuple[bool, bool]] = []

    def counting(direction: Parameters, magnitude: Parameters) -> Tensor:
        calls.append(
            tuple(any(tensor.requires_grad for tensor in group.values()) for group in (direction, magnitude))  # type: ignore[arg-type]
        )
        return loss(direction, magnitude)

    return counting, calls


@pytest.mark.parametrize(
    ("mixed", "given", "passes"),
    [
        ("exact", "nothing", [(True, True)]),
        ("exact", "graph", []),
        ("exact", "gradient", [(True, True)]),
        ("central", "nothing", [(True, False), (False, True), (False, True)]),
        ("central", "gradient", [(False, True), (False, True)]),
        ("one-sided", "nothing", [(True, True), (False, True)]),
        ("one-sided", "gradient", [(False, True)]),
    ],
)
def test_no_pass_too_many(mixed: Mixed, given: str, passes: list[tuple[bool, bool]]) -> None:
    """Perturbed passes ask for the gradient of m only; what a given lower pass holds is not computed again."""
    problem = dora_problem()
    at = (problem.direction, problem.magnitude)
    lower = None if given == "nothing" else lower_gradient(problem.lower, *at, create_graph=given == "graph")
    lower_loss, lower_calls = counted(problem.lower)
    upper_loss, upper_calls = counted(problem.upper)
    hypergradient(lower_loss, upper_loss, *at, step=0.5, mixed=mixed, lower=lower)
    assert lower_calls == passes
    assert upper_calls == [(True, True)]


def test_first_order_makes_one_pass_and_no_lower_one() -> None:
    problem = dora_problem()
    lower_loss, lower_calls = counted(problem.lower)
    upper_loss, upper_calls = counted(problem.upper)
    found = hypergradient(lower_loss, upper_loss, problem.direction, problem.magnitude, step=0)
    assert (lower_calls, upper_calls) == ([], [(False, True)])
    assert not flat(found.implicit).any()
    assert found.lower_loss is None
    assert math.isnan(found.norms().cosine)
    assert found.norms().ratio == 0
    full = hypergradient(problem.lower, problem.upper, problem.direction, problem.magnitude, step=1e-12)
    torch.testing.assert_close(found.direct, full.direct, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mixed", PRODUCTS)
@pytest.mark.parametrize("step", ["gradient", "clipped adamw"])
@pytest.mark.parametrize(("given", "in_place"), [(True, True), (True, False), (False, True), (False, False)])
def test_two_workers_with_half_a_batch_each_equal_one_with_all(
    mixed: Mixed, step: str, given: bool, in_place: bool
) -> None:
    problem = dora_problem()
    at = (problem.direction, problem.magnitude)
    (inputs, targets), (upper_inputs, upper_targets) = batch(16, seed=9), batch(12, seed=10)
    zeros = {name: torch.zeros_like(tensor) for name, tensor in problem.direction.items()}
    adamw = AdamWStep(0.1, zeros, zeros, dict.fromkeys(zeros, 0), eps=1e-3)
    chosen = GradientStep(0.5) if step == "gradient" else Clipped(adamw, 0.1)
    expected = hypergradient(problem.lower, problem.upper, *at, step=chosen, mixed=mixed)

    barrier = threading.Barrier(2, timeout=60)
    board: list[Parameters] = [{}, {}]
    seen: list[list[frozenset[str]]] = [[], []]
    answers: dict[int, object] = {}

    def work(rank: int) -> None:
        def reduce(parameters: Parameters) -> Parameters:
            seen[rank].append(frozenset(parameters))
            board[rank] = {name: tensor.clone() for name, tensor in parameters.items()}
            barrier.wait()
            averages = {name: (board[0][name] + board[1][name]) / 2 for name in parameters}
            barrier.wait()
            if not in_place:
                return averages
            for name, tensor in parameters.items():
                tensor.copy_(averages[name])
            return parameters

        lower_loss = dora_loss(inputs[rank::2], targets[rank::2])
        upper_loss = dora_loss(upper_inputs[rank::2], upper_targets[rank::2])
        lower = lower_gradient(lower_loss, *at, create_graph=mixed == "exact", reduce=reduce) if given else None
        answers[rank] = hypergradient(lower_loss, upper_loss, *at, step=chosen, mixed=mixed, lower=lower, reduce=reduce)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tolerance = dict(rtol=1e-9, atol=1e-12) if mixed == "exact" else dict(rtol=1e-6, atol=1e-9)
    for rank in range(2):
        torch.testing.assert_close(answers[rank].direct, expected.direct, rtol=1e-10, atol=1e-13)
        torch.testing.assert_close(answers[rank].implicit, expected.implicit, **tolerance)
        torch.testing.assert_close(answers[rank].upper_loss, expected.upper_loss)
    directions = {f"vector.{name}" for name in problem.direction}
    directs = {f"direct.{name}" for name in problem.magnitude}
    assert seen[0] == seen[1]
    assert seen[0] == [
        frozenset(problem.direction),
        frozenset(directions | directs | {"upper_loss"}),
        frozenset(problem.magnitude),
    ]


def test_an_average_in_place_leaves_the_own_graph_alone() -> None:
    problem = dora_problem()
    lower = lower_gradient(problem.lower, problem.direction, problem.magnitude, create_graph=True, reduce=doubled)
    assert lower.graph is not None
    assert torch.equal(flat(lower.direction), 2 * flat(lower.graph.direction).detach())


def test_a_step_of_ones_own_works_outside_of_any_graph() -> None:
    problem = dora_problem()
    direction = {name: torch.nn.Parameter(tensor) for name, tensor in problem.direction.items()}

    class SignStep:
        """V' = V − 0.1 sign(g), whose Jacobian is zero."""

        def after(self, direction: Parameters, gradient: Parameters) -> Parameters:
            assert not any(tensor.requires_grad for tensor in (*direction.values(), *gradient.values()))
            return {name: tensor - 0.1 * gradient[name].sign() for name, tensor in direction.items()}

        def pullback(self, gradient: Parameters, vector: Parameters) -> Parameters:
            assert not any(tensor.requires_grad for tensor in (*vector.values(), *gradient.values()))
            return {name: torch.zeros_like(tensor) for name, tensor in vector.items()}

    found = hypergradient(problem.lower, problem.upper, direction, problem.magnitude, step=SignStep())
    assert flat(found.direct).all()
    assert not flat(found.implicit).any()


def test_first_order_needs_one_average() -> None:
    problem = dora_problem()
    calls: list[set[str]] = []

    def reduce(parameters: Parameters) -> Parameters:
        calls.append(set(parameters))
        return doubled(parameters)

    at = (problem.direction, problem.magnitude)
    alone = hypergradient(problem.lower, problem.upper, *at, step=0)
    found = hypergradient(problem.lower, problem.upper, *at, step=0, reduce=reduce)
    assert calls == [{"direct.first", "direct.second", "upper_loss"}]
    assert torch.equal(flat(found.direct), 2 * flat(alone.direct))


@pytest.mark.parametrize("mixed", PRODUCTS)
def test_unused_tensors_have_zero_gradients(mixed: Mixed) -> None:
    """A tensor that neither loss uses, one that only the lower loss uses, a lower loss without m, constant losses."""

    def lower(direction: Parameters, magnitude: Parameters) -> Tensor:
        return (direction["V"] * magnitude["m"]).sum() ** 2 + (direction["only lower"] ** 3).sum()

    def upper(direction: Parameters, magnitude: Parameters) -> Tensor:
        return (direction["V"] ** 2).sum()

    names = ("V", "only lower", "nowhere")
    direction = {name: normal(3, seed=i) for i, name in enumerate(names)}
    magnitude = {"m": normal(3, seed=8), "nowhere either": normal(2, seed=9)}
    found = hypergradient(lower, upper, direction, magnitude, step=0.1, mixed=mixed)
    assert found.implicit["m"].all()
    assert not found.implicit["nowhere either"].any()
    assert not flat(found.direct).any()
    assert found.lower is not None
    assert not found.lower.direction["nowhere"].any()

    def without_magnitude(direction: Parameters, magnitude: Parameters) -> Tensor:
        return (direction["V"] ** 2).sum()

    def constant(direction: Parameters, magnitude: Parameters) -> Tensor:
        return torch.tensor(1.0, dtype=DOUBLE)

    assert not flat(hypergradient(without_magnitude, upper, direction, magnitude, step=0.1, mixed=mixed).total()).any()
    assert not flat(hypergradient(constant, constant, direction, magnitude, step=0.1, mixed=mixed).total()).any()


@pytest.mark.parametrize("mixed", PRODUCTS)
def test_zero_vector_gives_zero_and_bad_numbers_pass_through(mixed: Mixed) -> None:
    problem = dora_problem()
    at = (problem.direction, problem.magnitude)
    zero = {name: torch.zeros_like(tensor) for name, tensor in problem.direction.items()}
    product = mixed_product(problem.lower, *at, zero, mixed=mixed)
    assert torch.equal(flat(product), torch.zeros(10, dtype=DOUBLE))

    def broken(direction: Parameters, magnitude: Parameters) -> Tensor:
        return problem.upper(direction, magnitude) * float("nan")

    found = hypergradient(problem.lower, broken, *at, step=0.1, mixed=mixed)
    assert torch.isnan(flat(found.implicit)).all()
    assert torch.isnan(flat(found.direct)).all()
    assert math.isnan(found.norms().direct)


def test_norms_are_those_of_the_parts() -> None:
    problem = dora_problem()
    found = hypergradient(problem.lower, problem.upper, problem.direction, problem.magnitude, step=1.0)
    norms = found.norms()
    assert norms.direct == pytest.approx(float(flat(found.direct).norm()))
    assert norms.implicit == pytest.approx(float(flat(found.implicit).norm()))
    assert norms.cosine == pytest.approx(cosine(found.direct, found.implicit))
    assert norms.ratio == pytest.approx(norms.implicit / norms.direct)
    assert found.lower_loss is not None
    torch.testing.assert_close(found.lower_loss, problem.lower(problem.direction, problem.magnitude))


def test_lower_gradient_without_the_magnitude() -> None:
    problem = dora_problem()
    at = (problem.direction, problem.magnitude)
    with_it, without = lower_gradient(problem.lower, *at), lower_gradient(problem.lower, *at, with_magnitude=False)
    assert without.magnitude == {}
    assert torch.equal(flat(with_it.direction), flat(without.direction))
    with pytest.raises(LabError, match="lacks; make the lower pass with with_magnitude=True"):
        hypergradient(problem.lower, problem.upper, *at, step=0.1, mixed="one-sided", lower=without)
    central = hypergradient(problem.lower, problem.upper, *at, step=0.1, mixed="central", lower=without)
    assert flat(central.implicit).all()


class OnceDifferentiable(torch.autograd.Function):
    @staticmethod
    def forward(context: object, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: object, gradient: Tensor) -> Tensor:
        return gradient.clone()


def test_a_missing_second_derivative_comes_with_advice() -> None:
    """torch itself would leave out a term without a word: it does not walk through the cut on the way to m."""

    def lower(direction: Parameters, magnitude: Parameters) -> Tensor:
        return (OnceDifferentiable.apply(direction["V"] * magnitude["m"]) ** 2).sum()

    V, m = {"V": normal(3, seed=1)}, {"m": normal(3, seed=2)}
    with pytest.raises(LabError, match=r'no second derivative .* use mixed="one-sided"'):
        hypergradient(lower, lower, V, m, step=0.1)
    found = hypergradient(lower, lower, V, m, step=0.1, mixed="central")
    expected = hypergradient(lambda V, m: ((V["V"] * m["m"]) ** 2).sum(), lower, V, m, step=0.1)
    assert relative_error(found.implicit, expected.implicit) < 1e-3


def test_fused_attention_on_the_cpu_comes_with_advice() -> None:
    def lower(direction: Parameters, magnitude: Parameters) -> Tensor:
        heads = direction["V"] * magnitude["m"]
        return torch.nn.functional.scaled_dot_product_attention(heads, heads, heads).square().sum()

    V, m = {"V": normal(2, 3, 8, 4, seed=1)}, {"m": normal(4, seed=2)}
    with pytest.raises(LabError, match=r'flash_attention.* load the model with attn_implementation="eager"'):
        hypergradient(lower, lower, V, m, step=0.1)


def wrong_lower(problem: Problem) -> LowerGradient:
    lower = lower_gradient(problem.lower, problem.direction, problem.magnitude)
    return lower._replace(direction={"first.lora_A": lower.direction["first.lora_A"]})


def test_wrong_settings_say_what_is_allowed() -> None:
    problem = dora_problem()
    at = (problem.lower, problem.upper, problem.direction, problem.magnitude)
    with pytest.raises(LabError, match="'onesided' is not one of exact, central, one-sided; did you mean 'one-sided'"):
        hypergradient(*at, step=0.1, mixed="onesided")  # type: ignore[arg-type]
    with pytest.raises(LabError, match="epsilon=0 is outside 0 < epsilon < inf"):
        hypergradient(*at, step=0.1, mixed="central", epsilon=0.0)
    with pytest.raises(LabError, match="step=-1 is not a finite number"):
        hypergradient(*at, step=-1)
    with pytest.raises(LabError, match="step='lr' is neither a number nor a step"):
        hypergradient(*at, step="lr")  # type: ignore[arg-type]
    with pytest.raises(LabError, match=r"lower.direction has no entry for 'first.lora_B'; it has 1 entries"):
        hypergradient(*at, step=0.1, lower=wrong_lower(problem))
    with pytest.raises(LabError, match=r"the loss has shape \(16,\), not \(\)"):
        hypergradient(lambda V, m: torch.ones(16), *at[1:], step=0.1)
    with pytest.raises(LabError, match="no magnitude to differentiate by"):
        hypergradient(*at[:3], {}, step=0.1)


@pytest.mark.parametrize("module", ["unroll", "steps"])
def test_examples_in_docstrings(module: str) -> None:
    tried = doctest.testmod(importlib.import_module(f"bidora.hypergradient.{module}"))
    assert tried.attempted > 0
    assert tried.failed == 0
