"""Tasks whose answer is a text: a causal model goes on after a prompt, and is scored against several references."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from bidora.classifier import Classifier
from bidora.config import RunConfig
from bidora.encoding import IGNORED, Encoded, TargetScale, TokenLabelCollator
from bidora.kinds.generator import Generator, build_generator, generate, loss_of_texts
from bidora.kinds.kind import Collator, Kind
from bidora.kinds.prompts import EncodedPairs
from bidora.metrics.generated import closeness
from bidora.metrics.scoring import objects
from bidora.tasks.splits import Split

if TYPE_CHECKING:
    import pandas


class Generation(Kind):
    """A text; cross entropy in nats per token of the reference."""

    name = "generation"
    batch = 16

    def outputs(self, labels: tuple[str, ...]) -> int:
        """None: the model's own head is kept."""
        return 0

    def encode(self, split: Split, tokenizer: Any, *, max_length: int, scale: TargetScale | None) -> Encoded:
        """Prompts with their references."""
        return EncodedPairs(split, tokenizer, max_length=max_length)

    def scored(self, split: Encoded) -> Encoded:
        """One example per distinct input, with all its references."""
        return split.items if isinstance(split, EncodedPairs) else split

    def collator(self, pad_id: int, *, multiple: int = 1) -> Collator:
        """Labels stand at tokens."""
        return TokenLabelCollator(pad_id, multiple=multiple)

    def build(self, folder: str, config: RunConfig, *, labels: tuple[str, ...], attention: str | None) -> Classifier:
        """A causal model as it is."""
        return build_generator(folder, config, new_tokens=new_tokens(config), attention=attention)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean over the tokens of the references in a batch."""
        return loss_of_texts(logits, labels)

    def terms(self, labels: Tensor) -> int:
        """Tokens that are learnt."""
        return int((labels[:, 1:] != IGNORED).sum())

    def answers(
        self, model: Classifier, batch: dict[str, Tensor], logits: Tensor, split: Encoded, indices: np.ndarray
    ) -> list[str]:
        """The text that the model writes after each prompt."""
        if not isinstance(model, Generator) or not isinstance(split, EncodedPairs):
            raise TypeError(f"{type(model).__name__} and {type(split).__name__} do not write texts")
        return generate(model, [split.prompts[int(index)] for index in indices], split.tokenizer)

    def gather(self, parts: list[Any], scale: TargetScale | None) -> np.ndarray:
        """All texts, (n,) objects."""
        return objects([text for part in parts for text in part])

    def predictions(
        self, outputs: np.ndarray, targets: np.ndarray, split: Split, labels: tuple[str, ...]
    ) -> pandas.DataFrame:
        """One row per example: the whole input, its references line by line, the text, and its closeness (ROUGE-L)."""
        import pandas

        return pandas.DataFrame(
            {
                "id": split.ids,
                "input": split.inputs,
                "target": ["\n".join(references) for references in targets],
                "prediction": [str(text) for text in outputs],
                "probability": np.nan,
                "correct": None,
                "rouge_l": closeness(outputs, targets),
            }
        )


def new_tokens(config: RunConfig) -> int:
    """Where a generated text ends at the latest: max_new_tokens, or half of the longest input."""
    from bidora.tasks import get_task

    return config.max_new_tokens or max(1, (config.max_length or get_task(config.task).default_length) // 2)
