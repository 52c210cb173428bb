"""A lesson as slides: one thing on the screen at a time, without the teacher's notes."""

from __future__ import annotations

from typing import NamedTuple

from bidora.lessons.lesson import Lesson


class Slide(NamedTuple):
    """One slide.

    Attributes:
        title: above.
        text: one or two sentences.
        points: a list below them, such as options.
        evidence: key of numbers from recordings; empty for none.
        footer: small, such as the minutes.
    """

    title: str
    text: str = ""
    points: tuple[str, ...] = ()
    evidence: str = ""
    footer: str = ""


def slides_of(lesson: Lesson) -> tuple[Slide, ...]:
    """Title, prediction, one slide per further step (and one more for its numbers), closing question, answer."""
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
        if step.evidence:
            found.append(Slide(step.title, evidence=step.evidence, footer="Numbers from recorded runs of this lab"))
    answer = lesson.prediction.options[lesson.prediction.right]
    found += [
        Slide("What did you expect?", lesson.prediction.question, (answer.text, answer.why)),
        Slide("Closing question", lesson.closing),
        Slide("An answer", lesson.answer),
    ]
    return tuple(found)


def place_of(text: str, count: int) -> int:
    """The slide that an address asks for, from 1; the first where it asks for none that there is."""
    if not text.isdecimal() or len(text) > 4:
        return 1
    return min(max(int(text), 1), count)
