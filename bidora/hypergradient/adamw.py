"""The step of torch.optim.AdamW as a differentiable function of the gradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bidora.errors import LabError
from bidora.hypergradient.parameters import Parameters, aligned


@dataclass(frozen=True)
class AdamWStep:
    """The step that torch.optim.AdamW really takes, with its elementwise derivative.

    With μ = β₁μ₀ + (1−β₁)g, ν = β₂ν₀ + (1−β₂)g², c₁ = 1−β₁ᵗ, c₂ = √(1−β₂ᵗ), d = √ν/c₂ + eps and learning rate η:

        V'    = V·(1 − η·decay) − η/c₁ · μ/d
        ∂s/∂g = η/c₁ · [(1−β₁) − (1−β₂)/c₂ · (μ/d) · (g/√ν)] / d

    Where ν is exactly 0 the derivative is set to 0. There the gradient and its whole history are 0, as for A while
    B = 0. The literal derivative there is η/eps, about 10⁸ η, a slope that holds only for |g| ≪ eps (and 0/0 as written
    above). In the product it meets ∂g/∂m, which is 0 where g vanishes for every m, as for A at B = 0: 0 is the true
    answer. With 10⁸ instead these entries would take up the whole length of w, and a difference with its perturbation
    of fixed length would see nothing of the others.

    Close to it the true derivative is large, up to the order of η/eps: Adam takes nearly the sign of a gradient that is
    small and always was. Few such entries can make up half of the length of w; a larger eps of the optimiser tames
    them.

    Args:
        learning_rate: η; one number, or one for each name.
        exp_avg: μ₀ before the step, shaped like V.
        exp_avg_sq: ν₀ before the step, shaped like V.
        steps: number of steps taken before, for each name (t is one more).
        betas: β₁, β₂.
        eps: added to the denominator.
        weight_decay: decoupled decay; one number, or one for each name. It depends on V only, so not on g.

    Source: torch.optim.AdamW without amsgrad and maximize; derivative by hand.
    """

    learning_rate: float | Mapping[str, float]
    exp_avg: Parameters
    exp_avg_sq: Parameters
    steps: Mapping[str, int]
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float | Mapping[str, float] = 0.0

    @classmethod
    def from_optimizer(cls, optimizer: Any, parameters: Mapping[str, Tensor]) -> AdamWStep:
        """Copy settings and state of an optimiser, before it steps. Fresh parameters have zero moments.

        Args:
            optimizer: torch.optim.AdamW (or Adam without decay), also wrapped by accelerate.
            parameters: name → the very tensor that the optimiser holds.

        Raises:
            LabError: another optimiser, amsgrad, maximize, coupled decay, groups with different betas or eps, or a
                parameter that the optimiser does not hold.
        """
        inside = _unwrapped(optimizer)
        group_of = {id(tensor): group for group in inside.param_groups for tensor in group["params"]}
        groups = {}
        for name, tensor in parameters.items():
            if id(tensor) not in group_of:
                raise LabError(
                    f"the optimiser does not hold {name!r}",
                    hint="pass the very tensors it was made with, not copies of them",
                )
            groups[name] = group_of[id(tensor)]
        betas, eps = _common_settings(inside, list(groups.values()))
        states = [inside.state.get(tensor, {}) for tensor in parameters.values()]
        taken = [state.get("step", 0.0) for state in states]
        if any(isinstance(count, Tensor) and count.device.type != "cpu" for count in taken):
            # capturable and fused optimisers count on the device: one wait for all counts instead of one for each
            device = next(tensor.device for tensor in parameters.values())
            taken = torch.stack([torch.as_tensor(count, device=device) for count in taken]).tolist()
        first, second = (
            dict(zip(parameters, _copied(states, key, list(parameters.values())), strict=True))
            for key in ("exp_avg", "exp_avg_sq")
        )
        return cls(
            learning_rate={name: float(group["lr"]) for name, group in groups.items()},
            exp_avg=first,
            exp_avg_sq=second,
            steps={name: int(count) for name, count in zip(parameters, taken, strict=True)},
            betas=betas,
            eps=eps,
            weight_decay={name: float(group["weight_decay"]) for name, group in groups.items()},
        )

    def after(self, direction: Parameters, gradient: Parameters) -> Parameters:
        """V' with the operations of torch.optim.AdamW in its order, so that float results are equal."""
        names = list(direction)
        first, second = self._moments(names, gradient)
        rates = self._per_name(self.learning_rate, names)
        decays = self._per_name(self.weight_decay, names)
        first_corrections, second_corrections = self._corrections(names)
        denominator = torch._foreach_div(torch._foreach_sqrt(second), second_corrections)
        torch._foreach_add_(denominator, self.eps)
        decayed = torch._foreach_mul(
            list(direction.values()), [1 - rate * decay for rate, decay in zip(rates, decays, strict=True)]
        )
        moved = torch._foreach_addcdiv(
            decayed,
            first,
            denominator,
            [-(rate / correction) for rate, correction in zip(rates, first_corrections, strict=True)],
        )
        return dict(zip(names, moved, strict=True))

    def pullback(self, gradient: Parameters, vector: Parameters) -> Parameters:
        """∂s/∂g ⊙ vector: the Jacobian is diagonal."""
        names = list(vector)
        # new tensors, overwritten below: what was allocated least often is fastest here
        derivative, root = self._moments(names, gradient)
        rates = self._per_name(self.learning_rate, names)
        first_corrections, second_corrections = self._corrections(names)
        torch._foreach_sqrt_(root)
        seen = torch._foreach_sign(root)  # 1 where ν > 0, 0 where ν = 0: the guard explained above
        denominator = torch._foreach_div(root, second_corrections)
        torch._foreach_add_(denominator, self.eps)
        # μ/d and g/√ν are bounded, while √ν·d² underflows in float32: so one division after the other
        torch._foreach_clamp_min_(root, torch.finfo(torch.float32).tiny)
        torch._foreach_div_(derivative, denominator)
        torch._foreach_mul_(derivative, aligned(gradient, names, what="the gradient"))
        torch._foreach_div_(derivative, root)
        torch._foreach_mul_(derivative, [-(1 - self.betas[1]) / correction for correction in second_corrections])
        torch._foreach_add_(derivative, 1 - self.betas[0])
        torch._foreach_div_(derivative, denominator)
        torch._foreach_mul_(
            derivative, [rate / correction for rate, correction in zip(rates, first_corrections, strict=True)]
        )
        torch._foreach_mul_(derivative, seen)
        torch._foreach_mul_(derivative, list(vector.values()))
        return dict(zip(names, derivative, strict=True))

    def _moments(self, names: list[str], gradient: Parameters) -> tuple[list[Tensor], list[Tensor]]:
        """μ and ν after the step."""
        slopes = aligned(gradient, names, what="the gradient")
        first = torch._foreach_lerp(aligned(self.exp_avg, names, what="exp_avg"), slopes, 1 - self.betas[0])
        second = torch._foreach_mul(aligned(self.exp_avg_sq, names, what="exp_avg_sq"), self.betas[1])
        torch._foreach_addcmul_(second, slopes, slopes, value=1 - self.betas[1])
        return list(first), list(second)

    def _corrections(self, names: list[str]) -> tuple[list[float], list[float]]:
        """c₁ and c₂ for each name."""
        times = [self.steps[name] + 1 for name in names]
        return [1 - self.betas[0] ** time for time in times], [(1 - self.betas[1] ** time) ** 0.5 for time in times]

    @staticmethod
    def _per_name(value: float | Mapping[str, float], names: list[str]) -> list[float]:
        return [value[name] for name in names] if isinstance(value, Mapping) else [value] * len(names)


def _unwrapped(optimizer: Any) -> Any:
    """The torch optimiser inside of wrappers (accelerate), if it is one whose derivative is known here."""
    inside = optimizer
    while not isinstance(inside, torch.optim.Adam) and hasattr(inside, "optimizer"):
        inside = inside.optimizer
    if not isinstance(inside, (torch.optim.Adam, torch.optim.AdamW)):
        raise LabError(
            f"the step of {type(inside).__name__} has no derivative here (known: AdamW)",
            hint="train the lower level with torch.optim.AdamW, or unroll a plain gradient step",
        )
    return inside


def _common_settings(optimizer: Any, groups: list[dict[str, Any]]) -> tuple[tuple[float, float], float]:
    """Settings betas and eps, which all groups share.

    Raises:
        LabError: they differ, or a variant of Adam is on whose derivative is not known here.
    """
    decoupled = isinstance(optimizer, torch.optim.AdamW)
    for group in groups:
        for variant in ("amsgrad", "maximize"):
            if group.get(variant):
                raise LabError(f"AdamW with {variant}=True is not supported", hint=f"set {variant}=False")
        if group["weight_decay"] and not group.get("decoupled_weight_decay", decoupled):
            raise LabError(
                f"Adam with weight_decay={group['weight_decay']:g} adds the decay to the gradient; not supported",
                hint="use torch.optim.AdamW, whose decay is decoupled",
            )
    settings = {(tuple(map(float, group["betas"])), float(group["eps"])) for group in groups}
    if len(settings) != 1:
        raise LabError(
            f"the parameter groups have {len(settings)} different settings of betas and eps",
            hint="use the same betas and eps in all groups of the lower optimiser",
        )
    (((first, second), eps),) = settings
    return (first, second), eps


def _copied(states: list[dict[str, Any]], key: str, like: list[Tensor]) -> list[Tensor]:
    """Copies of one kind of moment, so that the optimiser may step afterwards; zeros for parameters without any yet."""
    if states and all(key in state for state in states):
        return list(torch._foreach_mul([state[key] for state in states], 1.0))
    return [
        state[key].clone() if key in state else torch.zeros_like(tensor, requires_grad=False)
        for state, tensor in zip(states, like, strict=True)
    ]
