"""One setting of target_modules for every architecture: names by role, and DeBERTa-v2 and Llama from end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from test_adapter import IDS, MASK
from tiny import save_tiny_model
from transformers import AutoConfig, AutoTokenizer
from warm import answer_of

from bidora.adapter import adapt, adapted_layers, target_names
from bidora.classifier import Classifier, build_classifier, read_settings
from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.models import get_model
from bidora.preflight.material import check_layers
from bidora.runs import Run
from bidora.train import _Training, train

OWN_NAMES = {
    "bert": {"query", "value"},
    "roberta": {"query", "value"},
    "esm": {"query", "value"},
    "deberta-v2": {"query_proj", "value_proj"},
    "llama": {"q_proj", "v_proj"},
}
ROLES = ("query", "key", "value")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("architectures")
    return {family: save_tiny_model(root / family, family) for family in OWN_NAMES}


def adapted(folder: Path, **settings: Any) -> Classifier:
    config = RunConfig(**{"rank": 2, "frequencies": 20, **settings})
    torch.manual_seed(0)
    return adapt(build_classifier(str(folder), config, outputs=3), config)


@pytest.mark.parametrize("family", OWN_NAMES)
def test_a_preview_counts_from_the_files_what_is_adapted(family: str, folders: dict[str, Path]) -> None:
    check = check_layers(RunConfig(rank=2), get_model(str(folders[family])))
    names = {name.split(".")[-1] for name, _ in adapted_layers(adapted(folders[family], method="lora"))}
    count = len(adapted_layers(adapted(folders[family], method="lora")))
    assert check.sentence == f"{count} layers will be adapted ({', '.join(sorted(names))})."


@pytest.mark.parametrize("family", OWN_NAMES)
def test_the_default_adapts_query_and_value_of_each_layer(family: str, folders: dict[str, Path]) -> None:
    model = adapted(folders[family], method="bidora")
    names = [name for name, _ in adapted_layers(model)]
    assert {name.split(".")[-1] for name in names} == OWN_NAMES[family]
    assert len(names) == 2 * 2


@pytest.mark.parametrize("family", OWN_NAMES)
@pytest.mark.parametrize("method", ["dora", "pissa", "bilora", "fourierft"])
def test_step_0_is_the_pretrained_model(method: str, family: str, folders: dict[str, Path]) -> None:
    torch.manual_seed(0)
    plain = build_classifier(str(folders[family]), RunConfig(), outputs=3).eval()
    model = adapted(folders[family], method=method, target_modules=ROLES).eval()
    with torch.no_grad():
        torch.testing.assert_close(model(IDS, MASK), plain(IDS, MASK), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ["deberta-v2", "llama"])
@pytest.mark.parametrize("scale", ["lr", "adam"])
def test_bidora_from_end_to_end(scale: str, family: str, folders: dict[str, Path], table: Path, tmp_path: Path) -> None:
    config = RunConfig(
        task="csv", data=str(table), model=str(folders[family]), method="bidora", rank=2, steps=6, batch_size=8,
        learning_rate=1e-2, unroll_scale=scale, threads=1,
    )  # fmt: skip
    run = Run.create(config, tmp_path)
    result = train(run)
    assert {"accuracy", "macro_f1"} <= result["scores"].keys()
    dynamics = run.dynamics()
    assert set(dynamics["module"]) == OWN_NAMES[family]
    search = dynamics[(dynamics["phase"] == "search") & (dynamics["step"] > 0)]
    assert (search["magnitude_gradient_norm"] > 0).all()
    assert (search.loc[search["step"] == 6, "delta_m"] > 1e-5).all()
    assert same_in_plain_peft(run, folders[family], tmp_path)


def test_the_exact_product_goes_through_disentangled_attention(folders: dict[str, Path], table: Path, tmp_path: Path):
    config = RunConfig(
        task="csv", data=str(table), model=str(folders["deberta-v2"]), method="bidora", rank=2, steps=3, batch_size=8,
        learning_rate=1e-2, unroll_scale="1", mixed_product="exact", retrain="none", threads=1,
    )  # fmt: skip
    run = Run.create(config, tmp_path)
    train(run)
    assert (run.metrics()["implicit_norm"].dropna() > 0).all()


PLAIN = """
import json, sys, torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer
base, folder = sys.argv[1:3]
torch.manual_seed(9)
model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2, pad_token_id=0)
model = PeftModel.from_pretrained(model, folder).eval()
given = json.loads(sys.stdin.read())
tokens = AutoTokenizer.from_pretrained(folder)
found = []
with torch.no_grad():
    for text in given:
        batch = tokens(text, return_tensors="pt")
        out = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        found.append(out.logits.softmax(-1).max().item())
assert not any(name.split(".")[0] == "bidora" for name in sys.modules)
print(json.dumps(found))
"""


def same_in_plain_peft(run: Run, base: Path, tmp_path: Path) -> bool:
    """DeBERTa's pooler is as new as its classifier: without it in the saved adapter, another head would answer."""
    import pandas

    table = pandas.read_csv(run.config.data).drop_duplicates("text")
    predictions = run.predictions().merge(table, left_on="input", right_on="text").head(6)
    assert len(predictions) >= 3
    texts = json.dumps(predictions["input"].tolist())
    answer = answer_of(PLAIN, str(base), str(run.adapter_dir), given=texts, folder=tmp_path)
    found = json.loads(answer.splitlines()[-1])
    torch.testing.assert_close(
        torch.tensor(found), torch.tensor(predictions["probability"].tolist()), rtol=1e-3, atol=1e-4
    )
    return True


def test_a_newly_drawn_pooler_is_trained_and_a_pretrained_one_is_not(folders: dict[str, Path]) -> None:
    trained = {
        family: {name for name, p in adapted(folders[family], method="lora", pooling="first").named_parameters() if p.requires_grad}
        for family in ("deberta-v2", "roberta", "bert")
    }  # fmt: skip
    assert any("pooler" in name for name in trained["deberta-v2"])
    assert not any("pooler" in name for name in trained["roberta"] | trained["bert"])


def test_full_fine_tuning_records_the_same_layers(folders: dict[str, Path]) -> None:
    from bidora.recorder import base_weights

    model = adapted(folders["llama"], method="full")
    assert {name.split(".")[-1] for name in base_weights(model, ("query", "value"))} == OWN_NAMES["llama"]


def test_names_are_taken_as_they_are_where_the_model_has_them(folders: dict[str, Path]) -> None:
    bert = build_classifier(str(folders["bert"]), RunConfig(), outputs=2)
    llama = build_classifier(str(folders["llama"]), RunConfig(), outputs=2)
    assert target_names(bert, ("query", "intermediate.dense")) == ("query", "intermediate.dense")
    assert target_names(llama, ("query", "o_proj", "q_proj")) == ("q_proj", "o_proj")
    with pytest.raises(LabError, match="query_projection"):
        adapted(folders["llama"], method="lora", target_modules=("query_projection",))


@pytest.mark.parametrize("method", ["bitfit", "head"])
def test_llama_has_no_biases_and_a_head(method: str, folders: dict[str, Path]) -> None:
    if method == "head":
        model = adapted(folders["llama"], method="head")
        assert {name for name, p in model.named_parameters() if p.requires_grad} == {"backbone.score.weight"}
        return
    with pytest.raises(LabError, match="no bias"):
        adapted(folders["llama"], method="bitfit")


def test_padding_changes_no_answer_of_a_causal_classifier(table: Path, tmp_path: Path) -> None:
    """Qwen's kin names no padding in config.json; its classifier reads the last token that is none."""
    folder = save_tiny_model(tmp_path / "qwen", "llama")
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"pad_token_id": None}))
    tokens = json.loads((folder / "tokenizer_config.json").read_text())
    other = next(token for token in AutoTokenizer.from_pretrained(folder).get_vocab() if token.startswith("word"))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokens | {"pad_token": other}))
    config = RunConfig(task="csv", data=str(table), model=str(folder), method="lora", rank=2, steps=4, threads=1)
    run = Run.create(config, tmp_path / "runs")
    seen = {}

    def watch(self: Any, data: Any) -> Any:
        seen["model"], seen["pad"] = built(self, data), data.pad_id
        return seen["model"]

    built = _Training._build
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Training, "_build", watch)
        train(run)
    model, pad = seen["model"].eval(), seen["pad"]
    assert pad != 0
    alone = torch.tensor([[7, 8, 9]])
    beside = torch.tensor([[7, 8, 9, pad, pad], [5, 6, 7, 8, 9]])
    with torch.no_grad():
        one = model(alone, torch.ones_like(alone))[0]
        two = model(beside, (torch.arange(5) < torch.tensor([[3], [5]])).long())[0]
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["gpt2", "distilbert", "modernbert", "deberta-v2", "llama", "bert", "electra", "esm"])
def test_no_dropout_is_left_where_none_is_asked_for(kind: str, tmp_path: Path) -> None:
    AutoConfig.for_model(kind).save_pretrained(tmp_path)
    settings = read_settings(str(tmp_path), RunConfig(backbone_dropout=0.0)).to_dict()
    assert not {
        name: value for name, value in settings.items() if "drop" in name and isinstance(value, float) and value
    }
