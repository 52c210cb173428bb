"""Lesson 2: LoRA, DoRA and what m adds."""

from __future__ import annotations

from bidora.lessons.lesson import Lesson, Option, Prediction, Step
from bidora.lessons.links import LessonLink

_REACH = "What an update reaches"

LESSON = Lesson(
    key="what-m-adds",
    number=2,
    title="LoRA, DoRA and what m adds",
    goal="Write down LoRA's and DoRA's weight, and say which changes a magnitude of its own makes cheap.",
    prediction=Prediction(
        question="At equal rank DoRA trains more numbers than LoRA. How many more in one adapted weight matrix?",
        options=(
            Option("one", "takes m for a single factor before the whole matrix."),
            Option("one per output unit", "m holds one length per output unit, a row of the stored weight."),
            Option("one per input unit", "takes the other norm axis; PEFT and DoRA's own code count output units."),
            Option("one per entry of the matrix", "takes m for a second matrix of weights."),
        ),
        right=1,
    ),
    steps=(
        Step(
            title="Predict",
            minutes=2,
            task="LoRA: W₀ + sBA. DoRA: m · (W₀ + sBA) / ‖W₀ + sBA‖. How many numbers more?",
            say="Both start from the frozen W₀, with B at zero, so at step 0 both are exactly the pretrained model.",
            see="A spread between one, per output and per entry.",
        ),
        Step(
            title="Only lengths change",
            minutes=4,
            task="Each row of the target grows or shrinks by its own percentage; no row turns. What is left over after "
            "LoRA of rank 1, and after DoRA of rank 1?",
            say="As a matrix, a change of lengths is a diagonal matrix times W₀: one number per row, but a full rank. "
            "DoRA has exactly these numbers.",
            see="LoRA needs rank after rank; DoRA is there at once.",
            wrong_ideas=(
                "“LoRA cannot change lengths”: it changes lengths and directions together; a small rank does not "
                "let it choose each length freely.",
                "“DoRA has a higher rank”: A and B have the same rank; the rescaling is on top.",
            ),
            links=(
                (
                    "Only lengths",
                    LessonLink(
                        "decompose",
                        {"part": _REACH, "change": "lengths", "percent": "30"},
                        hide=("degrees", "turning"),
                        question="How much is left over after rank 1?",
                    ),
                ),
            ),
        ),
        Step(
            title="Only directions change",
            minutes=4,
            task="Now every row turns and keeps its length. Compare both again, rank by rank, for rows that turn towards "
            "one shared vector and for rows that turn each its own way.",
            say="A product of rank 1 adds multiples of one and the same vector to all rows. That turns them towards it and also "
            "changes their lengths; DoRA sets the lengths right afterwards. Where each row turns its own way, lengths help "
            "little: there one further rank does more. And that a weight can be reached does not say that training finds it.",
            see="Towards one shared vector: nothing left over for DoRA of rank 1, a rest for LoRA. Each its own way: the two "
            "lines are near each other, and LoRA of one rank more lies below DoRA.",
            wrong_ideas=(
                "“m is only for changes of length”: it also takes back changes of length that a turn brings along.",
                "“More numbers, so better”: a further rank is more numbers, too; ask what the change needs.",
            ),
            links=(
                (
                    "Only directions",
                    LessonLink(
                        "decompose",
                        {"part": _REACH, "change": "headings", "degrees": "30", "turning": "own"},
                        hide=("percent",),
                        question="What do lengths of their own help when only headings change?",
                    ),
                ),
            ),
        ),
        Step(
            title="Count in real runs",
            minutes=2,
            task="Compare the trainable parameters of recorded LoRA and DoRA runs. Is the difference what you predicted?",
            say="The difference is the sum of output units over all adapted weights. After training all of it is merged "
            "into one matrix: inference costs nothing extra with either.",
            see="The difference in the line below is small beside A, B and the head.",
            wrong_ideas=("“m makes the model slower in use”: merged, it is gone.",),
            evidence="parameters",
        ),
        Step(
            title="What does the score say?",
            minutes=2,
            task="Look at the test scores of both in the recorded comparison. Which conclusion do the seeds allow?",
            say="Read the sentence below the chart, not the height of the bars. Lesson 5 is about that sentence.",
            see="A difference with its interval, seed by seed.",
            links=(("Open the comparison", LessonLink("compare", {"part": "Scores"})),),
            evidence="differences",
        ),
        Step(
            title="Close",
            minutes=1,
            task="Answer the closing question in one sentence.",
            say="Ask for the number first, then for the reason.",
            see="Rank and lengths named as two different things.",
        ),
    ),
    closing="Can LoRA change the length of a row without turning it?",
    answer="Yes, but not each row as it likes: its update has rank r at most, while a change of all lengths has, in "
    "general, the rank of W₀.",
    terms=("low_rank_update", "scale", "merged_weight", "trainable_parameters"),
)
