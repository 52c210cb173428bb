"""GPT-2's Conv1D stores its weight (in, out): every method, level and record must mean the same rows there as elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tiny_causal import save_causal_model
from torch import nn
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel
from transformers.pytorch_utils import Conv1D

from bidora.adapter import adapt, adapted_layers, initial_norms, split_parameters, target_names
from bidora.config import RunConfig
from bidora.decomposition import merged_weight
from bidora.dora_layer import DoraLinear, use_dora_linear
from bidora.errors import LabError
from bidora.linear_layers import weight_of
from bidora.methods import METHODS
from bidora.orthogonality import Orthogonality
from bidora.recorder import base_weights, merged_weights
from bidora.weights import dynamics_of

IDS = torch.tensor([[3, 4, 5, 6, 7, 8], [9, 10, 11, 12, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("causal")
    return {family: save_causal_model(root / family, family) for family in ("gpt2", "llama")}


def fresh(folder: Path) -> nn.Module:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


def logits(model: nn.Module) -> torch.Tensor:
    return model(input_ids=IDS, attention_mask=MASK).logits


def disturb(model: nn.Module) -> None:
    """Values as after some training."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_magnitude" in name:
                parameter.mul_(1 + 0.3 * torch.randn(parameter.shape, generator=generator).abs())
            elif "lora_" in name:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))


def twin_layers(*, dropout: float = 0.0) -> tuple[nn.Module, nn.Module]:
    """The same numbers twice as PEFT's DoRA layer: on a Conv1D (5 → 7) and on a Linear that stores them the other way."""
    torch.manual_seed(0)
    conv, linear = Conv1D(7, 5), nn.Linear(5, 7)
    with torch.no_grad():
        conv.weight.copy_(torch.randn(5, 7))
        linear.weight.copy_(conv.weight.t())
        linear.bias.copy_(conv.bias.normal_())
    layers = []
    for base, inputs_first in ((conv, True), (linear, False)):
        config = LoraConfig(
            r=2,
            lora_alpha=4,
            lora_dropout=dropout,
            target_modules=["layer"],
            use_dora=True,
            fan_in_fan_out=inputs_first,
        )
        model = get_peft_model(nn.ModuleDict({"layer": base}), config)
        disturb(model)
        layers.append(model.base_model.model["layer"])
    return layers[0], layers[1]


# -- one layer ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attached", [True, False])
@pytest.mark.parametrize("fused", [True, False])
def test_outputs_and_gradients_are_those_of_a_linear_layer(attached, fused):
    conv, linear = twin_layers()
    assert conv.lora_magnitude_vector["default"].weight.shape == (7,), "one magnitude per output unit"
    x = torch.randn(3, 4, 5)
    results = []
    for layer in (conv, linear):
        use_dora_linear(nn.ModuleList([layer]), norm_attached=attached, fused=fused)
        assert type(layer) is DoraLinear
        inputs = x.clone().requires_grad_(True)
        y = layer(inputs)
        trained = [p for name, p in layer.named_parameters() if "lora_" in name]
        results.append([y.detach(), *torch.autograd.grad(y.square().sum(), [inputs, *trained])])
    for ours, theirs in zip(*results):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_the_detached_norm_is_pefts_own_forward():
    conv, _ = twin_layers()
    x = torch.randn(3, 5)
    trained = [p for name, p in conv.named_parameters() if "lora_" in name]
    before = conv(x)
    wanted = torch.autograd.grad(before.square().sum(), trained)
    use_dora_linear(nn.ModuleList([conv]), norm_attached=False, fused=True)
    after = conv(x)
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)
    for ours, theirs in zip(torch.autograd.grad(after.square().sum(), trained), wanted):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_dropout_touches_what_the_adapter_adds_only():
    results = []
    for layer in twin_layers(dropout=0.5):
        use_dora_linear(nn.ModuleList([layer]), norm_attached=True, fused=True)
        layer.train()
        torch.manual_seed(3)
        results.append(layer(torch.ones(4, 5)))
    torch.testing.assert_close(*results)


def test_the_regulariser_reads_rows_of_output_units():
    conv, linear = twin_layers()
    for twice in (False, True):
        torch.testing.assert_close(Orthogonality([conv], twice=twice)(), Orthogonality([linear], twice=twice)())


# -- a model -----------------------------------------------------------------------------------------------------------------


def test_roles_find_the_layers_of_each_family(folders):
    assert target_names(fresh(folders["gpt2"]), ("query", "value")) == ("c_attn",)
    assert target_names(fresh(folders["llama"]), ("query", "value")) == ("q_proj", "v_proj")


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.uses_peft])
def test_step_0_is_the_pretrained_model(family, method, folders):
    """FourierFT begins with random coefficients of its own; every other method begins with W0."""
    torch.manual_seed(0)
    base = fresh(folders[family])
    with torch.no_grad():
        expected = logits(base)
        config = RunConfig(method=method, rank=2, frequencies=20, steps=100)
        model = adapt(base, config).eval()
        weights = base_weights(model, config.target_modules, METHODS[method])
        assert len(weights) == (2 if family == "gpt2" else 4)
        if family == "gpt2":
            assert all(weight.shape == (72, 24) for weight in weights.values()), "one row per output unit"
        if method == "fourierft":
            return
        torch.testing.assert_close(logits(model), expected, rtol=1e-4, atol=1e-4)
        for name, weight in merged_weights(model, list(weights)).items():
            torch.testing.assert_close(weight, weights[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.uses_peft])
def test_the_weights_that_act_are_those_that_peft_merges(method, folders):
    """Recorded after some training, they are what merging puts into the model, which writes the same logits."""
    torch.manual_seed(0)
    config = RunConfig(method=method, rank=2, frequencies=20, steps=100)
    model = adapt(fresh(folders["gpt2"]), config).eval()
    names = list(base_weights(model, config.target_modules, METHODS[method]))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad or "magnitude" in name:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        before, acting = logits(model), merged_weights(model, names)
        merged = model.merge_and_unload()
        torch.testing.assert_close(logits(merged), before, rtol=1e-3, atol=1e-3)
        modules = dict(merged.named_modules())
        for name, weight in acting.items():
            found = weight_of(modules[name.removeprefix("base_model.model.")])
            torch.testing.assert_close(weight, found, rtol=1e-4, atol=1e-4)


def test_magnitudes_begin_as_the_norms_of_output_units_and_decay_towards_them(folders):
    from bidora.trainer import initial_magnitudes

    model = adapt(fresh(folders["gpt2"]), RunConfig(rank=2))
    _, magnitude = split_parameters(model)
    starts, norms = initial_magnitudes(model), initial_norms(model)
    assert set(starts) == set(magnitude) and len(norms) == len(magnitude) == 2
    for name, parameter in magnitude.items():
        torch.testing.assert_close(starts[name], parameter.detach())
        assert parameter.shape == (72,)
    for (_, layer), norm in zip(adapted_layers(model), norms.values()):
        torch.testing.assert_close(norm, layer.get_base_layer().weight.norm(dim=0))
        name = layer.active_adapters[0]
        again = merged_weight(
            weight_of(layer.get_base_layer()),
            layer.lora_A[name].weight,
            layer.lora_B[name].weight,
            layer.scaling[name],
            layer.lora_magnitude_vector[name].weight,
        )
        torch.testing.assert_close(again, weight_of(layer.get_base_layer()))


@pytest.mark.filterwarnings("ignore")  # of plain peft
def test_what_is_saved_is_loaded_by_plain_peft(folders, tmp_path):
    model = adapt(fresh(folders["gpt2"]), RunConfig(rank=2)).eval()
    disturb(model)
    model.save_pretrained(tmp_path, save_embedding_layers=False)
    again = PeftModel.from_pretrained(fresh(folders["gpt2"]), str(tmp_path)).eval()
    assert again.peft_config["default"].fan_in_fan_out and again.peft_config["default"].use_dora
    assert again.peft_config["default"].task_type == "CAUSAL_LM"
    with torch.no_grad():
        torch.testing.assert_close(logits(again), logits(model), rtol=1e-4, atol=1e-4)


def test_a_rank_that_does_not_fit_is_refused_with_the_layer(folders):
    with pytest.raises(LabError, match=r"rank=25 exceeds the width of .*c_attn \(allowed: 1 to 24\)"):
        adapt(fresh(folders["gpt2"]), RunConfig(rank=25))


def test_layers_that_are_not_adapted_are_plain_conv1d_still():
    model = adapt(GPT2LMHeadModel(GPT2Config(vocab_size=20, n_embd=24, n_layer=1, n_head=2)), RunConfig(rank=2))
    kinds = {name.rsplit(".", 1)[-1]: type(module) for name, module in model.named_modules()}
    assert kinds["c_fc"] is kinds["c_proj"] is Conv1D and kinds["c_attn"] is DoraLinear


@pytest.mark.filterwarnings("ignore")  # of plain peft
@pytest.mark.parametrize("axis", ["output", "input"])
def test_two_checkpoints_have_the_units_that_the_adapter_has(axis, folders, tmp_path):
    """GPT-2 stores its weights (in, out): read as (out, in), a checkpoint's output units would be its inputs."""
    model = adapt(fresh(folders["gpt2"]), RunConfig(rank=2, target_modules=("c_attn",))).eval()
    disturb(model)
    model.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
    again = PeftModel.from_pretrained(fresh(folders["gpt2"]), str(tmp_path / "adapter"))
    again.merge_and_unload().save_pretrained(tmp_path / "merged")
    one = dynamics_of(folders["gpt2"], tmp_path / "adapter", axis=axis)
    two = dynamics_of(folders["gpt2"], tmp_path / "merged", axis=axis, modules=("c_attn",))
    assert list(one["units"]) == list(two["units"]) == [72 if axis == "output" else 24] * 2
    for column in ("delta_m", "delta_d"):
        assert two[column].to_numpy() == pytest.approx(one[column].to_numpy(), rel=1e-4)
