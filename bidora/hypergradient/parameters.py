"""Named tensors treated as one vector: gradients, inner product, norm and scaled sums.

The `torch._foreach_*` calls are those on which torch.optim is built: one call for all tensors, not one per tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from bidora.errors import LabError

Parameters = dict[str, Tensor]
"""Name → tensor. All tensors of one call live on one device."""

Loss = Callable[[Parameters, Parameters], Tensor]
"""Called as loss(direction, magnitude); returns a scalar."""


def detached(parameters: Mapping[str, Tensor]) -> Parameters:
    """The same values outside of any graph; shares memory."""
    return {name: tensor.detach() for name, tensor in parameters.items()}


def leaves(parameters: Mapping[str, Tensor]) -> Parameters:
    """The same values as new leaves that ask for a gradient; shares memory, so nothing is copied."""
    return {name: tensor.detach().requires_grad_() for name, tensor in parameters.items()}


def aligned(parameters: Mapping[str, Tensor], names: Iterable[str], *, what: str) -> list[Tensor]:
    """The tensors in the order of the names.

    Raises:
        LabError: a name is missing.
    """
    try:
        return [parameters[name] for name in names]
    except KeyError as missing:
        raise LabError(
            f"{what} has no entry for {missing.args[0]!r}; it has {len(parameters)} entries",
            hint="pass one tensor for each name of the parameters it belongs to",
        ) from None


def evaluate(loss: Loss, direction: Parameters, magnitude: Parameters) -> Tensor:
    """The loss with gradients enabled.

    Raises:
        LabError: it is not a scalar.
    """
    with torch.enable_grad():
        value = loss(direction, magnitude)
    if value.dim() != 0:
        raise LabError(
            f"the loss has shape {tuple(value.shape)}, not ()",
            hint="return one number, e.g. the mean over the examples",
        )
    return value


def gradients(output: Tensor, *inputs: Parameters, create_graph: bool = False) -> tuple[Parameters, ...]:
    """∂output/∂input for several groups of parameters in one backward pass; zeros for what the output does not use.

    Raises:
        LabError: with create_graph, an operation inside has no second derivative.
    """
    wanted = [tensor for group in inputs for tensor in group.values()]
    if output.requires_grad and wanted:
        found = _backward([output], wanted, None, create_graph=create_graph, retain_graph=create_graph)
    else:
        found = [torch.zeros_like(tensor) for tensor in wanted]
    if create_graph:
        _refuse_dead_ends(found)
    given = iter(found)
    return tuple({name: next(given) for name in group} for group in inputs)


def vector_product(outputs: Iterable[Tensor], inputs: Parameters, vector: Iterable[Tensor]) -> Parameters:
    """(∂outputs/∂inputs)ᵀ · vector, keeping the graph for further products.

    Raises:
        LabError: an operation inside the loss has no second derivative.
    """
    pairs = [(output, along) for output, along in zip(outputs, vector, strict=True) if output.requires_grad]
    if not pairs:
        return {name: torch.zeros_like(tensor) for name, tensor in inputs.items()}
    found = _backward(
        [pair[0] for pair in pairs], list(inputs.values()), [pair[1] for pair in pairs], retain_graph=True
    )
    return dict(zip(inputs, found, strict=True))


def inner(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Tensor:
    """⟨first, second⟩ as a scalar tensor; names are those of `first`."""
    products = torch._foreach_mul(list(first.values()), aligned(second, first, what="the second vector"))
    return torch.stack([product.sum() for product in products]).sum()


def norm(parameters: Mapping[str, Tensor]) -> Tensor:
    """Euclidean norm of all tensors together as a scalar tensor (no wait for the device)."""
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(parameters.values()))))


def scaled(parameters: Mapping[str, Tensor], factor: Tensor | float) -> Parameters:
    """The product factor · parameters."""
    return dict(zip(parameters, torch._foreach_mul(list(parameters.values()), factor), strict=True))


def negated(parameters: Mapping[str, Tensor]) -> Parameters:
    """The parameters with opposite sign."""
    return dict(zip(parameters, torch._foreach_neg(list(parameters.values())), strict=True))


def plus(first: Mapping[str, Tensor], second: Mapping[str, Tensor], *, factor: float = 1.0) -> Parameters:
    """The sum first + factor · second; names are those of `first`."""
    other = aligned(second, first, what="the second vector")
    return dict(zip(first, torch._foreach_add(list(first.values()), other, alpha=factor), strict=True))


def _backward(
    outputs: list[Tensor],
    inputs: list[Tensor],
    along: list[Tensor] | None,
    *,
    create_graph: bool = False,
    retain_graph: bool = False,
) -> list[Tensor]:
    """torch.autograd.grad with zeros for unused inputs, and advice where a second derivative is missing."""
    try:
        return list(
            torch.autograd.grad(
                outputs,
                inputs,
                along,
                create_graph=create_graph,
                retain_graph=retain_graph,
                allow_unused=True,
                materialize_grads=True,
            )
        )
    except RuntimeError as problem:
        if "derivative for" not in str(problem) or "is not implemented" not in str(problem):
            raise
        raise _no_second_derivative(str(problem).splitlines()[0]) from problem


def _refuse_dead_ends(slopes: list[Tensor]) -> None:
    """Find where torch cut the graph of a gradient: behind an operation marked once_differentiable.

    torch raises there only if the backward pass walks through the cut; asked for given inputs it goes around it, and
    the second derivative silently lacks a term. The walk takes about 2 µs per node.

    Raises:
        LabError: there is such an operation.
    """
    waiting, seen = [slope.grad_fn for slope in slopes], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node.name() == "torch::autograd::Error":
            raise _no_second_derivative("an autograd function marked once_differentiable")
        waiting.extend(following for following, _ in node.next_functions)


def _no_second_derivative(reason: str) -> LabError:
    return LabError(
        f"an operation of the model has no second derivative ({reason})",
        hint='use mixed="one-sided" or "central", or load the model with attn_implementation="eager"',
    )
