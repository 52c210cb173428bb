"""A causal language model that goes on writing after a prompt: GPT-2, Llama and their kin."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bidora.classifier import Classifier, read_settings, read_weights
from bidora.config import RunConfig
from bidora.encoding import IGNORED
from bidora.errors import LabError

CAUSAL = "causal"
"""In place of a pooling: one row of logits per token, and no head but the model's own, which stays as it is."""


class Generator(Classifier):
    """A causal language model with its own head, tied and frozen.

    Args:
        backbone: a model whose output has `logits` (batch, tokens, vocabulary) and that has `generate`.
        beams: of the search; 1 takes the likeliest token each time.
        new_tokens: a text ends after so many at the latest.
    """

    def __init__(self, backbone: nn.Module, *, beams: int, new_tokens: int) -> None:
        super().__init__(backbone, None, pooling=CAUSAL)
        self.beams, self.new_tokens = beams, new_tokens

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **inputs: Tensor) -> Tensor:
        """Logits (batch, tokens, vocabulary) of token ids (batch, tokens)."""
        output = self.backbone(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
        logits: Tensor = output.logits
        return logits


def loss_of_texts(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy in nats over the tokens that have a label, each predicted from those before it.

    Args:
        logits: (batch, tokens, vocabulary).
        labels: (batch, tokens), IGNORED where nothing is to be learnt.
    """
    wanted = labels[:, 1:].reshape(-1)
    told = logits[:, :-1].reshape(-1, logits.shape[-1])
    kept = wanted != IGNORED
    told = told[kept]  # prompts and padding need no row of the vocabulary's size
    return F.cross_entropy(told.float() if told.dtype in (torch.bfloat16, torch.float16) else told, wanted[kept])


@torch.no_grad()
def generate(model: Generator, prompts: list[list[int]], tokenizer: Any) -> list[str]:
    """Texts that the model writes after some prompts; draws no random numbers.

    Args:
        model: in evaluation mode.
        prompts: token ids; shorter ones are padded on their left, where the model does not look.
        tokenizer: of the model.
    """
    end: int = tokenizer.eos_token_id
    pad: int = end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    device = next(model.parameters()).device
    width = max(map(len, prompts))
    ids = torch.tensor([[pad] * (width - len(each)) + each for each in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(each)) + [1] * len(each) for each in prompts], device=device)
    backbone: Any = model.backbone
    written = backbone.generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=_room(model, width),
        num_beams=model.beams,
        do_sample=False,
        pad_token_id=pad,
        eos_token_id=end,
        use_cache=True,
    )
    texts: list[str] = tokenizer.batch_decode(written[:, width:], skip_special_tokens=True)
    return [" ".join(text.split()) for text in texts]


def _room(model: Generator, prompt: int) -> int:
    """How many tokens may follow: as many as asked for, and not more than the model has places for."""
    places = getattr(model.backbone.config, "max_position_embeddings", 0)
    return max(1, min(model.new_tokens, places - prompt)) if places else model.new_tokens


def build_generator(folder: str, config: RunConfig, *, new_tokens: int, attention: str | None = None) -> Generator:
    """Load a pretrained causal model from safetensors.

    Args:
        folder: local folder or hub id, as `bidora.models.model_folder` gives it.
        config: beams, backbone_dropout.
        new_tokens: where a text ends at the latest.
        attention: as for `build_classifier`.

    Raises:
        LabError: the folder holds no causal model that transformers can load.
    """
    from transformers import AutoModelForCausalLM, GenerationConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    settings = read_settings(folder, config)
    encoders = ("bert", "roberta", "xlm-roberta", "camembert", "electra", "esm")
    if settings.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or settings.model_type in encoders:
        raise LabError(
            f"model {folder!r} ({settings.model_type}) reads texts and does not write them",
            hint="name a causal model, such as openai-community/gpt2, or a folder with one",
            kind="model",
        )
    backbone = read_weights(AutoModelForCausalLM, folder, settings, attention=attention)
    # some models bring habits of their own (sampling, penalties): what is measured here is the model's likeliest text
    backbone.generation_config = GenerationConfig(
        bos_token_id=settings.bos_token_id, eos_token_id=settings.eos_token_id
    )
    return Generator(backbone, beams=config.beams, new_tokens=new_tokens)
