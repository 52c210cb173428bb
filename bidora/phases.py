"""The phases of a run: what is trained in which order, from which values. Used by train.py alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainingArguments

from bidora.checkpoint import COMPLETE_FILE
from bidora.config import RunConfig, is_bilevel
from bidora.errors import LabError

_NEWER, _OLDER = "activation_checkpointing", "gradient_checkpointing"
_RECOMPUTE = _NEWER if _NEWER in TrainingArguments.__dataclass_fields__ else _OLDER
"""The setting's name in transformers, which has a new one since 5.23."""


@dataclass(frozen=True)
class Phase:
    """One stretch of training.

    Attributes:
        name: train, search or retrain.
        index: 0 or 1.
        steps: training steps.
        bilevel: whether there is an upper level.
        from_start: whether the lower level begins from its initial values (else from where the phase before left it).
        upper_fixed: whether what the upper level trains keeps its value.
    """

    name: str
    index: int
    steps: int
    bilevel: bool = False
    from_start: bool = False
    upper_fixed: bool = False


def phases_of(config: RunConfig) -> list[Phase]:
    """One phase for methods with one level; else search, and retraining with the upper level's tensors fixed."""
    if not is_bilevel(config):
        return [Phase("train", 0, config.steps)]
    search = Phase("search", 0, config.steps, bilevel=True)
    if config.retrain == "none":
        return [search]
    restart = config.retrain == "restart"
    return [search, Phase("retrain", 1, config.steps_of_retraining, from_start=restart, upper_fixed=True)]


def prepare_parameters(model: nn.Module, phase: Phase, initial: dict[str, Tensor], *, upper: str) -> None:
    """Set which parameters the phase trains, and put the lower level back to its initial values where it starts again.

    Args:
        model: adapted.
        phase: about to begin.
        initial: trained tensors at step 0, by name.
        upper: the part of a name that marks the upper level; empty where there is none.
    """
    if not upper:
        return
    for name, parameter in model.named_parameters():
        if upper in name:
            parameter.requires_grad_(not phase.upper_fixed)
    if not phase.from_start:
        return
    named = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in initial.items():
            if upper not in name:
                named[name].copy_(tensor)


def last_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint of a phase; one that was cut off while it was written does not count."""
    complete = [path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE_FILE}")]
    return max(complete, key=lambda path: int(path.name.split("-")[1]), default=None)


def compute_device(config: RunConfig) -> torch.device:
    """Where to compute.

    Raises:
        LabError: the asked device is not there.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if config.device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if present[name]))
    if not present[config.device]:
        here = ", ".join(name for name, there in present.items() if there)
        raise LabError(f"device={config.device!r} is not available here (available: {here})", hint="use --device auto")
    return torch.device(config.device)


def training_arguments(config: RunConfig, phase: Phase, folder: Path) -> TrainingArguments:
    """transformers' settings for one phase: linear schedule with warm-up, AdamW, no reports, checkpoints by step."""
    logged = max(1, phase.steps // 50)
    saved = config.checkpoint_every or max(1, phase.steps // 10)
    options: dict[str, Any] = {"use_cpu": compute_device(config).type == "cpu"}
    if config.gradient_checkpointing:
        options[_RECOMPUTE] = True
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=phase.steps,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        learning_rate=_learning_rate(config, phase),
        weight_decay=config.weight_decay,
        adam_beta1=config.adam_beta1,
        adam_beta2=config.adam_beta2,
        adam_epsilon=config.adam_epsilon,
        warmup_steps=round(config.warmup_fraction * phase.steps),
        lr_scheduler_type="linear",
        max_grad_norm=config.max_gradient_norm,
        bf16=config.precision == "bfloat16",
        logging_steps=logged,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=-(-saved // logged) * logged,  # whole lines of the log, so that a resumed run writes the same ones
        save_total_limit=2,
        seed=config.seed + 7919 * (phase.index + 1),  # other dropout masks in each phase
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        **options,
    )
    # With several GPUs in one process transformers would give each of them a batch of the size that was asked for the whole.
    # One process uses one device; whoever wants more starts processes around the trainers of their own.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _learning_rate(config: RunConfig, phase: Phase) -> float:
    """Peak learning rate of a phase: the retraining may have one of its own."""
    return (config.retrain_learning_rate if phase.index else 0.0) or config.learning_rate
