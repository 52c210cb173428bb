"""The adapted layer against PEFT's, against plain autograd, and the defects of public implementations that touch it."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from bidora.dora_layer import DoraLinear, MergedLinear, merge, use_dora_linear


def peft_model(*, bias: bool = True, dropout: float = 0.0) -> nn.Module:
    """Two non-square layers (7 → 5 → 9) in float64 with adapters that are far from zero."""
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(7, 5, bias=bias), nn.Tanh(), nn.Linear(5, 9, bias=bias)).double()
    config = LoraConfig(r=3, lora_alpha=6, use_dora=True, target_modules=["0", "2"], lora_dropout=dropout)
    model = get_peft_model(plain, config).double()
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data += 0.3 * torch.randn_like(parameter)
    return model


def output_and_gradients(model: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    trained = [p for p in model.parameters() if p.requires_grad]
    x = x.clone().requires_grad_()
    y = model(x)
    return y, list(torch.autograd.grad((y**3).sum(), [*trained, x]))


X = torch.linspace(-1, 1, 4 * 6 * 7, dtype=torch.float64).reshape(4, 6, 7)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("fused", [True, False])
def test_detached_norm_equals_peft(bias: bool, fused: bool) -> None:
    model = peft_model(bias=bias)
    expected, expected_gradients = output_and_gradients(model, X)
    assert len(use_dora_linear(model, norm_attached=False, fused=fused)) == 2
    y, gradients = output_and_gradients(model, X)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-13)
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("bias", [True, False])
def test_attached_norm_equals_autograd_and_differs_from_detached(bias: bool) -> None:
    model = peft_model(bias=bias)
    _, detached = output_and_gradients(model, X)
    composed, fused = copy.deepcopy(model), copy.deepcopy(model)
    use_dora_linear(composed, norm_attached=True, fused=False)
    use_dora_linear(fused, norm_attached=True, fused=True)
    y, wanted = output_and_gradients(composed, X)
    z, gradients = output_and_gradients(fused, X)
    torch.testing.assert_close(z, y, rtol=0, atol=1e-13)
    for gradient, each in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(gradient, each, rtol=1e-10, atol=1e-10)
    worst = max(((a - b).norm() / b.norm()).item() for a, b in zip(wanted, detached, strict=True))
    assert worst > 0.05  # defect 8: with the detached norm the gradients are others


def test_gradcheck_of_the_fused_function() -> None:
    torch.manual_seed(1)
    shapes = dict(x=(5, 7), weight=(4, 7), bias=(4,), lora_A=(2, 7), lora_B=(4, 2), magnitude=(4,))
    tensors = {name: torch.randn(shape, dtype=torch.float64) for name, shape in shapes.items()}
    for name in ("x", "lora_A", "lora_B", "magnitude"):
        tensors[name].requires_grad_()
    for attached in (True, False):
        if attached:  # finite differences see the norm move, so they know the attached gradient only
            assert torch.autograd.gradcheck(lambda *t: MergedLinear.apply(*t, 0.7, True), tuple(tensors.values()))
    detached = torch.autograd.grad(MergedLinear.apply(*tensors.values(), 0.7, False).square().sum(), tensors["lora_A"])[
        0
    ]
    plain = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    plain["lora_A"].requires_grad_()
    merged = merge(plain["weight"], plain["lora_A"], plain["lora_B"], plain["magnitude"], 0.7, attached=False)
    wanted = torch.autograd.grad((plain["x"] @ merged.t() + plain["bias"]).square().sum(), plain["lora_A"])[0]
    torch.testing.assert_close(detached, wanted)


def test_only_the_asked_gradients_are_returned() -> None:
    model = peft_model()
    use_dora_linear(model, norm_attached=True, fused=True)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("magnitude" in name)
    model(X).square().sum().backward()
    with_gradient = [name for name, parameter in model.named_parameters() if parameter.grad is not None]
    assert len(with_gradient) == 2
    assert all("magnitude" in name for name in with_gradient)


def test_magnitude_of_zero_gets_a_finite_gradient() -> None:
    model = peft_model()
    use_dora_linear(model, norm_attached=True, fused=True)
    layer = model.base_model.model[0]
    layer.lora_magnitude_vector["default"].weight.data[2] = 0.0
    _, gradients = output_and_gradients(model, X)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_dropout_follows_peft_with_the_same_masks() -> None:
    model = peft_model(dropout=0.3).train()
    ours = copy.deepcopy(model)
    use_dora_linear(ours, norm_attached=False, fused=True)
    torch.manual_seed(3)
    expected = model(X)
    torch.manual_seed(3)
    torch.testing.assert_close(ours(X), expected, rtol=0, atol=1e-13)
    torch.manual_seed(4)
    assert not torch.allclose(ours(X), expected)


def test_merging_and_disabling_stay_pefts_own() -> None:
    model = peft_model().eval()
    use_dora_linear(model, norm_attached=True, fused=True)
    y = model(X)
    with model.disable_adapter():
        base = model(X)
    assert not torch.allclose(y, base)
    merged = model.merge_and_unload()
    torch.testing.assert_close(merged(X), y, rtol=0, atol=1e-12)
    assert not any(isinstance(module, DoraLinear) for module in merged.modules())


def test_bfloat16_autocast_is_near_float32() -> None:
    model = peft_model().float()
    use_dora_linear(model, norm_attached=True, fused=True)
    x = X.float()
    y, _ = output_and_gradients(model, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = model(x)
    assert low.dtype is torch.bfloat16
    assert ((low.float() - y).norm() / y.norm()).item() < 0.02
