"""Where words begin among tokens: odd words, cut sentences, tokenizers with and without offsets."""

from __future__ import annotations

import numpy
import pytest
import torch
from tiny import tokenizer_of
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from bidora.encoding import IGNORED, TokenLabelCollator
from bidora.kinds.alignment import NOWHERE, WordSplit, by_offsets, word_by_word
from bidora.metrics.scoring import objects
from bidora.tasks.splits import Split

ODD = (
    *(
        "word",
        "👩‍🔬",
        "e\u0301tude",
        "\u200b",
        "日本語",
        "naïve",
        "x" * 300,
        "\ufeff",
        "Ωmega",
        "\u0301",
        "-",
        "a\u00a0b",
        "🧬",
    ),
    "end",
)
"""Emoji of several characters, combining marks alone and in words, invisible characters, a very long word."""


def wordpiece() -> PreTrainedTokenizerFast:
    """BERT's way: invisible and control characters vanish, accents are stripped, unknown words are one token."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "word", "etude", "na", "##ive", "-", "a", "b", "end", "x", "##x"]
    inner = Tokenizer(models.WordPiece({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def byte_level(*, trim: bool, prefix: bool) -> PreTrainedTokenizerFast:
    """GPT-2's and RoBERTa's way: every byte is a token, a blank belongs to the word after it."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({each: place + 4 for place, each in enumerate(alphabet)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(["<s>", "</s>"])
    start, end = inner.token_to_id("<s>"), inner.token_to_id("</s>")
    inner.post_processor = processors.RobertaProcessing(
        ("</s>", end), ("<s>", start), trim_offsets=trim, add_prefix_space=prefix
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")


TOKENIZERS = {
    "wordpiece": wordpiece,
    "byte level": lambda: byte_level(trim=True, prefix=False),
    "byte level, untrimmed": lambda: byte_level(trim=False, prefix=True),
    "without offsets": ByT5Tokenizer,
}


def split_of(*sentences: tuple[str, ...]) -> Split:
    targets = objects([numpy.arange(1, len(words) + 1) for words in sentences])
    ids = tuple(f"s{number}" for number in range(len(sentences)))
    return Split(tuple(map(" ".join, sentences)), targets, ids, words=sentences)


@pytest.mark.parametrize("make", TOKENIZERS.values(), ids=TOKENIZERS)
def test_each_word_s_label_stands_at_its_first_token_and_nowhere_else(make):
    tokenizer = make()
    encoded = WordSplit(split_of(ODD, ("end",)), tokenizer, max_length=1000)
    for row, words in enumerate((ODD, ("end",))):
        labels, first = encoded[row]["labels"], encoded.first[row]
        there = [place for place in first if place != NOWHERE]
        assert len(first) == len(words) and there == sorted(set(there)), "in order, no token for two words"
        assert [place for place, label in enumerate(labels) if label != IGNORED] == there
        assert [labels[place] for place in there] == [
            number for number, place in enumerate(first, start=1) if place != NOWHERE
        ]
        assert len(labels) == len(encoded[row]["input_ids"]) == encoded.lengths[row]
    lost = [word for word, place in zip(ODD, encoded.first[0], strict=True) if place == NOWHERE]
    assert encoded.words_cut == 0 and encoded.words_lost == len(lost)
    assert lost == (["\u200b", "\ufeff", "\u0301"] if make is wordpiece else [])


@pytest.mark.parametrize("make", TOKENIZERS.values(), ids=TOKENIZERS)
def test_the_token_of_a_word_decodes_to_its_beginning(make):
    tokenizer = make()
    words = ("word", "-", "end", "a")
    encoded = WordSplit(split_of(words), tokenizer, max_length=100)
    for word, place in zip(words, encoded.first[0], strict=True):
        following = [each for each in encoded.first[0] if each > place]
        end = min(following, default=encoded.lengths[0])
        said = tokenizer.decode(encoded.ids[0][place:end], skip_special_tokens=True)
        assert said.strip().startswith(word[0]) and said.strip() == word


@pytest.mark.parametrize("make", TOKENIZERS.values(), ids=TOKENIZERS)
@pytest.mark.parametrize("room", [4, 7, 12])
def test_words_beyond_max_length_are_counted(make, room):
    tokenizer = make()
    words = ("word", "end", "-", "word", "end", "\u200b", "-")
    encoded = WordSplit(split_of(words, ("end",)), tokenizer, max_length=room)
    whole = WordSplit(split_of(words), tokenizer, max_length=1000)
    last = encoded.lengths[0] - 1  # where the closing special token stands
    expected = [place if NOWHERE < place < last else NOWHERE for place in whole.first[0]]
    assert encoded.lengths[0] <= room and encoded.first[0] == expected
    if whole.lengths[0] > room:
        assert encoded.words_cut > 0
        assert encoded.words_cut + encoded.words_lost == encoded.first[0].count(NOWHERE)
    else:
        assert encoded.words_cut == 0


def test_a_text_that_just_fits_loses_nothing():
    encoded = WordSplit(split_of(("word", "end", "\u200b")), wordpiece(), max_length=4)
    assert encoded.lengths == [4] and encoded.first == [[1, 2, NOWHERE]]
    assert encoded.words_cut + encoded.words_lost == 1
    assert WordSplit(split_of(("word", "end")), wordpiece(), max_length=4).cut == 0
    assert WordSplit(split_of(("word", "end", "word")), wordpiece(), max_length=4).cut == 1


def test_both_ways_agree_where_a_tokenizer_offers_both():
    tokenizer = tokenizer_of(("word", "end"))
    sentences = [("word", "x", "end"), ("end",)]
    assert by_offsets(sentences, tokenizer, max_length=20) == word_by_word(sentences, tokenizer, max_length=20)
    assert by_offsets(sentences, tokenizer, max_length=4)[1] == word_by_word(sentences, tokenizer, max_length=4)[1]


def test_a_token_over_two_words_belongs_to_the_first():
    from bidora.kinds.alignment import _first_tokens

    assert _first_tokens(("new", "york", "city"), [(0, 0), (0, 6), (6, 8), (9, 13), (0, 0)]) == [1, 2, 3]
    assert _first_tokens(("new", "york"), [(0, 8)]) == [0, NOWHERE]
    assert _first_tokens(("a", "b"), [(0, 1), (1, 2), (2, 3)]) == [0, 2], "a blank of its own stands for no word"


def test_batches_are_filled_up_with_labels_that_the_loss_passes_over():
    encoded = WordSplit(split_of(("word", "end", "word"), ("end",)), tokenizer_of(("word", "end")), max_length=20)
    batch = TokenLabelCollator(0, multiple=8)([encoded[0], encoded[1]])
    assert batch["labels"].tolist() == [[-100, 1, 2, 3, *[-100] * 4], [-100, 1, *[-100] * 6]]
    assert batch["input_ids"].shape == (2, 8) and batch["attention_mask"].sum(dim=1).tolist() == [5, 3]
    assert batch["labels"].dtype is torch.long
