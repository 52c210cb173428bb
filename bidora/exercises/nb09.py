"""Exercises of notebook 09: the input column, arms of a question, data to choose settings on, the sentence of a report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bidora.analysis import groups_of, paired_differences
from bidora.config import RunConfig, differences
from bidora.errors import LabError
from bidora.exercises.exercise import Exercise, Misconception
from bidora.runs import Run

_COLUMNS = {
    "name": "the names begin with B for binders and N for the others: a model that reads them reads the answer",
    "binds": "this is the label itself",
    "affinity": "affinity was measured together with binding: whoever asks for a prediction does not have it yet",
    "plate": "the plate is where a peptide was measured; it says nothing about a new peptide, and if it did, that would be a leak",
}

_DATA = {"task", "variant", "data", "test_data", "input_column", "label_column", "kind", "examples_per_class"}


def _verify_column(answer: str) -> str:
    name = str(answer).strip()
    if name in _COLUMNS:
        raise Misconception(_COLUMNS[name])
    if name != "sequence":
        raise Misconception(
            f"the made-up table has no column {name!r}; there are name, sequence, binds, affinity, plate"
        )
    return "sequence: all that is known of a new peptide before it is measured."


def _verify_arms(shared: Mapping[str, Any], arms: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> str:
    if not isinstance(arms, (list, tuple)) or not all(isinstance(arm, Mapping) for arm in arms):
        raise Misconception('arms is a list of dicts, such as [{"method": "lora"}, {"method": "dora"}]')
    if any("seed" in arm for arm in arms):
        raise Misconception("the seed is no arm: every arm is run with the same seeds, so that pairs can be made")
    if len(arms) < 2:
        raise Misconception("one arm has nothing to be compared with")
    try:
        configs = [RunConfig.from_dict({**shared, **arm}, strict=True) for arm in arms]
    except LabError as error:
        raise Misconception(str(error)) from None
    if len(set(configs)) < len(configs):
        raise Misconception("two of the arms come to the same settings: no answer can come of them")
    apart = differences(configs)
    if set(apart) & _DATA:
        named = ", ".join(sorted(set(apart) & _DATA))
        raise Misconception(
            f"the arms have different data ({named}); then scores cannot be paired. Change one thing about the training"
        )
    if len(apart) > 1:
        raise Misconception(
            f"{len(apart)} things differ at once ({', '.join(apart)}): nobody will know which of them it was"
        )
    if len(set(seeds)) < len(seeds):
        raise Misconception("a seed that is named twice is the same run twice, and no second witness")
    if len(seeds) < 2:
        raise Misconception("one seed allows no conclusion about the arms, however the scores look")
    name = next(iter(apart))
    few = (
        ""
        if len(seeds) >= 6
        else f" ({len(seeds)} seeds are enough to try it out; six can agree by chance in 3 % of cases only)"
    )
    return f"{len(arms)} arms that differ in {name} alone, {len(arms) * len(seeds)} runs{few}."


_CHOOSING = {
    "test": "then the test score is no longer a test: of twenty learning rates tried, the luckiest wins, and its luck is in the score",
    "train": "a setting chosen by training scores is the one that memorises best",
    "lower": "a setting chosen by training scores is the one that memorises best; and with BiDoRA the lower split trains A, B and head",
    "validation": "the lab has no part of this name: “validation” is said of the upper split, which trains the magnitude, and of data "
    "kept aside to choose settings on. Which of the five is kept aside?",
    "upper": "the upper split trains the magnitude, so BiDoRA has seen it; LoRA and DoRA train on it as well",
}


def _verify_choosing(answer: str) -> str:
    name = str(answer).strip().lower()
    if name in _CHOOSING:
        raise Misconception(_CHOOSING[name])
    if name != "selection":
        raise Misconception("one of train, lower, upper, selection, test")
    return "selection: kept aside by selection_fraction, never trained on, and no part of the test."


_TOO_MUCH = ("proves", "proven", "better", "wins", "winner", "best", "superior", "significant", "always", "outperforms")


def _verify_sentence(runs: Sequence[Run], answer: str) -> str:
    text = str(answer).strip()
    if len(text.split()) < 6:
        raise NotImplementedError
    low = text.lower().replace("−", "-")
    said = next((word for word in _TOO_MUCH if re.search(rf"\b{word}\b", low)), "")
    if said:
        raise Misconception(
            f"“{said}” claims more than these runs can carry, and even with a “not” before it readers remember the verdict. "
            "Say what was seen: higher in how many seeds, lower in how many, by how much"
        )
    pairs = paired_differences(runs)
    count = int(pairs["pairs"].max()) if len(pairs) else 0
    words = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
    if "seed" not in low:
        raise Misconception("say in how many seeds it was seen")
    if not re.search(rf"\b({count}|{words.get(count, count)})\b", low):
        raise Misconception(f"there are {count} pairs of runs; name that number")
    if not re.search(r"\d[\d.]*\s*(to|…|–|and|bis)\s*[+-]?\d|\[.*\d.*\]|\d+(\.\d+)?\s*points", low):
        raise Misconception("give the differences with their range, such as “−1.2 to 0.4 points”")
    labels = [group.label.lower() for group in groups_of(runs)]
    missing = [label for label in labels if label not in low]
    if missing and len(labels) < 4:
        raise Misconception(f"name both sides of the comparison; {missing[0]} is not mentioned")
    split = len(pairs) and ((pairs["higher"] > 0) & (pairs["lower"] > 0)).all()
    if split and not re.search(r"no |not |neither|lower in|disagree|either", low):
        raise Misconception("the seeds disagree in sign; a reader must learn that no direction is shown")
    return "what was compared, in how many seeds, with which range, and no more."


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        key="09-column",
        level="core",
        difficulty=1,
        minutes=4,
        hints=(
            "Imagine a new peptide on your desk. Which of these columns do you already have?",
            "Compare the first letter of the names with the labels.",
            "Only one column is a property of the peptide itself.",
        ),
        solution="""
input_column = "sequence"

check("09-column", input_column)
""",
        verify=_verify_column,
    ),
    Exercise(
        key="09-arms",
        level="core",
        difficulty=2,
        minutes=8,
        hints=(
            "Which single setting is the question about?",
            "One dict for each arm, with that setting only; everything else is in `shared`.",
            'arms = [{"method": "lora"}, {"method": "dora"}]; seeds = [0, 1]',
        ),
        solution="""
question = "Does DoRA's magnitude change the accuracy on this table?"
arms = [{"method": "lora"}, {"method": "dora"}]  # one thing differs
seeds = [0, 1]  # the same for every arm

check("09-arms", shared, arms, seeds)
""",
        verify=_verify_arms,
    ),
    Exercise(
        key="09-choosing",
        level="deeper",
        difficulty=1,
        minutes=4,
        hints=(
            "Whatever a setting is chosen on has been looked at.",
            "Neither what is trained on, nor what is tested on.",
            "RunConfig has a setting selection_fraction.",
        ),
        solution="""
choose_on = "selection"

check("09-choosing", choose_on)
""",
        verify=_verify_choosing,
    ),
    Exercise(
        key="09-sentence",
        level="core",
        difficulty=2,
        minutes=8,
        hints=(
            "The verdicts above are such sentences.",
            "Both names, the number of seeds, the range of the differences, and what is not shown.",
            "“… higher than … in … of … seeds, difference … to … points; no direction is shown.”",
        ),
        solution="""
first = paired_differences(runs).iloc[0]
low, high = 100 * min(first["differences"]), 100 * max(first["differences"])
sentence = f"{first['verdict']}. Differences {low:.1f} to {high:.1f} points over {first['pairs']} seeds: no conclusion."

check("09-sentence", runs, sentence)
""",
        verify=_verify_sentence,
    ),
)
