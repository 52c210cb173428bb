"""Our mixed product beside Betty's `darts` (betty-ml 0.1.1), on the same problem, batch and vector."""

from __future__ import annotations

import warnings

import pytest
import torch
from small_problems import Parameters, batch, dora_loss, dora_problem, flat, relative_error, slopes

from bidora.hypergradient import mixed_product

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    betty = pytest.importorskip("betty", reason="betty-ml 0.1.1, the second library to compare with, is not installed")
    from betty.configs import Config
    from betty.hypergradient import darts, get_grads
    from betty.problems import ImplicitProblem


class Held(torch.nn.Module):
    """Named tensors as a module, whose parameters Betty perturbs in place."""

    def __init__(self, parameters: Parameters) -> None:
        super().__init__()
        self.named = torch.nn.ParameterDict({name.replace(".", "/"): tensor for name, tensor in parameters.items()})

    def forward(self) -> Parameters:
        return {name.replace("/", "."): tensor for name, tensor in self.named.items()}


class Lower(ImplicitProblem):
    upper: ImplicitProblem

    def training_step(self, given: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return dora_loss(*given)(self.module(), self.upper.module())


@pytest.fixture
def problems() -> tuple[Lower, ImplicitProblem]:
    problem = dora_problem()
    lower = Lower("lower", Config(type="darts"), module=Held(problem.direction), device="cpu")
    lower.upper = ImplicitProblem("upper", Config(), module=Held(problem.magnitude), device="cpu")
    lower.cur_batch = batch(16, seed=9)
    return lower, lower.upper


def test_central_product_equals_bettys(problems: tuple[Lower, ImplicitProblem]) -> None:
    """Betty returns −∇²_{m,V} L_tr · v with ξ = 1 and ε = 0.01/‖v‖; ours is the product itself."""
    problem, (lower, upper) = dora_problem(), problems
    vector = slopes(problem.upper, problem.direction, problem.magnitude)
    theirs = darts(ordered(vector, lower), lower, upper)
    ours = mixed_product(problem.lower, problem.direction, problem.magnitude, vector, mixed="central", epsilon=0.01)
    negated = dict(zip(upper.module(), [-tensor for tensor in theirs], strict=True))
    assert relative_error({name: ours[name] for name in negated}, negated) < 1e-9
    exact = mixed_product(problem.lower, problem.direction, problem.magnitude, vector)
    assert 1e-7 < relative_error(negated, {name: exact[name] for name in negated}) < 1e-3


def test_whole_implicit_path_equals_bettys(problems: tuple[Lower, ImplicitProblem]) -> None:
    """Betty's own chain: gradient of the upper loss at V, then its product."""
    problem, (lower, upper) = dora_problem(), problems
    loss = problem.upper(lower.module(), upper.module())
    theirs = get_grads(loss, [upper, lower, upper], retain_graph=False)
    vector = slopes(problem.upper, problem.direction, problem.magnitude)
    ours = mixed_product(problem.lower, problem.direction, problem.magnitude, vector, mixed="central")
    assert (
        relative_error({name: -ours[name] for name in upper.module()}, dict(zip(upper.module(), theirs, strict=True)))
        < 1e-9
    )


def test_betty_leaves_the_direction_shifted_and_we_do_not(problems: tuple[Lower, ImplicitProblem]) -> None:
    """The defect of 0.1.1 that our purity test guards against: V ends at V − εv."""
    problem, (lower, upper) = dora_problem(), problems
    vector = slopes(problem.upper, problem.direction, problem.magnitude)
    darts(ordered(vector, lower), lower, upper)
    epsilon = 0.01 / flat(vector).norm()
    for name, tensor in lower.module().items():
        torch.testing.assert_close(tensor.detach(), problem.direction[name] - epsilon * vector[name])
    before = {name: tensor.clone() for name, tensor in problem.direction.items()}
    mixed_product(problem.lower, problem.direction, problem.magnitude, vector, mixed="central")
    assert all(torch.equal(problem.direction[name], tensor) for name, tensor in before.items())


def ordered(vector: Parameters, lower: Lower) -> list[torch.Tensor]:
    return [vector[name] for name in lower.module()]
