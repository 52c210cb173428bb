"""The lower pass at (V, m), and the product of its mixed second derivative with a vector, ∇²_{m,V} L_tr(V, m) · w."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from bidora.errors import LabError, did_you_mean
from bidora.hypergradient.parameters import (
    Loss,
    Parameters,
    aligned,
    detached,
    evaluate,
    gradients,
    leaves,
    norm,
    plus,
    scaled,
    vector_product,
)
from bidora.hypergradient.randomness import RandomState

Mixed = Literal["exact", "central", "one-sided"]
Reduce = Callable[[Parameters], Parameters]


class LowerGraph(NamedTuple):
    """The lower gradient as a function of the magnitude: the exact product then needs no second forward pass."""

    direction: Parameters  # ∇_V L_tr with its graph
    magnitude: Parameters  # the leaves it depends on


class LowerGradient(NamedTuple):
    """One lower pass at (V, m): what the lower step and the hypergradient share.

    With several workers `direction` is the average over them; `magnitude` may be the worker's own or the average, since
    only the average of a difference to it is used.
    """

    loss: Tensor  # ()
    direction: Parameters  # ∇_V L_tr, shaped like V
    magnitude: Parameters  # ∇_m L_tr, shaped like m; empty if it was not asked for
    random_state: RandomState  # before the pass: replaying it gives the same dropout masks
    graph: LowerGraph | None = None


def lower_gradient(
    lower_loss: Loss,
    direction: Parameters,
    magnitude: Parameters,
    *,
    with_magnitude: bool = True,
    create_graph: bool = False,
    reduce: Reduce | None = None,
) -> LowerGradient:
    """One pass at (V, m) with the gradients of the lower loss.

    Args:
        lower_loss: L_tr.
        direction: V, before the lower step.
        magnitude: m.
        with_magnitude: also ∇_m L_tr, the base point of the one-sided difference; about 1 % more work in a DoRA layer.
        create_graph: keep the graph, so that the exact mixed product needs no second forward pass (costs memory).
        reduce: average over workers, applied to the gradient of V.

    Raises:
        LabError: the loss is not a scalar, or (create_graph) an operation has no second derivative.
    """
    state = RandomState.record(direction, magnitude)
    headings = leaves(direction)
    lengths = leaves(magnitude) if with_magnitude or create_graph else detached(magnitude)
    loss = evaluate(lower_loss, headings, lengths)
    slope, base = gradients(loss, headings, lengths if with_magnitude else {}, create_graph=create_graph)
    graph = None
    if create_graph:
        graph = LowerGraph(slope, lengths)
        slope, base = detached(slope), detached(base)
    if reduce is not None:
        # the graph shares memory with the gradient, and the reduction may work in place
        slope = reduce(scaled(slope, 1.0) if create_graph else slope)
    return LowerGradient(loss.detach(), slope, base, state, graph)


def mixed_product(
    lower_loss: Loss,
    direction: Parameters,
    magnitude: Parameters,
    vector: Parameters,
    *,
    mixed: Mixed = "exact",
    epsilon: float = 0.01,
    lower: LowerGradient | None = None,
) -> Parameters:
    """∇²_{m,V} L_tr(V, m) · w, shaped like m; without averaging over workers.

    exact:      double backward, ∇_m ⟨∇_V L_tr, w⟩.
    central:    [∇_m L_tr(V + δw, m) − ∇_m L_tr(V − δw, m)] / 2δ with δ = ε/‖w‖; error O(ε²), two passes.
    one-sided:  [∇_m L_tr(V + δw, m) − ∇_m L_tr(V, m)] / δ; error O(ε), one pass where `lower` has the base point.

    All passes draw the random numbers of the lower pass, and the generators are afterwards as they were before. V is
    not moved: the perturbed directions are new tensors, which ask for no gradient of their own. The differences need
    more digits than bfloat16 has.

    Args:
        lower_loss: L_tr.
        direction: V.
        magnitude: m.
        vector: w, shaped like V.
        mixed: how.
        epsilon: ε, Euclidean length of the perturbation δw (DARTS: 0.01).
        lower: the lower pass at (V, m), for its random state, base point and graph.

    Raises:
        LabError: unknown `mixed`, epsilon not above 0, a lower pass without ∇_m for the one-sided difference, or
            (exact) a model whose operations have no second derivative.
    """
    check_product(mixed, epsilon, lower)
    if mixed == "exact":
        return _exact(lower_loss, direction, magnitude, vector, lower)
    state = RandomState.record(direction, magnitude) if lower is None else lower.random_state
    heading = detached(direction)
    length = norm(vector)
    # w = 0 gives a zero perturbation and a zero difference: no division by zero, and no test that waits for the device
    along = scaled(vector, epsilon / length.clamp_min(torch.finfo(length.dtype).tiny))
    beyond = _magnitude_gradient(lower_loss, plus(heading, along), magnitude, state)
    if mixed == "central":
        behind = _magnitude_gradient(lower_loss, plus(heading, along, factor=-1.0), magnitude, state)
        return scaled(plus(beyond, behind, factor=-1.0), length / (2 * epsilon))
    base = lower.magnitude if lower else _magnitude_gradient(lower_loss, heading, magnitude, state)
    return scaled(plus(beyond, base, factor=-1.0), length / epsilon)


def check_product(mixed: str, epsilon: float, lower: LowerGradient | None) -> None:
    """Whether a mixed product can be computed with these settings.

    Raises:
        LabError: it cannot.
    """
    allowed = get_args(Mixed)
    if mixed not in allowed:
        raise LabError(
            f"mixed={mixed!r} is not one of {', '.join(allowed)}",
            hint=did_you_mean(str(mixed), allowed, "use exact where memory allows"),
        )
    if not 0 < epsilon < float("inf"):
        raise LabError(f"epsilon={epsilon:g} is outside 0 < epsilon < inf", hint="the reference uses 0.01")
    if mixed == "one-sided" and lower is not None and not lower.magnitude:
        raise LabError(
            "the one-sided difference needs the gradient of the magnitude at V, which this lower pass lacks",
            hint='make the lower pass with with_magnitude=True, or use mixed="central"',
        )


def _exact(
    lower_loss: Loss, direction: Parameters, magnitude: Parameters, vector: Parameters, lower: LowerGradient | None
) -> Parameters:
    """∇_m ⟨∇_V L_tr(V, m), w⟩ by differentiating the gradient."""
    graph = lower.graph if lower else None
    if graph is None:
        state = lower.random_state if lower else RandomState.record(direction, magnitude)
        headings, lengths = leaves(direction), leaves(magnitude)
        with state.replayed():
            (slope,) = gradients(evaluate(lower_loss, headings, lengths), headings, create_graph=True)
        graph = LowerGraph(slope, lengths)
    along = aligned(vector, graph.direction, what="the vector")
    return vector_product(graph.direction.values(), graph.magnitude, along)


def _magnitude_gradient(loss: Loss, direction: Parameters, magnitude: Parameters, state: RandomState) -> Parameters:
    """∇_m L_tr at another direction, with the random numbers of the lower pass."""
    lengths = leaves(magnitude)
    with state.replayed():
        (found,) = gradients(evaluate(loss, direction, lengths), lengths)
    return found
