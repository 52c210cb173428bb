"""ΔM and ΔD of adapters of PEFT's other kinds: against PEFT's own merged model, and what cannot be compared."""

from __future__ import annotations

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForSequenceClassification, GPT2Config, GPT2Model
from variants import by_default

from bidora.cli import main
from bidora.config import RunConfig
from bidora.decomposition import unit_change
from bidora.errors import LabError
from bidora.runs import Run
from bidora.weights import dynamics_of
from bidora.weights.peft_merge import KINDS as ALLOWED
from bidora.weights.peft_merge import merged_pairs

ON = {"target_modules": ["query", "value"]}
KINDS = {
    "adalora": lambda: peft.AdaLoraConfig(init_r=4, target_r=2, total_step=100, **ON),
    "vera": lambda: peft.VeraConfig(r=4, **ON),
    "vera without its matrices": lambda: peft.VeraConfig(r=4, save_projection=False, **ON),
    "fourierft": lambda: peft.FourierFTConfig(n_frequency=20, **ON),
    "ia3": lambda: peft.IA3Config(feedforward_modules=[], **ON),
    "loha": lambda: peft.LoHaConfig(r=2, **ON),
    "lokr": lambda: peft.LoKrConfig(r=2, **ON),
    "oft": lambda: peft.OFTConfig(r=0, oft_block_size=4, **ON),
    "boft": lambda: peft.BOFTConfig(boft_block_size=4, **ON),
    "hra": lambda: peft.HRAConfig(r=2, **ON),
    "miss": lambda: peft.MissConfig(r=2, **ON),
    "randlora": lambda: peft.RandLoraConfig(r=2, **ON),
    "shira": lambda: peft.ShiraConfig(r=2, **ON),
    "vblora": lambda: peft.VBLoRAConfig(r=2, num_vectors=4, vector_length=4, topk=2, **ON),
}


def saved(model, config, folder):
    """An adapter whose every number is away from its beginning; the model that PEFT makes of it."""
    torch.manual_seed(1)
    wrapped = peft.get_peft_model(model, config)
    for parameter in wrapped.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    wrapped.save_pretrained(folder)
    return wrapped.merge_and_unload()


@pytest.mark.filterwarnings("ignore")
def test_every_kind_that_is_allowed_is_tested():
    assert {KINDS[name]().peft_type.value for name in KINDS} == set(ALLOWED)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("with_head", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_are_those_of_pefts_merged_model(tiny_bert, tmp_path, kind, with_head):
    loader = AutoModelForSequenceClassification if with_head else AutoModel
    merged = saved(loader.from_pretrained(tiny_bert), KINDS[kind](), tmp_path)
    after = merged.bert.state_dict() if with_head else merged.state_dict()
    before = AutoModel.from_pretrained(tiny_bert).state_dict()
    found = {name: (one, other) for name, one, other in merged_pairs(tiny_bert, tmp_path)}
    assert len(found) == 4
    for name, (one, other) in found.items():
        assert torch.equal(one, before[f"{name}.weight"].double())
        assert torch.equal(other, after[f"{name}.weight"].double()) and not torch.equal(one, other)
    table = dynamics_of(tiny_bert, tmp_path, modules=("query",))
    assert list(table["module"]) == ["query"] * 2 and list(table["layer"]) == [0, 1]
    one, other = found["encoder.layer.1.attention.self.query"]
    assert table["delta_m"][1] == pytest.approx(
        float(unit_change(one, other, "output").magnitude.abs().mean()), rel=1e-5
    )


def test_heads_that_are_saved_beside_an_adapter_are_left_out(tiny_bert, tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(tiny_bert, num_labels=5)
    wrapped = peft.get_peft_model(model, peft.VeraConfig(r=4, task_type="SEQ_CLS", **ON))
    wrapped.save_pretrained(tmp_path)
    assert any("classifier" in name for name in load_file(tmp_path / "adapter_model.safetensors"))
    assert len(dynamics_of(tiny_bert, tmp_path)) == 4


def test_weights_that_are_stored_the_other_way_round_are_turned(tmp_path):
    torch.manual_seed(0)
    GPT2Model(GPT2Config(vocab_size=30, n_embd=8, n_layer=2, n_head=2, n_positions=16)).save_pretrained(
        tmp_path / "gpt2"
    )
    config = peft.AdaLoraConfig(init_r=4, target_r=2, total_step=9, target_modules=["c_attn"], fan_in_fan_out=True)
    saved(AutoModel.from_pretrained(tmp_path / "gpt2"), config, tmp_path / "adapter")
    table = dynamics_of(tmp_path / "gpt2", tmp_path / "adapter")
    assert list(table["units"]) == [24, 24]


def test_a_model_in_memory_can_be_the_base_and_stays_as_it_is(tiny_bert, tmp_path):
    saved(AutoModel.from_pretrained(tiny_bert), KINDS["adalora"](), tmp_path)
    model = AutoModel.from_pretrained(tiny_bert)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    table = dynamics_of(model, tmp_path)
    assert table.equals(dynamics_of(tiny_bert, tmp_path))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.fixture
def vera(tiny_bert, tmp_path):
    saved(AutoModel.from_pretrained(tiny_bert), KINDS["vera"](), tmp_path / "vera")
    return tmp_path / "vera"


def test_what_does_not_fit_is_refused_by_name(tiny_bert, tiny_esm, vera, tmp_path):
    with pytest.raises(LabError, match="only PEFT can merge into a whole model"):
        dynamics_of(tiny_bert / "model.safetensors", vera)
    state = load_file(vera / "adapter_model.safetensors")
    key = "base_model.model.encoder.layer.1.attention.self.value.vera_lambda_b"
    save_file({name: tensor for name, tensor in state.items() if name != key}, vera / "adapter_model.safetensors")
    with pytest.raises(LabError, match=r"does not fit the base: .*layer\.1\.attention\.self\.value\.vera_lambda_b"):
        dynamics_of(tiny_bert, vera)
    save_file({**state, key: torch.ones(7)}, vera / "adapter_model.safetensors")
    with pytest.raises(LabError, match="does not fit the base"):
        dynamics_of(tiny_bert, vera)
    save_file(state, vera / "adapter_model.safetensors")
    settings = (vera / "adapter_config.json").read_text()
    (vera / "adapter_config.json").write_text(settings.replace('"VERA"', '"NEWEST"'))
    with pytest.raises(LabError, match="kind NEWEST; allowed are LORA, ADALORA, VERA"):
        dynamics_of(tiny_bert, vera)
    (vera / "adapter_config.json").write_text(settings)
    torch.save(state, vera / "adapter_model.bin")
    (vera / "adapter_model.safetensors").unlink()
    with pytest.raises(LabError, match="is a pickle"):
        dynamics_of(tiny_bert, vera)


def test_kinds_that_change_no_weight_are_refused(tiny_bert, tmp_path):
    config = peft.PromptTuningConfig(num_virtual_tokens=3, task_type="FEATURE_EXTRACTION")
    peft.get_peft_model(AutoModel.from_pretrained(tiny_bert), config).save_pretrained(tmp_path / "prompt")
    with pytest.raises(LabError, match="kind PROMPT_TUNING") as caught:
        dynamics_of(tiny_bert, tmp_path / "prompt")
    assert "change no weight" in caught.value.hint
    config = peft.LNTuningConfig(target_modules=["LayerNorm"])
    with pytest.warns(UserWarning, match="Unsupported layer type"):
        peft.get_peft_model(AutoModel.from_pretrained(tiny_bert), config).save_pretrained(tmp_path / "norms")
    with pytest.raises(LabError, match="kind LN_TUNING"):
        dynamics_of(tiny_bert, tmp_path / "norms")


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", by_default(["adalora", "vera", "fourierft", "bilora", "pissa"], ["adalora", "bilora"])
)
def test_runs_of_every_method_with_an_adapter_can_be_analysed(tiny_bert, tmp_path, method, capsys):
    from tiny import write_table

    from bidora.train import train

    config = RunConfig(
        task="csv", data=str(write_table(tmp_path / "data.csv")), model=str(tiny_bert), method=method, steps=6, batch_size=8,
        learning_rate=1e-2, warmup_fraction=0.0, target_modules=("query", "value"), frequencies=100,
    )  # fmt: skip
    run = Run.create(config, tmp_path / "runs")
    train(run)
    capsys.readouterr()
    assert main(["analyse", run.id, "--debug", "--root", str(tmp_path / "runs")]) == 0
    told = capsys.readouterr().out
    assert told.count("query") == 2 and "Pearson" in told
    recorded = run.dynamics()
    last = recorded.groupby(["layer", "module"]).tail(1)
    expected = last.set_index(["layer", "module"])["delta_m"].sort_index()
    found = dynamics_of(tiny_bert, run.adapter_dir).set_index(["layer", "module"])["delta_m"].sort_index()
    assert found.to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-3, abs=1e-6)
