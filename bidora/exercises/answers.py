"""Reading answers: not tried yet, of the right shape, equal to what a misconception would give."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from bidora.exercises.exercise import Misconception, Unanswered


def answer_of(function: Callable[..., Any], *inputs: Any) -> Any:
    """What a student's function gives.

    Raises:
        Unanswered: it gives nothing yet (None or …).
    """
    answer = function(*inputs)
    if answer is None or answer is Ellipsis:
        raise Unanswered
    return answer


def tensor_of(answer: Any, like: Tensor, what: str) -> Tensor:
    """An answer as a tensor that can be compared with the right one.

    Args:
        answer: what the student's code gave.
        like: the right answer.
        what: its name in messages.

    Raises:
        Misconception: it is no tensor, or a number was asked for and is no number.
    """
    if isinstance(answer, Tensor):
        return answer.detach().to(like.dtype)
    if isinstance(answer, (int, float)) and like.ndim == 0:
        return torch.tensor(float(answer), dtype=like.dtype)
    raise Misconception(f"{what} should be a tensor of shape {tuple(like.shape)}; this is {type(answer).__name__}")


def same(one: Tensor, other: Tensor, *, tolerance: float = 1e-5) -> bool:
    """Whether two tensors have one shape and equal values but for rounding."""
    size = max(1.0, float(other.abs().max())) if other.numel() else 1.0
    return one.shape == other.shape and bool(((one - other).abs() <= tolerance * size).all())


def refuse(answer: Tensor, wrong: Iterable[tuple[Tensor, str]], *, tolerance: float = 1e-5) -> None:
    """Name the misconception that an answer equals.

    Raises:
        Misconception: it equals one of them.
    """
    for value, why in wrong:
        if same(answer, value, tolerance=tolerance):
            raise Misconception(why)
