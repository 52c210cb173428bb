"""Hypergradients as pure functions over losses and named tensors; knows nothing of models or trainers.

unroll.py: one unrolled lower step. mixed.py: the lower pass and the mixed product. steps.py, adamw.py: lower steps and
their derivatives. implicit.py: the implicit function theorem. randomness.py: the same dropout masks in several passes.
parameters.py: named tensors as one vector.
"""

from bidora.hypergradient.adamw import AdamWStep
from bidora.hypergradient.implicit import conjugate_gradient, implicit_hypergradient, neumann
from bidora.hypergradient.mixed import LowerGradient, Mixed, Reduce, lower_gradient, mixed_product
from bidora.hypergradient.parameters import Loss, Parameters
from bidora.hypergradient.randomness import RandomState
from bidora.hypergradient.steps import Clipped, GradientStep, Step
from bidora.hypergradient.unroll import Hypergradient, Norms, hypergradient

__all__ = [
    "AdamWStep",
    "Clipped",
    "GradientStep",
    "Hypergradient",
    "Loss",
    "LowerGradient",
    "Mixed",
    "Norms",
    "Parameters",
    "RandomState",
    "Reduce",
    "Step",
    "conjugate_gradient",
    "hypergradient",
    "implicit_hypergradient",
    "lower_gradient",
    "mixed_product",
    "neumann",
]
