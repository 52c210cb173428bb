"""Exercises of notebook 00: what a run costs, and how sure its score is; what its sliders draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bidora.config import RunConfig, gradient_evaluations
from bidora.errors import LabError
from bidora.exercises.exercise import Exercise, Misconception
from bidora.recordings import recordings
from bidora.runs import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go

FIRST = RunConfig(
    task="peptides", method="bidora", examples_per_class=16, rank=4, alpha=8, steps=12, batch_size=8, max_length=32,
    evaluate_every=12,
)  # fmt: skip
"""The smallest run that is still a real one."""

LONGER = FIRST.replace(steps=20)
"""The run of exercise 00-cost; what the first one cost is printed when it ends."""

RIGHT, TESTED = 703, 924
"""Of so many test peptides so many were right, in one recorded run."""


def recorded(task: str, *, method: str = "", seed: int | None = None) -> list[Run]:
    """The recorded runs of a task, of one method or seed where these are named.

    Raises:
        LabError: there are none.
    """
    found = [
        run
        for run in recordings()
        if run.config.task == task and method in ("", run.config.method) and seed in (None, run.config.seed)
    ]
    if not found:
        raise LabError(
            f"there are no recordings of {task} {method}".rstrip(),
            hint="work in a copy of the repository, whose folder data/recordings holds them",
            kind="data",
        )
    return found


def learning(task: str, quantity: str) -> go.Figure:
    """What LoRA, DoRA and BiDoRA measured on the way, from the recordings.

    Args:
        task: "peptides" or "reuters".
        quantity: "loss" (both levels, where there are two) or "test accuracy".
    """
    from bidora.analysis import curves
    from bidora.figures import learning_curves

    runs = [run for run in recorded(task) if run.config.method != "full"]
    quantities = ("loss", "upper_loss") if quantity == "loss" else (quantity.replace(" ", "_"),)
    return learning_curves(curves(runs), quantities=quantities, x="gradient_evaluations")


def _verify_cost(answer: Any) -> str:
    wanted = gradient_evaluations(LONGER)
    steps = LONGER.steps
    if not isinstance(answer, (int, float)):
        raise Misconception(f"give one number; this is {type(answer).__name__}")
    wrong: dict[float, str] = {
        gradient_evaluations(
            FIRST
        ): f"this is what the first run took, with {FIRST.steps} steps a phase; here there are {steps}",
        steps: "these are the lower steps of the search alone. Every upper step computes gradients as well, and "
        "after the search everything is trained again",
        2 * steps: "search and retraining are counted, the upper steps are not: one after every lower step, and each "
        "takes two gradients",
        3
        * steps: "one part is missing: each upper step takes two gradients (upper loss, and the lower loss at a shifted "
        "point), and the retraining phase has as many steps as the search",
        5
        * steps: "the one-sided difference reuses the gradient of the lower step, so an upper step takes two, not three",
    }
    if answer in wrong:
        raise Misconception(wrong[answer])
    if answer != wanted:
        raise Misconception(
            f"{answer} is not it; add up lower steps, upper steps (two gradients each) and retraining steps"
        )
    dora = gradient_evaluations(LONGER.replace(method="dora"))
    return (
        f"{wanted} gradient evaluations, where DoRA takes {dora} with as many steps: {wanted // dora} times the work."
    )


def _verify_interval(answer: Any) -> str:
    share = RIGHT / TESTED
    spread = (share * (1 - share) / TESTED) ** 0.5
    half = 1.96 * spread
    if not isinstance(answer, (int, float)):
        raise Misconception(f"give one number, half the width in percentage points; this is {type(answer).__name__}")
    for value, why in (
        (100 * spread, "this is one standard error; 95 % takes 1.96 of them"),
        (half, "this is a share; in percentage points it is a hundred times as much"),
        (200 * half, "this is the whole width, from end to end; half of it was asked for"),
        (196 * share * (1 - share) / TESTED, "the square root is missing: p(1 − p)/n is a variance"),
        (
            196 * (share * (1 - share)) ** 0.5,
            "divide by n under the root: this is the spread of one peptide, not of a mean",
        ),
    ):
        if abs(answer - value) < 0.02 * value:
            raise Misconception(why)
    if abs(answer - 100 * half) > 0.06:
        raise Misconception(f"{answer:.3g} is not it; the formula is 1.96 · √(p(1 − p)/n), times 100")
    return (
        f"±{100 * half:.1f} points from the test set alone. A difference of one point between two single runs is within it, "
        "which is why comparisons here use the same test inputs and several seeds."
    )


EXERCISES = (
    Exercise(
        key="00-cost",
        level="core",
        difficulty=1,
        minutes=4,
        hints=(
            "There are three kinds of steps: lower and upper ones in the search, then those of the retraining phase.",
            "20 lower steps: 20 gradients. 20 upper steps with two gradients each. 20 steps of retraining.",
            "20 + 20 · 2 + 20; bidora.config.gradient_evaluations(FIRST.replace(steps=20)) counts the same.",
        ),
        solution='evaluations = 20 + 20 * 2 + 20  # lower, upper (two each), retraining\ncheck("00-cost", evaluations)',
        verify=_verify_cost,
    ),
    Exercise(
        key="00-interval",
        level="core",
        difficulty=2,
        minutes=5,
        hints=(
            "Each test peptide is right or wrong, like a coin that falls on one side with probability p.",
            "The standard error of a share is √(p(1 − p)/n); a 95 % interval reaches 1.96 of them to each side.",
            "100 * 1.96 * (p * (1 - p) / n) ** 0.5",
        ),
        solution="p, n = 703 / 924, 924\nhalf_width = 100 * 1.96 * (p * (1 - p) / n) ** 0.5  # percentage points\n"
        'check("00-interval", half_width)',
        verify=_verify_interval,
    ),
)
