"""Teaching: five lessons with links into the lab, prediction votes, replay of recordings. No torch.

LESSONS, lesson("two-levels")     what is taught          links      addresses with controls set, hidden or locked
evidence(key, runs)               numbers from recordings votes      prediction votes of a class
ballots, browsers                 who voted for what      replay     a recording on its own clock
"""

from bidora.lessons.evidence import evidence
from bidora.lessons.lesson import Lesson, Option, Prediction, Step
from bidora.lessons.links import LessonLink, read_link
from bidora.lessons.texts import fair_comparison, length_and_direction, slope_and_correlation, two_levels, what_m_adds

LESSONS: tuple[Lesson, ...] = (
    length_and_direction.LESSON,
    what_m_adds.LESSON,
    two_levels.LESSON,
    slope_and_correlation.LESSON,
    fair_comparison.LESSON,
)
"""All lessons, in order."""


def lesson(key: str) -> Lesson | None:
    """The lesson of that key, or of that number as text; None where there is none."""
    return next((each for each in LESSONS if key in (each.key, str(each.number))), None)


__all__ = ["LESSONS", "Lesson", "LessonLink", "Option", "Prediction", "Step", "evidence", "lesson", "read_link"]
