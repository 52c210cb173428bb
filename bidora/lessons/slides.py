"""A lesson as slides: one thing on the screen at a time, without the teacher's notes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from bidora.lessons.lesson import Lesson

LINE = 58
"""Letters of a slide's sentence that surely stand in one line."""

LINES = 10.5
"""Lines of sentences that surely stand below a title where a wall has 1280 × 720 pixels."""


class Numbers(NamedTuple):
    """What recordings say to a step.

    Attributes:
        sentences: to read out.
        drawn: whether there is a figure of them, too.
    """

    sentences: Sequence[str] = ()
    drawn: bool = False


class Slide(NamedTuple):
    """One slide.

    Attributes:
        title: above.
        text: one or two sentences.
        points: a list below them, such as options.
        numbers: sentences from recordings, to be shown as they are.
        figure: key of numbers from recordings that are drawn here, with a title of its own; empty for none.
        footer: small, such as the minutes.
    """

    title: str
    text: str = ""
    points: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    figure: str = ""
    footer: str = ""


def slides_of(lesson: Lesson, recorded: Mapping[str, Numbers]) -> tuple[Slide, ...]:
    """Title, prediction, one slide per further step and more for its numbers, closing question, answer.

    Args:
        lesson: what is taught.
        recorded: key of `bidora.lessons.evidence` → what recordings say.
    """
    letters = "ABCDEF"
    options = tuple(
        f"**{letter}:** {option.text}" for letter, option in zip(letters, lesson.prediction.options, strict=False)
    )
    found = [
        Slide(lesson.title, lesson.goal, footer=f"Lesson {lesson.number} · {lesson.minutes} minutes"),
        Slide("What do you expect?", lesson.prediction.question, options, footer=f"{lesson.steps[0].minutes} minutes"),
    ]
    for number, step in enumerate(lesson.steps[1:-1], start=2):
        footer = f"Step {number} of {len(lesson.steps)} · {step.minutes} minutes"
        found.append(Slide(step.title, step.task, footer=footer))
        found += _numbers(step.title, step.evidence, recorded.get(step.evidence, Numbers()))
    answer = lesson.prediction.options[lesson.prediction.right]
    found += [
        Slide("What did you expect?", lesson.prediction.question, (answer.text, answer.why)),
        Slide("Closing question", lesson.closing),
        Slide("An answer", lesson.answer),
    ]
    return tuple(found)


def _numbers(title: str, key: str, numbers: Numbers) -> list[Slide]:
    """As many slides as the sentences need, and one for the figure."""
    footer, parts = "Numbers from recorded runs of this lab", _parts(numbers.sentences)
    found = []
    for place, part in enumerate(parts, start=1):
        which = f" · {place} of {len(parts)}" if len(parts) > 1 else ""
        found.append(Slide(title, numbers=part, footer=f"{footer}{which}"))
    return [*found, Slide(title, figure=key, footer=footer)] if numbers.drawn else found


def _parts(sentences: Sequence[str]) -> list[tuple[str, ...]]:
    """The sentences on as few slides as hold them, about as many on each."""
    whole = len(sentences)
    for count in range(1, whole + 1):
        cuts = [whole * place // count for place in range(count + 1)]
        parts = [tuple(sentences[begin:end]) for begin, end in pairwise(cuts)]
        if count == whole or all(_lines(part) <= LINES for part in parts):
            return parts
    return []


def _lines(sentences: Sequence[str]) -> float:
    """Lines that sentences take, with half a line between two of them."""
    return sum(math.ceil(len(sentence) / LINE) + 0.5 for sentence in sentences)


def place_of(text: str, count: int) -> int:
    """The slide that an address asks for, from 1; the first where it asks for none that there is."""
    if not text.isdecimal() or len(text) > 4:
        return 1
    return min(max(int(text), 1), count)
