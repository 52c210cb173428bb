"""The search phase: ordinary training of the lower level, and the upper level on top of it.

One training step of the lower level gives A, B and head their gradients; when an upper step is due, the magnitude first
moves along its hypergradient through that very lower step. Which tensors form the upper level is the method's to say
(`Method.upper`); in the words of BiDoRA they are called the magnitude here.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from transformers import get_scheduler

from bidora.adapter import adapted_layers, split_parameters
from bidora.classifier import Classifier
from bidora.config.effort import upper_passes
from bidora.errors import LabError
from bidora.hypergradient import (
    AdamWStep,
    Clipped,
    GradientStep,
    Hypergradient,
    LowerGradient,
    Parameters,
    Step,
    hypergradient,
    lower_gradient,
)
from bidora.kinds import Kind
from bidora.level_trainer import LevelTrainer
from bidora.methods import get_method
from bidora.upper_notes import UpperNotes

UPPER_FILE = "upper.pt"


class BiLevelTrainer(LevelTrainer):
    """The search phase: direction on the lower split, magnitude on the upper split.

    Args:
        upper_dataset: items of the upper split, like train_dataset's.
        rest: as for LevelTrainer.

    Attributes:
        last_hypergradient: of the newest upper step; the recorder reads it.
    """

    def __init__(self, *args: Any, upper_dataset: Any, **rest: Any) -> None:
        super().__init__(*args, **rest)
        if not self.method.bilevel:
            raise LabError(
                f"method={self.config.method} has no upper level", hint="use LevelTrainer for it, or method=bidora"
            )
        self.direction, self.magnitude = split_parameters(self.model, self.method.upper)
        for parameter in self.magnitude.values():
            parameter.requires_grad_(False)  # clipping and the lower optimiser must not see it
        self.initial_magnitude = initial_magnitudes(self.model, self.config.method)
        exact = self.config.mixed_product == "exact" and self.config.unroll_scale != "0"
        layers = [layer for _, layer in adapted_layers(self.model)]
        regulariser = self.method.regulariser(layers, self.config, twice=exact)
        self.lower_objective = LowerObjective(self.model, self.kind, self.config.regularizer, regulariser)
        self.last_hypergradient: Hypergradient | None = None
        self.upper_notes = UpperNotes()
        self._prepare_upper(upper_dataset)

    def _prepare_upper(self, upper_dataset: Any) -> None:
        """Optimiser, schedule and order of the upper level; its position follows from the number of steps."""
        config, args = self.config, self.args
        upper_steps = max(1, args.max_steps // config.unroll_steps)
        rate = config.learning_rate * config.upper_learning_rate_ratio
        self.upper_optimizer = torch.optim.AdamW(
            list(self.magnitude.values()),
            lr=rate,
            betas=(args.adam_beta1, args.adam_beta2),
            eps=args.adam_epsilon,
            weight_decay=0.0,
        )
        self.upper_scheduler = get_scheduler(
            "linear",
            self.upper_optimizer,
            num_warmup_steps=round(config.warmup_fraction * upper_steps),
            num_training_steps=upper_steps,
        )
        self.upper_dataset = upper_dataset
        self._upper_batch = args.train_batch_size
        everywhere = self._upper_batch * args.world_size
        self._upper_order = self._order(upper_dataset, upper_steps, everywhere, self.order_seed + 1)

    # -- the two steps ------------------------------------------------------------------------------------------

    def training_step(self, model: nn.Module, inputs: dict[str, Tensor], num_items_in_batch: Any = None) -> Tensor:
        """Gradients of the lower level; when due, the upper step through this very lower step comes first."""
        self.cost.start_clock()
        self.model.train()
        inputs = self._prepare_inputs(inputs)
        due = (self.state.global_step + 1) % self.config.unroll_steps == 0
        unrolled = due and self.config.unroll_scale != "0"
        lower_loss = self._loss(inputs, regularised=True)
        lower = lower_gradient(
            lower_loss,
            self.direction,
            self.magnitude,
            with_magnitude=unrolled and self.config.mixed_product == "one-sided",
            create_graph=unrolled and self.config.mixed_product == "exact",
            reduce=self._reduce,
        )
        self.cost.count(passes=1, examples=len(inputs["labels"]))
        if due:
            self._upper_step(lower, self._loss(inputs, regularised=False))
        for name, parameter in self.direction.items():
            parameter.grad = lower.direction[name]
        return lower.loss

    def _upper_step(self, lower: LowerGradient, lower_loss: Any) -> None:
        """m ← m − η_upper · Adam(h), with h through the lower step that is about to be taken."""
        index = (self.state.global_step + 1) // self.config.unroll_steps - 1
        batch = self._prepare_inputs(self._upper_inputs(index))
        found = hypergradient(
            lower_loss,
            self._loss(batch, regularised=False),
            self.direction,
            self.magnitude,
            step=self._step(),
            mixed=self.config.mixed_product if self.config.unroll_scale != "0" else "exact",
            lower=lower,
            reduce=self._reduce,
        )
        self._decay_magnitude()
        for name, slope in found.total().items():
            self.magnitude[name].grad = slope
        self.upper_optimizer.step()
        self.upper_scheduler.step()
        self.upper_optimizer.zero_grad(set_to_none=True)
        self.cost.count(passes=upper_passes(self.config), examples=len(batch["labels"]))
        self.last_hypergradient = found
        self.upper_notes.add(found)

    def _step(self) -> float | Step:
        """The lower step as the hypergradient sees it: ξ = 0, the learning rate, a number, or the AdamW step really taken."""
        scale = self.config.unroll_scale
        if scale == "lr":
            return GradientStep(self._get_learning_rate())
        if scale != "adam":
            return float(scale)
        taken: Step = AdamWStep.from_optimizer(self.optimizer, self.direction)
        return Clipped(taken, self.args.max_grad_norm) if self.args.max_grad_norm > 0 else taken

    def _decay_magnitude(self) -> None:
        """Decoupled weight decay of m, towards its initial value or (as the published code does) towards zero."""
        strength = self.config.magnitude_decay * self.upper_scheduler.get_last_lr()[0]
        if strength == 0:
            return
        with torch.no_grad():
            for name, parameter in self.magnitude.items():
                target = (
                    self.initial_magnitude[name]
                    if self.config.magnitude_decay_target == "initial"
                    else torch.zeros_like(parameter)
                )
                parameter.lerp_(target, min(strength, 1.0))

    def _loss(self, inputs: dict[str, Tensor], *, regularised: bool) -> Any:
        """L(V, m) on one batch as a pure function of the two levels."""

        def loss(direction: Parameters, magnitude: Parameters) -> Tensor:
            tensors = {f"model.{name}": tensor for level in (direction, magnitude) for name, tensor in level.items()}
            # nothing that is trained is tied: looking for ties takes longer than the call itself
            return functional_call(self.lower_objective, tensors, (inputs, regularised), tie_weights=False)

        return loss

    def _upper_inputs(self, index: int) -> dict[str, Tensor]:
        start = (index * self.args.world_size + self.args.process_index) * self._upper_batch
        return self.data_collator([self.upper_dataset[i] for i in self._upper_order[start : start + self._upper_batch]])

    @property
    def _reduce(self) -> Any:
        """Average over workers; None for one process."""
        if self.args.world_size == 1:
            return None
        return lambda tensors: {name: self.accelerator.reduce(tensor, "mean") for name, tensor in tensors.items()}

    # -- logs and checkpoints -----------------------------------------------------------------------------------

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Merge the upper level's means since the last line into Trainer's own line."""
        means = self.upper_notes.take_means() if "loss" in logs else {}
        if means:
            logs |= {**means, "upper_learning_rate": self.upper_scheduler.get_last_lr()[0]}
        super().log(logs, start_time)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            state = {
                "optimizer": self.upper_optimizer.state_dict(),
                "scheduler": self.upper_scheduler.state_dict(),
                **self.upper_notes.state_dict(),
                "newest": _kept(self.last_hypergradient),
            }
            torch.save(state, os.path.join(output_dir, UPPER_FILE))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        state = torch.load(os.path.join(checkpoint, UPPER_FILE), weights_only=True)
        self.upper_optimizer.load_state_dict(state["optimizer"])
        self.upper_scheduler.load_state_dict(state["scheduler"])
        self.upper_notes.load_state_dict(state)
        newest = state.get("newest")
        self.last_hypergradient = Hypergradient(**newest) if newest else None


def _kept(found: Hypergradient | None) -> dict[str, Any]:
    """What a checkpoint keeps of the newest hypergradient: the recorder tells it until the next upper step."""
    return {} if found is None else dict(direct=found.direct, implicit=found.implicit, upper_loss=found.upper_loss)


class LowerObjective(nn.Module):
    """Model and loss in one module, so that both see the same substituted parameters.

    L(V, m) + γ·R(V). R depends on V only, so it is left out where V needs no gradient (perturbed and upper passes).
    """

    def __init__(self, model: Classifier, kind: Kind, weight: float, orthogonality: nn.Module | None) -> None:
        super().__init__()
        self.model = model
        self.kind = kind
        self.weight = weight
        self.orthogonality = orthogonality

    def forward(self, inputs: dict[str, Tensor], regularised: bool) -> Tensor:
        """The scalar loss of one batch."""
        logits = self.model(**{name: tensor for name, tensor in inputs.items() if name != "labels"})
        loss = self.kind.loss(logits, inputs["labels"])
        if regularised and self.weight and self.orthogonality is not None:
            loss = loss + self.weight * self.orthogonality()
        return loss


def initial_magnitudes(model: nn.Module, method: str = "bidora") -> Parameters:
    """Where the upper level begins, whatever it is now, by the name of the parameter; ‖W0‖ per output unit for BiDoRA."""
    chosen, named = get_method(method), {}
    for name, layer in adapted_layers(model):
        for parameter_name, parameter in layer.named_parameters():
            if chosen.upper in parameter_name:
                named[f"{name}.{parameter_name}"] = chosen.upper_start(layer, parameter)
    return named
