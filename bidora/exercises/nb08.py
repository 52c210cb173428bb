"""Exercises of notebook 08: similarity, the leak, families, the shortcut, macro-F1, ranks, and which metric for which question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bidora.exercises.exercise import Exercise, Misconception
from bidora.exercises.nb07 import close, given
from bidora.metrics import score
from bidora.tasks.sequences import clusters, with_neighbour

SEQUENCES = ("KLAKLAKKLAKWFF", "KLAKLAGG")


def _words(text: str, k: int) -> list[str]:
    return [text[start : start + k] for start in range(len(text) - k + 1)]


def _verify_jaccard(jaccard: Callable[..., Any]) -> str:
    one, other, k = SEQUENCES[0], SEQUENCES[1], 3
    answer = float(given(jaccard(one, other, k)))
    a, b = set(_words(one, k)), set(_words(other, k))
    shared, union = len(a & b), len(a | b)
    many, more = _words(one, k), _words(other, k)
    letters = set(one), set(other)
    wrong = (
        (shared, "this is a count; divide by the number of words that either has"),
        (shared / min(len(a), len(b)), "divided by the smaller set: a short peptide within a long one would be equal to it"),
        (2 * shared / (len(a) + len(b)), "this is Dice's index, 2 · shared / (sum of sizes); Jaccard divides by the union"),
        (shared / (len(a) + len(b)), "the sum of both sizes counts shared words twice; the union counts them once"),
        (len(letters[0] & letters[1]) / len(letters[0] | letters[1]), "these are single letters; take k letters in a row"),
        (shared / (len(many) + len(more) - shared), "a repeated word counts once in a set; you counted lists"),
        (shared / max(len(a), len(b)), "divided by the larger set; Jaccard divides by the union of both"),
    )  # fmt: skip
    right = shared / union
    for value, why in wrong:
        if close(answer, value) and not close(value, right):
            raise Misconception(why)
    if not close(answer, right):
        raise Misconception(
            f"for {one} and {other} it should be {shared} of {union} = {right:.3f}; this is {answer:.3f}"
        )
    pairs = set(_words(one, 2)), set(_words(other, 2))
    if not close(jaccard(one, other, 2), len(pairs[0] & pairs[1]) / len(pairs[0] | pairs[1])):
        raise Misconception("k is an argument, and is not used")
    return f"{shared} shared words of {union}: {right:.2f}. From 0.3 on this notebook speaks of relatives."


def _verify_leak(with_relative: Callable[..., Any]) -> str:
    test = np.arange(10) < 5
    first, second = np.array([0, 0, 0, 7, 2, 2, 8]), np.array([5, 6, 7, 1, 3, 4, 9])
    answer = given(with_relative(test.copy(), first.copy(), second.copy()))
    crossing = test[first] != test[second]
    known = {
        int(crossing.sum()): "these are pairs. A test peptide with three relatives leaks once, not three times",
        len(first): "these are all pairs, those within one part too; a leak runs from the test set into training",
        len({*first.tolist(), *second.tolist()} & set(np.flatnonzero(test).tolist())): "two relatives that are "
        "both in the test set are no leak: the partner must be in training",
        len(set(np.where(test[first], second, first)[crossing].tolist())): "these are training peptides; the "
        "question was how many TEST peptides have a relative there",
    }  # fmt: skip
    right = with_neighbour(test, first, second)
    if answer in known and answer != right:
        raise Misconception(known[answer])
    turned = given(with_relative(test.copy(), second.copy(), first.copy()))
    if answer != right or turned != right:
        hint = (
            "; the test peptide may stand on either side of a pair" if right in (answer, turned) or answer == 1 else ""
        )
        raise Misconception(
            f"{answer} and, with the sides of all pairs changed, {turned}; both should be {right}{hint}"
        )
    return f"{right} test peptides, each counted once, whichever side of the pair it stands on."


def _verify_families(families: Callable[..., Any]) -> str:
    first, second = np.array([0, 1, 4, 5, 4]), np.array([1, 2, 5, 6, 6])
    answer = given(families(8, first.copy(), second.copy()))
    if np.shape(answer) != (8,):
        raise Misconception(f"one family number for each of the 8 sequences; this has shape {np.shape(answer)}")
    numbers = [int(each) for each in answer]
    right = clusters(8, first, second)
    alike = lambda one: np.equal.outer(one, one)  # noqa: E731 - the numbers themselves do not matter
    if numbers[0] == numbers[1] and numbers[0] != numbers[2]:
        raise Misconception(
            "0 resembles 1 and 1 resembles 2, but 0 and 2 are in different families: relatives of relatives belong "
            "together, else one of the chain ends up on the other side of the cut"
        )
    if numbers[3] in (numbers[0], numbers[4], numbers[7]):
        raise Misconception("3 and 7 have no relative at all: each is a family of its own")
    if not np.array_equal(alike(np.array(numbers)), alike(right)):
        raise Misconception(f"{numbers}; 0, 1, 2 belong together, 4, 5, 6 too, and 3 and 7 stand alone")
    return "chains of relatives are one family, and a family is never torn apart."


def _verify_shortcut(rule_accuracy: Callable[[Sequence[str], Sequence[int]], Any]) -> str:
    sequences = ["MKL", "MAA", "MGG", "KLA", "GIG", "MLK", "FLP", "AMM", "RRW", "LLM"]
    targets = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    answer = float(given(rule_accuracy(sequences, targets)))
    starts = np.array([each.startswith("M") for each in sequences])
    inactive = np.array(targets) == 0
    wrong = (
        (np.mean(starts != inactive), "turned round: M first means INACTIVE, which is 0 in the targets"),
        (np.mean(inactive[starts]), "how often the rule is right with an M; without one it says antimicrobial, and that counts, too"),
        (np.mean(starts[inactive]), "this is the share of inactive peptides that the rule finds; accuracy counts both classes"),
        (np.mean(np.array(["M" in each for each in sequences]) == inactive), "an M somewhere is not an M in the first place"),
        (np.mean(starts), "this is how many begin with M, not how often the rule is right"),
    )  # fmt: skip
    right = float(np.mean(starts == inactive))
    for value, why in wrong:
        if close(answer, value) and not close(value, right):
            raise Misconception(why)
    if not close(answer, right):
        raise Misconception(f"for ten made-up peptides it should be {right}; this is {answer}")
    return "a rule of one letter, scored like a model."


def _verify_macro_f1(macro_f1: Callable[[Sequence[int], Sequence[int]], Any]) -> str:
    targets = np.array([1] * 8 + [0] * 4)
    predicted = np.array([1] * 7 + [0] + [1] * 3 + [0])
    answer = float(given(macro_f1(targets.tolist(), predicted.tolist())))
    outputs = np.eye(2)[predicted]
    right = float(score("classification", outputs, targets, ("0", "1"))["macro_f1"] or 0)
    precision = [np.mean(targets[predicted == c] == c) for c in (0, 1)]
    recall = [np.mean(predicted[targets == c] == c) for c in (0, 1)]
    f1 = [2 * p * r / (p + r) for p, r in zip(precision, recall)]
    p, r = float(np.mean(precision)), float(np.mean(recall))
    wrong = (
        (np.mean(targets == predicted), "this is accuracy (and micro-F1, which is the same here): frequent classes count more"),
        ((4 * f1[0] + 8 * f1[1]) / 12, "weighted by class size, so the frequent class decides again; in macro each class counts the same"),
        (f1[1], "this is F1 of class 1 alone; macro is the mean over both classes"),
        (f1[0], "this is F1 of class 0 alone; macro is the mean over both classes"),
        (2 * p * r / (p + r), "F1 of the mean precision and the mean recall; take F1 for each class first, then the mean"),
        (r, "this is the mean recall (balanced accuracy); F1 needs precision, too"),
        (p, "this is the mean precision; F1 needs recall, too"),
        (np.mean([(a + b) / 2 for a, b in zip(precision, recall)]), "F1 is the harmonic mean of precision and recall, 2pr / (p + r)"),
    )  # fmt: skip
    for value, why in wrong:
        if close(answer, value):
            raise Misconception(why)
    if not close(answer, right):
        raise Misconception(f"it should be {right:.4f}; this is {answer:.4f}")
    try:
        constant = float(macro_f1([1, 1, 1, 0], [1, 1, 1, 1]))
    except ZeroDivisionError:
        raise Misconception(
            "a class that is never predicted: its precision is 0/0. Count hits: 2 · hits / (true + predicted)"
        ) from None
    if not close(constant, 3 / 7):
        raise Misconception(
            "where a class is never predicted its F1 is 0, and it counts: [1,1,1,0] against all ones gives 3/7"
        )
    return f"{right:.3f} where accuracy is {np.mean(targets == predicted):.3f}: the smaller class pulls."


RIGHT_METRIC = {"a": "mcc", "b": "spearman", "c": "rmse", "d": "accuracy"}
METRICS = ("accuracy", "macro_f1", "mcc", "spearman", "rmse")
_WHY_NOT = {
    ("a", "accuracy"): "a: with 5 % active peptides the answer “all inactive” has an accuracy of 95 %",
    ("a", "macro_f1"): "a: the constant answer has a macro-F1 of 0.49 there; which score gives it nothing at all?",
    (
        "b",
        "rmse",
    ): "b: only the order decides who is measured; predictions that are all 2 kcal/mol too high would be punished for nothing",
    (
        "c",
        "spearman",
    ): "c: ranks do not see that all predictions are 2 kcal/mol too high, and the balance would be wrong by that",
    (
        "d",
        "macro_f1",
    ): "d: possible, but nobody can count it; with equally frequent classes and equal costs the share of right answers says it all",
    (
        "d",
        "mcc",
    ): "d: possible, but nobody can count it; with equally frequent classes and equal costs the share of right answers says it all",
}


def _verify_metric(answer: Mapping[str, str]) -> str:
    chosen = {str(key): str(value) for key, value in answer.items() if value not in (None, "", Ellipsis)}
    if not chosen:
        raise NotImplementedError
    for key, value in sorted(chosen.items()):
        if value not in METRICS:
            raise Misconception(f"{key}: {value!r} is none of {', '.join(METRICS)}")
        numbers = value in ("spearman", "rmse")
        if key in "ad" and numbers:
            raise Misconception(f"{key}: these are classes; {value} is for numbers")
        if key in "bc" and not numbers:
            raise Misconception(f"{key}: these are energies; {value} is for classes")
        if (key, value) in _WHY_NOT:
            raise Misconception(_WHY_NOT[key, value])
    if set(chosen) != set(RIGHT_METRIC):
        raise Misconception(f"one metric for each of {', '.join(RIGHT_METRIC)}; so far there is {', '.join(chosen)}")
    return "the question chooses the metric, before anybody has seen a score."


def _verify_spearman(spearman: Callable[..., Any]) -> str:
    truth = np.array([0.1, 2.5, 0.4, 3.0, 1.2, 1.2, 9.0])
    guess = np.array([0.5, 0.9, 1.0, 8.0, 1.1, 1.0, 1.3])
    answer = float(given(spearman(guess.copy(), truth.copy())))
    right = float(score("regression", guess, truth)["spearman"] or 0)
    once = np.corrcoef(np.argsort(guess), np.argsort(truth))[0, 1]
    twice = np.corrcoef(np.argsort(np.argsort(guess)), np.argsort(np.argsort(truth)))[0, 1]
    wrong = (
        (np.corrcoef(guess, truth)[0, 1], "this is Pearson on the values: two far points decide. Take ranks first"),
        (once, "np.argsort gives the order in which to take the values, not their ranks; argsort twice gives ranks"),
        (
            twice,
            "almost: equal values share their mean rank, and argsort of argsort ranks them by chance. scipy.stats.rankdata does it",
        ),
    )
    for value, why in wrong:
        if close(answer, value) and not close(value, right):
            raise Misconception(why)
    if not close(answer, right):
        raise Misconception(f"it should be {right:.4f}; this is {answer:.4f}")
    return f"{right:.3f}: Pearson's correlation of the ranks, equal values sharing theirs."


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        key="08-jaccard",
        level="core",
        difficulty=2,
        minutes=7,
        hints=(
            "A peptide becomes a set of overlapping words of k letters.",
            "{text[i : i + k] for i in range(len(text) - k + 1)}; then & and | of two sets.",
            "len(a & b) / len(a | b)",
        ),
        solution="""
def jaccard(one, other, k=3):  # two sequences → 0 … 1
    a, b = ({text[i : i + k] for i in range(len(text) - k + 1)} for text in (one, other))
    return len(a & b) / len(a | b)

check("08-jaccard", jaccard)
""",
        verify=_verify_jaccard,
    ),
    Exercise(
        key="08-leak",
        level="core",
        difficulty=2,
        minutes=7,
        hints=(
            "A pair leaks if one partner is in the test set and the other is not.",
            "test[first] != test[second] marks those pairs. Which side is the test peptide? Count each once.",
            "cross = test[first] != test[second]; len(set(np.where(test[first], first, second)[cross]))",
        ),
        solution="""
def with_relative(test, first, second):  # test (n,) bool; a pair of relatives: positions first[i], second[i]
    cross = test[first] != test[second]  # one in the test set, one in training
    inside = np.where(test[first], first, second)  # the partner in the test set
    return len(set(inside[cross].tolist()))

check("08-leak", with_relative)
""",
        verify=_verify_leak,
    ),
    Exercise(
        key="08-families",
        level="deeper",
        difficulty=3,
        minutes=12,
        hints=(
            "Begin with everybody in a family of their own; a pair joins two families.",
            "When a pair joins two families, all members of one get the number of the other, not the partner alone.",
            "for a, b in zip(first, second): family[family == family[b]] = family[a]",
        ),
        solution="""
def families(n, first, second):  # n sequences and pairs of relatives → (n,): number of each one's family
    family = np.arange(n)
    for a, b in zip(first, second):
        family[family == family[b]] = family[a]  # the whole family moves, not only b
    return family

check("08-families", families)
""",
        verify=_verify_families,
    ),
    Exercise(
        key="08-shortcut",
        level="core",
        difficulty=1,
        minutes=5,
        hints=(
            "The rule has an answer for every peptide: inactive (0) with M in front, antimicrobial (1) without.",
            "Make a list of the rule's answers, and compare it with the targets.",
            'np.mean([(0 if s.startswith("M") else 1) == t for s, t in zip(sequences, targets)])',
        ),
        solution="""
def rule_accuracy(sequences, targets):  # targets: 1 antimicrobial, 0 inactive
    answers = [0 if sequence.startswith("M") else 1 for sequence in sequences]
    return np.mean([answer == target for answer, target in zip(answers, targets)])

check("08-shortcut", rule_accuracy)
""",
        verify=_verify_shortcut,
    ),
    Exercise(
        key="08-macro-f1",
        level="core",
        difficulty=2,
        minutes=8,
        hints=(
            "F1 of one class from three counts: hits, how many truly are of the class, how many are predicted as it.",
            "2 · hits / (true + predicted) is the harmonic mean of precision and recall, and needs no special case.",
            "np.mean([2 * hits(c) / (true(c) + predicted(c)) for c in classes])",
        ),
        solution="""
def macro_f1(targets, predictions):  # two lists of class numbers
    values = []
    for c in sorted(set(targets) | set(predictions)):
        hits = sum(t == c and p == c for t, p in zip(targets, predictions))
        values.append(2 * hits / (targets.count(c) + predictions.count(c)))
    return np.mean(values)  # each class counts the same, however rare

check("08-macro-f1", macro_f1)
""",
        verify=_verify_macro_f1,
    ),
    Exercise(
        key="08-metric",
        level="core",
        difficulty=2,
        minutes=6,
        hints=(
            "First: classes or numbers? Then: what would a useless answer score?",
            "Two are about classes, one of them with very rare positives; of the two about energies one needs the order only.",
            "The slider: with 5 % positives, which score of the constant answer is 0?",
        ),
        solution="""
metric = {"a": "mcc", "b": "spearman", "c": "rmse", "d": "accuracy"}

check("08-metric", metric)
""",
        verify=_verify_metric,
    ),
    Exercise(
        key="08-spearman",
        level="deeper",
        difficulty=2,
        minutes=6,
        hints=(
            "Spearman is Pearson on something else than the values.",
            "Ranks; what about two equal values?",
            "np.corrcoef(rankdata(guess), rankdata(truth))[0, 1], with rankdata from scipy.stats",
        ),
        solution="""
from scipy.stats import rankdata

def spearman(guess, truth):  # (n,), (n,) → −1 … 1
    return np.corrcoef(rankdata(guess), rankdata(truth))[0, 1]

check("08-spearman", spearman)
""",
        verify=_verify_spearman,
    ),
)
