"""The regulariser against its definition on the full matrix."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model

from bidora.adapter import adapted_layers
from bidora.orthogonality import Orthogonality, deviation


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


@pytest.mark.parametrize("twice", [False, True])
def test_layers_of_different_shapes_are_averaged_whatever_is_computed_together(twice: bool) -> None:
    torch.manual_seed(0)
    shapes = [(6, 8), (9, 6), (8, 8), (6, 8)]  # (in, out): two of equal shape, one with more outputs than inputs
    model = torch.nn.Sequential(*(torch.nn.Linear(inputs, outputs) for inputs, outputs in shapes)).double()
    config = LoraConfig(r=2, lora_alpha=3, use_dora=True, target_modules=[str(place) for place in range(4)])
    model = get_peft_model(model, config)
    layers = [layer for _, layer in adapted_layers(model)]
    trained = [weight for layer in layers for weight in (layer.lora_A.default.weight, layer.lora_B.default.weight)]
    with torch.no_grad():
        for weight in trained:
            weight.normal_()
    single = []
    for layer in layers:
        base = layer.get_base_layer().weight
        direction = base + 1.5 * layer.lora_B.default.weight @ layer.lora_A.default.weight
        unit = direction / direction.norm(dim=1, keepdim=True)
        single.append((unit @ unit.t() - torch.eye(len(unit), dtype=unit.dtype)).norm())
    expected = torch.stack(single).mean()
    value = Orthogonality(layers, twice=twice)()
    torch.testing.assert_close(value, expected)
    wanted = torch.autograd.grad(expected, trained)
    for gradient, each in zip(torch.autograd.grad(value, trained), wanted, strict=True):
        torch.testing.assert_close(gradient, each)
