"""check, hint, solution: what a student calls in a notebook."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from bidora.errors import LabError
from bidora.exercises.exercise import Exercise, Misconception, Unanswered

STRICT = "BIDORA_EXERCISES"
"""Environment variable; with the value "strict" an exercise that is not solved raises instead of printing."""


def check(key: str, *answers: Any) -> None:
    """Check an answer and say what it shows, or which misconception is behind it; never stops the notebook.

    Args:
        key: of the exercise, such as "01-length".
        answers: what the exercise asks for: a function, a tensor, a number.

    Raises:
        LabError: there is no such exercise.
        AssertionError: it is not solved, and $BIDORA_EXERCISES is "strict" (continuous integration).
    """
    exercise = _exercise(key)
    try:
        if not answers or any(answer is None or answer is Ellipsis for answer in answers):
            raise Unanswered
        text, solved = f"✓ {key}: {exercise.verify(*answers)}", True
    except (Unanswered, NotImplementedError):
        text, solved = f'○ {key}: not tried yet. Stuck? hint("{key}")', False
    except Misconception as error:
        text, solved = f'✗ {key}: {error}\n  hint("{key}") helps, and trying again costs nothing.', False
    except Exception as error:  # the student's own code
        text, solved = f'✗ {key}: your code stopped with {type(error).__name__}: {error}\n  hint("{key}") helps.', False
    print(text)
    if not solved and os.environ.get(STRICT) == "strict":
        raise AssertionError(text)


def hint(key: str, level: int = 1) -> None:
    """Print a hint: level 1 is a nudge, 3 nearly the answer.

    Raises:
        LabError: there is no such exercise or level.
    """
    hints = _exercise(key).hints
    if level not in range(1, len(hints) + 1):
        raise LabError(f"level={level!r} is outside 1 <= level <= {len(hints)}", hint=f'try hint("{key}", 1)')
    more = f'hint("{key}", {level + 1})' if level < len(hints) else f'solution("{key}")'
    print(f"Hint {level} of {len(hints)}: {hints[level - 1]}\nMore: {more}")


def solution(key: str) -> None:
    """Print the code of a solution.

    Raises:
        LabError: there is no such exercise.
    """
    print(_exercise(key).solution.strip())


def solution_code(key: str) -> str:
    """The code of a solution, for the tests that run the notebooks solved.

    Raises:
        LabError: there is no such exercise.
    """
    return _exercise(key).solution.strip()


def _exercise(key: str) -> Exercise:
    number = key.split("-")[0]
    try:
        found: dict[str, Exercise] = (
            {each.key: each for each in import_module(f"bidora.exercises.nb{number}").EXERCISES}
            if number.isdigit() and len(number) == 2
            else {}
        )
    except ModuleNotFoundError:
        found = {}
    if key not in found:
        known = f"exercises of notebook {number}: {', '.join(found)}" if found else "keys look like 01-length"
        raise LabError(f"there is no exercise {key!r}", hint=known)
    return found[key]
