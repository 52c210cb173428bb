"""Pairs of an input and the text to be written → token ids of one sequence: `input ||| text <end>`.

Input and text are cut into tokens apart from each other, so that training and writing see the same prompt. Only the text
and the end are learnt: the labels of the prompt are IGNORED.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from bidora.encoding import IGNORED, Encoded
from bidora.errors import LabError
from bidora.tasks.generation import items_of
from bidora.tasks.splits import Split

SEPARATOR = " |||"
"""What ends a prompt; the text begins with a space after it."""


class EncodedPairs(Encoded):
    """A split as prompts, each followed by its first reference and the end.

    Args:
        split: inputs, and tuples of references as targets.
        tokenizer: of a causal model; must have an end-of-text token.
        max_length: longer sequences lose the end of their text; prompts that leave no room lose their beginning.

    Attributes:
        prompts: token ids of each prompt.
        tokenizer: as given.

    Raises:
        LabError: the tokenizer has no end-of-text token.
    """

    def __init__(self, split: Split, tokenizer: Any, *, max_length: int) -> None:
        if tokenizer.eos_token_id is None:
            raise LabError(
                "the tokenizer of this model has no end-of-text token, so it cannot learn where a text ends",
                hint="use a causal model (GPT-2, Llama and their kin)",
                kind="model",
            )
        self.tokenizer, self.max_length = tokenizer, max_length
        end: int = tokenizer.eos_token_id
        whole = prompts_of(split.inputs, tokenizer)
        texts = tokenizer([f" {references[0]}" for references in split.targets], add_special_tokens=False)["input_ids"]
        self.prompts = [prompt[-(max_length - 1) :] for prompt in whole]
        ids = [[*prompt, *text, end][:max_length] for prompt, text in zip(self.prompts, texts)]
        cut = sum(len(prompt) + len(text) + 1 > max_length for prompt, text in zip(whole, texts))
        super().__init__(split, ids, cut=cut)

    def __getitem__(self, index: int) -> dict[str, Any]:
        ids, known = self.ids[index], len(self.prompts[index])
        return {
            "input_ids": ids,
            "attention_mask": [1] * len(ids),
            "labels": [IGNORED] * known + ids[known:],
        }

    @cached_property
    def items(self) -> EncodedPairs:
        """One example per distinct input with all its references: what is scored."""
        split = items_of(self.split)
        return (
            self if len(split) == len(self.split) else EncodedPairs(split, self.tokenizer, max_length=self.max_length)
        )


def prompts_of(inputs: Sequence[str], tokenizer: Any) -> list[list[int]]:
    """Token ids of the prompts of some inputs, with the tokens that the model expects at a beginning."""
    found: list[list[int]] = tokenizer([f"{text}{SEPARATOR}" for text in inputs])["input_ids"]
    return [ids[:-1] if ids[-1] == tokenizer.eos_token_id else ids for ids in found]
