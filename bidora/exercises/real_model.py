"""The model, batches and trainer of notebook 06: ESM-2 on peptides, or a tiny random encoder where weights or data are not here."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bidora.adapter import MAGNITUDE, adapt
from bidora.classifier import Classifier, build_classifier
from bidora.config import RunConfig
from bidora.cost import Cost
from bidora.encoding import EncodedSplit, PaddingCollator, padding_of
from bidora.errors import LabError
from bidora.exercises.training import StatusLine
from bidora.phases import Phase, training_arguments
from bidora.tasks.splits import Split
from bidora.trainer import BiLevelTrainer

Batch = dict[str, Tensor]

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"


@dataclass(frozen=True)
class Material:
    """An adapted classifier with the two splits that its levels read.

    Attributes:
        model: with A, B, m and head.
        lower: for A, B and head.
        upper: for m.
        pad_id: token that fills short sequences up.
        real: whether it is the pretrained model with the real data.
    """

    model: Classifier
    lower: EncodedSplit
    upper: EncodedSplit
    pad_id: int
    real: bool

    def batch(self, split: EncodedSplit, count: int, *, first: int = 0) -> Batch:
        """Some examples of a split: input_ids and attention_mask (count, tokens), labels (count,)."""
        return PaddingCollator(self.pad_id)([split[first + i] for i in range(count)])


def esm2_or_tiny(config: RunConfig) -> Material:
    """ESM-2 with its adapter on the peptides; without network, and where they were never fetched, a tiny encoder.

    Args:
        config: task peptides, method bidora.
    """
    try:
        return _esm2(config)
    except LabError as problem:
        if problem.kind not in ("download", "model", "data"):
            raise
        print(f"A tiny random encoder stands in for ESM-2, which is not here ({problem.message}).")
        return tiny(config)


def tiny(config: RunConfig, *, dtype: torch.dtype = torch.float32) -> Material:
    """A random two-layer ESM encoder (24 wide) with its adapter, and made-up sequences."""
    from transformers import EsmConfig, EsmModel

    torch.manual_seed(config.seed)
    settings = EsmConfig(
        vocab_size=4 + len(AMINO_ACIDS),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=40,
        max_position_embeddings=40,
        pad_token_id=0,
        mask_token_id=1,
        position_embedding_type="rotary",
        hidden_dropout_prob=config.backbone_dropout,
        attention_probs_dropout_prob=config.backbone_dropout,
        attn_implementation="eager",
    )
    model = Classifier(EsmModel(settings, add_pooling_layer=False), torch.nn.Linear(24, 2), pooling="mean")
    adapt(model, config)
    lower, upper = (
        EncodedSplit(_sequences(count, seed), _letters, max_length=40, scale=None) for count, seed in ((24, 1), (16, 2))
    )
    return Material(model.to(dtype), lower, upper, 0, real=False)


def with_noise(material: Material, *, size: float = 0.02, seed: int = 0) -> Material:
    """Put a little noise into every B, which begins at 0: derivatives are to be looked at where nothing vanishes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in material.model.named_parameters():
            if "lora_B" in name:
                parameter.add_(size * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return material


def bilevel_trainer(material: Material, config: RunConfig) -> BiLevelTrainer:
    """The library's trainer of the search phase on this model, with its optimisers made; nothing has been trained yet."""
    folder = tempfile.TemporaryDirectory(prefix="notebook-06-", ignore_cleanup_errors=True)
    trainer = BiLevelTrainer(
        model=material.model,
        args=training_arguments(config, Phase("search", 0, config.steps, bilevel=True), Path(folder.name)),
        train_dataset=material.lower,
        upper_dataset=material.upper,
        config=config,
        kind="classification",
        cost=Cost(),
        order_seed=config.seed,
        data_collator=PaddingCollator(material.pad_id),
    )
    weakref.finalize(trainer, folder.cleanup)
    trainer.create_optimizer_and_scheduler(config.steps)
    return trainer


def first_batches(trainer: BiLevelTrainer) -> tuple[Batch, Batch]:
    """The batches that the trainer's first step reads: of the lower and of the upper split."""
    lower = next(iter(trainer.get_train_dataloader()))
    return lower, trainer._prepare_inputs(trainer._upper_inputs(0))


def levels(names: Sequence[str]) -> str:
    """How many of some parameters are A, B, m, head or backbone, in words."""
    kinds = {"lora_A": "A", "lora_B": "B", MAGNITUDE: "m", "head.": "head"}
    counts: dict[str, int] = {}
    for name in names:
        kind = next((kind for part, kind in kinds.items() if part in name), "backbone")
        counts[kind] = counts.get(kind, 0) + 1
    return ", ".join(f"{count} of {kind}" for kind, count in counts.items()) or "none"


def _esm2(config: RunConfig) -> Material:
    from transformers import AutoTokenizer, set_seed

    from bidora.models import model_folder
    from bidora.tasks import prepare

    line = StatusLine()
    folder, prepared = model_folder("esm2", line), prepare(config, line)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    set_seed(config.seed)
    model = build_classifier(folder, config, outputs=len(prepared.labels), attention="eager")
    adapt(model, config)
    lower, upper = (
        EncodedSplit(split, tokenizer, max_length=64, scale=None)
        for split in (prepared.lower, prepared.upper)
        if split is not None  # bidora always has both
    )
    line.say(f"ESM-2 and {len(lower)} + {len(upper)} peptides are here")
    return Material(model, lower, upper, padding_of(tokenizer), real=True)


def _sequences(count: int, seed: int) -> Split:
    """Random sequences; those of class 1 have more K and R."""
    draws = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    inputs = []
    for label in labels:
        weights = np.array([4.0 if label and letter in "KR" else 1.0 for letter in AMINO_ACIDS])
        letters = draws.choice(list(AMINO_ACIDS), size=draws.integers(6, 16), p=weights / weights.sum())
        inputs.append("".join(letters))
    return Split(tuple(inputs), labels.astype(np.int64), tuple(f"{seed}-{i}" for i in range(count)))


def _letters(inputs: list[str], *, truncation: bool, max_length: int) -> dict[str, Any]:
    """A tokenizer of letters: 2, one id per letter, 3."""
    rows = [[2, *(4 + AMINO_ACIDS.index(letter) for letter in each), 3] for each in inputs]
    return {"input_ids": [row[:max_length] if truncation else row for row in rows]}
