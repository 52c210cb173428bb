"""Lesson 4: reading the plot of ΔM against ΔD."""

from __future__ import annotations

from bidora.lessons.lesson import Lesson, Option, Prediction, Step
from bidora.lessons.links import LessonLink

LESSON = Lesson(
    key="slope-and-correlation",
    number=4,
    title="Reading the ΔM/ΔD plot: slope is not correlation",
    goal="Tell slope from correlation, and find out whether a picture hangs on one point.",
    prediction=Prediction(
        question="A published abstract reports a correlation of −8.042 between ΔM and ΔD. What is this number?",
        options=(
            Option("a very strong negative correlation", "forgets that a correlation lies between −1 and 1."),
            Option(
                "a slip of the point: −0.8042 was meant",
                "looks for a slip; the authors' own figure is titled k = −8.042.",
            ),
            Option(
                "the slope of a regression line",
                "Published: BiDoRA's figure is titled k = −8.042; the abstract calls this slope a correlation.",
            ),
            Option(
                "a covariance", "names another number that can be below −1; but k in the figure is that of the line."
            ),
        ),
        right=2,
    ),
    steps=(
        Step(
            title="Predict",
            minutes=2,
            task="Answer on your own.",
            say="The number is printed as it stands here. It is an easy slip; the point is to have the tools to notice it.",
            see="Most will feel that something is wrong, and few will say what.",
        ),
        Step(
            title="Change the unit",
            minutes=3,
            task="Suppose ΔM is written in thousandths of its unit, so every ΔM is 1000 times as large a number. What happens "
            "to the slope, and what to the correlation?",
            say="The slope is multiplied by 1000, the correlation stays. r = slope · σ(ΔD) / σ(ΔM). A slope without its unit is "
            "no number at all: here weight units per 1 − cos.",
            see="That a steep line can be a bad fit, and a flat line a perfect one.",
            wrong_ideas=("“Steeper means stronger”: steepness depends on units, tightness does not.",),
        ),
        Step(
            title="The plot of recorded runs",
            minutes=4,
            task="For each method read off the slope with its interval, r and ρ. Which methods have an interval that holds "
            "both signs?",
            say="One point is one layer and module at one checkpoint. The checkpoints of one layer are not independent, so the "
            "interval comes from drawing whole layers.",
            see="A table in which order by slope and order by correlation need not agree.",
            wrong_ideas=(
                "“Each point is a run”: it is a layer at a checkpoint.",
                "“The method with the more negative slope learns better”: the plot holds no score.",
            ),
            links=(
                (
                    "Open the comparison",
                    LessonLink("compare", {"part": "Weights"}, question="Which slope keeps its sign?"),
                ),
            ),
            evidence="fits",
        ),
        Step(
            title="Leave one out",
            minutes=3,
            task="Read “without a point” and “without a layer”. For which method does the sign hang on a single point?",
            say="Two ranges and a note stand under every fit of this lab. Published: read off BiDoRA's figure, |r| is about 0.1 "
            "to 0.2, and one point carries the slope.",
            see="Ranges that are narrow or wide, and a note where the picture hangs on little.",
            wrong_ideas=("“An outlier should be removed”: it should be shown, and so should what happens without it.",),
            evidence="leave-one-out",
        ),
        Step(
            title="What was published",
            minutes=2,
            task="Sort into slopes and correlations: full fine-tuning −0.62, DoRA −0.31, LoRA +0.83 (DoRA's paper); −8.042 for "
            "BiDoRA, −1.784 for DoRA (BiDoRA's abstract).",
            say="The first three are correlations, the last two slopes. So the two DoRA numbers, −0.31 and −1.784, do not "
            "contradict each other, and cannot be compared either.",
            see="Three and two. All five are published numbers, none is from this lab.",
        ),
        Step(
            title="Close",
            minutes=1,
            task="Answer the closing question in one sentence.",
            say="Let someone defend the opposite.",
            see="Slope, correlation and their uncertainty as three different things.",
        ),
    ),
    closing="Two methods have the slopes −2 and −8. What else do you need before you may say that they differ?",
    answer="The unit and the axis of both, an interval for each slope, and the range without single points and layers. The "
    "correlation says how well either line fits, and is another question.",
    terms=("slope", "pearson", "spearman", "leave_one_out", "tiny_share", "points"),
)
