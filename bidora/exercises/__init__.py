"""What the tutorials need beside the library: predictions, exercises with checks and hints, figures, sliders.

    from bidora.exercises import check, explore, hint, predict, show, solution, trained

A notebook's exercises are in the file of its number (nb01.py …): hints, a solution, and a check that names the misconception
behind a wrong answer.
"""

from bidora.exercises.checking import check, hint, solution
from bidora.exercises.exercise import Exercise, Misconception, Unanswered
from bidora.exercises.exploring import explore, show
from bidora.exercises.predicting import predict, reveal
from bidora.exercises.training import keep_runs_beside_others, trained

__all__ = [
    "Exercise",
    "Misconception",
    "Unanswered",
    "check",
    "explore",
    "hint",
    "predict",
    "reveal",
    "show",
    "solution",
    "trained",
]

keep_runs_beside_others()
