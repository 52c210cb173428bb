"""Small worlds of a few numbers in which the ideas can be tried at once; numpy only, each function under 100 ms.

units.py: lengths and headings of a vector or a matrix. reach.py: what low-rank updates can reach with and without
magnitudes. levels.py: two losses of one direction and one magnitude, with all derivatives in closed form.
alternation.py: the hypergradient and the alternation on them. questions.py: predictions and what became of them.
"""

from bidora.sandbox.alternation import Hypergradient, Trail, alternate, hypergradient, settles, step_from
from bidora.sandbox.levels import PROBLEM, Quadratic, TwoLevels
from bidora.sandbox.questions import LEFT_OUT, LENGTHS_ONLY, Question
from bidora.sandbox.reach import Fit, Reach, dora_fit, lora_fit, reach_by_rank, target_weight
from bidora.sandbox.units import (
    Decomposed,
    Units,
    arrow,
    decompose,
    matrix_from,
    matrix_text,
    unit_changes,
    vector_pair,
)

__all__ = [
    "LEFT_OUT",
    "LENGTHS_ONLY",
    "PROBLEM",
    "Decomposed",
    "Fit",
    "Hypergradient",
    "Quadratic",
    "Question",
    "Reach",
    "Trail",
    "TwoLevels",
    "Units",
    "alternate",
    "arrow",
    "decompose",
    "dora_fit",
    "hypergradient",
    "lora_fit",
    "matrix_from",
    "matrix_text",
    "reach_by_rank",
    "settles",
    "step_from",
    "target_weight",
    "unit_changes",
    "vector_pair",
]
