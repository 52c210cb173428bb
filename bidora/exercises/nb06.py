"""Exercises of notebook 06: who belongs to which level, both steps, and the same dropout masks in two passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from bidora.adapter import MAGNITUDE, split_parameters
from bidora.config import RunConfig
from bidora.exercises.answers import answer_of
from bidora.exercises.exercise import Exercise, Misconception
from bidora.exercises.real_model import Material, tiny, with_noise
from bidora.hypergradient import Loss, Parameters, hypergradient, mixed_product
from bidora.hypergradient.parameters import negated, norm, plus, scaled

RATE, XI, EPSILON = 0.1, 0.5, 0.01


def loss_on(model: nn.Module, batch: Mapping[str, Tensor]) -> Loss:
    """L(V, m) on one batch, as the notebook writes it."""

    def loss(direction: Parameters, magnitude: Parameters) -> Tensor:
        logits = functional_call(model, {**direction, **magnitude}, (batch["input_ids"], batch["attention_mask"]))
        return functional.cross_entropy(logits, batch["labels"])

    return loss


@lru_cache(maxsize=2)
def _material(dropout: float = 0.0) -> Material:
    config = RunConfig(
        task="peptides", method="bidora", rank=2, alpha=4.0, mixed_product="exact", kernel="peft", dropout=dropout
    )
    with torch.random.fork_rng(devices=[]):
        return with_noise(tiny(config, dtype=torch.float64), size=0.3)


def _problem(dropout: float = 0.0) -> tuple[Loss, Loss, Parameters, Parameters]:
    """Both losses of a tiny encoder, and copies of V and m."""
    material = _material(dropout)
    for parameter in material.model.parameters():
        parameter.grad = None
    direction, magnitude = split_parameters(material.model)
    losses = [loss_on(material.model, material.batch(split, 8)) for split in (material.lower, material.upper)]
    return losses[0], losses[1], _copies(direction), _copies(magnitude)


def _copies(parameters: Mapping[str, Tensor]) -> Parameters:
    return {name: tensor.detach().clone() for name, tensor in parameters.items()}


def _gradient(loss: Loss, direction: Parameters, magnitude: Parameters, *, by_magnitude: bool = False) -> Parameters:
    heads, lengths = (
        {k: v.detach().clone().requires_grad_() for k, v in part.items()} for part in (direction, magnitude)
    )
    wanted = lengths if by_magnitude else heads
    return dict(zip(wanted, torch.autograd.grad(loss(heads, lengths), list(wanted.values())), strict=True))


def _asked(function: Callable[..., Any], *given: Any) -> Any:
    """What a student's step gives; V and m come as plain tensors."""
    try:
        return answer_of(function, *given)
    except RuntimeError as error:
        if "does not require grad" not in str(error):
            raise
        raise Misconception(
            "V and m are plain tensors here, and autograd follows leaves only: make some with "
            ".detach().clone().requires_grad_() of those by which you differentiate, and give them to the loss"
        ) from error


def _dict_of(answer: Any, like: Parameters, what: str) -> Parameters:
    """An answer as a dict of tensors with the expected names.

    Raises:
        Misconception: it is none, or names are missing or too many.
    """
    if not isinstance(answer, Mapping):
        raise Misconception(f"return a dict name → tensor for {what}; this is {type(answer).__name__}")
    lacking, more = sorted(set(like) - set(answer)), sorted(set(answer) - set(like))
    if lacking and all("head" in name for name in lacking):
        raise Misconception("the head is missing: it is neither A, B nor m, and belongs to the lower level")
    if lacking or more:
        raise Misconception(
            f"names do not fit: {len(lacking)} missing, {len(more)} too many, such as {(lacking + more)[0]}"
        )
    return {name: answer[name].detach() for name in like}


def _equal(one: Parameters, other: Parameters, tolerance: float = 1e-6) -> bool:
    gap = float(norm(plus(one, other, factor=-1.0)))
    return gap <= tolerance * max(float(norm(other)), 1e-12)


def _untouched(before: Parameters, now: Parameters, what: str) -> None:
    moved = [name for name in before if not torch.equal(before[name], now[name])]
    if moved:
        raise Misconception(
            f"{what} was changed in place ({moved[0]}): make new tensors, and leave what was given as it is"
        )


def _verify_split(split: Callable[[nn.Module], Any]) -> str:
    model = _material().model
    names = {name for name, _ in model.named_parameters()}
    lengths = {name for name in names if MAGNITUDE in name}
    right = set(split_parameters(model)[0])
    for name, parameter in model.named_parameters():
        if name in lengths:
            parameter.requires_grad_(False)  # as in every lower step
    try:
        answer = answer_of(split, model)
    finally:
        for name, parameter in model.named_parameters():
            if name in lengths:
                parameter.requires_grad_(True)
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise Misconception("return two dicts, direction and magnitude")
    direction, magnitude = (set(part) for part in answer)
    if direction == lengths and magnitude == right:
        raise Misconception("the two levels are in each other's place: direction first")
    if not magnitude and lengths & direction == set():
        raise Misconception(
            "no magnitude was found: m is frozen during lower steps, so requires_grad does not tell who belongs to it. Ask the name"
        )
    if direction & lengths:
        raise Misconception("m is among the directions: the lower optimiser and gradient clipping would see it")
    if not any("head" in name for name in direction):
        raise Misconception("the head is missing: it is neither A, B nor m, and belongs to the lower level")
    if direction > right:
        raise Misconception(
            f"{len(direction - right)} frozen tensors of the backbone are among the directions: ask requires_grad"
        )
    if direction != right or magnitude != lengths:
        raise Misconception(
            f"direction has {len(direction)} names instead of {len(right)}, magnitude {len(magnitude)} instead of {len(lengths)}"
        )
    return f"{len(right)} tensors below (A, B, head), {len(lengths)} above (m), the backbone in neither."


def _verify_lower(lower_step: Callable[..., Any]) -> str:
    loss, _, direction, magnitude = _problem()
    slope = _gradient(loss, direction, magnitude)
    right, before_V, before_m = plus(direction, slope, factor=-RATE), _copies(direction), _copies(magnitude)
    answer = _asked(lower_step, loss, direction, magnitude, RATE)
    _untouched(before_m, magnitude, "m, which a lower step must not move,")
    _untouched(before_V, direction, "V")
    if any(tensor.grad is not None for tensor in magnitude.values()):
        raise Misconception(
            "m has a .grad now: .backward() fills it for every leaf. torch.autograd.grad gives only what is asked for"
        )
    found = _dict_of(answer, right, "V'")
    if _equal(found, direction, 1e-12):
        raise Misconception("V' is V: nothing moved")
    if _equal(found, plus(direction, slope, factor=RATE)):
        raise Misconception("this step goes uphill: V' = V − rate · ∇_V L_tr")
    if _equal(found, slope):
        raise Misconception("this is the gradient; the step is V − rate · gradient")
    if _equal(found, plus(direction, slope, factor=-1.0)):
        raise Misconception("the rate is missing")
    if not _equal(found, right):
        raise Misconception("V' differs from V − rate · ∇_V L_tr(V, m)")
    return "A, B and head moved, m has the same bits as before."


def _verify_upper(upper_gradient: Callable[..., Any]) -> str:
    lower, upper, direction, magnitude = _problem()
    before_V, before_m = _copies(direction), _copies(magnitude)
    found = hypergradient(lower, upper, direction, magnitude, step=XI)
    right, unrolled = found.total(), plus(direction, _gradient(lower, direction, magnitude), factor=-XI)
    answer = _asked(upper_gradient, lower, upper, direction, magnitude, XI)
    _untouched(before_V, direction, "V, which an upper step must not move,")
    _untouched(before_m, magnitude, "m")
    given = _dict_of(answer, right, "h")
    wrong = (
        (
            found.direct,
            "first order only: V' forgot that it depends on m. The gradient of the lower step needs create_graph=True",
        ),
        (
            _gradient(upper, direction, magnitude, by_magnitude=True),
            "this is ∇_m L_val at V: the lower step was left out",
        ),
        (found.implicit, "the direct part is missing: L_val depends on m itself, too"),
        (plus(found.direct, negated(found.implicit)), "the sign of the lower step: V' = V − ξ · ∇_V L_tr"),
        (
            _gradient(lower, direction, magnitude, by_magnitude=True),
            "this is the gradient of the lower loss: m is trained on the upper split",
        ),
        (
            _gradient(lower, unrolled, magnitude, by_magnitude=True),
            "the lower loss is asked at V'; m is judged by the upper one",
        ),
        (
            hypergradient(lower, lower, direction, magnitude, step=XI).total(),
            "both losses are the lower one: m is judged by the upper split",
        ),
        (
            hypergradient(upper, upper, direction, magnitude, step=XI).total(),
            "the lower step was taken on the upper split",
        ),
        (hypergradient(lower, upper, direction, magnitude, step=1.0).total(), "ξ is missing: the step has length 1"),
        (
            hypergradient(lambda V, m: -lower(V, m), upper, direction, magnitude, step=XI).total(),
            "the lower step goes uphill: V' = V − ξ · ∇_V L_tr",
        ),
        (negated(right), "the sign of h: it is the gradient, not the step"),
        (
            plus(right, _gradient(lower, direction, magnitude, by_magnitude=True)),
            "∇_m L_tr is in it as well: the first .backward() left it in m's .grad, and the second added to it. Forgot to zero "
            "the gradients; torch.autograd.grad leaves nothing behind",
        ),
    )
    if _equal(given, right, 1e-8):
        norms = found.norms()
        return f"direct and implicit part (norms {norms.direct:.2g} and {norms.implicit:.2g}); equal to bidora.hypergradient."
    for value, why in wrong:
        if _equal(given, value, 1e-8):
            raise Misconception(why)
    raise Misconception("h differs from the library's; check where each loss is taken: L_tr at V, L_val at V'")


def _verify_snapshot(snapshot: Callable[[nn.Module], Any]) -> str:
    model = _material().model
    named = dict(model.named_parameters())
    lengths = [name for name in named if MAGNITUDE in name]
    name = lengths[0]
    named[name].requires_grad_(False)
    try:
        taken = answer_of(snapshot, model)
        if not isinstance(taken, Mapping):
            raise Misconception(f"return a dict name → tensor; this is {type(taken).__name__}")
        if name not in taken:
            raise Misconception(
                "m is missing: it is frozen in lower steps, but that is what is to be shown. Take all parameters"
            )
        with torch.no_grad():
            named[name].add_(1.0)
            same = torch.equal(taken[name], named[name])
            named[name].sub_(1.0)
    finally:
        named[name].requires_grad_(True)
    if same:
        raise Misconception(
            "the snapshot moved with the model: detach() shares memory. Without clone() nothing ever seems to move, and every test passes"
        )
    if len(taken) < len(named):
        raise Misconception(f"{len(named) - len(taken)} parameters are missing: the backbone must be watched, too")
    return "copies of everything: what moves will show."


def _central(
    loss: Loss, direction: Parameters, magnitude: Parameters, w: Parameters, *, delta: float, other_masks: bool
) -> Parameters:
    """∇_m L(V + δw, m) − ∇_m L(V − δw, m), with the same or with new dropout masks; undivided."""
    state = torch.get_rng_state()
    beyond = _gradient(loss, plus(direction, w, factor=delta), magnitude, by_magnitude=True)
    if not other_masks:
        torch.set_rng_state(state)
    behind = _gradient(loss, plus(direction, w, factor=-delta), magnitude, by_magnitude=True)
    return plus(beyond, behind, factor=-1.0)


def _verify_masks(product_by_difference: Callable[..., Any]) -> str:
    for dropout in (0.0, 0.3):
        loss, _, direction, magnitude = _problem(dropout)
        before = _copies(direction)
        generator = torch.Generator().manual_seed(3)
        w = {k: torch.randn(v.shape, generator=generator, dtype=v.dtype) for k, v in direction.items()}
        delta = EPSILON / float(norm(w))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(11)
            answer = answer_of(product_by_difference, loss, direction, magnitude, w, EPSILON)
            torch.manual_seed(11)
            right = mixed_product(loss, direction, magnitude, w, mixed="central", epsilon=EPSILON)
            torch.manual_seed(11)
            raw = _central(loss, direction, magnitude, w, delta=delta, other_masks=True)
        if any(not torch.equal(before[name], direction[name]) for name in before):
            raise Misconception(
                "V is not the same bit for bit: adding δw and subtracting it again rounds. Make V + δw a new tensor, or restore a copy"
            )
        given = _dict_of(answer, right, "the product")
        if _equal(given, right, 1e-5):
            continue
        if dropout:
            apart = float(norm(plus(given, right, factor=-1.0)) / norm(right))
            if _equal(given, scaled(raw, 1 / (2 * delta)), 1e-6) or apart > 0.05:
                raise Misconception(
                    f"the two passes drew other dropout masks: this is off by {apart:.0f} times the product's own size. "
                    "Record the state of the generator, and restore it before the second pass"
                )
        for value, why in (
            (scaled(right, 2.0), "the two points lie 2δ apart: divide by 2δ"),
            (scaled(right, delta / EPSILON), "divide by 2δ with δ = ε/‖w‖, the step that was really taken, not by 2ε"),
            (negated(right), "the sign: V + δw comes first"),
            (scaled(right, 2 * delta), "the difference is not divided by 2δ yet"),
            (
                scaled(_central(loss, direction, magnitude, w, delta=EPSILON, other_masks=False), 1 / (2 * EPSILON)),
                "the perturbation εw is as long as w makes it: take δ = ε/‖w‖, so that it always has length ε",
            ),
        ):
            if _equal(given, value, 1e-5):
                raise Misconception(why)
        raise Misconception("this is not [∇_m L(V + δw, m) − ∇_m L(V − δw, m)] / 2δ with δ = ε/‖w‖")
    return "with dropout and without; same masks in both passes, and V as it was, bit for bit."


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        key="06-split",
        level="core",
        difficulty=1,
        minutes=5,
        hints=(
            "Three kinds: trained on the lower split, trained on the upper split, not trained.",
            "m is recognised by its name (lora_magnitude_vector); whatever else has requires_grad is A, B or head.",
            "direction: requires_grad and the name has no lora_magnitude_vector in it; magnitude: it has, frozen or not.",
        ),
        solution="""
def split(model):  # → direction, magnitude: dicts name → parameter
    named = dict(model.named_parameters())
    magnitude = {name: p for name, p in named.items() if "lora_magnitude_vector" in name}
    direction = {name: p for name, p in named.items() if p.requires_grad and name not in magnitude}
    return direction, magnitude

check("06-split", split)
""",
        verify=_verify_split,
    ),
    Exercise(
        key="06-snapshot",
        level="core",
        difficulty=1,
        minutes=3,
        hints=(
            "What happens to your snapshot when the optimiser writes into the parameter?",
            "detach() shares memory with the parameter; clone() does not.",
            "{name: p.detach().clone() for name, p in model.named_parameters()}",
        ),
        solution="""
def snapshot(model):  # → dict name → copy, of all parameters
    return {name: p.detach().clone() for name, p in model.named_parameters()}

check("06-snapshot", snapshot)
""",
        verify=_verify_snapshot,
    ),
    Exercise(
        key="06-lower",
        level="core",
        difficulty=2,
        minutes=8,
        hints=(
            "Which leaves should ask for a gradient? Only those of V.",
            "Make leaves: {name: t.detach().clone().requires_grad_() …}; torch.autograd.grad(loss(leaves, m), list(leaves.values())).",
            "return {name: V[name] - rate * slope for name, slope in zip(leaves, slopes)}",
        ),
        solution="""
def lower_step(loss, V, m, rate):  # → V': new tensors, m as it is
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in V.items()}
    fixed = {name: tensor.detach() for name, tensor in m.items()}
    slopes = torch.autograd.grad(loss(leaves, fixed), list(leaves.values()))
    return {name: V[name].detach() - rate * slope for name, slope in zip(leaves, slopes)}

check("06-lower", lower_step)
""",
        verify=_verify_lower,
    ),
    Exercise(
        key="06-upper",
        level="core",
        difficulty=3,
        minutes=15,
        hints=(
            "The same as `mended` in notebook 05, with dicts in the place of numbers.",
            "Leaves for both levels; the slopes of L_tr by V with create_graph=True; V' from them; then the slopes of L_val(V', m) by m.",
            "V_new = {name: V_leaves[name] - xi * slope for name, slope in zip(V_leaves, slopes)}, without detach.",
        ),
        solution="""
def upper_gradient(lower_loss, upper_loss, V, m, xi):  # → h: dict like m
    V_leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in V.items()}
    m_leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in m.items()}
    slopes = torch.autograd.grad(lower_loss(V_leaves, m_leaves), list(V_leaves.values()), create_graph=True)
    V_new = {name: V_leaves[name] - xi * slope for name, slope in zip(V_leaves, slopes)}  # V'(m), with its graph
    h = torch.autograd.grad(upper_loss(V_new, m_leaves), list(m_leaves.values()))
    return dict(zip(m_leaves, h))

check("06-upper", upper_gradient)
""",
        verify=_verify_upper,
    ),
    Exercise(
        key="06-masks",
        level="deeper",
        difficulty=3,
        minutes=12,
        hints=(
            "Begin without dropout. Then ask: what differs between two passes through the very same weights?",
            "state = torch.get_rng_state() before the first pass, torch.set_rng_state(state) before the second.",
            "δ = ε / ‖w‖ over all tensors together; V + δw as new tensors; divide the difference of the two ∇_m by 2δ.",
        ),
        solution="""
def product_by_difference(loss, V, m, w, epsilon):  # → dict like m
    length = torch.sqrt(sum((tensor**2).sum() for tensor in w.values()))
    delta = epsilon / length
    state = torch.get_rng_state()  # the dropout masks of both passes

    def slope_of_m(sign):
        torch.set_rng_state(state)
        moved = {name: V[name].detach() + sign * delta * w[name] for name in V}  # new tensors: V stays bit for bit
        leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in m.items()}
        return dict(zip(leaves, torch.autograd.grad(loss(moved, leaves), list(leaves.values()))))

    beyond, behind = slope_of_m(+1), slope_of_m(-1)
    return {name: (beyond[name] - behind[name]) / (2 * delta) for name in m}

check("06-masks", product_by_difference)
""",
        verify=_verify_masks,
    ),
)
