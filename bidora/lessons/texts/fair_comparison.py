"""Lesson 5: is the comparison fair?"""

from __future__ import annotations

from bidora.lessons.lesson import Lesson, Option, Prediction, Step
from bidora.lessons.links import LessonLink

LESSON = Lesson(
    key="fair-comparison",
    number=5,
    title="Is the comparison fair?",
    goal="Check a comparison for data, compute and seeds, and write the sentence that it allows.",
    prediction=Prediction(
        question="Two methods are in truth equally good, and never tie. You run both with three seeds. How often does the same "
        "one come out ahead in all three?",
        options=(
            Option("never", "takes agreement of all seeds for proof."),
            Option("in 5 % of cases", "takes any agreement for significant at the usual five per cent."),
            Option("in 12.5 % of cases", "counts one winner only: ½ · ½ · ½. The other one can be ahead, too."),
            Option("in 25 % of cases", "2 · ½ · ½ · ½: all three for the one, or all three for the other."),
        ),
        right=3,
    ),
    steps=(
        Step(
            title="Predict",
            minutes=2,
            task="Answer on your own. Tossing a coin three times is a good picture.",
            say="Three seeds are what one often has. This is what they can say at most.",
            see="Most answers below a quarter.",
        ),
        Step(
            title="Same data, same compute?",
            minutes=4,
            task="Read the fairness box of the recorded comparison. Which lines say “not equal”?",
            say="Equal steps are not equal compute. A BiDoRA step evaluates more gradients than a LoRA step. Published: BiDoRA's "
            "training took 3.92 times LoRA's, DoRA's 1.30 times.",
            see="Gradient evaluations and seconds as numbers, and a ratio. Tuning is unknown: a folder of runs does not say "
            "how many settings were tried, unless they were tried with `bidora sweep --tune`.",
            wrong_ideas=(
                "“The same number of steps is fair”: count gradient evaluations.",
                "“BiDoRA has less data, since a part is held out”: after the search it trains on all of it; unless retraining is "
                "switched off.",
            ),
            links=(
                (
                    "Open the comparison",
                    LessonLink("compare", {"part": "Scores"}, question="Which conclusions are not allowed here?"),
                ),
            ),
            evidence="fairness",
        ),
        Step(
            title="Seed by seed",
            minutes=4,
            task="Read the paired differences. In how many of how many seeds is one method ahead, and from where to where?",
            say="A seed draws examples, initial values and order for all methods alike; taking differences within a seed takes "
            "this away. With three seeds Wilcoxon's p cannot fall below 0.25.",
            see="Sentences such as “higher in 2 of 3 seeds, difference −0.3 to 1.6 points”.",
            wrong_ideas=(
                "“The mean is higher, so it is better”: ask in how many seeds.",
                "“p = 0.25 means no difference”: it means that three seeds cannot show one.",
            ),
            evidence="differences",
        ),
        Step(
            title="Which question does the interval answer?",
            minutes=3,
            task="Find the interval of one run, and that over seeds. What varies in each?",
            say="One run: the same model on another test set of this size. Over seeds: another seed on the same test set. "
            "Neither answers the other's question.",
            see="The column “interval” says which is shown. A small test set makes wide intervals whatever the seeds do.",
            wrong_ideas=(
                "“Overlapping intervals mean no difference”: pairs can differ in the same sense all the time.",
            ),
            evidence="intervals",
        ),
        Step(
            title="Close",
            minutes=2,
            task="Write the sentence that the recorded comparison allows, without the words “better” and “wins”.",
            say="Read three sentences aloud. Ask of each: which seeds, which data, how many gradient evaluations?",
            see="A number of seeds, a range, a test set, and what was not equal.",
        ),
    ),
    closing="What do you need before you may write “A is better than B on this task”?",
    answer="Enough seeds, paired on the same data; equal compute and equal tuning, or a statement of both; a test set on which "
    "nothing was chosen; and a difference that the interval keeps away from zero.",
    terms=("fairness", "paired_difference", "higher", "p", "interval", "gradient_evaluations"),
)
