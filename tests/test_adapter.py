"""What is adapted, what is trained, and that plain PEFT reads what is saved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from warm import answer_of

from bidora.adapter import adapt, adapted_layers, initial_norms, split_parameters
from bidora.classifier import Classifier, build_classifier
from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.result import save_adapter

IDS = torch.arange(4, 4 + 2 * 9).reshape(2, 9) % 20 + 4
MASK = torch.ones_like(IDS)
MASK[1, 5:] = 0
NON_SQUARE = ("query", "intermediate.dense", "output.dense")


def built(folder: Path, **settings: object) -> Classifier:
    config = RunConfig(**{"rank": 2, **settings})
    torch.manual_seed(0)
    model = build_classifier(str(folder), config, outputs=3)
    return adapt(model, config)


@pytest.mark.parametrize("method", ["lora", "dora", "bidora"])
@pytest.mark.parametrize("fixture", ["tiny_bert", "tiny_roberta", "tiny_esm"])
def test_step_0_is_the_pretrained_model(method: str, fixture: str, request: pytest.FixtureRequest) -> None:
    """Defect 1: x·W instead of x·Wᵀ. Non-square layers too, where a transpose cannot hide."""
    folder = request.getfixturevalue(fixture)
    torch.manual_seed(0)
    plain = build_classifier(str(folder), RunConfig(), outputs=3).eval()
    model = built(folder, method=method, target_modules=NON_SQUARE).eval()
    with torch.no_grad():
        torch.testing.assert_close(model(IDS, MASK), plain(IDS, MASK), rtol=1e-5, atol=1e-6)
    shapes = {tuple(layer.get_base_layer().weight.shape) for _, layer in adapted_layers(model)}
    assert (40, 24) in shapes and (24, 40) in shapes


def test_levels_and_what_is_frozen(tiny_roberta: Path) -> None:
    """Defect 2: the official script never freezes the backbone."""
    model = built(tiny_roberta, method="bidora")
    direction, magnitude = split_parameters(model)
    assert len(magnitude) == 4  # query and value of two layers, one magnitude per output unit each
    assert all(parameter.shape == (24,) for parameter in magnitude.values())
    kinds = {next(kind for kind in ("lora_A", "lora_B", "classifier") if kind in name) for name in direction}
    assert kinds == {"lora_A", "lora_B", "classifier"}  # decision 6: the head belongs to the lower level
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert any("word_embeddings" in name for name in frozen)
    assert any(name.endswith("base_layer.weight") for name in frozen)


def test_magnitudes_begin_at_the_norms_of_the_rows(tiny_bert: Path) -> None:
    model = built(tiny_bert, method="bidora", target_modules=NON_SQUARE)
    norms = initial_norms(model)
    for name, layer in adapted_layers(model):
        torch.testing.assert_close(layer.lora_magnitude_vector["default"].weight.data, norms[name])


def test_full_fine_tuning_trains_everything(tiny_bert: Path) -> None:
    model = built(tiny_bert, method="full")
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not adapted_layers(model)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"target_modules": ("querry",)}, ["querry", "query"]),
        ({"target_modules": ("nothing_like_it",)}, ["nothing_like_it", "query", "key"]),
        ({"rank": 25}, ["rank=25", "1 to 24"]),
    ],
)
def test_impossible_targets_are_named(tiny_bert: Path, settings: dict[str, object], words: list[str]) -> None:
    with pytest.raises(LabError) as caught:
        built(tiny_bert, method="bidora", **settings)
    assert all(word in str(caught.value) for word in words)


PLAIN = """
import json, sys, torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForSequenceClassification
base, adapter, pooling = sys.argv[1:]
torch.manual_seed(5)
if pooling == "mean":
    model = AutoModel.from_pretrained(base)
else:
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3)
model = PeftModel.from_pretrained(model, adapter).eval()
ids, mask = torch.tensor(json.loads(sys.stdin.readline())), torch.tensor(json.loads(sys.stdin.readline()))
def logits():
    out = model(input_ids=ids, attention_mask=mask)
    if pooling != "mean":
        return out.logits
    head, weight = load_file(adapter + "/head.safetensors"), mask.unsqueeze(-1).float()
    return (out.last_hidden_state * weight).sum(1) / weight.sum(1) @ head["weight"].t() + head["bias"]
with torch.no_grad():
    adapted = logits()
    model = model.merge_and_unload()
    merged = logits()
assert not any(name.split(".")[0] == "bidora" for name in sys.modules)
print(json.dumps([adapted.tolist(), merged.tolist()]))
"""


@pytest.mark.parametrize("method", ["lora", "dora", "bidora"])
@pytest.mark.parametrize(
    ("fixture", "pooling"), [("tiny_bert", "mean"), ("tiny_roberta", "first"), ("tiny_esm", "mean")]
)
def test_plain_peft_loads_merges_and_predicts_the_same(
    method: str, fixture: str, pooling: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    from transformers import AutoTokenizer

    folder = request.getfixturevalue(fixture)
    model = built(folder, method=method, target_modules=NON_SQUARE).eval()
    assert model.pooling == pooling
    torch.manual_seed(2)
    for parameter in (p for level in split_parameters(model) for p in level.values()):
        parameter.data += 0.1 * torch.randn_like(parameter)
    with torch.no_grad():
        expected = model(IDS, MASK)
    save_adapter(
        model,
        tmp_path,
        AutoTokenizer.from_pretrained(folder),
        base="somebody/encoder",
        labels=("a", "b", "c"),
        kind="classification",
        scale=None,
    )
    if method != "full":
        described = json.loads((tmp_path / "adapter_config.json").read_text())
        assert described["base_model_name_or_path"] == "somebody/encoder"
        written = "".join(path.read_text() for path in tmp_path.iterdir() if path.suffix in (".json", ".md"))
        assert str(folder) not in written, "an adapter that is passed on names no folder of this machine"
    given = f"{json.dumps(IDS.tolist())}\n{json.dumps(MASK.tolist())}\n"
    answer = answer_of(PLAIN, str(folder), str(tmp_path), pooling, given=given, folder=tmp_path)
    for found in json.loads(answer.splitlines()[-1]):
        torch.testing.assert_close(torch.tensor(found), expected, rtol=1e-4, atol=1e-5)
