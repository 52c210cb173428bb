"""The same bi-level step on Betty's engine (betty-ml 0.1.1), as the published script arranges it.

Two ImplicitProblems with darts: the lower one trains A, B and head, the upper one m. The regulariser is computed as
the published engine does, from the full Gram matrix, in every pass of the lower loss. Unlike the published script the
backbone is frozen. PEFT's own DoRA layer is used on both levels, so m needs no copying between the problems.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bidora.adapter import adapted_layers, split_parameters
from bidora.classifier import loss_of
from bidora.level_trainer import LevelTrainer


def betty_available() -> bool:
    """Whether Betty can be imported."""
    try:
        _import_betty()
    except ImportError:
        return False
    return True


def betty_iteration(
    trainer: LevelTrainer, lower: list[dict[str, Tensor]], upper: list[dict[str, Tensor]]
) -> Callable[[], None]:
    """One lower and one upper step of Betty's engine.

    Args:
        trainer: of PEFT's DoRA layer; its model, settings and device are used.
        lower: batches of the lower level.
        upper: batches of the upper level.
    """
    betty = _import_betty()
    model, config = trainer.model, trainer.config
    direction, magnitude = split_parameters(model)
    device = next(model.parameters()).device

    class Level(betty.ImplicitProblem):  # type: ignore[name-defined,misc]
        """A problem that trains some parameters of the one model."""

        def __init__(
            self, name: str, named: dict[str, nn.Parameter], batches: list[dict[str, Tensor]], regularizer: float
        ) -> None:
            self.named, self.regularizer = list(named.values()), regularizer
            optimizer = torch.optim.AdamW(self.named, lr=config.learning_rate)
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / config.steps))
            # darts asks the upper loss for its gradients twice, so that problem has to keep its graph
            settings = betty.Config(
                type="darts", unroll_steps=1, gradient_clipping=trainer.args.max_grad_norm, retain_graph=name == "upper"
            )
            loader = [(batch["input_ids"], batch["attention_mask"], batch["labels"]) for batch in batches]
            super().__init__(
                name=name,
                config=settings,
                module=model,
                optimizer=optimizer,
                scheduler=schedule,
                train_data_loader=loader,
                device=device,
            )

        def trainable_parameters(self) -> list[nn.Parameter]:
            return self.named

        def training_step(self, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
            ids, mask, labels = batch
            loss = loss_of(self.module(ids, mask), labels, "classification")
            return loss + self.regularizer * full_gram_regularizer(model) if self.regularizer else loss

    inner = Level("lower", direction, lower, config.regularizer)
    outer = Level("upper", magnitude, upper, 0.0)
    engine = betty.Engine(
        problems=[outer, inner],
        config=betty.EngineConfig(),
        dependencies={"u2l": {outer: [inner]}, "l2u": {inner: [outer]}},
    )
    engine.train()

    def iterate() -> None:
        engine.global_step += 1
        engine.train_step()

    return iterate


def full_gram_regularizer(model: nn.Module) -> Tensor:
    """R from its definition, with the (out, out) matrix of all products of directions."""
    values = []
    for _, layer in adapted_layers(model):
        name = layer.active_adapters[0]
        direction = (
            layer.get_base_layer().weight + layer.scaling[name] * layer.lora_B[name].weight @ layer.lora_A[name].weight
        )
        unit = direction / torch.linalg.vector_norm(direction, dim=1, keepdim=True)
        values.append(
            torch.linalg.matrix_norm(unit @ unit.t() - torch.eye(len(unit), device=unit.device, dtype=unit.dtype))
        )
    return torch.stack(values).mean()


def _import_betty() -> Any:
    """Betty's names in one object, without its log lines."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from types import SimpleNamespace

        from betty.configs import Config, EngineConfig
        from betty.engine import Engine
        from betty.logging.logger_base import get_logger
        from betty.problems import ImplicitProblem
    get_logger().setLevel(logging.ERROR)
    return SimpleNamespace(Config=Config, EngineConfig=EngineConfig, Engine=Engine, ImplicitProblem=ImplicitProblem)
