"""Tiny random models and made-up data for tests: two layers, no network, milliseconds."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    EsmConfig,
    EsmModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

WORDS = tuple(f"word{i}" for i in range(40))
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"


def tokenizer_of(words: tuple[str, ...], *, letters: bool = False) -> PreTrainedTokenizerFast:
    """A word-level tokenizer; with letters, every character is a word."""
    vocabulary = {word: i for i, word in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *words))}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated") if letters else pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def save_tiny_model(folder: Path, family: str = "bert") -> Path:
    """Write a random two-layer model with its tokenizer: bert, roberta, esm, deberta-v2 or llama."""
    torch.manual_seed(0)
    shape = dict(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=40, max_position_embeddings=80
    )
    size = 4 + (len(AMINO_ACIDS) if family == "esm" else len(WORDS))
    if family == "bert":
        model = BertModel(BertConfig(vocab_size=size, **shape), add_pooling_layer=False)
    elif family == "roberta":
        model = RobertaForMaskedLM(
            RobertaConfig(vocab_size=size, pad_token_id=0, bos_token_id=2, eos_token_id=3, **shape)
        )
    elif family == "deberta-v2":  # as DeBERTa-v3: relative positions, no token types, one key for content and position
        model = DebertaV2ForMaskedLM(
            DebertaV2Config(
                vocab_size=size,
                pad_token_id=0,
                type_vocab_size=0,
                relative_attention=True,
                position_buckets=16,
                pos_att_type=["p2c", "c2p"],
                share_att_key=True,
                **shape,
            )
        )
    elif family == "llama":
        config = LlamaConfig(vocab_size=size, bos_token_id=2, eos_token_id=3, num_key_value_heads=1, **shape)
        model = LlamaForCausalLM(config)  # as most of its kind: without a token for padding
    else:
        config = EsmConfig(vocab_size=size, pad_token_id=0, mask_token_id=1, position_embedding_type="rotary", **shape)
        model = EsmModel(config, add_pooling_layer=False)
    model.save_pretrained(folder)
    words = tuple(AMINO_ACIDS) if family == "esm" else WORDS
    tokenizer_of(words, letters=family == "esm").save_pretrained(folder)
    return folder


def write_table(path: Path, *, rows: int = 120, classes: int = 2, seed: int = 0) -> Path:
    """A CSV with columns text, label; each class has words of its own among common ones, so that it can be learnt."""
    generator = random.Random(seed)
    with open(path, "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["text", "label"])
        for row in range(rows):
            label = row % classes
            own = WORDS[label * 4 : label * 4 + 4]
            length = generator.randint(3, 12)
            words = [
                generator.choice(own) if generator.random() < 0.4 else generator.choice(WORDS[20:])
                for _ in range(length)
            ]
            writer.writerow([" ".join([*words, f"word{10 + row % 10}"]), f"class{label}"])
    return path
