"""Lesson 3: two levels."""

from __future__ import annotations

from bidora.lessons.lesson import Lesson, Option, Prediction, Step
from bidora.lessons.links import LessonLink

LESSON = Lesson(
    key="two-levels",
    number=3,
    title="Two levels: who trains what on which data",
    goal="Say which parameters each level trains on which split, and what the implicit part of the hypergradient does.",
    prediction=Prediction(
        question="During its search, BiDoRA trains the magnitude m. On which data?",
        options=(
            Option(
                "on a part cut from the training data that A and B do not see meanwhile",
                "This is the upper split. A, B and the head train on the rest, the lower split.",
            ),
            Option(
                "on the validation or test set",
                "takes the papers' word D_val for the set on which results are reported.",
            ),
            Option("on all training data, as A and B do", "sees one level only; that is how DoRA trains m."),
            Option(
                "on none: m is computed from A and B",
                "takes m for the length of W₀ + sBA; it is a parameter of its own.",
            ),
        ),
        right=0,
    ),
    steps=(
        Step(
            title="Predict",
            minutes=2,
            task="Answer on your own.",
            say="Three names of splits will matter: lower split, upper split, test. The word validation is not used here, "
            "since one of them is trained on.",
            see="Many votes for validation or test. That is the misunderstanding of this lesson.",
        ),
        Step(
            title="First order: ξ = 0",
            minutes=4,
            task="Make the prediction on the page; then the star appears, the solution of both levels. With ξ = 0, does m come to "
            "rest at the star?",
            say="The direct part asks how the upper loss changes with m while V stays where it is. But V will answer.",
            see="m comes to rest beside the star. The implicit arrow has length zero.",
            wrong_ideas=("“It only needs more steps”: it has come to rest; the answer of V is missing, not time.",),
            links=(
                (
                    "Two levels, ξ = 0",
                    LessonLink(
                        "two_levels",
                        {"xi": "0.0", "upper_steps": "150"},
                        hide=("xi",),
                        question="Does m rest at the star?",
                    ),
                ),
            ),
        ),
        Step(
            title="Look one step ahead: ξ > 0",
            minutes=4,
            task="Raise ξ. Find the value at which m rests at the star. What happens beyond it?",
            say="V′ = V − ξ∇L_tr. The second term, −ξ∇²L_tr·v, is what a change of m does to the lower step. It is the term "
            "that people forget when they derive this by hand.",
            see="The resting point moves with ξ. In this toy one ξ is right, the reciprocal of the lower curvature; too large "
            "a ξ says too much.",
            wrong_ideas=(
                "“ξ is just the learning rate”: DARTS sets it so, Betty takes 1, and with Adam neither is the step that is "
                "really taken.",
            ),
            links=(
                (
                    "Two levels, choose ξ",
                    LessonLink(
                        "two_levels",
                        {"xi": "0.3", "upper_steps": "150"},
                        question="At which ξ does m rest at the star?",
                    ),
                ),
            ),
        ),
        Step(
            title="Who trains what",
            minutes=2,
            task="Fill in: A and B – the head – m; lower split – upper split – both – test. First the search, then the "
            "retraining.",
            say="Search: A, B and head on the lower split, m on the upper split. Retraining: m is fixed; A, B and head start "
            "again from their initial values, on both parts together. Test: nobody, ever.",
            see="Nothing on test in any row. The head with A and B.",
            wrong_ideas=(
                "“The upper split is lost to A and B”: after the search they are trained on all of it.",
                "“Retraining goes on from the search”: it starts again; that is a choice one can question.",
            ),
        ),
        Step(
            title="A real run",
            minutes=2,
            task="In a recorded BiDoRA run: how many examples does each level have, and how large is the implicit part beside "
            "the direct one?",
            say="If the implicit part is a thousandth of the direct one, the run is first-order in all but name. Ask which ξ "
            "it had.",
            see="Two counts that add up to the training examples, and a ratio.",
            evidence="levels",
        ),
        Step(
            title="Close",
            minutes=1,
            task="Answer the closing question in one sentence.",
            say="Accept only an answer that names the split and what is trained on it.",
            see="“It is trained on” as the reason.",
        ),
    ),
    closing="Why is a good score on the upper split no evidence that the model is good?",
    answer="Because the magnitude was trained on it, and after the search A, B and head were, too. Only the test set was not.",
    terms=("lower_level", "upper_level", "n_lower", "n_upper", "hypergradient", "implicit_over_direct"),
)
