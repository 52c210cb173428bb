"""For the tests of the tutorials' exercises: give an answer, read what the check says; run a solution."""

from __future__ import annotations

import contextlib
import io
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from bidora.decomposition import decompose
from bidora.exercises import check
from bidora.exercises.checking import solution_code
from bidora.exercises.exercise import Exercise

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def said(key: str, *answers: Any) -> str:
    """What check prints for an answer."""
    spoken = io.StringIO()
    with contextlib.redirect_stdout(spoken):
        check(key, *answers)
    return spoken.getvalue()


def solved(exercise: Exercise) -> str:
    """What check prints when the solution's cell runs."""
    names = {"torch": torch, "nn": nn, "F": F, "decompose": decompose, "check": check}
    spoken = io.StringIO()
    with contextlib.redirect_stdout(spoken):
        exec(solution_code(exercise.key), names)  # the project's own text
    return spoken.getvalue()


def source(number: str) -> str:
    """A notebook's text source."""
    return next(NOTEBOOKS.glob(f"{number}_*.py")).read_text(encoding="utf-8")


def text_problems(number: str, exercises: tuple[Exercise, ...]) -> list[str]:
    """What is wrong with a notebook's text: headings, exercises, links."""
    text = source(number)
    found = []
    levels = [len(match) for match in re.findall(r"^# (#+) ", text, flags=re.M)]
    if levels.count(1) != 1 or levels[0] != 1:
        found.append("there must be one h1, first")
    found += [f"h{now} follows h{before}" for before, now in pairwise(levels) if now > before + 1]
    for each in exercises:
        if f"Exercise {each.key}" not in text or each.heading not in text:
            found.append(f"{each.key}: no “Exercise {each.key}” with “{each.heading}”")
        if f'exercise="{each.key}"' not in text:
            found.append(f"{each.key}: no cell")
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        here = NOTEBOOKS / target
        if not target.startswith("http") and not here.exists() and not here.with_suffix(".py").exists():
            found.append(f"dead link {target}")
    return found
