"""What a lesson of fifteen minutes holds: a prediction first, steps with links into the lab, a closing question."""

from __future__ import annotations

from dataclasses import dataclass

from bidora.lessons.links import LessonLink


@dataclass(frozen=True)
class Option:
    """One answer to a prediction.

    Attributes:
        text: as students read it.
        why: behind a wrong one: the misconception; behind the right one: the reason.
    """

    text: str
    why: str


@dataclass(frozen=True)
class Prediction:
    """A question to answer before looking.

    Attributes:
        question: one sentence or two.
        options: three or four, in the order in which they are shown.
        right: place of the right one, from 0.
    """

    question: str
    options: tuple[Option, ...]
    right: int

    def reply(self, chosen: int) -> str:
        """What a student reads after choosing: whether it fits, why, and what is right."""
        option, answer = self.options[chosen], self.options[self.right]
        if chosen == self.right:
            return f"**Yes.** {option.why}"
        return f"**Not quite.** This answer {option.why} Right is: **{answer.text}.** {answer.why}"


@dataclass(frozen=True)
class Step:
    """One step of a lesson.

    Attributes:
        title: what happens, in a few words.
        minutes: how long.
        task: what students do or look at; also what the projector shows.
        say: what the teacher says.
        see: what students should see.
        wrong_ideas: what to expect, and what to answer.
        links: label and link.
        evidence: key of numbers from recordings shown with the step, see `bidora.lessons.evidence`; empty for none.
    """

    title: str
    minutes: int
    task: str
    say: str
    see: str
    wrong_ideas: tuple[str, ...] = ()
    links: tuple[tuple[str, LessonLink], ...] = ()
    evidence: str = ""


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    Attributes:
        key: its name in an address.
        number: 1 to 5.
        title: a finding or a question.
        goal: what students can do afterwards.
        prediction: opens it; two minutes, which are the first step's.
        steps: in order; the minutes of all add up to fifteen.
        closing: the last question.
        answer: its answer.
        terms: entries of the glossary that it needs.
    """

    key: str
    number: int
    title: str
    goal: str
    prediction: Prediction
    steps: tuple[Step, ...]
    closing: str
    answer: str
    terms: tuple[str, ...]

    @property
    def minutes(self) -> int:
        """How long all steps take."""
        return sum(step.minutes for step in self.steps)
