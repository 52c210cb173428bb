"""Weight dynamics of adapters against PEFT's own merge, of checkpoints by hand, and what damaged files are answered."""

import json
import math
import pickle
import struct
from pathlib import Path

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from bidora.cli import main
from bidora.decomposition import unit_change
from bidora.errors import LabError
from bidora.weights import canonical_name, check_header, dynamics_of, layer_of, module_names, open_tensors, read_adapter

# peft asks transformers by a name that transformers 5 wants to retire.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

QUERY = "encoder.layer.{}.attention.self.query"


@pytest.fixture(autouse=True)
def quiet_libraries():
    transformers.logging.disable_progress_bar()


def tiny_bert(seed: int = 0, precision: torch.dtype = torch.float64, head: bool = True) -> torch.nn.Module:
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        hidden_size=12,
        intermediate_size=20,  # so that intermediate.dense is (20, 12) and output.dense (12, 20)
        num_hidden_layers=2,
        num_attention_heads=2,
        vocab_size=30,
        max_position_embeddings=16,
    )
    kind = transformers.BertForSequenceClassification if head else transformers.BertModel
    return kind(config).to(precision)


def tiny_gpt2() -> torch.nn.Module:
    torch.manual_seed(0)
    config = transformers.GPT2Config(n_embd=12, n_layer=2, n_head=2, vocab_size=30, n_positions=16)
    return transformers.GPT2Model(config).double()


def save_adapter(model: torch.nn.Module, folder: Path, seed: int = 1, **settings) -> dict[str, torch.Tensor]:
    """Train nothing, but make A, B and m random; save with PEFT; return the weights that PEFT merges to."""
    settings = {"r": 2, "lora_alpha": 3, "target_modules": ["query", "intermediate.dense", "output.dense"], **settings}
    adapted = peft.get_peft_model(model, peft.LoraConfig(**settings))
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_magnitude" in name:
                parameter.mul_(0.5 + torch.rand_like(parameter))
            elif "lora_" in name:
                parameter.copy_(torch.randn_like(parameter))
    adapted.save_pretrained(str(folder))
    return dict(adapted.merge_and_unload().state_dict())


def compared(base: dict[str, torch.Tensor], merged: dict[str, torch.Tensor], name: str, axis: str = "output"):
    return unit_change(base[f"{name}.weight"].double(), merged[f"{name}.weight"].double(), axis)


VARIANTS = {
    "lora": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "rsdora": {"use_dora": True, "use_rslora": True},
    "patterns": {
        "use_dora": True,
        "rank_pattern": {"layer.0.attention.self.query": 3, r"layer\.\d+\.intermediate\.dense": 5},
        "alpha_pattern": {"output.dense": 7, "layer.1.attention.self.query": 11},
    },
}


@pytest.mark.parametrize("axis", ["output", "input"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_adapter_folder_gives_what_peft_merges_to(tmp_path, variant, axis):
    model = tiny_bert()
    base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.save_pretrained(tmp_path / "base")
    merged = save_adapter(model, tmp_path / "adapter", **VARIANTS[variant])
    table = dynamics_of(tmp_path / "base", tmp_path / "adapter", axis=axis)
    assert len(table) == 2 * 4  # query, intermediate.dense, output.dense, attention.output.dense
    for row in table.itertuples():
        change = compared(base, merged, row.name, axis)
        assert row.units == len(change.magnitude)
        assert row.delta_m == pytest.approx(change.magnitude.abs().mean().item(), rel=1e-10)
        assert row.delta_m_signed_percent == pytest.approx(change.percent.mean().item(), rel=1e-10)
        assert row.delta_d == pytest.approx(change.direction.mean().item(), rel=1e-10)
        assert row.angle_degrees == pytest.approx(change.angle.mean().item(), rel=1e-10)
        assert row.delta_d > 0


@pytest.mark.parametrize("variant", ["lora", "patterns"])
def test_the_merged_weights_themselves_are_pefts(tmp_path, variant):
    model = tiny_bert()
    base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    merged = save_adapter(model, tmp_path, **VARIANTS[variant])
    adapter = read_adapter(tmp_path)
    assert len(adapter.layers) == 8
    for layer in adapter.layers.values():
        found = adapter.merged(layer, base[f"{layer.name}.weight"])
        torch.testing.assert_close(found, merged[f"{layer.name}.weight"], rtol=1e-12, atol=1e-14)


def test_weights_stored_the_other_way_round(tmp_path):
    """GPT-2 keeps (in, out); one output unit is then a column of the file and a row of ours."""
    model = tiny_gpt2()
    base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    settings = {"use_dora": True, "target_modules": ["c_attn", "c_fc"], "fan_in_fan_out": True}
    merged = save_adapter(model, tmp_path / "adapter", **settings)
    table = dynamics_of(base, tmp_path / "adapter")
    assert table.module.tolist() == ["c_attn", "c_fc"] * 2
    assert table.units.tolist() == [36, 48] * 2
    for row in table.itertuples():
        change = unit_change(base[f"{row.name}.weight"].T, merged[f"{row.name}.weight"].T)
        assert row.delta_m == pytest.approx(change.magnitude.abs().mean().item(), rel=1e-10)
        assert row.delta_d == pytest.approx(change.direction.mean().item(), rel=1e-10)


def test_what_an_adapter_saves_whole_is_named(tmp_path, capsys):
    model = tiny_bert(precision=torch.float32)
    model.save_pretrained(tmp_path / "base")
    save_adapter(model, tmp_path / "adapter", modules_to_save=["classifier"])
    table = dynamics_of(tmp_path / "base", tmp_path / "adapter")
    assert table.attrs["saved_whole"] == ["classifier"] and "classifier" not in set(table.module)
    assert main(["analyse", str(tmp_path / "adapter"), "--base", str(tmp_path / "base")]) == 0
    assert "Trained and saved whole, not compared: classifier" in capsys.readouterr().out


def test_half_precision_files_are_computed_in_float64(tmp_path):
    model = tiny_bert(precision=torch.bfloat16)
    base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_adapter(model, tmp_path, target_modules=["query"])
    row = dynamics_of(base, tmp_path).iloc[0]
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    lora_A, lora_B = (tensors[f"base_model.model.{row['name']}.lora_{part}.weight"].double() for part in "AB")
    before = base[f"{row['name']}.weight"].double()
    assert row.delta_m == pytest.approx(
        unit_change(before, before + 1.5 * lora_B @ lora_A).magnitude.abs().mean().item()
    )


def test_the_prefix_of_the_task_model_may_be_on_either_side(tmp_path):
    model = tiny_bert()
    bare = {name.removeprefix("bert."): each.clone() for name, each in model.state_dict().items() if "bert." in name}
    save_adapter(model, tmp_path / "task")
    from_task = dynamics_of(bare, tmp_path / "task")
    encoder = tiny_bert(head=False)
    encoder.load_state_dict(bare, strict=False)
    save_adapter(encoder, tmp_path / "bare")
    from_bare = dynamics_of({f"bert.{name}": tensor for name, tensor in bare.items()}, tmp_path / "bare")
    assert from_task["name"].tolist()[0] == QUERY.format(0) or QUERY.format(0) in from_task["name"].tolist()
    assert set(from_bare["name"]) == {f"bert.{name}" for name in from_task["name"]}
    assert from_task.delta_d.sort_values().tolist() == pytest.approx(
        from_bare.delta_d.sort_values().tolist(), rel=1e-12
    )


def test_several_checkpoints_of_a_run_carry_their_steps(tmp_path):
    base = tiny_bert().state_dict()
    for step in (50, 100, 9):
        save_adapter(tiny_bert(), tmp_path / f"checkpoint-{step}", seed=step, target_modules=["query", "value"])
    folders = [tmp_path / f"checkpoint-{step}" for step in (9, 50, 100)]
    table = dynamics_of(base, folders)
    assert list(table.columns[:4]) == ["step", "name", "layer", "module"]
    assert table.step.tolist() == [9] * 4 + [50] * 4 + [100] * 4
    alone = dynamics_of(base, tmp_path / "checkpoint-100")
    assert table[table.step == 100].delta_m.tolist() == alone.delta_m.tolist()
    assert "step" not in alone
    (tmp_path / "first").mkdir()
    (tmp_path / "checkpoint-9").rename(tmp_path / "first" / "adapter")
    assert set(dynamics_of(base, [tmp_path / "first" / "adapter", folders[1]]).step) == {1, 2}


def test_two_checkpoints_by_hand():
    base = {
        "bert.encoder.layer.0.query.weight": torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 2.0]]),
        "bert.encoder.layer.1.query.weight": torch.eye(3)[:2],
        "bert.encoder.layer.0.query.bias": torch.zeros(2),
        "bert.pooler.dense.weight": torch.ones(2, 2),
    }
    after = dict(base)
    after["bert.encoder.layer.0.query.weight"] = torch.tensor([[0.0, 10.0, 0.0], [1.0, 0.0, 0.0]])
    after["classifier.weight"] = torch.ones(4, 2)
    table = dynamics_of(base, after)
    assert len(table) == 1  # layer 1 was not trained
    assert table.attrs == {"axis": "output", "unchanged": 1, "saved_whole": [], "zero_units": 0}
    row = table.iloc[0]
    assert (row["name"], row.layer, row.module) == ("bert.encoder.layer.0.query", 0, "query")
    assert (row.delta_m, row.delta_m_signed_percent, row.units) == (3.0, 25.0, 2)
    assert row.delta_d == pytest.approx(0.6, rel=1e-15)
    assert row.angle_degrees == pytest.approx((math.degrees(math.acos(0.8)) + 90) / 2, rel=1e-14)


def test_full_fine_tuning_saved_in_shards_equals_the_same_in_memory(tmp_path):
    model, tuned = tiny_bert(seed=0), tiny_bert(seed=5)
    model.save_pretrained(tmp_path / "base", max_shard_size="10KB")
    tuned.save_pretrained(tmp_path / "after")
    assert len(list((tmp_path / "base").glob("*.safetensors"))) > 1
    from_disk, in_memory = dynamics_of(tmp_path / "base", tmp_path / "after"), dynamics_of(model, tuned)
    assert len(from_disk) == 12
    assert from_disk.equals(in_memory)
    assert set(from_disk.module) == {
        "query",
        "key",
        "value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    }
    one = dynamics_of(tmp_path / "base", tmp_path / "after" / "model.safetensors", modules=("query",))
    assert one["name"].tolist() == [f"bert.{QUERY.format(0)}", f"bert.{QUERY.format(1)}"]


def test_equal_checkpoints_give_zeros_and_no_empty_table():
    table = dynamics_of(tiny_bert(), tiny_bert())
    assert len(table) == 12
    assert (table.delta_m == 0).all() and (table.delta_d == 0).all()


def test_a_model_with_its_adapter_still_on_can_be_the_base(tmp_path):
    model = tiny_bert()
    base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["query"]))
    save_adapter(tiny_bert(), tmp_path)
    assert dynamics_of(adapted, tmp_path).equals(dynamics_of(base, tmp_path))


def test_what_wrappers_put_before_a_name_is_taken_off():
    assert canonical_name("base_model.model.bert.layer.0.query.base_layer.weight") == "bert.layer.0.query.weight"
    assert canonical_name("backbone.base_model.model.layer.0.query.weight") == "backbone.layer.0.query.weight"
    assert canonical_name("module._orig_mod.layer.0.query.weight") == "layer.0.query.weight"
    assert canonical_name("my_base_model.model.weight") == "my_base_model.model.weight"


def test_names_are_short_but_distinct():
    assert layer_of("pooler.dense") == -1
    assert layer_of("layers.3.mlp.1.up") == 3
    names = ["h.0.attn.out", "h.0.mlp.out", "h.1.mlp.out", "h.1.query"]
    assert module_names(names) == dict(zip(names, ["attn.out", "mlp.out", "mlp.out", "query"]))


# -- what does not fit ------------------------------------------------------------------------------------------


def refused(words: str, base, after, **options) -> LabError:
    with pytest.raises(LabError) as caught:
        dynamics_of(base, after, **options)
    assert words in caught.value.message, caught.value.message
    assert caught.value.hint
    return caught.value


@pytest.fixture
def adapter(tmp_path) -> Path:
    save_adapter(tiny_bert(), tmp_path / "adapter", use_dora=True, target_modules=["query"])
    return tmp_path / "adapter"


def rewrite(adapter: Path, change) -> None:
    path = adapter / "adapter_model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def configure(adapter: Path, **changes) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_an_adapter_of_another_model_is_refused_by_name(adapter):
    base = tiny_bert().state_dict()
    name = f"bert.{QUERY.format(1)}.weight"
    error = refused(f"{name} is missing", {key: value for key, value in base.items() if key != name}, adapter)
    assert "the nearest there is bert.encoder.layer.0.attention.self.query.weight" in error.message
    error = refused("has shape (14, 12)", {**base, name: torch.ones(14, 12)}, adapter)
    assert name in error.message and "(12, 12)" in error.message


def test_tensors_missing_from_or_too_many_in_an_adapter_are_named(adapter):
    base, query = tiny_bert(), f"base_model.model.bert.{QUERY.format(0)}"
    rewrite(adapter, lambda tensors: tensors.pop(f"{query}.lora_magnitude_vector"))
    refused(f"bert.{QUERY.format(0)}.lora_magnitude_vector is missing", base, adapter)
    configure(adapter, use_dora=False)
    refused(f"bert.{QUERY.format(1)}.lora_magnitude_vector", base, adapter)
    rewrite(adapter, lambda tensors: tensors.pop(f"{query}.lora_B.weight"))
    refused(f"bert.{QUERY.format(0)}.lora_B.weight is missing", base, adapter)


def test_adapters_of_layers_that_are_not_linear_are_refused(adapter):
    embeddings = "base_model.model.bert.embeddings.word_embeddings"
    rewrite(adapter, lambda tensors: tensors.update({f"{embeddings}.lora_embedding_A": torch.ones(2, 2)}))
    refused("is LoRA on an embedding", tiny_bert(), adapter)
    rewrite(adapter, lambda tensors: tensors.pop(f"{embeddings}.lora_embedding_A"))
    key = f"base_model.model.bert.{QUERY.format(0)}.lora_ranknum"
    rewrite(adapter, lambda tensors: tensors.update({key: torch.ones(1)}))
    refused("lora_ranknum in", tiny_bert(), adapter)


def test_ranks_that_contradict_each_other_are_named(adapter):
    configure(adapter, r=3)
    refused("lora_A (2, 12) and lora_B (12, 2) are not of rank 3", tiny_bert(), adapter)
    configure(adapter, r=0)
    refused("r=0", tiny_bert(), adapter)
    configure(adapter, r="two")
    refused("no usable r", tiny_bert(), adapter)
    configure(adapter, r=2, rank_pattern={"(": 2})
    refused("no usable r", tiny_bert(), adapter)


def test_a_magnitude_of_another_length_is_named(adapter):
    key = f"base_model.model.bert.{QUERY.format(0)}.lora_magnitude_vector"
    rewrite(adapter, lambda tensors: tensors.update({key: torch.ones(5)}))
    refused("has shape (5,)", tiny_bert(), adapter)


@pytest.mark.parametrize(
    "changes",
    [{"init_lora_weights": "pissa_niter_4"}, {"use_qalora": True}, {"kasa_config": {"a": 1}}],
)
def test_adapters_whose_merged_weight_is_another_are_refused(adapter, changes):
    configure(adapter, **changes)
    error = refused(next(iter(changes)), tiny_bert(), adapter)
    assert "merge" in error.hint


def test_checkpoints_of_different_depth_or_width_are_refused():
    base, after = tiny_bert().state_dict(), tiny_bert(seed=1).state_dict()
    shorter = {name: tensor for name, tensor in after.items() if "layer.1." not in name}
    assert "layer.1." in refused("is missing in the given state dict", base, shorter).message
    assert "layer.1." in refused("is missing in the given state dict", shorter, base).message
    name = f"bert.{QUERY.format(0)}.weight"
    error = refused(f"{name} has shape (12, 12)", base, {**after, name: torch.ones(3, 12)})
    assert "(3, 12)" in error.message


def test_unknown_modules_are_answered_with_the_known_ones():
    assert "query" in refused("'querry'", tiny_bert(), tiny_bert(seed=1), modules=("querry",)).hint


@pytest.mark.parametrize("key", ["layers.0.(a+)+b", "(a|aa)*b", ".*.*.*.*.*b", "a" * 1001])
def test_patterns_that_may_match_for_ever_are_refused(adapter, key):
    settings = json.loads((adapter / "adapter_config.json").read_text())
    for pattern in ("rank_pattern", "alpha_pattern"):
        (adapter / "adapter_config.json").write_text(json.dumps({**settings, pattern: {key: 2}}))
        assert "name the modules themselves" in refused(f"in {pattern} by a pattern", tiny_bert(), adapter).hint
    (adapter / "adapter_config.json").write_text(
        json.dumps({**settings, "rank_pattern": {r".*\.(query|x)$": settings["r"]}})
    )
    assert len(dynamics_of(tiny_bert(), adapter))


def test_zero_units_are_in_no_mean_and_are_counted(tmp_path, capsys):
    model, tuned = tiny_bert(precision=torch.float32), tiny_bert(seed=1, precision=torch.float32)
    name = QUERY.format(0)
    with torch.no_grad():
        model.get_submodule(f"bert.{name}").weight[4] = 0
        tuned.get_submodule(f"bert.{name}").weight[7] = 0
    table = dynamics_of(model, tuned).set_index("name")
    assert table.attrs["zero_units"] == 2 and table.units[f"bert.{name}"] == 10 and (table.units == 12).sum() > 1
    kept = [unit for unit in range(12) if unit not in (4, 7)]
    first, second = (each.get_submodule(f"bert.{name}").weight[kept].double() for each in (model, tuned))
    assert table.delta_d[f"bert.{name}"] == pytest.approx(unit_change(first, second).direction.mean().item(), rel=1e-12)
    model.save_pretrained(tmp_path / "base")
    tuned.save_pretrained(tmp_path / "tuned")
    assert main(["analyse", str(tmp_path / "tuned"), "--base", str(tmp_path / "base")]) == 0
    assert "in no mean: 2 units." in capsys.readouterr().out
    assert dynamics_of(model, [tuned, tuned]).attrs["zero_units"] == 2


def test_zero_matrices_nan_and_quantised_weights_are_named():
    base, name = tiny_bert().state_dict(), f"bert.{QUERY.format(0)}.weight"
    refused(f"{name}: 12 of 12 output units are zero (0, 1, 2, …)", base, {**base, name: torch.zeros_like(base[name])})
    refused(f"{name} in the given state dict holds NaN", base, {**base, name: base[name] * math.nan})
    refused(f"{name} in the given state dict holds whole numbers", base, {**base, name: base[name].to(torch.int8)})


def test_what_is_no_model_is_refused(tmp_path, adapter):
    base = tiny_bert()
    refused("does not exist", tmp_path / "nowhere", adapter)
    refused("is an adapter and no model", adapter, adapter)
    refused("holds no weights", base, adapter.parent)
    refused("no matrices in numbered layers", base, {"head.weight": torch.ones(2, 2)})
    assert "at least one" in refused("nothing to compare", base, []).hint
    (adapter / "adapter_config.json").write_text("[1]")
    refused("is not an adapter's settings", base, adapter)


# -- damaged and dangerous files --------------------------------------------------------------------------------


class Bomb:
    """Unpickling this makes a file: a test that nothing is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors", "weights.pt"])
@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_pickles_are_never_opened_whatever_they_are_called(tmp_path, name, writer):
    model, fuse = tmp_path / "model", tmp_path / "opened"
    model.mkdir()
    with open(model / name, "wb") as handle:
        write = pickle.dump if writer == "pickle" else torch.save
        write(Bomb(fuse), handle)
    for source in (model, model / name):
        error = refused("is a pickle", source, tiny_bert())
        assert "safetensors" in error.hint
    assert not fuse.exists()


def test_an_adapter_saved_as_pickle_is_refused(adapter):
    (adapter / "adapter_model.safetensors").unlink()
    refused("does not exist", tiny_bert(), adapter)
    torch.save({}, adapter / "adapter_model.bin")
    refused("adapter_model.bin is a pickle", tiny_bert(), adapter)


def file_with_header(path: Path, header: dict | bytes, body: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def entry(shape, begin, end, kind="F32"):
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"abc", "not a safetensors file"),
        (b"<!DOCTYPE html><html>Not found</html>", "not a safetensors file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS pointer"),
        (struct.pack("<Q", 2**62) + b"{}", "not a safetensors file"),
        (struct.pack("<Q", 500) + b'{"a": 1', "cut off in its header"),
    ],
)
def test_files_that_are_something_else(tmp_path, content, words):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    refused(words, path, tiny_bert())


@pytest.mark.parametrize(
    ("header", "body", "words"),
    [
        (b"{" + b"[" * 20_000, b"", "not what the format asks for"),
        (b"{not json}", b"", "not what the format asks for"),
        ({"a": 3}, b"", "not what the format asks for"),
        ({"a": {"dtype": "F32", "shape": [1]}}, b"", "not what the format asks for"),
        ({"a": entry([2, 2], 0, 12)}, b"0" * 12, "not what the format asks for"),
        ({"a": entry([-1, 2], 0, 8)}, b"0" * 8, "not what the format asks for"),
        ({"a": entry([10**9, 10**9], 0, 4 * 10**18)}, b"0" * 8, "is cut off"),
        ({"a": entry([2, 2], 0, 16)}, b"0" * 10, "is cut off"),
        ({"a": entry([2, 2], 0, 16)}, b"0" * 17, "1 bytes too many"),
    ],
)
def test_headers_that_lie_are_found_before_anything_is_read(tmp_path, header, body, words):
    path = file_with_header(tmp_path / "model.safetensors", header, body)
    with pytest.raises(LabError) as caught:
        check_header(path)
    assert words in caught.value.message


def test_overlapping_tensors_are_refused_when_read(tmp_path):
    header = {"a": entry([2], 0, 8), "b": entry([3], 4, 16)}
    path = file_with_header(tmp_path / "model.safetensors", header, b"0" * 16)
    with pytest.raises(LabError, match="cannot be used"):
        open_tensors(path).read("a")


def test_a_truncated_download_is_called_so(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.ones(100, 100)}, path)
    assert check_header(path) == {"a": ("F32", (100, 100))}
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(LabError, match="cut off: 39,"):
        open_tensors(path)


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/secret.safetensors", "model.bin"])
def test_an_index_cannot_lead_out_of_its_folder(tmp_path, name):
    (tmp_path / "model").mkdir()
    save_file({"layers.0.q.weight": torch.ones(2, 2)}, tmp_path / "secret.safetensors")
    index = tmp_path / "model" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"layers.0.q.weight": name}}))
    refused("not a .safetensors file beside it", index.parent, tiny_bert())
    index.write_text(json.dumps({"weight_map": {"a": "model-00002-of-00002.safetensors"}}))
    refused("lacks 1 of 1 weight files (model-00002-of-00002.safetensors)", index.parent, tiny_bert())
    index.write_text("{}")
    refused("no weight_map", index.parent, tiny_bert())


def test_only_one_tensor_is_read_at_a_time(tmp_path, monkeypatch):
    """The reader asks for one tensor after another, and for none that it does not compare."""
    model = tiny_bert()
    model.save_pretrained(tmp_path / "base")
    save_adapter(model, tmp_path / "adapter", target_modules=["query"])
    asked = []
    tensors = open_tensors(tmp_path / "base")
    monkeypatch.setattr(type(tensors), "read", spy(type(tensors).read, asked))
    dynamics_of(tmp_path / "base", tmp_path / "adapter")
    assert sorted({name for name in asked if "lora" not in name}) == [f"bert.{QUERY.format(n)}.weight" for n in (0, 1)]


def spy(original, asked):
    def read(self, name):
        asked.append(name)
        return original(self, name)

    return read
