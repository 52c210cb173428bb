"""Exact shortcuts: same outputs and gradients as the plain model, with less work."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from bidora.adapter import adapt
from bidora.classifier import Classifier, build_classifier, loss_of
from bidora.config import RunConfig
from bidora.shortcuts import PackedLinear, first_token_only, pack_frozen_linears, packing_available

IDS = torch.arange(4, 4 + 3 * 11).reshape(3, 11) % 20 + 4
MASK = torch.ones_like(IDS)
MASK[1, 7:] = 0
MASK[2, 2:] = 0


def built(folder: Path, kernel: str, pooling: str) -> Classifier:
    config = RunConfig(method="dora", kernel=kernel, pooling=pooling, rank=2)
    torch.manual_seed(0)
    model = build_classifier(str(folder), config, outputs=3)
    torch.manual_seed(0)
    adapt(model, config)
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.1)
    return model.train()


def outputs(model: Classifier) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    logits = model(IDS, MASK)
    loss_of(logits, torch.tensor([0, 1, 2]), "classification").backward()
    return logits.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("fixture", ["tiny_bert", "tiny_roberta", "tiny_esm"])
@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_fast_model_equals_pefts(fixture: str, pooling: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(fixture)
    expected, wanted = outputs(built(folder, "peft", pooling))
    logits, gradients = outputs(built(folder, "fast", pooling))
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    assert gradients.keys() == wanted.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-3, atol=1e-5, msg=name)


def test_the_last_layer_computes_one_position(tiny_bert: Path) -> None:
    model = built(tiny_bert, "fast", "first")
    seen = []
    last = model.backbone.base_model.model.bert.encoder.layer[-1].intermediate
    last.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape)))
    model(IDS, MASK)
    assert seen == [(3, 1, 40)]


def test_first_token_only_declines_what_it_does_not_know() -> None:
    assert not first_token_only(nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2), 1, enable_nested_tensor=False))


@pytest.mark.skipif(not packing_available(), reason="this torch build has no packed fp32 product")
class TestPacking:
    def layers(self) -> tuple[nn.Linear, nn.Linear]:
        torch.manual_seed(0)
        plain = nn.Linear(13, 7)
        packed = nn.Linear(13, 7)
        packed.load_state_dict(plain.state_dict())
        for layer in (plain, packed):
            layer.requires_grad_(False)
        assert pack_frozen_linears(nn.Sequential(packed)) == 1
        assert isinstance(packed, PackedLinear)
        return plain, packed

    def test_first_and_second_derivatives(self) -> None:
        plain, packed = self.layers()
        x = torch.randn(3, 5, 13, requires_grad=True)
        values = []
        for layer in (plain, packed):
            (slope,) = torch.autograd.grad(layer(x).pow(3).sum(), x, create_graph=True)
            (curvature,) = torch.autograd.grad(slope.square().sum(), x)
            values.append((layer(x), slope, curvature))
        for each, wanted in zip(values[1], values[0], strict=True):
            torch.testing.assert_close(each, wanted, rtol=1e-4, atol=1e-4)

    def test_a_changed_weight_is_noticed(self) -> None:
        plain, packed = self.layers()
        x = torch.randn(2, 13)
        packed(x)
        for layer in (plain, packed):
            layer.weight.data.mul_(2.0) if layer is plain else layer.weight.mul_(2.0)
        torch.testing.assert_close(packed(x), plain(x), rtol=1e-5, atol=1e-5)

    def test_a_layer_that_is_trained_is_left_alone(self) -> None:
        trained = nn.Linear(4, 4)
        assert pack_frozen_linears(nn.Sequential(trained)) == 0
        assert type(trained) is nn.Linear
