"""Token classification: a tag for each word, read at the word's first token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bidora.classifier import Classifier, read_settings, read_weights
from bidora.config import RunConfig
from bidora.encoding import IGNORED, Encoded, TargetScale, TokenLabelCollator
from bidora.errors import LabError
from bidora.kinds.alignment import WordSplit
from bidora.kinds.kind import Collator, Kind
from bidora.metrics.scoring import objects
from bidora.metrics.tagging import Entity, entities_of, named
from bidora.tasks.splits import Split

if TYPE_CHECKING:
    import pandas

SHOWN = 1000
"""Characters of a sentence that predictions keep."""


class Tagging(Kind):
    """A tag for each word; cross entropy in nats, the mean over the words of a batch.

    With gradient accumulation the mean is taken in each of its batches first, so words in short batches count a little more.
    """

    name = "tagging"

    def encode(self, split: Split, tokenizer: Any, *, max_length: int, scale: TargetScale | None) -> WordSplit:
        """Token ids, and where each word begins among them."""
        return WordSplit(split, tokenizer, max_length=max_length)

    def remarks(self, splits: Mapping[str, Encoded]) -> list[str]:
        """How many words no token stands for, and why."""
        notes = []
        for name in ("train", "test"):
            split = splits[name]
            assert isinstance(split, WordSplit)
            whole = sum(map(len, split.first))
            if split.words_cut:
                notes.append(
                    f"{name}: {split.words_cut} of {whole} words lie beyond max_length={split.max_length} tokens; they are "
                    "not trained on, and in scores they count as predicted O"
                )
            if split.words_lost:
                notes.append(
                    f"{name}: the tokenizer makes nothing of {split.words_lost} of {whole} words; they count as "
                    "predicted O"
                )
        return notes

    def collator(self, pad_id: int, *, multiple: int = 1) -> Collator:
        """Batches with a label at the first token of each word and `IGNORED` elsewhere."""
        return TokenLabelCollator(pad_id, multiple=multiple)

    def build(self, folder: str, config: RunConfig, *, labels: tuple[str, ...], attention: str | None) -> Classifier:
        """transformers' AutoModelForTokenClassification with a new head, which knows the names of the tags.

        Raises:
            LabError: the model cannot be loaded so, or pooling asks for one answer per input.
        """
        from transformers import AutoModelForTokenClassification

        if config.pooling != "auto":
            raise LabError(
                f"pooling={config.pooling} does not fit a task with a tag for each word (allowed: auto)",
                hint="leave pooling out",
            )
        settings = read_settings(folder, config)
        settings.num_labels = len(labels)
        settings.id2label = dict(enumerate(labels))
        settings.label2id = {label: index for index, label in enumerate(labels)}
        backbone = read_weights(AutoModelForTokenClassification, folder, settings, attention=attention)
        return Classifier(backbone, None, pooling="token")

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean cross entropy over the labelled tokens: logits (batch, tokens, tags), labels (batch, tokens)."""
        logits = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
        total = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")
        return total / (labels != IGNORED).sum().clamp(min=1)

    def terms(self, labels: Tensor) -> int:
        """Labelled tokens."""
        return int((labels != IGNORED).sum())

    def answers(
        self, model: Classifier, batch: dict[str, Tensor], logits: Tensor, split: Encoded, indices: np.ndarray
    ) -> list[np.ndarray]:
        """One tag per word of each sentence: that of its first token, O (index 0) where it has none.

        Raises:
            LabError: a logit is NaN or infinite.
        """
        assert isinstance(split, WordSplit)
        finite = torch.isfinite(logits).all(dim=-1) | (batch["labels"] == IGNORED)
        if not bool(finite.all()):
            raise LabError(
                f"{int((~finite).sum())} of {self.terms(batch['labels'])} outputs are NaN or infinite",
                hint="lower the learning rate, or use precision float32",
                kind="diverged",
            )
        tags = logits.argmax(dim=-1).cpu().numpy()
        found = []
        for row, index in enumerate(indices):
            first = np.asarray(split.first[index], dtype=np.int64)
            found.append(np.where(first >= 0, tags[row][first], 0).astype(np.int64))
        return found

    def gather(self, parts: list[Any], scale: TargetScale | None) -> np.ndarray:
        """Tags of each sentence, as objects (n,)."""
        return objects([tags for part in parts for tags in part])

    def predictions(
        self, outputs: np.ndarray, targets: np.ndarray, split: Split, labels: tuple[str, ...]
    ) -> pandas.DataFrame:
        """One row per sentence.

        id; input, the words; target and prediction, entities as type and number of first and last word ("Gene 2–7",
        separated by commas); target_words and predicted_words, the same with the words in place of the numbers; correct.
        """
        import pandas

        true, predicted = entities_of(named(targets, labels)), entities_of(named(outputs, labels))
        return pandas.DataFrame(
            {
                "id": split.ids,
                "input": split.shown(SHOWN),
                "target": [_places(each) for each in true],
                "prediction": [_places(each) for each in predicted],
                "target_words": [_in_words(each, words) for each, words in zip(true, split.words, strict=True)],
                "predicted_words": [_in_words(each, words) for each, words in zip(predicted, split.words, strict=True)],
                "probability": np.nan,
                "correct": [one == other for one, other in zip(true, predicted, strict=True)],
            }
        )


def _places(entities: set[Entity]) -> str:
    """Entities by their first and last word, counted from 1: "Gene 2–7, Cancer 10"."""
    return ", ".join(
        f"{name} {start + 1}" + (f"–{end}" if end - start > 1 else "")
        for name, start, end in sorted(entities, key=lambda each: each[1])
    )


def _in_words(entities: set[Entity], words: Sequence[str]) -> str:
    """Entities in words: "TGF - beta [Gene]; leukemia [Cancer]"."""
    return "; ".join(
        f"{' '.join(words[start:end])} [{name}]" for name, start, end in sorted(entities, key=lambda each: each[1])
    )
