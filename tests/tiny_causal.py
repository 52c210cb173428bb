"""Made-up E2E files and random two-layer causal models (GPT-2, Llama) that know their words."""

from __future__ import annotations

import csv
import importlib.util
import io
import random
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

needs_scores = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("sacrebleu", "nltk", "rouge_score")),
    reason="scores of written texts need: pip install -e .[generation]",
)

NAMES = {"train": "trainset.csv", "dev": "devset.csv", "test": "testset_w_refs.csv"}
PLACES = ("riverside", "city centre")


def rows_of(part: str, meanings: int) -> list[tuple[str, str]]:
    """Made-up pairs: one to four references for each meaning representation."""
    generator = random.Random(part)
    rows = []
    for number in range(meanings):
        name, area = f"{part.title()} {number}", generator.choice(PLACES)
        meaning = f"name[{name}], eatType[pub], area[{area}]"
        for form in range(1 + number % 4):
            rows.append((meaning, f'{name} is a "pub", form {form}, in the {area}.'))
    return rows


def written(rows: list[tuple[str, str]], heading: tuple[str, ...] = ("mr", "ref")) -> str:
    """As a CSV file."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerows([heading, *rows])
    return stream.getvalue()


def write_e2e(folder: Path, *, train: int = 24, dev: int = 6, test: int = 8) -> Path:
    """The release's files: commas, quotation marks, \\r\\n; the test file's column is MR."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", train), ("dev", dev), ("test", test)):
        heading = ("MR", "ref") if part == "test" else ("mr", "ref")
        (folder / NAMES[part]).write_text(written(rows_of(part, count), heading), encoding="utf-8", newline="")
    (folder / "testset.csv").write_text("MR\r\n" + '"name[Test 0], eatType[pub]"\r\n', encoding="utf-8")
    return folder


def causal_tokenizer(*, begins: bool) -> PreTrainedTokenizerFast:
    """A word-level tokenizer of the words above; like Llama's it may set a token at the beginning. None has a pad token."""
    inner = Tokenizer(models.WordLevel({}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    rows = [
        text for part, count in (("train", 24), ("dev", 6), ("test", 8)) for row in rows_of(part, count) for text in row
    ]
    words = sorted({word for text in [*rows, "|||"] for word, _ in inner.pre_tokenizer.pre_tokenize_str(text)})
    vocabulary = {word: place for place, word in enumerate(("<unk>", "<s>", "</s>", *words))}
    inner.model = models.WordLevel(vocabulary, unk_token="<unk>")
    if begins:
        inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def save_causal_model(folder: Path, family: str) -> Path:
    """Write a random two-layer causal model with its tokenizer: gpt2 or llama."""
    torch.manual_seed(0)
    tokenizer = causal_tokenizer(begins=family == "llama")
    ends = dict(bos_token_id=1, eos_token_id=2)
    if family == "gpt2":
        shape = dict(n_embd=24, n_layer=2, n_head=2, n_positions=64)
        model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **shape, **ends))
    else:
        shape = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1)
        model = LlamaForCausalLM(
            LlamaConfig(vocab_size=len(tokenizer), intermediate_size=40, max_position_embeddings=64, **shape, **ends)
        )
    with torch.no_grad():  # large enough that what a token says differs from what another one says
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(8.0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
