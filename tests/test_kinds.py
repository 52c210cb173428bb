"""Kinds of tasks: each has what trainer, evaluation and scores ask for, and the first three do what they always did."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny import tokenizer_of

from bidora.encoding import EncodedSplit, PaddingCollator, TargetScale
from bidora.errors import LabError
from bidora.kinds import KINDS, get_kind
from bidora.metrics import METRICS, SCORINGS
from bidora.tasks import Split
from bidora.tasks.cuts import cut, strata

WHOLE = ("classification", "regression", "multilabel")


def test_every_kind_is_scored_and_every_scored_kind_is_there():
    assert set(KINDS) == set(SCORINGS) == set(METRICS)
    assert all(kind.name == name and kind.batch > 0 for name, kind in KINDS.items())
    with pytest.raises(LabError, match="kind='ranking' is not one of classification"):
        get_kind("ranking")


@pytest.mark.parametrize(
    ("kind", "labels", "expected"),
    [
        ("classification", torch.tensor([0, 2, 1]), F.cross_entropy),
        ("multilabel", torch.tensor([[0.0, 1, 0], [1, 1, 0], [0, 0, 0]]), F.binary_cross_entropy_with_logits),
    ],
)
def test_losses_of_whole_inputs_are_torch_s_own_to_the_bit(kind, labels, expected):
    logits = torch.randn(3, 3)
    assert torch.equal(get_kind(kind).loss(logits, labels), expected(logits, labels))
    assert get_kind(kind).terms(labels) == 3
    half = get_kind(kind).loss(logits.bfloat16(), labels)
    assert half.dtype is torch.float32 and torch.equal(half, expected(logits.bfloat16().float(), labels))


def test_numbers_are_standardised_for_training_and_come_back_in_their_unit():
    kind, targets = get_kind("regression"), np.array([10.0, 20.0, 60.0])
    scale = kind.scale(targets)
    assert scale == TargetScale.of(targets) and kind.outputs(()) == 1
    standardised = scale.standardise(targets).astype(np.float32)[:, None]
    found = kind.gather([standardised[:2], standardised[2:]], scale)
    assert found == pytest.approx(targets, rel=1e-6) and found.dtype == np.float64
    loss = kind.loss(torch.tensor([[1.0], [3.0]]), torch.tensor([0.0, 1.0]))
    assert loss.item() == pytest.approx((1 + 4) / 2)
    assert all(get_kind(other).scale(targets) is None for other in KINDS if other != "regression")


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_inputs_are_encoded_and_collated_as_before(kind):
    targets = {
        "classification": np.array([0, 1], dtype=np.int64),
        "regression": np.array([0.5, 2.0]),
        "multilabel": np.array([[0, 1], [1, 1]], dtype=np.float32),
    }[kind]
    split = Split(("word1 word2 word3", "word2"), targets, ("a", "b"))
    tokenizer = tokenizer_of(("word1", "word2", "word3"))
    scale = get_kind(kind).scale(targets)
    one = get_kind(kind).encode(split, tokenizer, max_length=10, scale=scale)
    other = EncodedSplit(split, tokenizer, max_length=10, scale=scale)
    assert one.ids == other.ids and torch.equal(one.labels, other.labels) and one.cut == 0
    batches = [
        make([one[0], one[1]]) for make in (get_kind(kind).collator(0, multiple=4), PaddingCollator(0, multiple=4))
    ]
    assert set(batches[0]) == {"input_ids", "attention_mask", "labels"}
    assert all(torch.equal(batches[0][name], batches[1][name]) for name in batches[0])
    assert get_kind(kind).remarks({"train": one, "test": one}) == []


def test_sentences_are_cut_by_their_rarest_tag():
    tags = [[0, 0, 0], [0, 1], [0, 1, 2], [0], [0, 2, 0], [0, 0]]
    targets = np.empty(len(tags), dtype=object)
    targets[:] = [np.array(each) for each in tags]
    assert strata("tagging", targets).tolist() == [0, 1, 1, 0, 2, 0]
    assert len(strata("tagging", targets[:0])) == 0
    split = Split(tuple("abcdef"), targets, tuple("abcdef"))
    first, second = cut(split, "tagging", 0.5, seed=0, purpose="upper")
    assert len(first) == len(second) == 3 and set(first) | set(second) == set(range(6))
    assert {1, 2} & set(first.tolist()) and {1, 2} & set(second.tolist()), "a rare tag on both sides"
