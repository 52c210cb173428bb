"""The worked example: λ on the upper level of the same trainer, by the same hypergradient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_trainer import lower_batch, trainer_of, values
from torch import Tensor
from torch.func import functional_call

from bidora.methods import get_method
from bidora.trainer import BiLevelTrainer, initial_magnitudes


def bilora(folder: Path, out: Path, **settings: Any) -> BiLevelTrainer:
    trainer = trainer_of(folder, out, method="bilora", kernel="peft", **settings)
    generator = torch.Generator().manual_seed(4)
    for name, parameter in trainer.model.named_parameters():
        if "lora_E" in name:
            parameter.data = 0.5 + torch.rand(parameter.shape, generator=generator)
        if "lora_A" in name or "lora_B" in name:
            parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)
    assert isinstance(trainer, BiLevelTrainer)
    return trainer


def test_the_upper_step_moves_the_singular_values_only(tiny_bert: Path, tmp_path: Path) -> None:
    trainer = bilora(tiny_bert, tmp_path)
    trainer.create_optimizer_and_scheduler(4)
    before = values(trainer.model)
    trainer.training_step(trainer.model, lower_batch(trainer))
    between = values(trainer.model)
    moved = {name for name in before if not torch.equal(before[name], between[name])}
    assert moved == set(trainer.magnitude) and all("lora_E" in name for name in moved) and len(moved) == 4
    trainer.optimizer.step()
    after = values(trainer.model)
    moved = {name for name in before if not torch.equal(between[name], after[name])}
    assert moved == set(trainer.direction) and not any("lora_E" in name for name in moved)


@pytest.mark.parametrize("mixed", ["one-sided", "exact"])
@pytest.mark.parametrize("scale", ["0", "0.5"])
def test_hypergradient_equals_a_finite_difference(tiny_bert: Path, tmp_path: Path, scale: str, mixed: str) -> None:
    """As for BiDoRA's m, in float64, with the regulariser on P and Q."""
    trainer = bilora(tiny_bert, tmp_path, unroll_scale=scale, mixed_product=mixed)
    trainer.model.double()
    trainer.create_optimizer_and_scheduler(4)
    batch, upper = lower_batch(trainer), trainer._upper_inputs(0)
    V = {name: p.detach().clone() for name, p in trainer.direction.items()}
    m = {name: p.detach().clone() for name, p in trainer.magnitude.items()}
    trainer.training_step(trainer.model, batch)
    found = trainer.last_hypergradient.total()
    objective = trainer.lower_objective

    def whole(shift: float, towards: dict[str, Tensor]) -> float:
        moved = {name: tensor + shift * towards[name] for name, tensor in m.items()}
        leaves = {name: tensor.clone().requires_grad_() for name, tensor in V.items()}
        loss = functional_call(objective, {f"model.{n}": t for n, t in {**leaves, **moved}.items()}, (batch, True))
        slopes = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
        after = {name: tensor - float(scale) * slopes[name] for name, tensor in V.items()}
        tensors = {f"model.{n}": t for n, t in {**after, **moved}.items()}
        with torch.no_grad():
            return functional_call(objective, tensors, (upper, False)).item()

    towards = {name: slope / slope.norm() for name, slope in found.items()}
    expected = (whole(1e-4, towards) - whole(-1e-4, towards)) / 2e-4
    product = sum((found[name] * towards[name]).sum().item() for name in found)
    assert product == pytest.approx(expected, rel=6e-2 if mixed == "one-sided" else 1e-3)


def test_decay_pulls_the_singular_values_to_zero_where_they_began(tiny_bert: Path, tmp_path: Path) -> None:
    trainer = bilora(tiny_bert, tmp_path, magnitude_decay=1.0)
    start = initial_magnitudes(trainer.model, "bilora")
    assert start.keys() == trainer.magnitude.keys() and not any(tensor.any() for tensor in start.values())
    before = {name: p.detach().clone() for name, p in trainer.magnitude.items()}
    trainer._decay_magnitude()
    rate = trainer.upper_scheduler.get_last_lr()[0]
    for name, parameter in trainer.magnitude.items():
        torch.testing.assert_close(parameter.data, before[name] * (1 - rate))


def test_regulariser_is_the_distance_of_p_and_q_from_orthonormal_ones(tiny_bert: Path, tmp_path: Path) -> None:
    trainer = bilora(tiny_bert, tmp_path)
    found, expected = trainer.lower_objective.orthogonality(), []
    for name, parameter in trainer.model.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            gram = parameter @ parameter.T if "lora_A" in name else parameter.T @ parameter
            expected.append(torch.linalg.matrix_norm(gram - torch.eye(2)))
    torch.testing.assert_close(found, torch.stack(expected).mean())


def test_adalora_adds_what_peft_adds_to_a_loss_of_the_models_own(tiny_bert: Path, tmp_path: Path) -> None:
    """PEFT's forward adds it to `outputs.loss` only; the lab computes its loss itself."""
    trainer = trainer_of(tiny_bert, tmp_path, upper=False, method="adalora", orthogonality_weight=0.3)

    class Output:
        loss = torch.zeros(())

    from bidora.methods.adalora import tuner

    peft = tuner(trainer.model)
    output, forward = Output(), peft.model.forward
    peft.model.forward = lambda **_: output
    try:
        found = peft.forward().loss
    finally:
        peft.model.forward = forward
    torch.testing.assert_close(found, trainer.penalty())
    assert get_method("lora").penalty(trainer.model, trainer.config) is None


def test_learning_rates_of_their_own(tiny_bert: Path, tmp_path: Path) -> None:
    """LoRA+: B's rate is the ratio times A's, and nothing else has it."""
    trainer = trainer_of(
        tiny_bert, tmp_path, upper=False, method="loraplus", b_learning_rate_ratio=4.0, weight_decay=0.1
    )
    trainer.create_optimizer()
    names = {id(p): name for name, p in trainer.model.named_parameters()}
    rates = {names[id(p)]: group["lr"] for group in trainer.optimizer.param_groups for p in group["params"]}
    decay = {names[id(p)]: group["weight_decay"] for group in trainer.optimizer.param_groups for p in group["params"]}
    rate = trainer.args.learning_rate
    for name, found in rates.items():
        assert found == pytest.approx(rate * (4 if "lora_B" in name else 1)), name
        assert decay[name] == (0.0 if name.endswith("bias") else 0.1)
    assert sum("lora_B" in name for name in rates) == 4 and any("head" in name for name in rates)
