"""The search phase: which level moves when, and that its hypergradient is the pure function's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import WORDS
from torch import Tensor
from torch.func import functional_call
from transformers import AutoTokenizer

from bidora.adapter import MAGNITUDE, adapt
from bidora.classifier import Classifier, build_classifier, loss_of
from bidora.config import RunConfig
from bidora.cost import Cost
from bidora.encoding import EncodedSplit, PaddingCollator
from bidora.level_trainer import LevelTrainer
from bidora.orthogonality import Orthogonality
from bidora.phases import Phase, training_arguments
from bidora.tasks.splits import Split
from bidora.trainer import BiLevelTrainer, LowerObjective, initial_magnitudes


def split(count: int, seed: int) -> Split:
    generator = np.random.default_rng(seed)
    inputs = tuple(" ".join(generator.choice(WORDS, size=generator.integers(3, 9))) for _ in range(count))
    return Split(inputs, np.arange(count) % 3, tuple(f"{seed}-{i}" for i in range(count)))


def trainer_of(folder: Path, out: Path, *, upper: bool = True, **settings: Any) -> LevelTrainer:
    settings = {
        "method": "bidora" if upper else "dora",
        "rank": 2,
        "steps": 4,
        "batch_size": 6,
        "regularizer": 1e-2,
        **settings,
    }
    config = RunConfig(warmup_fraction=0.0, **settings)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    exact = config.mixed_product == "exact"
    model = build_classifier(str(folder), config, outputs=3, attention="eager" if exact else None)
    adapt(model, config)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
    options: dict[str, Any] = dict(
        model=model,
        args=training_arguments(config, Phase("search", 0, config.steps, bilevel=upper), out),
        train_dataset=EncodedSplit(split(24, 0), tokenizer, max_length=20, scale=None),
        config=config,
        kind="classification",
        cost=Cost(),
        order_seed=0,
        data_collator=PaddingCollator(0),
    )
    if not upper:
        return LevelTrainer(**options)
    return BiLevelTrainer(upper_dataset=EncodedSplit(split(12, 1), tokenizer, max_length=20, scale=None), **options)


def values(model: Classifier) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def lower_batch(trainer: LevelTrainer) -> dict[str, Tensor]:
    return next(iter(trainer.get_train_dataloader()))


def test_an_upper_step_moves_m_only_and_a_lower_step_the_rest(tiny_bert: Path, tmp_path: Path) -> None:
    trainer = trainer_of(tiny_bert, tmp_path)
    trainer.create_optimizer_and_scheduler(4)
    model, batch = trainer.model, lower_batch(trainer)
    before = values(model)
    trainer.training_step(model, batch)  # gradients of the lower level, and the upper step
    between = values(model)
    moved = {name for name in before if not torch.equal(before[name], between[name])}
    assert moved == set(trainer.magnitude)
    trainer.optimizer.step()
    after = values(model)
    moved = {name for name in before if not torch.equal(between[name], after[name])}
    assert moved == set(trainer.direction)  # A, B and head; neither m nor the backbone


def test_backbone_is_bit_identical_after_training(tiny_bert: Path, tmp_path: Path) -> None:
    """Defect 2: the official script never freezes the backbone."""
    trainer = trainer_of(tiny_bert, tmp_path)
    frozen = {
        name: tensor
        for name, tensor in values(trainer.model).items()
        if name not in trainer.direction and MAGNITUDE not in name
    }
    trainer.train()
    now = values(trainer.model)
    assert len(frozen) > 20
    assert all(torch.equal(now[name], tensor) for name, tensor in frozen.items())


@pytest.mark.parametrize("mixed", ["one-sided", "central", "exact"])
@pytest.mark.parametrize("scale", ["0", "lr", "0.5", "adam"])
def test_hypergradient_equals_a_finite_difference_of_the_whole_step(
    tiny_bert: Path, tmp_path: Path, scale: str, mixed: str
) -> None:
    """What the trainer moves m along is the slope of m ↦ L_val(V − s(∇L_tr(V, m) + γ∇R), m), in float64."""
    trainer = trainer_of(
        tiny_bert, tmp_path, unroll_scale=scale, mixed_product=mixed, max_gradient_norm=0.3, kernel="peft"
    )
    trainer.model.double()
    before = trainer.lower_objective.orthogonality
    trainer.lower_objective.orthogonality = Orthogonality(before.layers, twice=before.twice)
    trainer.create_optimizer_and_scheduler(4)
    for parameter in trainer.direction.values():  # a warmed optimiser, so that Adam's step is smooth in its gradient
        noise = torch.Generator().manual_seed(parameter.numel())
        average = 1e-2 * torch.randn(parameter.shape, generator=noise, dtype=torch.float64)
        trainer.optimizer.state[parameter] = {
            "step": torch.tensor(9.0),
            "exp_avg": average,
            "exp_avg_sq": average.square() + 1e-4,
        }
    batch = lower_batch(trainer)
    upper = trainer._upper_inputs(0)
    V = {name: p.detach().clone() for name, p in trainer.direction.items()}
    m = {name: p.detach().clone() for name, p in trainer.magnitude.items()}
    step = trainer._step()
    trainer.training_step(trainer.model, batch)
    found = trainer.last_hypergradient.total()
    objective = trainer.lower_objective

    def whole(shift: float, towards: dict[str, Tensor]) -> float:
        moved = {name: tensor + shift * towards[name] for name, tensor in m.items()}
        leaves = {name: tensor.clone().requires_grad_() for name, tensor in V.items()}
        loss = functional_call(objective, {f"model.{n}": t for n, t in {**leaves, **moved}.items()}, (batch, True))
        slopes = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
        if scale == "0":
            after = V
        elif scale == "adam":
            after = step.after(V, slopes)
        else:
            size = trainer._get_learning_rate() if scale == "lr" else float(scale)
            after = {name: tensor - size * slopes[name] for name, tensor in V.items()}
        with torch.no_grad():
            return functional_call(
                objective, {f"model.{n}": t for n, t in {**after, **moved}.items()}, (upper, False)
            ).item()

    towards = {name: slope / slope.norm() for name, slope in found.items()}
    expected = (whole(1e-4, towards) - whole(-1e-4, towards)) / 2e-4
    product = sum((found[name] * towards[name]).sum().item() for name in found)
    assert product == pytest.approx(expected, rel=2e-2 if mixed == "one-sided" else 1e-3)


def test_upper_steps_come_every_k_steps_and_are_counted(tiny_bert: Path, tmp_path: Path) -> None:
    trainer = trainer_of(tiny_bert, tmp_path, unroll_steps=3, steps=6)
    trainer.train()
    assert trainer.upper_scheduler.last_epoch == 2
    assert trainer.cost.gradient_evaluations == 6 + 2 * 2  # six lower passes; twice an upper and a perturbed one
    assert trainer.cost.examples_seen == 6 * 6 + 2 * 6


def test_dropout_masks_are_shared_by_the_passes_of_one_difference(tiny_bert: Path, tmp_path: Path) -> None:
    """Defect 4: with other masks the difference measures dropout, not curvature."""
    found = {}
    for mixed in ("exact", "one-sided"):
        trainer = trainer_of(
            tiny_bert,
            tmp_path / mixed,
            unroll_scale="1",
            mixed_product=mixed,
            dropout=0.1,
            backbone_dropout=0.1,
            kernel="peft",
        )
        trainer.create_optimizer_and_scheduler(4)
        torch.manual_seed(7)
        trainer.training_step(trainer.model, lower_batch(trainer))
        found[mixed] = torch.cat([slope.flatten() for slope in trainer.last_hypergradient.implicit.values()])
    assert torch.nn.functional.cosine_similarity(found["exact"], found["one-sided"], dim=0) > 0.95


def test_decay_of_m_pulls_towards_its_initial_value_not_to_zero(tiny_bert: Path, tmp_path: Path) -> None:
    """Defect 6."""
    for target in ("initial", "zero"):
        trainer = trainer_of(tiny_bert, tmp_path / target, magnitude_decay=1.0, magnitude_decay_target=target)
        start = initial_magnitudes(trainer.model)
        for name, parameter in trainer.magnitude.items():
            parameter.data.add_(1.0)
            torch.testing.assert_close(parameter.data, start[name] + 1.0)
        rate = trainer.upper_scheduler.get_last_lr()[0]
        trainer._decay_magnitude()
        for name, parameter in trainer.magnitude.items():
            goal = start[name] if target == "initial" else torch.zeros_like(start[name])
            torch.testing.assert_close(parameter.data, start[name] + 1.0 + rate * (goal - start[name] - 1.0))


def test_accumulated_batches_do_not_change_the_logged_loss(tiny_bert: Path, tmp_path: Path) -> None:
    """Trap: gradient_accumulation_steps=2 doubled the logged loss of RoBERTa."""
    losses = []
    for accumulation, batch_size in ((1, 12), (2, 6)):
        settings = dict(gradient_accumulation=accumulation, batch_size=batch_size, group_by_length=False)
        trainer = trainer_of(tiny_bert, tmp_path / str(accumulation), upper=False, **settings)
        trainer.train()
        losses.append([line["loss"] for line in trainer.state.log_history if "loss" in line])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_upper_numbers_are_merged_into_trainers_own_log_line(tiny_bert: Path, tmp_path: Path) -> None:
    """Trap: logging from a callback makes Trainer's own loss line vanish."""
    trainer = trainer_of(tiny_bert, tmp_path)
    trainer.train()
    lines = [line for line in trainer.state.log_history if "loss" in line]
    assert len(lines) == 4
    assert all(
        {"upper_loss", "direct_norm", "implicit_norm", "learning_rate", "upper_learning_rate"} <= line.keys()
        for line in lines
    )


def test_objective_without_regulariser_is_the_loss(tiny_bert: Path, tmp_path: Path) -> None:
    trainer = trainer_of(tiny_bert, tmp_path)
    batch = lower_batch(trainer)
    objective: LowerObjective = trainer.lower_objective
    with torch.no_grad():
        logits = trainer.model(**{name: tensor for name, tensor in batch.items() if name != "labels"})
        plain = objective(batch, False)
        regularised = objective(batch, True)
    torch.testing.assert_close(plain, loss_of(logits, batch["labels"], "classification"))
    torch.testing.assert_close(regularised - plain, 1e-2 * objective.orthogonality())


def test_one_process_uses_one_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two GPUs transformers would wrap the model and give each of them a whole batch."""
    from transformers import TrainingArguments

    monkeypatch.setattr(TrainingArguments, "n_gpu", property(lambda self: 2))
    arguments = training_arguments(RunConfig(batch_size=6), Phase("search", 0, 4, bilevel=True), tmp_path)
    assert arguments._n_gpu == 1


def test_each_phase_has_dropout_masks_of_its_own(tmp_path: Path) -> None:
    seeds = [
        training_arguments(RunConfig(seed=seed), Phase("search", index, 4, bilevel=False), tmp_path).seed
        for seed in (0, 1)
        for index in (0, 1)
    ]
    assert len(set(seeds)) == 4


def test_the_clock_runs_over_all_batches_of_a_step() -> None:
    cost = Cost()
    cost.start_clock()
    first = cost._began
    cost.start_clock()  # the step's second batch
    assert cost._began == first
    cost.stop_clock()
    cost.start_clock()
    assert cost._began > first


def test_a_session_after_a_stop_adds_to_the_ones_before() -> None:
    cost = Cost()
    cost.load({"seconds_training": 3.0, "seconds_total": 100.0, "peak_memory_bytes": 10**15})
    told = cost.to_dict()
    assert 100.0 <= told["seconds_total"] < 160.0 and told["peak_memory_bytes"] == 10**15
