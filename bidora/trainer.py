"""Training of one phase on transformers.Trainer, and the upper level on top of it.

LevelTrainer: ordinary training of whatever has requires_grad (LoRA, DoRA, full, the retraining phase).
BiLevelTrainer: the search phase. One training step of the lower level gives A, B and head their gradients; when an upper
step is due, the magnitude first moves along its hypergradient through that very lower step. Which tensors form the upper
level is the method's to say (`Method.upper`); in the words of BiDoRA they are called the magnitude here.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerState, TrainingArguments, get_scheduler

from bidora.adapter import adapted_layers, split_parameters
from bidora.checkpoint import (
    COMPLETE_FILE,
    COST_FILE,
    TRAINABLE_FILE,
    load_method_state,
    load_trainable,
    save_method_state,
    trainable_tensors,
)
from bidora.classifier import Classifier
from bidora.config import RunConfig
from bidora.cost import Cost
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
from bidora.hypergradient.parameters import inner, norm
from bidora.kinds import Kind, get_kind
from bidora.methods import Method, get_method
from bidora.order import FixedOrder, training_order
from bidora.runs import write_json

UPPER_FILE = "upper.pt"

PASSES = {"one-sided": 2, "central": 3, "exact": 2}
"""Forward-backward passes of one upper step beyond the lower one, where ξ > 0."""


class LevelTrainer(Trainer):
    """transformers.Trainer for a `Classifier`: our loss, a fixed order of examples, small complete checkpoints.

    Args:
        model: the adapted classifier.
        args: transformers' training arguments.
        train_dataset: items with input_ids, attention_mask, labels.
        config: the run's settings.
        kind: name of one of `bidora.kinds`.
        cost: counters to add to.
        order_seed: draws the order of the examples.
        rest: further arguments of transformers.Trainer.
    """

    def __init__(
        self,
        model: Classifier,
        args: TrainingArguments,
        *,
        train_dataset: Any,
        config: RunConfig,
        kind: str,
        cost: Cost,
        order_seed: int,
        **rest: Any,
    ) -> None:
        super().__init__(model=model, args=args, train_dataset=train_dataset, **rest)
        self.remove_callback(PrinterCallback)
        self.model_accepts_loss_kwargs = (
            False  # our loss is a mean over the batch: Trainer divides it when it accumulates
        )
        self.config, self.kind, self.cost, self.order_seed = config, get_kind(kind), cost, order_seed
        self.label_names = ["labels"]
        self.method = get_method(config.method)
        self.penalty = self.method.penalty(model, config)
        self.add_callback(_AfterStep(self.method, model))

    # -- data and loss ------------------------------------------------------------------------------------------

    def _get_train_sampler(self, train_dataset: Any = None) -> FixedOrder:
        """One long epoch: the order of all steps of this phase."""
        args = self.args
        # accumulated batches are drawn together, so that a step sees what one large batch would have held
        step_size = args.train_batch_size * args.world_size * args.gradient_accumulation_steps
        return FixedOrder(self._order(self.train_dataset, args.max_steps, step_size, self.order_seed))

    def _order(self, dataset: Any, batches: int, batch_size: int, seed: int) -> list[int]:
        lengths = dataset.lengths if self.config.group_by_length else None
        return training_order(len(dataset), batches=batches, batch_size=batch_size, seed=seed, lengths=lengths)

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Tensor], return_outputs: bool = False, **rest: Any
    ) -> Any:
        """Mean loss of the batch, without the lower level's regulariser."""
        logits = model(**{name: tensor for name, tensor in inputs.items() if name != "labels"})
        loss = self.kind.loss(logits, inputs["labels"])
        if self.penalty is not None:
            loss = loss + self.penalty()
        return (loss, {"logits": logits}) if return_outputs else loss

    def training_step(self, model: nn.Module, inputs: dict[str, Tensor], num_items_in_batch: Any = None) -> Tensor:
        """One batch forward and backward, counted."""
        self.cost.start_clock()
        loss = super().training_step(model, inputs, num_items_in_batch)
        self.cost.count(passes=1, examples=len(inputs["labels"]))
        return loss

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW; weight decay for matrices, and learning rates of their own where the method says so (DoRA's m, LoRA+'s B)."""
        if self.optimizer is None:
            args, rate = self.args, self.args.learning_rate
            decayed = set(self.get_decay_parameter_names(self.model))
            groups: dict[tuple[str, bool], dict[str, Any]] = {}
            own_rates = {"": rate}
            own_rates |= {part: rate * getattr(self.config, ratio) for part, ratio in self.method.own_rates}
            for part, own in own_rates.items():
                for decays in (True, False):
                    groups[part, decays] = {"params": [], "weight_decay": args.weight_decay * decays, "lr": own}
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad:
                    part = next((part for part in own_rates if part and part in name), "")
                    kept = any(each in name for each in self.method.undecayed)
                    groups[part, name in decayed and not kept]["params"].append(parameter)
            filled = [group for group in groups.values() if group["params"]]
            betas = (args.adam_beta1, args.adam_beta2)
            self.optimizer = torch.optim.AdamW(filled, lr=rate, betas=betas, eps=args.adam_epsilon)
        return self.optimizer

    # -- checkpoints: trainable tensors only, complete or not there ---------------------------------------------

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        from safetensors.torch import save_file

        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(trainable_tensors(self.model, self.method.upper), folder / TRAINABLE_FILE)
        save_method_state(self.method, self.model, folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        load_trainable(self.model, Path(resume_from_checkpoint) / TRAINABLE_FILE, self.method.upper)
        load_method_state(self.method, self.model, Path(resume_from_checkpoint))

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        write_json(folder / COST_FILE, self.cost.to_dict())
        (folder / COMPLETE_FILE).touch()  # written last: a folder without it was cut off

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Nothing to warn of: loading is strict."""


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
        self.direction, self.magnitude = split_parameters(self.model, self.method.upper)
        for parameter in self.magnitude.values():
            parameter.requires_grad_(False)  # clipping and the lower optimiser must not see it
        self.initial_magnitude = initial_magnitudes(self.model, self.config.method)
        exact = self.config.mixed_product == "exact" and self.config.unroll_scale != "0"
        layers = [layer for _, layer in adapted_layers(self.model)]
        regulariser = self.method.regulariser(layers, self.config, twice=exact)
        self.lower_objective = LowerObjective(self.model, self.kind, self.config.regularizer, regulariser)
        self.last_hypergradient: Hypergradient | None = None
        self._upper_notes: list[Tensor] = []
        self._upper_sums: dict[str, float] = {}
        self._upper_count = 0
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
        passes = 1 if self.config.unroll_scale == "0" else PASSES[self.config.mixed_product]
        self.cost.count(passes=passes, examples=len(batch["labels"]))
        self.last_hypergradient = found
        self._note_upper(found)

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

    def _note_upper(self, found: Hypergradient) -> None:
        """Keep the sizes of both parts on the device: reading them now would wait for it in every step."""
        sizes = (norm(found.direct), norm(found.implicit), inner(found.direct, found.implicit), found.upper_loss)
        self._upper_notes.append(torch.stack(sizes))

    def _read_upper_notes(self) -> None:
        """Add what was kept since the last reading to the sums."""
        if not self._upper_notes:
            return
        for direct, implicit, product, loss in torch.stack(self._upper_notes).tolist():
            cosine = product / (direct * implicit) if direct * implicit else math.nan
            values = {"upper_loss": loss, "direct_norm": direct, "implicit_norm": implicit, "cosine": cosine}
            for name, value in values.items():
                self._upper_sums[name] = self._upper_sums.get(name, 0.0) + value
        self._upper_count += len(self._upper_notes)
        self._upper_notes = []

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Merge the upper level's means since the last line into Trainer's own line."""
        self._read_upper_notes()
        if "loss" in logs and self._upper_count:
            logs.update({name: total / self._upper_count for name, total in self._upper_sums.items()})
            logs["upper_learning_rate"] = self.upper_scheduler.get_last_lr()[0]
            self._upper_sums, self._upper_count = {}, 0
        super().log(logs, start_time)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        self._read_upper_notes()
        if self.args.should_save:
            state = {
                "optimizer": self.upper_optimizer.state_dict(),
                "scheduler": self.upper_scheduler.state_dict(),
                "sums": self._upper_sums,
                "count": self._upper_count,
            }
            torch.save(state, os.path.join(output_dir, UPPER_FILE))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        state = torch.load(os.path.join(checkpoint, UPPER_FILE), weights_only=True)
        self.upper_optimizer.load_state_dict(state["optimizer"])
        self.upper_scheduler.load_state_dict(state["scheduler"])
        self._upper_sums, self._upper_count = state["sums"], state["count"]


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


class _AfterStep(TrainerCallback):
    """Lets the method act after each step of the optimiser (AdaLoRA moves its budget of ranks)."""

    def __init__(self, method: Method, model: nn.Module) -> None:
        self.method, self.model = method, model

    def on_optimizer_step(self, args: TrainingArguments, state: TrainerState, control: Any, **rest: Any) -> None:
        self.method.after_step(self.model, state.global_step)


def initial_magnitudes(model: nn.Module, method: str = "bidora") -> Parameters:
    """Where the upper level begins, whatever it is now, by the name of the parameter; ‖W0‖ per output unit for BiDoRA."""
    chosen, named = get_method(method), {}
    for name, layer in adapted_layers(model):
        for parameter_name, parameter in layer.named_parameters():
            if chosen.upper in parameter_name:
                named[f"{name}.{parameter_name}"] = chosen.upper_start(layer, parameter)
    return named
