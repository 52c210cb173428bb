"""Splits → token ids: what transformers' Trainer reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bidora.tasks.splits import Split

IGNORED = -100
"""Label of a token that the loss passes over (torch's and transformers' number for it)."""


@dataclass(frozen=True)
class TargetScale:
    """Mean and standard deviation of the training targets of a regression; predictions are given in the task's own unit."""

    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def of(cls, targets: np.ndarray) -> TargetScale:
        """The scale of some targets (n,); a constant keeps deviation 1."""
        return cls(float(targets.mean()), float(targets.std()) or 1.0)

    def standardise(self, targets: np.ndarray) -> np.ndarray:
        """(targets − mean) / deviation."""
        return (targets - self.mean) / self.deviation

    def restore(self, outputs: np.ndarray) -> np.ndarray:
        """The task's own unit from standardised outputs."""
        return outputs * self.deviation + self.mean


class Encoded(torch.utils.data.Dataset[dict[str, Any]]):
    """A split as token ids, whatever its targets are.

    Args:
        split: inputs and targets.
        ids: token ids of each input.
        cut: how many inputs were longer than the model may read.

    Attributes:
        lengths: tokens of each example.
    """

    def __init__(self, split: Split, ids: list[list[int]], *, cut: int) -> None:
        self.split, self.ids, self.cut = split, ids, cut
        self.lengths = [len(each) for each in ids]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        raise NotImplementedError

    def by_length(self) -> np.ndarray:
        """Indices from the longest to the shortest: batches of similar length need little padding."""
        return np.argsort(-np.asarray(self.lengths), kind="stable")


class EncodedSplit(Encoded):
    """A split with one target per input.

    Args:
        split: inputs and targets.
        tokenizer: transformers' tokenizer.
        max_length: longer inputs are cut; of a pair the longer text, token by token (longest first).
        scale: of a regression's targets, else None.
    """

    def __init__(self, split: Split, tokenizer: Any, *, max_length: int, scale: TargetScale | None) -> None:
        texts = (list(split.inputs), list(split.seconds)) if split.seconds else (list(split.inputs),)
        encoded = tokenizer(*texts, truncation=True, max_length=max_length)  # longest first
        ids: list[list[int]] = encoded["input_ids"]
        super().__init__(split, ids, cut=cut_inputs(encoded, max_length))
        # which of the two texts a token belongs to, for models that are told (BERT); RoBERTa's tokenizer gives none
        self.segments: list[list[int]] | None = encoded.get("token_type_ids") if split.seconds else None
        targets = split.targets if scale is None else scale.standardise(split.targets)
        self.labels: Tensor = torch.as_tensor(targets if targets.dtype == np.int64 else targets.astype(np.float32))

    def __getitem__(self, index: int) -> dict[str, Any]:
        ids = self.ids[index]
        item = {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": self.labels[index]}
        return item if self.segments is None else {**item, "token_type_ids": self.segments[index]}


def padding_of(tokenizer: Any) -> int:
    """Token id that fills short sequences up: the tokenizer's own, else the one that ends a text (GPT-2 has no other), else 0."""
    own, end = tokenizer.pad_token_id, tokenizer.eos_token_id
    return int(own if own is not None else end if end is not None else 0)


def cut_inputs(encoded: Any, max_length: int) -> int:
    """How many inputs were really cut: one of exactly `max_length` tokens may be whole. Slow tokenizers do not tell."""
    encodings = getattr(encoded, "encodings", None)
    if encodings is None:
        return sum(len(each) >= max_length for each in encoded["input_ids"])
    return sum(bool(each.overflowing) for each in encodings)


class PaddingCollator:
    """Items → one batch, padded to its longest item (on accelerators to a multiple of 8).

    Args:
        pad_id: token id of padding.
        multiple: lengths are rounded up to it.
    """

    def __init__(self, pad_id: int, *, multiple: int = 1) -> None:
        self.pad_id, self.multiple = pad_id, multiple

    def __call__(self, items: list[dict[str, Any]]) -> dict[str, Tensor]:
        """input_ids, attention_mask and, of pairs, token_type_ids (batch, tokens); labels (batch,) or (batch, classes)."""
        longest = max(len(item["input_ids"]) for item in items)
        width = -(-longest // self.multiple) * self.multiple
        ids = torch.full((len(items), width), self.pad_id, dtype=torch.long)
        mask = torch.zeros((len(items), width), dtype=torch.long)
        segments = torch.zeros_like(ids) if "token_type_ids" in items[0] else None
        for row, item in enumerate(items):
            length = len(item["input_ids"])
            ids[row, :length] = torch.as_tensor(item["input_ids"])
            mask[row, :length] = 1
            if segments is not None:
                segments[row, :length] = torch.as_tensor(item["token_type_ids"])
        batch = {"input_ids": ids, "attention_mask": mask, "labels": self.labels(items, width)}
        return batch if segments is None else {**batch, "token_type_ids": segments}

    def labels(self, items: list[dict[str, Any]], width: int) -> Tensor:
        """The targets of a batch that is `width` tokens wide."""
        return torch.stack([item["labels"] for item in items])


class TokenLabelCollator(PaddingCollator):
    """The same for targets that stand at tokens: labels are (batch, tokens), filled up with `IGNORED`."""

    def labels(self, items: list[dict[str, Any]], width: int) -> Tensor:
        """Labels (batch, width)."""
        labels = torch.full((len(items), width), IGNORED, dtype=torch.long)
        for row, item in enumerate(items):
            labels[row, : len(item["labels"])] = torch.as_tensor(item["labels"])
        return labels
