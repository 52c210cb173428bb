"""Encoder and head together: text or sequence in, logits out.

Two ways of reading an encoder, each the habit of some models:

* first — transformers' own AutoModelForSequenceClassification, whose head reads the first token (RoBERTa, BERT);
* mean — the mean over the tokens, then one linear layer (sentence encoders, ESM-2).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.utils import logging as transformers_logging

from bidora.config import RunConfig
from bidora.errors import LabError

HEAD_FILE = "head.safetensors"
"""File of the mean-pooling head, beside PEFT's own files in an adapter folder."""

WITH_POOLER = ("bert", "roberta", "xlm-roberta", "esm")
"""Model types whose plain encoder would get a pooling layer that the mean does not use."""


class Classifier(nn.Module):
    """A pretrained encoder with a head.

    Args:
        backbone: with pooling "first" a model whose output has `logits`; with "mean" one with `last_hidden_state`.
        head: the linear head of "mean"; None for "first", whose head is part of the backbone.
        pooling: "first" or "mean".
    """

    def __init__(self, backbone: nn.Module, head: nn.Linear | None, *, pooling: str) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.pooling = pooling

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **inputs: Tensor) -> Tensor:
        """Logits (batch, outputs) of token ids (batch, tokens)."""
        inputs.pop("labels", None)
        if getattr(self.backbone.config, "type_vocab_size", 0) < 2:  # the model knows no first and second text
            inputs.pop("token_type_ids", None)
        output = self.backbone(input_ids=input_ids, attention_mask=attention_mask, **inputs)
        if self.head is None:
            return output.logits
        mask = attention_mask.unsqueeze(-1).to(output.last_hidden_state.dtype)
        pooled = (output.last_hidden_state * mask).sum(dim=1) / mask.sum(dim=1)
        return F.linear(pooled.to(self.head.weight.dtype), self.head.weight, self.head.bias)

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: dict[str, Any] | None = None) -> None:
        """Recompute activations in the backward pass (called by transformers' Trainer)."""
        self.backbone.gradient_checkpointing_enable(gradient_checkpointing_kwargs=gradient_checkpointing_kwargs)

    def head_names(self) -> list[str]:
        """Names of the parameters that turn features into logits: new, so always trained."""
        if self.head is not None:
            return ["head.weight", "head.bias"]
        return [name for name, _ in self.named_parameters() if _is_head_name(name)]


def loss_of(logits: Tensor, labels: Tensor, kind: str) -> Tensor:
    """Mean loss: cross entropy in nats, mean squared error (of standardised targets), or binary cross entropy."""
    logits = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    if kind == "classification":
        return F.cross_entropy(logits, labels)
    if kind == "regression":
        return F.mse_loss(logits.squeeze(-1), labels.to(logits.dtype))
    return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))


def pooling_of(config: RunConfig, model_type: str, architectures: list[str]) -> str:
    """`config.pooling`, with "auto" resolved: the mean for ESM and for plain encoders saved without any head."""
    if config.pooling != "auto":
        return config.pooling
    sentence_encoder = any(name.endswith("Model") and not name.startswith("Roberta") for name in architectures)
    return "mean" if model_type == "esm" or sentence_encoder else "first"


def build_classifier(folder: str, config: RunConfig, *, outputs: int, attention: str | None = None) -> Classifier:
    """Load a pretrained encoder and give it a new head, drawn from the global RNG.

    Args:
        folder: local folder or hub id, as `bidora.models.model_folder` gives it.
        config: pooling, backbone_dropout.
        outputs: number of logits.
        attention: attention implementation, None for transformers' choice; "eager" can be differentiated twice.

    Raises:
        LabError: the folder holds no model that transformers can load.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

    try:
        settings = AutoConfig.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise LabError(
            f"model {folder!r} cannot be loaded: {str(error).splitlines()[0]}",
            hint="name a packaged model, a local folder with config.json and model.safetensors, or a hub id (needs internet)",
            kind="model",
        ) from error
    pooling = pooling_of(config, settings.model_type, settings.architectures or [])
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout", "dropout"):
        if isinstance(getattr(settings, name, None), float):
            setattr(settings, name, config.backbone_dropout)
    settings.num_labels = outputs
    settings.problem_type = None
    loader = AutoModel if pooling == "mean" else AutoModelForSequenceClassification
    options: dict[str, Any] = {"attn_implementation": attention} if attention else {}
    if pooling == "mean" and settings.model_type in WITH_POOLER:
        options["add_pooling_layer"] = False
    try:
        with quiet_transformers():
            backbone = loader.from_pretrained(
                folder, config=settings, use_safetensors=True, dtype=torch.float32, **options
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise LabError(
            f"the weights of model {folder!r} cannot be loaded: {str(error).splitlines()[0]}",
            hint="only safetensors files are read; save the model with save_pretrained(safe_serialization=True)",
            kind="model",
        ) from error
    if pooling == "first":
        return Classifier(backbone, None, pooling=pooling)
    head = nn.Linear(settings.hidden_size, outputs)
    nn.init.normal_(head.weight, std=0.02)
    nn.init.zeros_(head.bias)
    return Classifier(backbone, head, pooling=pooling)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers from reporting what is no news here: that the new head is new, how files are ordered."""
    before = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
        if bars:
            transformers_logging.enable_progress_bar()


def save_head(model: Classifier, folder: Path) -> None:
    """Write the mean-pooling head beside PEFT's files."""
    from safetensors.torch import save_file

    if model.head is not None:
        tensors = {
            "weight": model.head.weight.detach().cpu().contiguous(),
            "bias": model.head.bias.detach().cpu().contiguous(),
        }
        save_file(tensors, folder / HEAD_FILE, metadata={"pooling": "mean"})


def _is_head_name(name: str) -> bool:
    parts = name.split(".")
    return "classifier" in parts or "score" in parts
