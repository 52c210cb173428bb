"""Words and tokens: where each word begins among the tokens of its sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bidora.encoding import IGNORED, Encoded
from bidora.tasks.splits import Split

NOWHERE = -1
"""Place of a word that has no token: it was cut off, or the tokenizer makes nothing of it."""


class WordSplit(Encoded):
    """Sentences as token ids, with the label of each word at its first token.

    Args:
        split: sentences with words; targets are indices of tags, an int array (words,) each.
        tokenizer: transformers' tokenizer; one without offsets (pure Python) is given the words one by one.
        max_length: tokens at most; words beyond it have no place.

    Attributes:
        first: place of the first token of each word, `NOWHERE` where it has none.
        words_cut: how many words lie beyond max_length.
        words_lost: how many words the tokenizer makes nothing of.
    """

    def __init__(self, split: Split, tokenizer: Any, *, max_length: int) -> None:
        self.max_length = max_length
        align = by_offsets if getattr(tokenizer, "is_fast", False) else word_by_word
        ids, self.first = align(split.words, tokenizer, max_length=max_length)
        behind = [
            _behind(first) if len(tokens) >= max_length else 0 for tokens, first in zip(ids, self.first, strict=True)
        ]
        super().__init__(split, ids, cut=sum(map(bool, behind)))
        self.words_cut = sum(behind)
        self.words_lost = sum(first.count(NOWHERE) for first in self.first) - self.words_cut
        self.labels: list[list[int]] = []
        for tokens, first, target in zip(ids, self.first, split.targets, strict=True):
            labels = [IGNORED] * len(tokens)
            for place, tag in zip(first, target, strict=True):
                if place != NOWHERE:
                    labels[place] = int(tag)
            self.labels.append(labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        ids = self.ids[index]
        return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": self.labels[index]}


def by_offsets(
    sentences: Sequence[Sequence[str]], tokenizer: Any, *, max_length: int
) -> tuple[list[list[int]], list[list[int]]]:
    """Tokenise sentences as text, words joined by blanks, and find the words again by the characters that tokens stand for.

    So a model reads what it would read of plain text, whatever its tokenizer does at blanks. A token that stands for the end
    of one word and the beginning of the next belongs to the former.

    Returns:
        token ids of each sentence; place of the first token of each word.
    """
    texts = [" ".join(words) for words in sentences]
    encoded = tokenizer(texts, truncation=True, max_length=max_length, return_offsets_mapping=True)
    firsts = [_first_tokens(words, spans) for words, spans in zip(sentences, encoded["offset_mapping"], strict=True)]
    return encoded["input_ids"], firsts


def word_by_word(
    sentences: Sequence[Sequence[str]], tokenizer: Any, *, max_length: int
) -> tuple[list[list[int]], list[list[int]]]:
    """Tokenise each word for itself, for tokenizers that do not tell which characters a token stands for.

    Returns:
        token ids of each sentence; place of the first token of each word.
    """
    before, after = _frame(tokenizer)
    known: dict[str, list[int]] = {}
    ids, firsts = [], []
    for words in sentences:
        tokens, first = list(before), []
        for place, word in enumerate(words):
            text = f" {word}" if place else word
            if text not in known:
                known[text] = tokenizer(text, add_special_tokens=False)["input_ids"]
            first.append(len(tokens) if known[text] else NOWHERE)
            tokens += known[text]
        room = max_length - len(after)
        ids.append([*tokens[:room], *after])
        firsts.append([place if place < room else NOWHERE for place in first])
    return ids, firsts


def _frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens before and after a text."""
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    framed = tokenizer("a")["input_ids"]
    start = next(place for place in range(len(framed)) if framed[place : place + len(plain)] == plain)
    return framed[:start], framed[start + len(plain) :]


def _first_tokens(words: Sequence[str], spans: Sequence[tuple[int, int]]) -> list[int]:
    """The first token of each word, from the characters (first, after the last) that each token stands for."""
    starts, ends, position = [], [], 0
    for word in words:
        starts.append(position)
        ends.append(position + len(word))
        position += len(word) + 1
    first = [NOWHERE] * len(words)
    at = 0
    for place, (start, end) in enumerate(spans):
        if start == end:  # special tokens, and blanks of their own
            continue
        while at < len(words) and ends[at] <= start:
            at += 1
        if at < len(words) and starts[at] < end and first[at] == NOWHERE:
            first[at] = place
    return first


def _behind(first: Sequence[int]) -> int:
    """How many words at the end have no token."""
    return next((count for count, place in enumerate(reversed(first)) if place != NOWHERE), len(first))
