"""Every method: what it says of itself, where it begins, and what it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_adapter import IDS, MASK, NON_SQUARE, built

from bidora.adapter import adapted_layers, split_parameters
from bidora.classifier import build_classifier
from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.methods import METHODS, get_method, unused_settings, uses
from bidora.recorder import base_weights, merged_weights

TUNERS = [name for name, method in METHODS.items() if method.uses_peft]
WITHOUT_ADAPTER = ["bitfit", "head"]
NEW = ["rslora", "loraplus", "pissa", "adalora", "vera", "fourierft", "bilora", "bitfit", "head"]
TINY: dict[str, Any] = {"rank": 2, "frequencies": 30}
START_TOLERANCE = {"pissa": 1e-4}
"""Relative error of the logits at step 0; PiSSA takes weights apart and adds them up again, the others add zero."""


# -- what a method says of itself -----------------------------------------------------------------------------------


def test_the_order_of_tables_puts_families_together():
    assert list(METHODS) == (
        "lora rslora loraplus pissa dora adalora vera fourierft bilora bidora bitfit head full".split()
    )


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_a_method_says_what_it_is(method):
    assert method.title and method.summary and not method.summary.endswith(".")
    assert method.paper.address.startswith("https://arxiv.org/abs/") and method.paper.address[-5:] in method.paper.full
    assert 0 < method.rates.low < method.rates.high <= 1
    known = set(RunConfig.__dataclass_fields__)
    assert {*method.settings, *dict(method.own_rates).values()} <= known
    assert set(dict(method.own_rates).values()) <= set(method.settings)
    assert RunConfig(method=method.name).method == method.name


def test_no_two_methods_share_a_dash_a_marker_or_a_colour():
    looks = [method.look for method in METHODS.values()]
    for part in ("colour", "dash", "symbol"):
        assert len({getattr(look, part) for look in looks}) == len(looks), part


def test_an_unknown_method_is_answered_with_the_nearest():
    with pytest.raises(LabError, match="rslora") as caught:
        get_method("rslra")
    assert "rslora" in caught.value.hint
    with pytest.raises(LabError, match="method"):
        RunConfig(method="adapter")


def test_settings_that_a_method_has_no_use_for():
    assert uses("vera", "rank") and not uses("vera", "alpha")
    assert {"rank", "norm", "upper_fraction", "frequencies"} <= unused_settings("head")
    assert "magnitude_learning_rate_ratio" in unused_settings("lora") & unused_settings("bidora")
    assert unused_settings("bilora") >= {"norm", "initial_rank"} and uses("bilora", "regularizer")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(method="adalora", steps=1), "steps=1"),
        (dict(method="adalora", rank=8, initial_rank=8), "initial_rank=8"),
        (dict(method="bilora", gradient_accumulation=2), "gradient_accumulation=2"),
        (dict(method="bilora", gradient_checkpointing=True), "method=bilora"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(settings, words):
    with pytest.raises(LabError, match=words):
        RunConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(method="adalora", rank=20), ["initial_rank=30", "1 to 24"]),
        (dict(method="fourierft", frequencies=577), ["frequencies=577", "576"]),
        (dict(method="bilora", rank=25), ["rank=25"]),
    ],
)
def test_what_does_not_fit_into_a_layer_is_refused(tiny_bert: Path, settings, words) -> None:
    with pytest.raises(LabError) as caught:
        built(tiny_bert, **settings)
    assert all(word in str(caught.value) for word in words)


# -- the model ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fixture", ["tiny_bert", "tiny_roberta", "tiny_esm"])
def test_step_0_is_the_pretrained_model(method: str, fixture: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(fixture)
    torch.manual_seed(0)
    plain = build_classifier(str(folder), RunConfig(), outputs=3).eval()
    model = built(folder, method=method, target_modules=NON_SQUARE, **TINY).eval()
    with torch.no_grad():
        found, expected = model(IDS, MASK), plain(IDS, MASK)
    assert (found - expected).norm() / expected.norm() <= START_TOLERANCE.get(method, 1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_only_what_the_method_names_is_trained(method: str, tiny_roberta: Path) -> None:
    model = built(tiny_roberta, method=method, **TINY)
    chosen = get_method(method)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    head = {name for name in trained if "classifier" in name}
    assert head, "the head is new, so it is always trained"
    for name in trained - head:
        assert chosen.trains(name)
    if method == "full":
        assert len(trained) == len(list(model.parameters()))
    elif method == "head":
        assert trained == head
    else:
        assert trained > head
        assert not any(name.endswith("base_layer.weight") for name in trained)


def test_vera_draws_its_projections_by_the_seed_and_shares_them(tiny_bert: Path) -> None:
    first, same, other = (built(tiny_bert, method="vera", seed=seed, **TINY) for seed in (0, 0, 1))
    matrices = [adapted_layers(model)[0][1].vera_A["default"] for model in (first, same, other)]
    assert torch.equal(matrices[0], matrices[1]) and not torch.equal(matrices[0], matrices[2])
    assert len({layer.vera_A["default"].data_ptr() for _, layer in adapted_layers(first)}) == 1


def test_rank_stabilised_scale(tiny_bert: Path) -> None:
    layer = adapted_layers(built(tiny_bert, method="rslora", rank=4, alpha=16))[0][1]
    assert layer.scaling["default"] == 16 / 2


def test_pissa_takes_the_leading_directions_out_of_the_frozen_weight(tiny_bert: Path) -> None:
    plain = build_classifier(str(tiny_bert), RunConfig(), outputs=3)
    model = built(tiny_bert, method="pissa", rank=3)
    before = {name.replace("backbone.", "backbone.base_model.model."): p for name, p in plain.named_parameters()}
    for name, layer in adapted_layers(model):
        weight = before[f"{name}.weight"].detach()
        left = torch.linalg.svdvals(layer.get_base_layer().weight)
        torch.testing.assert_close(left[:-3], torch.linalg.svdvals(weight)[3:], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(get_method("pissa").pretrained_weight(layer), weight, rtol=0, atol=1e-6)


def test_merged_weights_of_every_tuner_are_pefts_own(tiny_bert: Path) -> None:
    """Read while training, and compared with what merge_and_unload leaves, on layers that are not square."""
    for method in TUNERS:
        model = built(tiny_bert, method=method, target_modules=NON_SQUARE, **TINY)
        base = base_weights(model, NON_SQUARE, get_method(method))
        torch.manual_seed(3)
        for level in split_parameters(model, get_method(method).upper or "lora_magnitude_vector"):
            for parameter in level.values():
                parameter.data += 0.1 * torch.randn_like(parameter)
        found = merged_weights(model, list(base))
        plain = dict(model.backbone.merge_and_unload().named_modules())
        for name, weight in found.items():
            module = plain[name.removeprefix("backbone.base_model.model.")]
            torch.testing.assert_close(
                weight, module.weight, rtol=1e-4, atol=1e-5, msg=lambda text, m=method: f"{m}: {text}"
            )
