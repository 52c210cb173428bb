"""Runs of named entities: every method from files to plain PEFT with equal predictions, cuts, notes, no first-token shortcut."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from tagged import column_file, sentences, write_tagged
from variants import by_default
from warm import answer_of

from bidora.adapter import adapt
from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.kinds import get_kind
from bidora.methods import METHODS
from bidora.metrics import score
from bidora.metrics.scoring import objects
from bidora.runs import Run
from bidora.tasks import prepare

TARGETS = ("query", "key", "value", "dense")

PLAIN = """
import json, sys
import torch
from peft import PeftModel
from transformers import AutoModelForTokenClassification, AutoTokenizer

base, adapter, texts, labels = json.loads(sys.stdin.read())
names = {str(place): label for place, label in enumerate(labels)}
if adapter != base:
    model = AutoModelForTokenClassification.from_pretrained(base, num_labels=len(labels), id2label=names)
    model = PeftModel.from_pretrained(model, adapter)
else:
    model = AutoModelForTokenClassification.from_pretrained(adapter)
    assert [model.config.id2label[place] for place in range(len(labels))] == labels
tokenizer = AutoTokenizer.from_pretrained(adapter)
found = []
for words in texts:
    batch = tokenizer(" ".join(words), return_offsets_mapping=True, return_tensors="pt")
    offsets = batch.pop("offset_mapping")[0].tolist()
    with torch.no_grad():
        tags = model.eval()(**batch).logits[0].argmax(dim=-1).tolist()
    start, row = 0, []
    for word in words:
        row.append(next(tag for tag, (one, other) in zip(tags, offsets) if other > one and one >= start))
        start += len(word) + 1
    found.append(row)
assert not any(name.startswith("bidora") for name in sys.modules)
print(json.dumps(found))
"""


def run_of(root: Path, model: Path, data: Path, **settings) -> Run:
    values = dict(method="bidora", rank=2, steps=4, batch_size=8, learning_rate=2e-2, threads=1, max_length=40)
    config = RunConfig(task="conll2003", model=str(model), data=str(data), **{**values, **settings})
    return Run.create(config, root)


def in_plain_peft(run: Run, base: Path, split, labels) -> np.ndarray:
    """Tags by a process that imports peft and transformers only."""
    full = not (run.adapter_dir / "adapter_config.json").exists()
    told = [str(run.adapter_dir if full else base), str(run.adapter_dir), [list(w) for w in split.words], list(labels)]
    answer = answer_of(PLAIN, given=json.dumps(told), folder=run.path)
    return objects([np.array(row) for row in json.loads(answer)])


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_tagged(tmp_path_factory.mktemp("tagged"), train=60, devel=0, test=16)


@pytest.mark.parametrize("method", by_default(METHODS, ["lora", "adalora", "bidora", "bitfit", "full"]))
def test_every_method_trains_scores_and_keeps_what_it_says(method, tiny_bert, data, tmp_path):
    from bidora.train import train

    run = run_of(tmp_path, tiny_bert, data, method=method, selection_fraction=0.2, frequencies=100)
    result = train(run)
    assert run.state == "finished" and result["kind"] == "tagging" and result["primary"] == run.meta["primary"]
    assert list(result["scores"]) == ["entity_f1", "entity_precision", "entity_recall"]
    assert set(result["selection_scores"]) == set(result["scores"]) == set(result["baseline"])
    assert result["baseline"] == dict.fromkeys(result["scores"], 0.0)
    assert run.meta["labels"] == ["O", "B-CELL", "I-CELL", "B-GENE", "I-GENE"]
    frame = run.predictions()
    assert len(frame) == 16 == result["n_test"]
    assert frame["correct"].tolist() == (frame["target"] == frame["prediction"]).tolist()
    on_the_way = run.metrics().dropna(subset=["test_entity_f1"])
    assert len(on_the_way) and np.isfinite(on_the_way["test_loss"]).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of plain transformers and peft
@pytest.mark.parametrize(
    ("method", "family"),
    [("lora", "bert"), ("dora", "roberta"), ("bidora", "roberta"), ("full", "bert")],
)
def test_plain_peft_predicts_the_same_from_the_saved_folder(method, family, request, data, tmp_path):
    from bidora.train import train

    base, rate = (
        request.getfixturevalue(f"tiny_{family}"),
        0.005 if method == "full" else 0.03 if method == "lora" else 0.05,
    )
    run = run_of(
        tmp_path, base, data, method=method, steps=40, batch_size=16, learning_rate=rate, target_modules=TARGETS
    )
    result = train(run)
    prepared = prepare(run.config)
    tags = in_plain_peft(run, base, prepared.test, prepared.labels)
    again = score("tagging", tags, prepared.test.targets, prepared.labels)
    assert {name: each["value"] for name, each in result["scores"].items()} == pytest.approx(again, abs=1e-12)
    frame = get_kind("tagging").predictions(tags, prepared.test.targets, prepared.test, prepared.labels)
    assert frame["prediction"].tolist() == run.predictions()["prediction"].tolist()
    assert result["scores"]["entity_f1"]["value"] > 0.05, "something was learnt, so there is something to compare"
    if method != "full":
        assert json.loads((run.adapter_dir / "adapter_config.json").read_text())["task_type"] == "TOKEN_CLS"


def test_the_head_belongs_to_the_lower_level_and_the_shortcut_is_left_out(tiny_roberta):
    from bidora.adapter import split_parameters

    labels = ("O", "B-X", "I-X")
    model = get_kind("tagging").build(str(tiny_roberta), RunConfig(), labels=labels, attention="eager")
    adapt(model, RunConfig(kernel="fast", rank=2)).eval()
    direction, magnitude = split_parameters(model)
    assert any("classifier" in name for name in direction) and not any("classifier" in name for name in magnitude)
    ids = torch.randint(4, 20, (3, 9))
    logits = model(ids, torch.ones_like(ids))
    assert logits.shape == (3, 9, 3)
    plain = get_kind("tagging").build(str(tiny_roberta), RunConfig(), labels=labels, attention=None)
    adapt(plain, RunConfig(kernel="peft", method="lora", rank=2)).eval()
    with torch.no_grad():
        states = dict(plain.named_parameters())
        for name, parameter in model.named_parameters():
            if "classifier" in name:
                states[name].copy_(parameter)
        torch.testing.assert_close(plain(ids, torch.ones_like(ids)), logits)


def test_the_loss_is_a_mean_over_words_and_nothing_without_words():
    kind = get_kind("tagging")
    logits = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[-100, 1, 2, -100], [-100, 0, -100, -100]])
    expected = -torch.stack(
        [logits[0, 1].log_softmax(-1)[1], logits[0, 2].log_softmax(-1)[2], logits[1, 1].log_softmax(-1)[0]]
    ).mean()
    torch.testing.assert_close(kind.loss(logits, labels), expected)
    assert kind.terms(labels) == 3
    nothing = kind.loss(logits, torch.full((2, 4), -100))
    assert nothing.item() == 0.0 and torch.autograd.grad(nothing, logits)[0].abs().sum() == 0


def test_words_beyond_max_length_are_scored_as_outside_and_said(tiny_bert, data, tmp_path):
    from bidora.train import train

    run = run_of(tmp_path, tiny_bert, data, method="lora", max_length=6, steps=2)
    result = train(run)
    prepared = prepare(run.config)
    room = [max(len(words) - 4, 0) for words in prepared.test.words]  # a word is a token here, and two frame the text
    note = next(note for note in run.meta["notes"] if note.startswith("test: "))
    assert f"{sum(room)} of {sum(map(len, prepared.test.words))} words lie beyond max_length=6" in note
    for predicted in run.predictions()["prediction"]:
        for entity in filter(None, predicted.split(", ")):
            assert int(entity.split(" ")[-1].split("–")[-1]) <= 4
    assert result["scores"]["entity_recall"]["value"] < 1
    assert run.meta["data"]["test"]["cut"] == sum(len(words) >= 4 for words in prepared.test.words)


def test_a_diverged_model_is_said_to_be_one(tiny_bert, data):
    from bidora.evaluation import evaluate

    prepared = prepare(RunConfig(task="conll2003", data=str(data), method="lora"))
    from transformers import AutoTokenizer

    kind = get_kind("tagging")
    encoded = kind.encode(prepared.test, AutoTokenizer.from_pretrained(tiny_bert), max_length=30, scale=None)
    model = kind.build(str(tiny_bert), RunConfig(), labels=prepared.labels, attention=None)
    with torch.no_grad():
        model.backbone.classifier.bias.fill_(float("nan"))
    with pytest.raises(LabError, match="are NaN or infinite"):
        evaluate(model, encoded, kind="tagging", labels=prepared.labels, scale=None, pad_id=0)


def test_scores_do_not_depend_on_the_batch(tiny_bert, data, monkeypatch):
    from transformers import AutoTokenizer

    from bidora.evaluation import evaluate

    prepared = prepare(RunConfig(task="conll2003", data=str(data), method="lora"))
    kind = get_kind("tagging")
    encoded = kind.encode(prepared.test, AutoTokenizer.from_pretrained(tiny_bert), max_length=30, scale=None)
    model = kind.build(str(tiny_bert), RunConfig(), labels=prepared.labels, attention=None)
    found = []
    for batch in (64, 3):
        monkeypatch.setattr(type(kind), "batch", batch)
        found.append(evaluate(model, encoded, kind="tagging", labels=prepared.labels, scale=None, pad_id=0))
    assert found[0].scores == found[1].scores and found[0].loss == pytest.approx(found[1].loss, rel=1e-5)
    assert all((one == other).all() for one, other in zip(found[0].outputs, found[1].outputs, strict=True))
    limited = evaluate(model, encoded, kind="tagging", labels=prepared.labels, scale=None, pad_id=0, limit=5)
    assert len(limited.outputs) == 5


def test_a_model_that_cannot_tag_and_pooling_are_refused(tiny_esm, tmp_path):
    with pytest.raises(LabError, match="pooling=mean"):
        get_kind("tagging").build(str(tiny_esm), RunConfig(pooling="mean"), labels=("O",), attention=None)
    with pytest.raises(LabError, match="cannot be loaded"):
        get_kind("tagging").build(str(tmp_path), RunConfig(), labels=("O",), attention=None)


def test_the_made_up_data_can_be_learnt():
    words = {word for sentence in sentences(50, 0) for word, tag in sentence if tag.endswith("GENE")}
    assert words <= {f"word{place}" for place in range(4)} and "word0\tB-GENE" in column_file(sentences(50, 0))


@pytest.mark.parametrize("method", ["lora", "bidora"])
def test_a_run_that_was_stopped_ends_with_the_same_bits(method, tiny_bert, data, tmp_path):
    from safetensors.torch import load_file

    from bidora.train import train

    settings = dict(method=method, steps=6, checkpoint_every=2)
    whole = run_of(tmp_path / "whole", tiny_bert, data, **settings)
    train(whole)
    parts = run_of(tmp_path / "parts", tiny_bert, data, **settings)

    def stop(what: str, done: int, total: int) -> None:
        if done == 3:
            parts.request_stop()

    assert train(parts, progress=stop) == {} and parts.state == "stopped"
    train(parts)
    one, other = (load_file(run.adapter_dir / "adapter_model.safetensors") for run in (whole, parts))
    assert set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)
    assert whole.result["scores"] == parts.result["scores"]
    pandas.testing.assert_frame_equal(whole.predictions(), parts.predictions())
