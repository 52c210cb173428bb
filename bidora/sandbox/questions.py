"""One prediction for each sandbox: the question, what can be answered, and what the sandbox itself says."""

from __future__ import annotations

from typing import NamedTuple

from bidora.sandbox.alternation import settles
from bidora.sandbox.levels import PROBLEM
from bidora.sandbox.reach import reach_by_rank, target_weight


class Question(NamedTuple):
    """A prediction to make before looking.

    text: the question. options: the answers; each may be somebody's honest belief. why: what lies behind, shown after.
    """

    text: str
    options: tuple[str, ...]
    why: str

    def verdict(self, guess: str | None, right: str) -> str:
        """Prediction and finding side by side, in a sentence; "" guess means that none was made."""
        if not guess:
            return f"Seen here: **{right}**."
        if guess == right:
            return f"You predicted “{guess}”, and that is what is seen here."
        return f"You predicted “{guess}”. Seen here: **{right}**."


LENGTHS_ONLY = Question(
    text="Six rows of a weight change their lengths, each by its own percentage; no row turns. "
    "How much of this change is left over after the best LoRA update of rank 1?",
    options=("nothing", "less than half", "more than half"),
    why="One number per row is little, but as a matrix the change is diag(s)·W0, which has the full rank of W0. "
    "A product BA of rank 1 adds a multiple of one and the same vector to every row, so it cannot stretch each row "
    "along itself. DoRA's magnitudes are made for just this. The picture is another one where rows turn.",
)

LEFT_OUT = Question(
    text="With ξ = 0 the hypergradient has its direct part only. Where does m come to rest after many steps?",
    options=("at the same m, only later", "at a smaller m", "at a larger m"),
    why="The direct part asks how L_val changes with m while V stays where it is. But V follows m: here a larger m "
    "makes the lower level choose a smaller V, which L_val pays for. Only the implicit part knows that.",
)


def lengths_only_answer() -> tuple[str, float]:
    """The option that is right for LENGTHS_ONLY, and the share that is left over after LoRA of rank 1."""
    left = reach_by_rank(target_weight("lengths", percent=30, degrees=0), ranks=(1,))[0].lora_left
    place = 0 if left < 0.005 else 1 if left < 0.5 else 2
    return LENGTHS_ONLY.options[place], left


def left_out_answer() -> tuple[str, float, float]:
    """The option that is right for LEFT_OUT, m at rest with ξ = 0, and m at the solution of the two levels."""
    first_order, solution = settles(PROBLEM, xi=0.0), PROBLEM.solution()
    place = 0 if abs(first_order - solution) < 0.005 else 1 if first_order < solution else 2
    return LEFT_OUT.options[place], first_order, solution
