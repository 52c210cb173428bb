"""Longest inputs: what the configuration tells is what transformers' own models can read, and no token less."""

from __future__ import annotations

import csv
import json

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModel

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.models import settings_here
from bidora.models.positions import input_length, positions_of
from bidora.runs import Run
from bidora.train import train

SHAPE = dict(
    vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=20, pad_token_id=1
)
SHAPE |= dict(max_position_embeddings=20)
GPT = dict(vocab_size=30, n_embd=16, n_layer=1, n_head=2, n_positions=20, pad_token_id=1)
RELATIVE = dict(relative_attention=True, pos_att_type=["p2c", "c2p"])


@pytest.mark.parametrize(
    ("family", "settings", "limit"),
    [
        ("bert", SHAPE, 20),
        ("electra", SHAPE, 20),
        ("albert", SHAPE | {"embedding_size": 16}, 20),
        ("roberta", SHAPE, 18),
        ("roberta", SHAPE | {"pad_token_id": 0}, 19),
        ("xlm-roberta", SHAPE, 18),
        ("camembert", SHAPE, 18),
        ("mpnet", SHAPE, 18),
        (
            "distilbert",
            dict(vocab_size=30, dim=16, n_layers=1, n_heads=2, hidden_dim=20, max_position_embeddings=20),
            20,
        ),
        ("gpt2", GPT, 20),
        ("deberta-v2", SHAPE | RELATIVE, 20),
        ("deberta-v2", SHAPE | RELATIVE | {"position_biased_input": False, "position_buckets": 8}, None),
        ("deberta", SHAPE | RELATIVE | {"position_biased_input": False}, None),
        ("esm", SHAPE | {"mask_token_id": 2}, 18),
        ("esm", SHAPE | {"mask_token_id": 2, "position_embedding_type": "rotary"}, None),
        ("modernbert", SHAPE, None),
        ("llama", SHAPE, None),
        ("t5", dict(vocab_size=30, d_model=16, num_layers=1, num_heads=2, d_kv=8, d_ff=20, pad_token_id=1), None),
    ],
)
def test_the_longest_input_is_the_longest_that_the_model_reads(family, settings, limit):
    configuration = CONFIG_MAPPING[family](**settings)
    assert positions_of(configuration.to_dict()) == limit
    if family != "t5":  # a decoder stands beside its encoder
        model = AutoModel.from_config(configuration).eval()
        length = limit or 60
        assert reads(model, length) and (limit is None or not reads(model, length + 1))


def reads(model, length):
    ids = torch.full((2, length), 5)
    try:
        with torch.no_grad():
            model(input_ids=ids, attention_mask=torch.ones_like(ids))
    except (RuntimeError, IndexError):
        return False
    return True


def test_what_is_not_known_sets_no_limit():
    assert positions_of({}) is None and positions_of({"model_type": "new", "max_position_embeddings": 9}) is None
    assert positions_of({"model_type": "bert"}) is None


def test_only_what_was_asked_for_is_refused():
    settings = {"model_type": "bert", "max_position_embeddings": 64}
    assert (
        input_length(0, 128, settings)[0] == 64
        and "cut at 64 tokens, not at 128" in input_length(0, 128, settings)[1][0]
    )
    assert input_length(64, 128, settings) == (64, []) and input_length(0, 32, settings) == (32, [])
    assert input_length(1000, 128, {}) == (1000, [])
    with pytest.raises(LabError, match="max_length=65 is outside 1 to 64") as caught:
        input_length(65, 128, settings)
    assert "use max_length=64 or less" in caught.value.hint


def test_settings_are_read_where_the_model_is(tiny_bert, tmp_path, monkeypatch):
    assert positions_of(settings_here(str(tiny_bert))) == 80
    monkeypatch.setenv("BIDORA_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert settings_here("minilm") == {} and settings_here("roberta-base") == {}
    there = tmp_path / "hub" / "models--roberta-base" / "snapshots" / "one"
    there.mkdir(parents=True)
    (there / "config.json").write_text(
        json.dumps({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1})
    )
    assert positions_of(settings_here("roberta-base")) == 512


@pytest.mark.parametrize("family", ["tiny_bert", "tiny_roberta"])
def test_texts_longer_than_the_model_s_positions_are_cut(family, tmp_path, request):
    path = tmp_path / "long.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("text", "label"), *((" ".join([f"word{n}"] * 100), "ab"[n % 2]) for n in range(20))]
        )
    config = RunConfig(
        task="csv",
        data=str(path),
        model=str(request.getfixturevalue(family)),
        method="lora",
        rank=2,
        steps=2,
        threads=1,
    )
    run = Run.create(config, tmp_path / "runs")
    assert train(run)
    limit = {"tiny_bert": 80, "tiny_roberta": 79}[family]
    assert run.meta["max_length"] == limit and run.meta["data"]["train"]["cut"] == 16
    assert f"inputs are cut at {limit} tokens, not at 128: the model has no more positions" in run.meta["notes"]
    with pytest.raises(LabError, match=f"max_length=128 is outside 1 to {limit}"):
        train(Run.create(config.replace(max_length=128), tmp_path / "runs"))
