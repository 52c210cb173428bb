"""The regulariser against its definition on the full matrix."""

from __future__ import annotations

import pytest
import torch

from bidora.orthogonality import deviation


@pytest.mark.parametrize(("outputs", "inputs"), [(5, 9), (9, 5), (6, 6)])
@pytest.mark.parametrize("twice", [False, True])
def test_equals_the_definition_with_gradients(outputs: int, inputs: int, twice: bool) -> None:
    torch.manual_seed(0)
    weight = torch.randn(outputs, inputs, dtype=torch.float64)
    lora_A = torch.randn(3, inputs, dtype=torch.float64, requires_grad=True)
    lora_B = torch.randn(outputs, 3, dtype=torch.float64, requires_grad=True)
    direction = weight + 0.7 * lora_B @ lora_A
    unit = direction / direction.norm(dim=1, keepdim=True)
    expected = (unit @ unit.t() - torch.eye(outputs, dtype=torch.float64)).norm()
    wanted = torch.autograd.grad(expected, (lora_A, lora_B))
    gram = weight @ weight.t() if outputs <= inputs else None
    value = deviation(weight, lora_A, lora_B, 0.7, gram=gram, twice=twice)
    torch.testing.assert_close(value, expected)
    for gradient, each in zip(torch.autograd.grad(value, (lora_A, lora_B)), wanted, strict=True):
        torch.testing.assert_close(gradient, each)


def test_orthonormal_directions_have_no_deviation_and_a_finite_slope() -> None:
    weight = torch.eye(4, 6, dtype=torch.float64)
    lora_A = torch.zeros(2, 6, dtype=torch.float64, requires_grad=True)
    lora_B = torch.zeros(4, 2, dtype=torch.float64, requires_grad=True)
    value = deviation(weight, lora_A, lora_B, 1.0, gram=weight @ weight.t())
    assert value.item() < 1e-6
    assert all(torch.isfinite(each).all() for each in torch.autograd.grad(value, (lora_A, lora_B)))
