"""Exercises of notebook 07: constant answers, intervals over seeds, paired differences, equal compute, allowed sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from bidora.config import RunConfig, gradient_evaluations
from bidora.exercises.exercise import Exercise, Misconception, Unanswered
from bidora.statistics import mean_interval

SCORES = (0.931, 0.907, 0.926, 0.941)
"""Made-up accuracies of four seeds."""


def close(one: Any, other: Any, tolerance: float = 1e-6) -> bool:
    """Whether two numbers, or two lists of numbers, are equal but for rounding."""
    return np.shape(one) == np.shape(other) and bool(np.allclose(one, other, rtol=0, atol=tolerance))


def given(answer: Any) -> Any:
    """An answer that is there.

    Raises:
        Unanswered: None or … .
    """
    if answer is None or answer is Ellipsis:
        raise Unanswered
    return answer


def _verify_constant(constant: Callable[[Sequence[str], Sequence[str]], Any]) -> str:
    train = ["grain"] * 3 + ["earn"] * 2 + ["acq"] * 3
    test = ["earn"] * 6 + ["acq"] * 3 + ["grain"] * 1
    answer = given(constant(train, test))
    if close(answer, 0.6):
        raise Misconception(
            "you answered with the most frequent topic of the TEST set. A constant answer may be learnt, but from the "
            "training topics; nothing may be chosen by looking at the test set"
        )
    if close(answer, 1 / 3):
        raise Misconception("one over the number of classes is what guessing at random gives, not a constant answer")
    if close(answer, 3 / 8):
        raise Misconception("this is the share in the training topics; the score is the share in the test topics")
    if close(answer, 0.1):
        raise Misconception("grain and acq are equally frequent in training: take the first in alphabetical order, acq")
    if not close(answer, 0.3):
        raise Misconception(f"for the example in the hints it should be 0.3; this is {answer}")
    return "learnt in training, scored in the test: with balanced training topics the constant answer is a matter of the alphabet."


def _verify_interval(interval: Callable[[Sequence[float]], Any]) -> str:
    answer = given(interval(list(SCORES)))
    if np.shape(answer) != (2,):
        raise Misconception(f"return two numbers, low and high; this has shape {np.shape(answer)}")
    low, high = (float(each) for each in answer)
    scores = np.array(SCORES)
    n, mean, right = len(scores), scores.mean(), mean_interval(scores)
    half, factor = (high - low) / 2, (right.high - mean) / (scores.std(ddof=1) / math.sqrt(n))
    if close((low + high) / 2, 100 * mean, 1e-2):
        raise Misconception("these are per cent; the scores are shares from 0 to 1, and so is their interval")
    if not close((low + high) / 2, mean, 1e-4):
        raise Misconception(f"the interval should lie around the mean, {mean:.4f}")
    error = scores.std(ddof=1) / math.sqrt(n)
    wrong = (
        (1.96 * error, "1.96 is for a spread that is known. It was estimated from four numbers: Student's t, here 3.18"),
        (factor * scores.std(ddof=1), "this is where a single further seed may fall; the mean is steadier: divide by √n"),
        (factor * scores.std() / math.sqrt(n), "np.std divides by n; a spread estimated from a sample takes ddof=1"),
        (1.96 * scores.std(ddof=1), "1.96 in place of t, and the division by √n is missing"),
        (1.96 * scores.std() / math.sqrt(n), "1.96 in place of t, and np.std without ddof=1: twice too narrow"),
        (error, "this is the standard error; a 95 % interval multiplies it by t, here 3.18"),
        (2.7764451 * error, "t with n degrees of freedom; the mean used up one of them: n − 1"),
        (2.3533634 * error, "t.ppf(0.95): leaves 5 % at each end; 2.5 % at each end needs 0.975"),
    )  # fmt: skip
    for value, why in wrong:
        if close(half, value, 2e-5):
            raise Misconception(why)
    if not close((low, high), (right.low, right.high), 1e-5):
        raise Misconception(f"[{low:.4f}, {high:.4f}]; for these four it should be [{right.low:.4f}, {right.high:.4f}]")
    return f"[{low:.3f}, {high:.3f}]: what other seeds would do to the mean, with the same test set."


def _verify_paired(differences: Callable[[Mapping[int, float], Mapping[int, float]], Any]) -> str:
    first, second = {0: 0.92, 1: 0.91, 2: 0.93, 7: 0.99}, {2: 0.95, 0: 0.90, 1: 0.94}
    answer = given(differences(dict(first), dict(second)))
    if isinstance(answer, Mapping):
        answer = [answer[seed] for seed in sorted(answer)]
    if np.ndim(answer) == 0:
        raise Misconception("this is one number; give a difference for every shared seed, they may disagree in sign")
    answer = [float(each) for each in answer]
    right = [first[seed] - second[seed] for seed in (0, 1, 2)]
    if close(answer, [-each for each in right]):
        raise Misconception("the sign is turned: first − second, so that + means that the first is higher")
    if close(answer, [one - other for one, other in zip(first.values(), second.values(), strict=False)]):
        raise Misconception(
            "these pairs stand at the same place of the lists, not on the same seed. Look each seed up by its name"
        )
    if len(answer) == 4:
        raise Misconception("seed 7 has no partner: a run without one cannot be paired and is left out")
    if len(answer) == 9:
        raise Misconception(
            "every run was compared with every other one; a pair shares its seed, hence its examples and initial values"
        )
    if close(answer, [abs(each) for each in right]):
        raise Misconception("the signs are lost, and they are the finding")
    if not close(answer, right):
        raise Misconception(
            f"{np.round(answer, 3).tolist()}; in the order of seeds 0, 1, 2 it should be {np.round(right, 3).tolist()}"
        )
    return "one difference per shared seed. What the seed does to both (which examples, which start) has dropped out."


def _verify_evaluations(evaluations: Callable[[int, int], Any]) -> str:
    pairs = [(150, 150), (40, 10), (38, 36)]
    answer = [float(given(evaluations(*pair))) for pair in pairs]

    def of(upper: int, *, lower: int = 1, retraining: int = 1) -> list[float]:
        return [float(steps * (lower + upper) + retraining * again) for steps, again in pairs]

    wrong = (
        (of(0), "the upper level computes gradients, too: each search step is followed by an upper step"),
        (of(1), "one evaluation per upper step is the first-order variant (ξ = 0). Looking ahead needs two: one on the "
                "upper split after the trial step, one on the lower split for the mixed product"),
        (of(3), "three per upper step are the central difference's; the one-sided one uses the gradient that is there already"),
        (of(2, retraining=0), "the retraining phase is missing: it trains from the initial values, one evaluation per step"),
        (of(1, retraining=0), "the retraining phase is missing, and an upper step needs two evaluations"),
        (of(2, lower=0), "the lower step itself is missing"),
        ([4.0 * steps for steps, _ in pairs], "4 × steps holds only where both phases are equally long"),
    )  # fmt: skip
    for value, why in wrong:
        if close(answer, value):
            raise Misconception(why)
    right = [
        float(gradient_evaluations(RunConfig(steps=steps, retrain_steps=again, method="bidora")))
        for steps, again in pairs
    ]
    if not close(answer, right):
        raise Misconception(
            f"for 40 search and 10 retraining steps this gives {answer[1]:.0f}; they cost {right[1]:.0f}"
        )
    return "three for each search step, one for each retraining step: 150 + 150 steps cost 600, four times LoRA's 150."


def _verify_equal(answer: tuple[int, int]) -> str:
    if np.shape(answer) != (2,):
        raise Misconception("give two whole numbers: (search steps, retraining steps)")
    steps, again = (int(each) for each in answer)
    if again == 0:
        raise Misconception("retrain_steps=0 means as many as search steps; give the number")
    cost = gradient_evaluations(RunConfig(method="bidora", steps=max(1, steps), retrain_steps=max(1, again)))
    if (steps, again) == (75, 75):
        raise Misconception("75 + 75 are 150 steps, but not 150 evaluations: a search step costs three")
    if (steps, again) == (50, 50):
        raise Misconception("50 search steps cost 150 alone; the retraining must be paid, too")
    if max(cost, 150) / min(cost, 150) >= 1.01:
        near = (
            "; the fairness findings call up to 1 % equal, so make one phase a little shorter"
            if abs(cost - 150) < 5
            else ""
        )
        raise Misconception(
            f"{steps} + {again} steps cost {cost} evaluations, LoRA's and DoRA's 150 steps cost 150{near}"
        )
    if not 0.75 <= again / steps <= 1.34:
        raise Misconception(
            f"this costs {cost}, but the phases have {steps} and {again} steps; keep them about equally long"
        )
    return f"{steps} search and {again} retraining steps cost {cost} evaluations."


def _verify_seeds(answer: int) -> str:
    if not float(answer).is_integer():
        raise Misconception("the number of seeds is a whole number: round up")
    known = {
        5: "0.5⁵ is below 5 %, but all five may agree in either direction: twice 0.5⁵ is 6.25 %",
        3: "three of three agree by chance in 25 % of cases",
        4: "four of four agree by chance in 12.5 % of cases",
        20: "one in twenty is 5 %, but twenty seeds are not needed: the chance halves with every seed",
    }
    if int(answer) in known:
        raise Misconception(known[int(answer)])
    if answer > 6:
        raise Misconception(f"{answer} are enough, but so are fewer: try n = {int(answer) - 1}")
    if answer != 6:
        raise Misconception(f"2 · 0.5ⁿ at n = {int(answer)} is {200 * 0.5**answer:.3g} %, more than 5 %")
    return "six: 2 · 0.5⁶ = 3.1 %. With three seeds no outcome whatever can be called significant."


SENTENCES = {
    "a": "DoRA was higher than LoRA in 3 of 3 seeds, by 0.2 to 0.5 points; chance alone makes 3 of 3 agree in 25 % of cases.",
    "b": "DoRA is better than LoRA on Reuters.",
    "c": "BiDoRA and DoRA are equally good here: they do not differ significantly.",
    "d": "No difference between BiDoRA and DoRA is shown: higher in 1 of 3 seeds, lower in 2, difference −0.9 to 0.1 points.",
    "e": "The intervals of LoRA (89.0 to 95.2 %) and DoRA (89.1 to 95.6 %) overlap widely, so nothing can be said about the two.",
    "f": "At equal steps BiDoRA used 600 gradient evaluations and LoRA and DoRA 150 each, so compute was not equal.",
    "g": "For DoRA against LoRA p = 0.25: with a probability of 25 % the two are equally good.",
    "h": "BiDoRA would have come out ahead with a better learning rate.",
}
"""Sentences on the recorded runs at equal steps; tests compare their numbers with the recordings."""

ALLOWED = frozenset("adf")

_WHY_NOT = {
    "b": "b generalises: three seeds, one number of examples, one model, one setting; and 3 of 3 agree by chance in 25 % of cases",
    "c": "c takes “not shown” for “shown not to be”. Three differences from −0.9 to 0.1 points leave room for either",
    "e": "e looks at the wrong intervals: most of their width is what the seed does to both alike. The differences all have one sign",
    "g": "g turns p round: p is how often chance gives such differences IF the methods are equal, not how probable it is that they are",
    "h": "h is a guess about runs that nobody made. The findings only say that tuning is unknown, for every method",
}
_WHY_SO = {
    "a": "a is allowed: it says what was seen in how many seeds, and how little three seeds prove",
    "d": "d is allowed: it gives seeds and range and draws no conclusion",
    "f": "f is allowed: it is a fact of the fairness findings, and every reader needs it",
}


def _verify_sentences(answer: Collection[str]) -> str:
    chosen = {str(each).strip().lower() for each in answer}
    unknown = chosen - set(SENTENCES)
    if not chosen or unknown:
        raise Misconception("give the letters of all sentences that are allowed, such as {'a', 'b'}")
    for letter in sorted(chosen - ALLOWED):
        raise Misconception(_WHY_NOT[letter])
    missing = sorted(ALLOWED - chosen)
    if missing:
        raise Misconception(f"what you chose is allowed, and there is more. {_WHY_SO[missing[0]]}")
    return "a, d and f: what was seen, in how many seeds, on which terms. No winner, no zero, no guess."


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        key="07-constant",
        level="core",
        difficulty=1,
        minutes=5,
        hints=(
            "Which topic would somebody answer who has seen the training topics and reads no article?",
            "train.count counts. Of equally frequent topics take the first in the alphabet; then score it on the test topics.",
            "most = max(sorted(set(train)), key=train.count); return test.count(most) / len(test). With training "
            "topics 3 grain, 2 earn, 3 acq and test topics 6 earn, 3 acq, 1 grain it gives 0.3.",
        ),
        solution="""
def constant(train, test):  # two lists of topics → accuracy
    topics = sorted(set(train))  # max takes the first of equals
    most = max(topics, key=train.count)
    return test.count(most) / len(test)

check("07-constant", constant)
""",
        verify=_verify_constant,
    ),
    Exercise(
        key="07-interval",
        level="core",
        difficulty=2,
        minutes=8,
        hints=(
            "Mean ± something. The something has three factors: a spread, the number of seeds, and how sure one can be of the spread.",
            "Spread with n − 1 (ddof=1), divided by √n, times the 97.5 % point of Student's t with n − 1 degrees of freedom.",
            "scipy.stats.t.ppf(0.975, len(scores) - 1) * np.std(scores, ddof=1) / np.sqrt(len(scores))",
        ),
        solution="""
from scipy.stats import t

def interval(scores):  # one accuracy per seed, n of them → low, high
    n = len(scores)
    half = t.ppf(0.975, n - 1) * np.std(scores, ddof=1) / np.sqrt(n)
    return np.mean(scores) - half, np.mean(scores) + half

check("07-interval", interval)
""",
        verify=_verify_interval,
    ),
    Exercise(
        key="07-paired",
        level="core",
        difficulty=1,
        minutes=6,
        hints=(
            "The dictionaries may name their seeds in any order, and one may have a seed more.",
            "Go through the sorted seeds that both have.",
            "return [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]",
        ),
        solution="""
def differences(first, second):  # two dicts, seed → accuracy
    shared = sorted(first.keys() & second.keys())  # a pair shares its seed
    return [first[seed] - second[seed] for seed in shared]

check("07-paired", differences)
""",
        verify=_verify_paired,
    ),
    Exercise(
        key="07-evaluations",
        level="core",
        difficulty=2,
        minutes=7,
        hints=(
            "Walk through one search step: which batches go forward and backward?",
            "Lower step: one. Upper step with ξ = lr and a one-sided difference: two more. Retraining: an ordinary step.",
            "return 3 * steps + retrain_steps",
        ),
        solution="""
def evaluations(steps, retrain_steps):  # search steps, retraining steps → batches forward and backward
    lower, upper = 1, 2  # the upper split after the trial step; the lower split at the shifted V
    return steps * (lower + upper) + retrain_steps

check("07-evaluations", evaluations)
""",
        verify=_verify_evaluations,
    ),
    Exercise(
        key="07-equal",
        level="core",
        difficulty=1,
        minutes=3,
        hints=(
            "How many evaluations may the two phases cost together?",
            "3 · steps + retrain_steps = 150, with both numbers about equal.",
            "steps is 37 or 38; the rest goes to the retraining.",
        ),
        solution="""
short = (38, 36)  # 3 · 38 + 36 = 150

check("07-equal", short)
""",
        verify=_verify_equal,
    ),
    Exercise(
        key="07-seeds",
        level="deeper",
        difficulty=2,
        minutes=5,
        hints=(
            "If both methods were equally good, each seed would be a coin.",
            "n coins agree with probability 2 · 0.5ⁿ: all heads, or all tails.",
            "Try n = 3, 4, 5, … until 2 * 0.5**n < 0.05.",
        ),
        solution="""
seeds_needed = next(n for n in range(1, 100) if 2 * 0.5**n < 0.05)

check("07-seeds", seeds_needed)
""",
        verify=_verify_seeds,
    ),
    Exercise(
        key="07-sentences",
        level="core",
        difficulty=3,
        minutes=10,
        hints=(
            "Ask of each: which number in the tables says so? For which other seeds, tasks, settings does it speak?",
            "“Not shown” and “shown not to be” are two things; so are the interval of a mean and that of a difference.",
            "Three of the eight are allowed. Two of them give seeds and a range; one is about cost.",
        ),
        solution="""
allowed = {"a", "d", "f"}

check("07-sentences", allowed)
""",
        verify=_verify_sentences,
    ),
)


def topics_of(predictions: Any) -> dict[str, int]:
    """How many test articles each topic has, most frequent first; from a table of predictions, which holds no text."""
    return dict(Counter(predictions["target"]).most_common())
