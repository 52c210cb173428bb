"""Notebook 06: solutions pass on a tiny encoder, misconceptions are named, the two levels move apart, pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bidora import RunConfig, split_parameters
from bidora.errors import LabError
from bidora.exercises import Misconception, check, real_model
from bidora.exercises.checking import solution_code
from bidora.exercises.nb06 import EXERCISES, loss_on
from bidora.exercises.real_model import bilevel_trainer, esm2_or_tiny, first_batches, levels, tiny, with_noise
from bidora.exercises.recorded_levels import alive, implicit_share, parts

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "06_from_dora_to_bidora.py"
VERIFY: dict[str, Callable[..., str]] = {each.key: each.verify for each in EXERCISES}
MAGNITUDE = "lora_magnitude_vector"


def test_every_solution_passes(monkeypatch, capsys) -> None:
    monkeypatch.setenv("BIDORA_EXERCISES", "strict")
    for exercise in EXERCISES:
        exec(solution_code(exercise.key), {"torch": torch, "check": check})
    assert capsys.readouterr().out.count("✓") == len(EXERCISES)


def test_unanswered_exercises_are_friendly(capsys) -> None:
    for exercise in EXERCISES:
        check(exercise.key, lambda *_: None)
    assert capsys.readouterr().out.count("not tried yet") == len(EXERCISES)


def test_headings_in_the_notebook_are_those_of_the_exercises() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    for exercise in EXERCISES:
        place = text.index(f"### Exercise {exercise.key}")
        assert exercise.heading in text[place : place + 120]
        assert f'# %% exercise="{exercise.key}"' in text


def named(model, wanted: Callable[[str, Any], bool]) -> dict[str, Any]:
    return {name: p for name, p in model.named_parameters() if wanted(name, p)}


def is_m(name: str, p: Any) -> bool:
    return MAGNITUDE in name


def is_below(name: str, p: Any) -> bool:
    return p.requires_grad and MAGNITUDE not in name


@pytest.mark.parametrize(
    ("below", "above", "message"),
    [
        (is_below, lambda n, p: MAGNITUDE in n and p.requires_grad, "requires_grad does not tell"),
        (is_m, is_below, "each other's place"),
        (lambda n, p: is_below(n, p) or is_m(n, p), is_m, "m is among the directions"),
        (lambda n, p: "lora_A" in n or "lora_B" in n, is_m, "the head is missing"),
        (lambda n, p: not is_m(n, p), is_m, "frozen tensors of the backbone"),
        (lambda n, p: "lora_A" in n or "head" in n, is_m, "direction has"),
    ],
)
def test_split(below, above, message: str) -> None:
    with pytest.raises(Misconception, match=message):
        VERIFY["06-split"](lambda model: (named(model, below), named(model, above)))


def slopes_of(loss, V, m, *, graph: bool = False):
    return dict(zip(V, torch.autograd.grad(loss(V, m), list(V.values()), create_graph=graph), strict=True))


def leaves(tensors):
    return {name: tensor.detach().clone().requires_grad_() for name, tensor in tensors.items()}


def lower_answer(how: str):
    def answer(loss, V, m, rate):
        slopes = slopes_of(loss, leaves(V), m)
        if how == "grad on m":
            for tensor in m.values():
                tensor.requires_grad_()
            loss(V, m).backward()
        if how == "m moves":
            next(iter(m.values())).sub_(0.1)
        if how == "V in place":
            for name, tensor in V.items():
                tensor.sub_(rate * slopes[name])
        factor = {"uphill": rate, "no rate": -1.0, "nothing": 0.0}.get(how, -rate)
        step = {name: V[name] + factor * slope for name, slope in slopes.items()}
        if how == "headless":
            step = {name: tensor for name, tensor in step.items() if "head" not in name}
        return slopes if how == "gradient" else step

    return answer


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("m moves", "must not move"),
        ("V in place", "changed in place"),
        ("grad on m", "has a .grad now"),
        ("uphill", "uphill"),
        ("no rate", "rate is missing"),
        ("nothing", "nothing moved"),
        ("gradient", "this is the gradient"),
        ("headless", "head is missing"),
    ],
)
def test_lower(how: str, message: str) -> None:
    with pytest.raises(Misconception, match=message):
        VERIFY["06-lower"](lower_answer(how))


def upper_answer(how: str):
    def answer(lower, upper, V, m, xi):
        heads, lengths = leaves(V), leaves(m)
        if how == "V in place":
            next(iter(V.values())).add_(1e-3)
        first = upper if how == "lower step on the upper split" else lower
        second = lower if how == "upper step on the lower split" else upper
        slopes = slopes_of(first, heads, lengths, graph=how != "constant")
        size = {"sign of the step": -xi, "no xi": 1.0, "at V": 0.0}.get(how, xi)
        after = {name: heads[name] - size * slope for name, slope in slopes.items()}
        seen = {name: tensor.detach() for name, tensor in lengths.items()} if how == "no direct part" else lengths
        found = torch.autograd.grad(second(after, seen), list(lengths.values()))
        sign = -1.0 if how == "minus h" else 1.0
        return {name: sign * slope for name, slope in zip(lengths, found, strict=True)}

    return answer


def gradients_left_behind(lower, upper, V, m, xi):
    V, m = leaves(V), leaves(m)
    lower(V, m).backward(create_graph=True)
    upper({name: tensor - xi * tensor.grad for name, tensor in V.items()}, m).backward()
    return {name: tensor.grad for name, tensor in m.items()}


@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph")
def test_upper_with_gradients_left_behind() -> None:
    with pytest.raises(Misconception, match="Forgot to zero"):
        VERIFY["06-upper"](gradients_left_behind)


def test_steps_without_leaves_are_told_to_make_some() -> None:
    with pytest.raises(Misconception, match="autograd follows leaves only"):
        VERIFY["06-lower"](lambda loss, V, m, rate: slopes_of(loss, V, m))
    with pytest.raises(Misconception, match="autograd follows leaves only"):
        VERIFY["06-upper"](lambda lower, upper, V, m, xi: slopes_of(lower, V, m))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("constant", "first order only"),
        ("at V", "lower step was left out"),
        ("no direct part", "direct part is missing"),
        ("no xi", "ξ is missing"),
        ("upper step on the lower split", "both losses are the lower one"),
        ("lower step on the upper split", "taken on the upper split"),
        ("minus h", "sign of h"),
        ("V in place", "must not move"),
        ("sign of the step", "uphill"),
    ],
)
def test_upper(how: str, message: str) -> None:
    with pytest.raises(Misconception, match=message):
        VERIFY["06-upper"](upper_answer(how))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda model: dict(model.named_parameters()), "moved with the model"),
        (lambda model: {n: p.detach() for n, p in model.named_parameters()}, "moved with the model"),
        (lambda model: {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}, "m is missing"),
        (lambda model: {n: p.detach().clone() for n, p in model.named_parameters() if MAGNITUDE in n}, "backbone"),
        (lambda model: 3, "return a dict"),
    ],
)
def test_snapshot(answer: Callable[..., Any], message: str) -> None:
    with pytest.raises(Misconception, match=message):
        VERIFY["06-snapshot"](answer)


def masks_answer(how: str):
    def answer(loss, V, m, w, epsilon):
        length = torch.cat([tensor.flatten() for tensor in w.values()]).norm()
        delta = epsilon if how == "not normed" else epsilon / length
        state = torch.get_rng_state()

        def slope(sign: float):
            if how != "other masks":
                torch.set_rng_state(state)
            there, lengths = {name: V[name] + sign * delta * w[name] for name in V}, leaves(m)
            return torch.autograd.grad(loss(there, lengths), list(lengths.values()))

        beyond, behind = slope(1.0), slope(-1.0)
        if how == "rounded":
            for name in V:
                V[name].add_(delta * w[name]).sub_(delta * w[name])
        over = {"delta": delta, "epsilon": 2 * epsilon, "undivided": 1.0, "sign": -2 * delta}.get(how, 2 * delta)
        return {name: (b - a) / over for name, b, a in zip(m, beyond, behind, strict=True)}

    return answer


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("other masks", "other dropout masks"),
        ("rounded", "bit for bit"),
        ("delta", "divide by 2δ"),
        ("epsilon", "not by 2ε"),
        ("undivided", "not divided"),
        ("sign", "comes first"),
        ("not normed", "take δ = ε/‖w‖"),
    ],
)
def test_masks(how: str, message: str) -> None:
    with pytest.raises(Misconception, match=message):
        VERIFY["06-masks"](masks_answer(how))


CONFIG = RunConfig(
    task="peptides",
    method="bidora",
    rank=2,
    alpha=4.0,
    steps=4,
    batch_size=6,
    warmup_fraction=0.0,
    mixed_product="exact",
    regularizer=0.0,
    max_gradient_norm=0.0,
)


def test_by_hand_equals_the_trainers_step_and_each_level_moves_alone() -> None:
    """What the notebook asserts on ESM-2."""
    material = with_noise(tiny(CONFIG))
    model, trainer = material.model, bilevel_trainer(material, CONFIG)
    direction, magnitude = split_parameters(model)
    lower_batch, upper_batch = first_batches(trainer)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    trainer.training_step(model, lower_batch)
    between = {name: p.detach().clone() for name, p in model.named_parameters()}
    trainer.optimizer.step()
    end = dict(model.named_parameters())
    assert {name for name in start if not torch.equal(start[name], between[name])} == set(magnitude)
    assert {name for name in start if not torch.equal(between[name], end[name])} == set(direction)
    V, m = ({name: start[name] for name in level} for level in (direction, magnitude))
    by_hand = upper_answer("right")(
        loss_on(model, lower_batch), loss_on(model, upper_batch), V, m, CONFIG.learning_rate
    )
    found = trainer.last_hypergradient.total()
    for name, slope in by_hand.items():
        torch.testing.assert_close(found[name], slope, rtol=1e-3, atol=1e-6)


def test_without_weights_a_tiny_encoder_stands_in(monkeypatch, capsys) -> None:
    def refuse(config):
        raise LabError("no network", kind="download")

    monkeypatch.setattr(real_model, "_esm2", refuse)
    material = esm2_or_tiny(CONFIG)
    assert not material.real
    assert "tiny random encoder" in capsys.readouterr().out
    assert levels(list(split_parameters(material.model)[0])) == "4 of A, 4 of B, 2 of head"
    batch = material.batch(material.lower, 3)
    assert batch["labels"].tolist() == [0, 1, 0]
    assert material.model(batch["input_ids"], batch["attention_mask"]).shape == (3, 2)


def test_a_broken_setting_is_not_hidden_by_the_stand_in(monkeypatch) -> None:
    def refuse(config):
        raise LabError("rank is too large", kind="setting")

    monkeypatch.setattr(real_model, "_esm2", refuse)
    with pytest.raises(LabError, match="rank"):
        esm2_or_tiny(CONFIG)


def test_recorded_pictures() -> None:
    assert "implicit over direct" in parts("reuters", seed=1).layout.meta["alt"]
    assert "BiDoRA" in alive("peptides").layout.meta["alt"]
    shares = [share for task in ("peptides", "reuters") for share in implicit_share(task).values()]
    assert len(shares) == 6
    assert max(shares) < 1e-3
