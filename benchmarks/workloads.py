"""Encoders, batches and trainers on which the contestants work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoConfig, BertConfig, BertModel, TrainingArguments
from transformers.trainer_utils import SaveStrategy

from benchmarks.settings import Settings
from bidora.adapter import adapt
from bidora.classifier import Classifier, build_classifier
from bidora.config import RunConfig
from bidora.cost import Cost
from bidora.encoding import PaddingCollator
from bidora.errors import LabError
from bidora.level_trainer import LevelTrainer
from bidora.models import model_folder
from bidora.phases import Phase, training_arguments
from bidora.trainer import BiLevelTrainer

OUTPUTS = 8
"""Classes of the head, as in Reuters R8."""

STEPS = 4000
"""Length of the schedules; no contestant takes that many steps."""

SHAPES: dict[str, dict[str, int]] = {
    "minilm": dict(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536),
    "bert-base": dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072),
    "tiny": dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64),
}
"""Shapes of the random-weight encoders; "minilm" is used where the packaged weights cannot be had."""


@dataclass(frozen=True)
class Size:
    """An encoder and the batches it sees."""

    model: str
    batch: int
    tokens: int

    def __str__(self) -> str:
        return f"{self.model} {self.batch}×{self.tokens}"


SIZES = (Size("minilm", 16, 128), Size("minilm", 32, 64), Size("bert-base", 8, 64))
QUICK_SIZES = (Size("tiny", 4, 12),)


@dataclass(frozen=True)
class Encoder:
    """An encoder on disk."""

    folder: Path
    note: str
    vocabulary: int


def encoder_of(name: str, settings: Settings) -> Encoder:
    """The packaged weights of "minilm", or a BERT with random weights of the named shape."""
    note = f"{name}: random weights"
    if name == "minilm":
        try:
            folder = Path(model_folder("minilm"))
            return Encoder(folder, "minilm: the pretrained weights", AutoConfig.from_pretrained(folder).vocab_size)
        except LabError:
            note = "minilm: random weights of the same shape (the pretrained ones could not be fetched)"
    folder, vocabulary = settings.scratch / f"encoder-{name}", 120 if name == "tiny" else 30522
    if not folder.exists():
        torch.manual_seed(0)
        config = BertConfig(vocab_size=vocabulary, max_position_embeddings=512, **SHAPES[name])
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return Encoder(folder, note, vocabulary)


class RandomTokens(torch.utils.data.Dataset[dict[str, Any]]):
    """Examples of equal length with random tokens and labels: what a step costs does not depend on their meaning."""

    def __init__(self, count: int, tokens: int, *, vocabulary: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.ids = generator.integers(5, vocabulary, size=(count, tokens)).tolist()
        self.labels = torch.as_tensor(generator.integers(0, OUTPUTS, size=count))
        self.lengths = [tokens] * count

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {
            "input_ids": self.ids[index],
            "attention_mask": [1] * len(self.ids[index]),
            "labels": self.labels[index],
        }


def config_of(size: Size, settings: Settings, **changes: Any) -> RunConfig:
    """The settings that all contestants share: rank 8 on query and value, no dropout, no warm-up.

    At a learning rate of 0, as in the first step of a warm-up, ξ = lr would be the cheaper first-order variant.
    """
    return RunConfig(
        **{
            "batch_size": size.batch,
            "steps": STEPS,
            "learning_rate": 1e-3,
            "warmup_fraction": 0.0,
            "pooling": "first",
            "device": settings.device.type,
            **changes,
        }
    )


def model_of(encoder: Encoder, config: RunConfig) -> Classifier:
    """The adapted classifier; equal seeds give all contestants equal initial values."""
    exact = config.method == "bidora" and config.mixed_product == "exact" and config.unroll_scale != "0"
    torch.manual_seed(config.seed)
    model = build_classifier(str(encoder.folder), config, outputs=OUTPUTS, attention="eager" if exact else None)
    torch.manual_seed(config.seed)
    adapt(model, config)
    return model


def trainer_of(encoder: Encoder, size: Size, config: RunConfig, settings: Settings) -> LevelTrainer:
    """The trainer that `train(run)` would use for these settings, with its optimisers."""
    bilevel = config.method == "bidora"
    data = [RandomTokens(4 * size.batch, size.tokens, vocabulary=encoder.vocabulary, seed=seed) for seed in (0, 1)]
    options: dict[str, Any] = dict(
        model=model_of(encoder, config),
        args=_arguments(config, settings),
        train_dataset=data[0],
        config=config,
        kind="classification",
        cost=Cost(),
        order_seed=0,
        data_collator=PaddingCollator(0),
    )
    trainer = BiLevelTrainer(upper_dataset=data[1], **options) if bilevel else LevelTrainer(**options)
    trainer.create_optimizer_and_scheduler(config.steps)
    trainer.current_gradient_accumulation_steps = 1  # Trainer.train sets it for each step
    return trainer


def _arguments(config: RunConfig, settings: Settings) -> TrainingArguments:
    """The arguments that `train(run)` would use, but nothing is saved."""
    phase = Phase("benchmark", 0, config.steps, bilevel=config.method == "bidora")
    arguments = training_arguments(config, phase, settings.scratch / "trainer")
    arguments.save_strategy = SaveStrategy.NO
    return arguments


def batches_of(trainer: LevelTrainer, count: int) -> list[dict[str, Tensor]]:
    """The first batches of the lower level, on the device."""
    size, data = trainer.args.train_batch_size, trainer.train_dataset
    order = trainer._order(data, count, size, trainer.order_seed)
    chunks = (order[start : start + size] for start in range(0, count * size, size))
    return [trainer._prepare_inputs(trainer.data_collator([data[index] for index in chunk])) for chunk in chunks]


class Iteration:
    """One training iteration as transformers' Trainer makes it: gradients, clipping, optimiser, schedule.

    Args:
        trainer: whose iteration it is; with K lower steps per upper step, one call makes K lower steps and one upper.
    """

    def __init__(self, trainer: LevelTrainer) -> None:
        self.trainer = trainer
        self.batches = batches_of(trainer, 4)
        self.parameters = [p for p in trainer.model.parameters() if p.requires_grad]
        self.lower_steps = trainer.config.unroll_steps if trainer.config.method == "bidora" else 1

    def __call__(self) -> Tensor:
        """The loss of the last lower step."""
        for _ in range(self.lower_steps):
            loss = self._step()
        return loss

    def _step(self) -> Tensor:
        trainer = self.trainer
        batch = self.batches[trainer.state.global_step % len(self.batches)]
        loss = trainer.training_step(trainer.model, batch)
        trainer.accelerator.clip_grad_norm_(self.parameters, trainer.args.max_grad_norm)
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
        trainer.optimizer.zero_grad(set_to_none=True)
        trainer.state.global_step += 1
        return loss
