"""Training of one phase on transformers.Trainer: whatever has requires_grad (LoRA, DoRA, full, the retraining phase)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerState, TrainingArguments

from bidora.checkpoint import (
    COMPLETE_FILE,
    COST_FILE,
    LOSS_FILE,
    TRAINABLE_FILE,
    load_method_state,
    load_trainable,
    save_method_state,
    trainable_tensors,
)
from bidora.classifier import Classifier
from bidora.config import RunConfig
from bidora.cost import Cost
from bidora.kinds import get_kind
from bidora.methods import Method, get_method
from bidora.order import FixedOrder, training_order
from bidora.runs import read_json, write_json


class LevelTrainer(Trainer):
    """transformers.Trainer for a `Classifier`: our loss, a fixed order of examples, small complete checkpoints.

    Args:
        model: the adapted classifier.
        args: transformers' training arguments.
        train_dataset: items with input_ids, attention_mask, labels, such as an `EncodedSplit`; its `lengths`, where it has
            them, put inputs of similar length into one batch.
        config: the run's settings.
        kind: name of one of `bidora.kinds`.
        cost: counters to add to.
        order_seed: draws the order of the examples.
        rest: further arguments of transformers.Trainer.
    """

    optimizer: torch.optim.Optimizer | None

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
        self.unlogged: dict[str, Any] = {}
        self.method = get_method(config.method)
        self.penalty = self.method.penalty(model, config)
        self.add_callback(_AfterStep(self.method, model))
        self.add_callback(_UnloggedLoss(self))

    # -- data and loss ------------------------------------------------------------------------------------------

    def _get_train_sampler(self, train_dataset: Any = None) -> FixedOrder:
        """One long epoch: the order of all steps of this phase."""
        args = self.args
        # accumulated batches are drawn together, so that a step sees what one large batch would have held
        step_size = args.train_batch_size * args.world_size * args.gradient_accumulation_steps
        return FixedOrder(self._order(self.train_dataset, args.max_steps, step_size, self.order_seed))

    def _order(self, dataset: Any, batches: int, batch_size: int, seed: int) -> list[int]:
        lengths = getattr(dataset, "lengths", None) if self.config.group_by_length else None
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
        self.unlogged = read_json(Path(resume_from_checkpoint) / LOSS_FILE, missing_ok=True)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        write_json(folder / COST_FILE, self.cost.to_dict())
        write_json(folder / LOSS_FILE, {"sum": float(self._tr_loss), "last_line": self._globalstep_last_logged})
        (folder / COMPLETE_FILE).touch()  # written last: a folder without it was cut off

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Nothing to warn of: loading is strict."""


class _UnloggedLoss(TrainerCallback):
    """Gives a resumed training the losses since the last line of the log, of which the next line is the mean."""

    def __init__(self, trainer: LevelTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: Any, **rest: Any) -> None:
        found, self.trainer.unlogged = self.trainer.unlogged, {}
        if found:
            self.trainer._tr_loss += found["sum"]
            self.trainer._globalstep_last_logged = found["last_line"]


class _AfterStep(TrainerCallback):
    """Lets the method act after each step of the optimiser (AdaLoRA moves its budget of ranks)."""

    def __init__(self, method: Method, model: nn.Module) -> None:
        self.method, self.model = method, model

    def on_optimizer_step(self, args: TrainingArguments, state: TrainerState, control: Any, **rest: Any) -> None:
        self.method.after_step(self.model, state.global_step)
