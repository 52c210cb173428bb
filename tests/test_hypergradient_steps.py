"""Lower steps against torch's optimisers, and their Jacobians against autograd and finite differences."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from small_problems import DOUBLE, Parameters, dora_problem, flat, normal, relative_error, slopes

from bidora.errors import LabError
from bidora.hypergradient import AdamWStep, Clipped, GradientStep, Step, hypergradient

SHAPES = {"a": (3, 4), "b": (5, 2), "c": (6,)}


def points(dtype: torch.dtype, seed: int) -> Parameters:
    return {name: normal(*shape, seed=seed + i).to(dtype) for i, (name, shape) in enumerate(SHAPES.items())}


def optimiser_of(direction: Parameters, *, warm: int = 0, **settings: object) -> tuple[torch.optim.AdamW, Parameters]:
    """A real AdamW on copies of the tensors: two groups, `warm` steps behind it, then back at the given values."""
    held = {name: torch.nn.Parameter(tensor.clone()) for name, tensor in direction.items()}
    first, *others = held.values()
    settings = {"lr": 0.03, "eps": 1e-3, "betas": (0.8, 0.95)} | settings
    groups = [{"params": [first], "weight_decay": 0.0, "lr": 0.05}, {"params": others, "weight_decay": 0.3}]
    optimiser = torch.optim.AdamW(groups, **settings)
    for time in range(warm):
        for i, tensor in enumerate(held.values()):
            tensor.grad = 0.3 * normal(*tensor.shape, seed=50 + 10 * time + i).to(tensor.dtype)
        optimiser.step()
    with torch.no_grad():
        for name, tensor in held.items():
            tensor.copy_(direction[name])
            tensor.grad = None
    return optimiser, held


def really_stepped(optimiser: torch.optim.Optimizer, held: Parameters, gradient: Parameters) -> Parameters:
    for name, tensor in held.items():
        tensor.grad = gradient[name].clone()
    optimiser.step()
    return {name: tensor.detach().clone() for name, tensor in held.items()}


@pytest.mark.parametrize("warm", [0, 1, 7])
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_adamw_step_equals_torch_bit_for_bit(warm: int, dtype: torch.dtype) -> None:
    direction, gradient = points(dtype, 1), points(dtype, 20)
    optimiser, held = optimiser_of(direction, warm=warm, foreach=False)
    ours = AdamWStep.from_optimizer(optimiser, held).after(direction, gradient)
    theirs = really_stepped(optimiser, held, gradient)
    assert all(torch.equal(ours[name], theirs[name]) for name in SHAPES)


@pytest.mark.parametrize("variant", ["foreach", "fused"])
def test_adamw_step_equals_torchs_other_kernels(variant: str) -> None:
    direction, gradient = points(DOUBLE, 1), points(DOUBLE, 20)
    optimiser, held = optimiser_of(direction, warm=3, **{variant: True})
    ours = AdamWStep.from_optimizer(optimiser, held).after(direction, gradient)
    torch.testing.assert_close(ours, really_stepped(optimiser, held, gradient), rtol=1e-13, atol=1e-14)


def test_state_is_a_snapshot_and_a_wrapped_optimiser_is_found() -> None:
    direction, gradient = points(DOUBLE, 1), points(DOUBLE, 20)
    optimiser, held = optimiser_of(direction, warm=2)

    class Wrapper:  # as accelerate's AcceleratedOptimizer keeps it
        def __init__(self, inside: torch.optim.Optimizer) -> None:
            self.optimizer = inside

    step = AdamWStep.from_optimizer(Wrapper(optimiser), held)
    before = step.after(direction, gradient)
    really_stepped(optimiser, held, gradient)
    after = step.after(direction, gradient)
    assert step.steps == dict.fromkeys(SHAPES, 2)
    assert all(torch.equal(before[name], after[name]) for name in SHAPES)


def test_a_parameter_without_state_is_fresh_beside_warm_ones() -> None:
    direction, gradient = points(DOUBLE, 1), points(DOUBLE, 20)
    optimiser, held = optimiser_of(direction, warm=3)
    del optimiser.state[held["b"]]
    step = AdamWStep.from_optimizer(optimiser, held)
    assert step.steps == {"a": 3, "b": 0, "c": 3}
    torch.testing.assert_close(
        step.after(direction, gradient), really_stepped(optimiser, held, gradient), rtol=1e-13, atol=0
    )


def test_gradient_step_equals_sgd() -> None:
    direction, gradient = points(torch.float32, 1), points(torch.float32, 20)
    held = {name: torch.nn.Parameter(tensor.clone()) for name, tensor in direction.items()}
    theirs = really_stepped(torch.optim.SGD(held.values(), lr=0.07), held, gradient)
    ours = GradientStep(0.07).after(direction, gradient)
    assert all(torch.equal(ours[name], theirs[name]) for name in SHAPES)


@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clipped_step_equals_torchs_clipping(max_norm: float) -> None:
    direction, gradient = points(torch.float32, 1), points(torch.float32, 20)
    optimiser, held = optimiser_of(direction, warm=3, foreach=False)
    ours = Clipped(AdamWStep.from_optimizer(optimiser, held), max_norm).after(direction, gradient)
    for name, tensor in held.items():
        tensor.grad = gradient[name].clone()
    torch.nn.utils.clip_grad_norm_(held.values(), max_norm)
    optimiser.step()
    assert all(torch.equal(ours[name], held[name]) for name in SHAPES)


STEPS: dict[str, Callable[[Parameters], Step]] = {
    "gradient": lambda V: GradientStep(0.3),
    "adamw fresh": lambda V: AdamWStep.from_optimizer(*optimiser_of(V)),
    "adamw warm": lambda V: AdamWStep.from_optimizer(*optimiser_of(V, warm=4, eps=1e-8)),
    "clipped gradient": lambda V: Clipped(GradientStep(0.3), 0.1),
    "clipped adamw": lambda V: Clipped(AdamWStep.from_optimizer(*optimiser_of(V, warm=4)), 0.1),
    "not clipped": lambda V: Clipped(AdamWStep.from_optimizer(*optimiser_of(V, warm=4)), 100.0),
}


@pytest.mark.parametrize("kind", STEPS)
def test_pullback_is_the_jacobian_of_after(kind: str) -> None:
    """`after` is checked against torch above; autograd through it gives the Jacobian without our formula."""
    direction, vector = points(DOUBLE, 1), points(DOUBLE, 30)
    gradient = {name: tensor.requires_grad_() for name, tensor in points(DOUBLE, 20).items()}
    step = STEPS[kind](direction)
    if isinstance(step, Clipped):
        length = torch.cat([tensor.reshape(-1) for tensor in gradient.values()]).norm()
        factor = min(1.0, step.max_norm / (length + 1e-6))
        moved = step.step.after(direction, {name: factor * tensor for name, tensor in gradient.items()})
    else:
        moved = step.after(direction, gradient)
    expected = torch.autograd.grad(list(moved.values()), list(gradient.values()), list(vector.values()))
    found = step.pullback({name: tensor.detach() for name, tensor in gradient.items()}, vector)
    for name, slope in zip(gradient, expected, strict=True):
        torch.testing.assert_close(found[name], -slope, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("kind", STEPS)
def test_hypergradient_equals_a_finite_difference_of_the_unrolled_step(kind: str) -> None:
    """m ↦ L_val(V − s(∇L_tr(V, m)), m) by central differences, with torch's own optimisers taking the step."""
    problem = dora_problem()

    def stepped(magnitude: Parameters) -> Parameters:
        gradient = slopes(problem.lower, problem.direction, magnitude)
        optimiser, held = {
            "adamw fresh": lambda: optimiser_of(problem.direction),
            "adamw warm": lambda: optimiser_of(problem.direction, warm=4, eps=1e-8),
            "clipped adamw": lambda: optimiser_of(problem.direction, warm=4),
            "not clipped": lambda: optimiser_of(problem.direction, warm=4),
        }.get(kind, lambda: sgd_of(problem.direction))()
        for name, tensor in held.items():
            tensor.grad = gradient[name]
        if "clipped" in kind:
            torch.nn.utils.clip_grad_norm_(held.values(), 100.0 if kind == "not clipped" else 0.1)
        optimiser.step()
        return {name: tensor.detach() for name, tensor in held.items()}

    expected = {}
    for name, tensor in problem.magnitude.items():
        expected[name] = torch.zeros_like(tensor)
        for i in range(len(tensor)):
            ends = []
            for sign in (1, -1):
                moved = {key: value.clone() for key, value in problem.magnitude.items()}
                moved[name][i] += sign * 1e-5
                ends.append(problem.upper(stepped(moved), moved))
            expected[name][i] = (ends[0] - ends[1]) / 2e-5
    found = hypergradient(
        problem.lower, problem.upper, problem.direction, problem.magnitude, step=STEPS[kind](problem.direction)
    )
    assert relative_error(found.total(), expected) < 1e-8
    # the implicit part may be small beside the direct one: hold it against the difference on its own
    implicit = {name: tensor - found.direct[name] for name, tensor in expected.items()}
    assert relative_error(found.implicit, implicit) < 1e-6


def sgd_of(direction: Parameters) -> tuple[torch.optim.SGD, Parameters]:
    held = {name: torch.nn.Parameter(tensor.clone()) for name, tensor in direction.items()}
    return torch.optim.SGD(held.values(), lr=0.3), held


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_adamw_at_b_equal_zero_is_finite_and_right(dtype: torch.dtype) -> None:
    """At B = 0 the gradient of A is exactly zero: a naive formula divides by √ν = 0."""
    problem = dora_problem(b_is_zero=True)
    optimiser, held = optimiser_of(problem.direction, eps=1e-8)
    step = AdamWStep.from_optimizer(optimiser, held)
    gradient = slopes(problem.lower, problem.direction, problem.magnitude)
    assert not gradient["first.lora_A"].any()
    ones = {name: torch.ones_like(tensor, dtype=dtype) for name, tensor in gradient.items()}
    single = AdamWStep(0.1, *({n: torch.zeros_like(t) for n, t in ones.items()} for _ in range(2)), step.steps)
    weighted = single.pullback({name: tensor.to(dtype) for name, tensor in gradient.items()}, ones)
    assert not weighted["first.lora_A"].any()
    assert torch.isfinite(flat(weighted)).all()
    assert weighted["first.lora_B"].all()

    def unrolled(magnitude: Parameters) -> torch.Tensor:
        moved = step.after(problem.direction, slopes(problem.lower, problem.direction, magnitude))
        return problem.upper(moved, magnitude)

    found = hypergradient(problem.lower, problem.upper, problem.direction, problem.magnitude, step=step).total()
    moved = {key: value.clone() for key, value in problem.magnitude.items()}
    moved["second"][1] += 1e-6
    back = {key: value.clone() for key, value in problem.magnitude.items()}
    back["second"][1] -= 1e-6
    assert found["second"][1].item() == pytest.approx(float(unrolled(moved) - unrolled(back)) / 2e-6, rel=1e-6)


def test_derivative_survives_tiny_gradients_in_float32() -> None:
    """√ν·d² underflows there; the two-division form does not. |g| ≪ eps, so ∂s/∂g is η/eps."""
    gradient = {"a": torch.tensor([1e-18, 1e-20, -3e-19])}
    zeros = {"a": torch.zeros(3)}
    found = AdamWStep(0.5, zeros, zeros, {"a": 0}).pullback(gradient, {"a": torch.ones(3)})
    torch.testing.assert_close(found["a"], torch.full((3,), 0.5e8), rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: torch.optim.AdamW(p, amsgrad=True), "amsgrad=True is not supported"),
        (lambda p: torch.optim.AdamW(p, maximize=True), "maximize=True is not supported"),
        (lambda p: torch.optim.Adam(p, weight_decay=0.1), "weight_decay=0.1 adds the decay to the gradient"),
        (lambda p: torch.optim.SGD(p, lr=0.1), "step of SGD has no derivative"),
        (lambda p: torch.optim.RAdam(p), "step of RAdam has no derivative"),
        (
            lambda p: torch.optim.AdamW([{"params": p[:1], "eps": 1e-6}, {"params": p[1:]}]),
            "2 different settings of betas and eps",
        ),
        (lambda p: torch.optim.AdamW(p[:1]), "does not hold 'b'"),
    ],
)
def test_unknown_optimisers_are_refused(make: Callable[..., torch.optim.Optimizer], message: str) -> None:
    held = {"a": torch.nn.Parameter(torch.ones(2)), "b": torch.nn.Parameter(torch.ones(3))}
    with pytest.raises(LabError, match=message):
        AdamWStep.from_optimizer(make(list(held.values())), held)


def test_settings_outside_their_range_are_refused() -> None:
    with pytest.raises(LabError, match="max_norm=0 is not above 0"):
        Clipped(GradientStep(1.0), 0.0)
    for scale in (-0.1, float("nan"), float("inf")):
        with pytest.raises(LabError, match="finite number of at least 0"):
            GradientStep(scale)
