"""Encoder and head together: text or sequence in, logits out.

Two ways of reading an encoder, each the habit of some models:

* first — transformers' own AutoModelForSequenceClassification, whose head reads the first token (RoBERTa, BERT);
* mean — the mean over the tokens, then one linear layer (sentence encoders, ESM-2).
"""

from __future__ import annotations

import re
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

_NEVER_NEEDED = re.compile(r"(^|\.)(pooler|contact_head|rotary_embeddings)\.")
"""Parts that files of pretrained encoders may lack: what reads BERT's first token, ESM's prediction of contacts, what is computed."""


class Classifier(nn.Module):
    """A pretrained encoder with a head.

    Args:
        backbone: with pooling "mean" a model whose output has `last_hidden_state`; else one whose output has `logits`.
        head: the linear head of "mean"; else None, as the head is part of the backbone.
        pooling: "first" or "mean" for one answer per input; another word where there is one per token.
    """

    def __init__(self, backbone: nn.Module, head: nn.Linear | None, *, pooling: str) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.pooling = pooling

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **inputs: Tensor) -> Tensor:
        """Logits (batch, outputs), or (batch, tokens, outputs), of token ids (batch, tokens)."""
        inputs.pop("labels", None)
        if getattr(self.backbone.config, "type_vocab_size", 0) < 2:  # the model knows no first and second text
            inputs.pop("token_type_ids", None)
        output = self.backbone(input_ids=input_ids, attention_mask=attention_mask, **inputs)
        if self.head is None:
            return output.logits
        mask = attention_mask.unsqueeze(-1).to(output.last_hidden_state.dtype)
        pooled = (output.last_hidden_state * mask).sum(dim=1) / mask.sum(dim=1)
        return F.linear(pooled.to(self.head.weight.dtype), self.head.weight, self.head.bias)

    def activation_checkpointing_enable(self, **how: Any) -> None:
        """Recompute activations in the backward pass (called by transformers' Trainer)."""
        self.backbone.activation_checkpointing_enable(**how)

    def gradient_checkpointing_enable(self, **how: Any) -> None:
        """The same for transformers before 5.23."""
        self.backbone.gradient_checkpointing_enable(**how)

    def head_names(self) -> list[str]:
        """Names of the parameters that turn features into logits: new, so always trained."""
        if self.head is not None:
            return ["head.weight", "head.bias"]
        new = tuple(f"backbone.{name}." for name in head_modules(self.backbone))
        return [name for name, _ in self.named_parameters() if name.startswith(new)]


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
    from transformers import AutoModel, AutoModelForSequenceClassification

    settings = read_settings(folder, config)
    pooling = pooling_of(config, settings.model_type, settings.architectures or [])
    settings.num_labels = outputs
    settings.problem_type = None
    if pooling == "first":
        backbone = read_weights(AutoModelForSequenceClassification, folder, settings, attention=attention)
        return Classifier(backbone, None, pooling=pooling)
    plain = {"add_pooling_layer": False} if settings.model_type in WITH_POOLER else {}
    backbone = read_weights(AutoModel, folder, settings, attention=attention, **plain)
    head = nn.Linear(settings.hidden_size, outputs)
    nn.init.normal_(head.weight, std=0.02)
    nn.init.zeros_(head.bias)
    return Classifier(backbone, head, pooling=pooling)


def read_config(folder: str) -> Any:
    """transformers' configuration of a pretrained model, as its folder has it.

    Raises:
        LabError: the folder holds none that transformers can read.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise LabError(
            f"model {folder!r} cannot be loaded: {str(error).splitlines()[0]}",
            hint="name a packaged model, a local folder with config.json and model.safetensors, or a hub id (needs internet)",
            kind="model",
        ) from error


DROPOUTS = tuple(
    "hidden_dropout_prob attention_probs_dropout_prob attention_dropout dropout attn_pdrop embd_pdrop resid_pdrop "
    "embedding_dropout mlp_dropout pooler_dropout classifier_dropout seq_classif_dropout summary_first_dropout "
    "summary_last_dropout qa_dropout".split()
)
"""What architectures call their dropouts: BERT and its kin, DistilBERT, Llama, GPT-2, ModernBERT, DeBERTa; heads included."""


def read_settings(folder: str, config: RunConfig) -> Any:
    """transformers' configuration of a pretrained model, with the dropout that the run's settings ask for.

    Raises:
        LabError: the folder holds none that transformers can read.
    """
    settings = read_config(folder)
    if (
        getattr(settings, "pad_token_id", 0) is None
    ):  # Llama's kin; whoever knows the tokenizer sets `padding_of` it instead
        settings.pad_token_id = 0
    for name in DROPOUTS:
        if isinstance(getattr(settings, name, None), float):
            setattr(settings, name, config.backbone_dropout)
    return settings


def read_weights(loader: Any, folder: str, settings: Any, *, attention: str | None, **options: Any) -> nn.Module:
    """A pretrained model in float32; a head that the files do not hold, or in another size, is drawn from the global RNG.

    Args:
        loader: one of transformers' Auto classes.
        folder: local folder or hub id.
        settings: as `read_settings` gives them.
        attention: as for `build_classifier`.
        options: passed on to the loader.

    Raises:
        LabError: the weights cannot be read, or they are not those of the model that config.json describes: transformers
            would draw what is missing at random and say so in a warning at most.
    """
    if attention:
        options["attn_implementation"] = attention
    options |= {"use_safetensors": True, "dtype": torch.float32}
    options |= {"output_loading_info": True, "ignore_mismatched_sizes": True}  # checked below
    try:
        with quiet_transformers():
            model, found = loader.from_pretrained(folder, config=settings, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise LabError(
            f"the weights of model {folder!r} cannot be loaded: {str(error).splitlines()[0]}",
            hint="only safetensors files are read; save the model with save_pretrained(safe_serialization=True)",
            kind="model",
        ) from error

    _check_complete(model, folder, found)
    return model


def _check_complete(model: nn.Module, folder: str, found: dict[str, Any]) -> None:
    """Refuse a model parts of which were drawn at random although the files should hold them."""
    new = tuple(f"{name}." for name in head_modules(model))
    sizes = {str(name): (here, wanted) for name, here, wanted in found["mismatched_keys"]}
    lacking = sorted(
        name for name in {*found["missing_keys"], *sizes} if not name.startswith(new) and not _NEVER_NEEDED.search(name)
    )
    if not lacking:
        return
    first = lacking[0]
    if first in sizes:
        here, wanted = (tuple(each) for each in sizes[first])
        what = f"{first} has shape {here} there, and config.json asks for {wanted}"
    else:
        what = f"{len(lacking)} of {len(model.state_dict())} tensors are missing there, such as {first}"
        unused = sorted(found["unexpected_keys"])
        what += f"; {len(unused)} others have names that do not fit, such as {unused[0]}" if unused else ""
    raise LabError(
        f"the weights in {folder!r} do not belong to its config.json: {what}",
        hint="they would be drawn at random; `bidora convert FILE --base MODEL --into FOLDER` renames the tensors of a "
        "checkpoint that another program wrote",
        kind="model",
    )


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


def head_modules(model: nn.Module) -> list[str]:
    """Names of the modules with which transformers' own classifiers turn features into logits.

    They are new, so they are trained and saved whatever the method: classifier or score, and in DeBERTa and DistilBERT the
    layer before it, too, which no pretrained file holds.
    """
    encoder = getattr(model, "base_model_prefix", "")
    if type(model).__name__.endswith("Classification") and hasattr(model, encoder):
        return [name for name, child in model.named_children() if name != encoder and list(child.parameters())]
    return [name for name, _ in model.named_children() if name in ("classifier", "score")]


def task_type_of(model: nn.Module) -> str:
    """PEFT's word for what a model is made for, by which its adapters are loaded."""
    name = type(model).__name__
    if name.endswith("ForTokenClassification"):
        return "TOKEN_CLS"
    if name.endswith(("ForCausalLM", "LMHeadModel")):
        return "CAUSAL_LM"
    return "SEQ_CLS" if head_modules(model) else "FEATURE_EXTRACTION"
