"""Lesson 1: a weight is a length and a direction."""

from __future__ import annotations

from bidora.lessons.lesson import Lesson, Option, Prediction, Step
from bidora.lessons.links import LessonLink

LESSON = Lesson(
    key="length-and-direction",
    number=1,
    title="A weight is a length and a direction",
    goal="Split a weight into magnitude and direction, and read ΔM and ΔD of a trained layer.",
    prediction=Prediction(
        question="A weight vector turns by 10 degrees and keeps its length. How large is ΔD = 1 − cos?",
        options=(
            Option("about 0.17", "takes ΔD for the angle itself: 10 degrees are 0.17 radians."),
            Option("about 0.015", "1 − cos 10° = 0.0152. For small angles ΔD goes with the square of the angle."),
            Option("about 0.10", "expects ΔD to be in proportion to the angle, ten per cent of something."),
            Option("0", "takes the length for the whole weight: without a change of length, nothing seems to happen."),
        ),
        right=1,
    ),
    steps=(
        Step(
            title="Predict",
            minutes=2,
            task="Answer on your own, without calculating. Nobody sees who chose what.",
            say="We measure a turn by 1 minus the cosine. Guess first; the guess is what makes you look.",
            see="A spread of answers. Do not comment on it yet.",
        ),
        Step(
            title="Turn without growing",
            minutes=4,
            task="Move only “Turn W by”. Find the angle at which ΔD reaches 0.5, then the one at which it is 0.015.",
            say="The length is fixed at that of W₀, 2. Watch ΔM: it does not move. ΔD knows nothing of length.",
            see="ΔD = 0.0152 at 10 degrees, 0.5 at 60 degrees, 1 at a right angle, 2 at the opposite heading. "
            "Half the angle is about a quarter of ΔD.",
            wrong_ideas=(
                "“ΔD is an angle”: it has no unit, and the lab shows the angle beside it.",
                "“Negative turns give negative ΔD”: the cosine does not know the sense of a turn.",
            ),
            links=(
                (
                    "Turn an arrow",
                    LessonLink(
                        "decompose",
                        {"part": "A vector", "length": "2.0", "turn": "10"},
                        hide=("length",),
                        question="At which angle is ΔD one half?",
                    ),
                ),
            ),
        ),
        Step(
            title="Grow without turning",
            minutes=2,
            task="Move only “Length of W”. What happens to ΔD?",
            say="Now the other way round: ΔM answers, ΔD stays at zero.",
            see="ΔM = |m − 2|, without a sign. ΔD = 0 throughout.",
            wrong_ideas=(
                "“Shorter gives negative ΔM”: ΔM is a mean of absolute values; the signed change is in % of m₀.",
            ),
            links=(
                (
                    "Change the length",
                    LessonLink(
                        "decompose",
                        {"part": "A vector", "length": "3.0", "turn": "0"},
                        hide=("turn",),
                        question="What happens to ΔD while the arrow grows?",
                    ),
                ),
            ),
        ),
        Step(
            title="A matrix has many lengths: whose?",
            minutes=4,
            task="Compare ΔM and ΔD along both norm axes. Row 1 only grew, row 2 only turned, row 3 stayed as it was. "
            "Along which axis can you see that?",
            say="One magnitude per output unit, a row of W as PyTorch stores it: that is PEFT's axis. BiDoRA's published "
            "code takes the other one. Numbers along different axes cannot be compared.",
            see="By rows, each change stands alone. By columns the same change looks like lengths and headings of all.",
            wrong_ideas=(
                "“Column norm in the paper means columns here”: papers write the transposed matrix; their columns are "
                "our rows.",
                "“m is one number per matrix”: it is one per unit.",
            ),
            links=(
                (
                    "Switch the axis",
                    LessonLink(
                        "decompose",
                        {"part": "A matrix", "axis": "output"},
                        question="Along which axis is the change plain?",
                    ),
                ),
            ),
        ),
        Step(
            title="A real layer",
            minutes=2,
            task="Look at a recorded run. How far did its layers turn, and how far did their lengths move?",
            say="These numbers are from a run of this lab. Angles of a few degrees are tiny on the scale of ΔD; a plot of "
            "ΔM against ΔD therefore crowds at its left edge.",
            see="Turns of degrees, not of right angles; changes of length of a few per cent or less.",
            links=(("Replay the run", LessonLink("classroom", speed="5")),),
            evidence="drift",
        ),
        Step(
            title="Close",
            minutes=1,
            task="Answer the closing question in one sentence.",
            say="Ask one student to answer and another one to object.",
            see="Both numbers in one sentence, each with what it does not tell.",
        ),
    ),
    closing="A layer has ΔM = 0 and ΔD = 0.02. What happened to it?",
    answer="No unit changed its length; its units turned, by about 11 degrees if all turned alike (1 − cos 11.5° = 0.02).",
    terms=("magnitude", "direction", "delta_m", "delta_d", "angle_degrees"),
)
