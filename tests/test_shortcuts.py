"""Exact shortcuts: same outputs and gradients as the plain model, with less work."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny import save_tiny_model
from torch import nn
from transformers import AutoModel

from bidora.adapter import adapt
from bidora.classifier import Classifier, build_classifier, loss_of
from bidora.config import RunConfig
from bidora.shortcuts import (
    PackedLinear,
    attend_briefly,
    first_token_only,
    onednn_is_faster,
    pack_frozen_linears,
    packing_available,
)

IDS = torch.arange(4, 4 + 3 * 11).reshape(3, 11) % 20 + 4
MASK = torch.ones_like(IDS)
MASK[1, 7:] = 0
MASK[2, 2:] = 0


def built(folder: Path, kernel: str, pooling: str) -> Classifier:
    return adapted(folder, RunConfig(method="dora", kernel=kernel, pooling=pooling, rank=2))


def adapted(folder: Path, config: RunConfig) -> Classifier:
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


@pytest.mark.skipif(not packing_available(), reason="this torch build has no packed fp32 product")
class TestWithoutAvx512:
    """BLAS multiplies there where a layer narrows or keeps its width."""

    @pytest.fixture(autouse=True)
    def processor(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        onednn_is_faster.cache_clear()
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
        yield
        onednn_is_faster.cache_clear()

    def test_the_choice_follows_the_widths(self) -> None:
        assert onednn_is_faster(96, 192) and onednn_is_faster(192, 8)
        assert not onednn_is_faster(192, 96) and not onednn_is_faster(96, 96)

    @pytest.mark.parametrize(("inputs", "outputs"), [(96, 192), (192, 96)])
    def test_one_direction_is_packed_and_both_are_right(self, inputs: int, outputs: int) -> None:
        torch.manual_seed(0)
        plain, mixed = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs)
        mixed.load_state_dict(plain.state_dict())
        mixed.requires_grad_(False)
        assert pack_frozen_linears(nn.Sequential(mixed)) == 1
        x = torch.randn(5, inputs, requires_grad=True)
        for layer in (plain, mixed):
            layer.slope = torch.autograd.grad(layer(x).pow(2).sum(), x)[0]
        torch.testing.assert_close(mixed(x), plain(x), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(mixed.slope, plain.slope, rtol=1e-4, atol=1e-4)
        assert [matrix.packed is not None for matrix in mixed._matrices()] == [outputs > inputs, inputs > outputs]

    def test_a_square_layer_is_left_alone(self) -> None:
        layer = nn.Linear(96, 96).requires_grad_(False)
        assert pack_frozen_linears(nn.Sequential(layer)) == 0


class TestOneQuery:
    """Keys and values of single positions are not computed where the head reads the first token."""

    def rows_of_values(self, folder: Path, **changes: Any) -> list[tuple[int, ...]]:
        model = adapted(folder, RunConfig(method="dora", pooling="first", rank=2, **changes))
        seen: list[tuple[int, ...]] = []
        last = model.backbone.base_model.model.bert.encoder.layer[-1].attention.self
        last.value.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[:2])))
        model(IDS, MASK)
        return seen

    def test_one_row_for_each_head(self, tiny_bert: Path) -> None:
        assert self.rows_of_values(tiny_bert) == [(3, 2)]

    @pytest.mark.parametrize("changes", [{"dropout": 0.5}, {"backbone_dropout": 0.5}])
    def test_dropout_needs_every_position(self, tiny_bert: Path, changes: dict[str, float]) -> None:
        assert self.rows_of_values(tiny_bert, **changes) == [(3, 11)]

    @pytest.mark.parametrize("fixture", ["tiny_bert", "tiny_roberta", "tiny_esm"])
    @pytest.mark.parametrize("method", ["dora", "full", "bitfit"])
    def test_adapted_keys_and_trained_weights_get_their_gradients(
        self, fixture: str, method: str, request: pytest.FixtureRequest
    ) -> None:
        values = []
        for kernel in ("peft", "fast"):
            targets = ("query", "key", "value")
            config = RunConfig(method=method, kernel=kernel, pooling="first", rank=2, target_modules=targets)
            values.append(outputs(adapted(request.getfixturevalue(fixture), config)))
        torch.testing.assert_close(values[1][0], values[0][0], rtol=1e-4, atol=1e-5)
        for name, gradient in values[0][1].items():
            torch.testing.assert_close(values[1][1][name], gradient, rtol=1e-3, atol=1e-5, msg=name)

    @pytest.mark.parametrize("rotary", [False, True])
    @pytest.mark.parametrize("mask", [None, MASK[:, None, None].bool()])
    def test_what_a_gpu_computes_is_the_same(self, rotary: bool, mask: torch.Tensor | None) -> None:
        module = sys.modules["bidora.shortcuts.first_token"]
        torch.manual_seed(0)
        layers = {name: nn.Linear(12, 12) for name in ("query", "key", "value")}
        config = SimpleNamespace(_attn_implementation="sdpa")
        attention = SimpleNamespace(**layers, attention_head_size=4, dropout=0.0, training=True, config=config)
        states = torch.randn(3, 11, 12)
        angles = torch.arange(11.0)[:, None] * torch.tensor([1.0, 0.1, 1.0, 0.1])
        turns = tuple(part.expand(3, 11, 4) for part in (angles.cos(), angles.sin())) if rotary else None
        found = [way(attention, states[:, :1], states, mask, turns) for way in (module._attend, module._fused)]
        torch.testing.assert_close(found[0], found[1])


@pytest.fixture
def tiny_causal(tmp_path: Path) -> Path:
    """A Llama with fewer key than query heads, which goes through the fused kernel of transformers as before."""
    return save_tiny_model(tmp_path / "tiny-llama", "llama")


class TestBriefAttention:
    def models(self, folder: Path) -> tuple[nn.Module, nn.Module]:
        fused, brief = (AutoModel.from_pretrained(folder) for _ in range(2))
        assert attend_briefly(brief)
        return fused, brief

    @pytest.mark.parametrize("fixture", ["tiny_bert", "tiny_esm", "tiny_causal"])
    @pytest.mark.parametrize("padding", ["none", "right", "left"])
    def test_equals_the_fused_kernel(self, fixture: str, padding: str, request: pytest.FixtureRequest) -> None:
        mask = {"none": torch.ones_like(MASK), "right": MASK, "left": MASK.flip(1)}[padding]
        seen = mask.bool()
        slopes = []
        for model in self.models(request.getfixturevalue(fixture)):
            states = model(input_ids=IDS, attention_mask=mask).last_hidden_state[seen]
            (states * torch.linspace(-1, 1, states.numel()).view_as(states)).sum().backward()
            weight = next(parameter for name, parameter in model.named_parameters() if name.endswith("weight"))
            slopes.append((states.detach(), weight.grad))
        for got, wanted in zip(slopes[1], slopes[0], strict=True):
            assert (got - wanted).norm() < 1e-5 * wanted.norm()

    def test_long_inputs_and_inference_take_the_fused_kernel(
        self, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, brief = self.models(tiny_bert)
        written_out: list[tuple[int, ...]] = []
        module = sys.modules["bidora.shortcuts.brief_attention"]
        plain = module.masked_softmax
        monkeypatch.setattr(
            module, "masked_softmax", lambda scores, mask: (written_out.append(scores.shape), plain(scores, mask))[1]
        )
        brief(input_ids=IDS)
        assert written_out
        written_out.clear()
        with torch.no_grad():
            brief(input_ids=IDS)
        monkeypatch.setattr(module, "BRIEF", 10)
        brief(input_ids=IDS)
        assert written_out == []

    def test_attention_that_was_chosen_otherwise_stays(self, tiny_bert: Path) -> None:
        assert not attend_briefly(AutoModel.from_pretrained(tiny_bert, attn_implementation="eager"))
