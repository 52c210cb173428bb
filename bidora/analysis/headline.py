"""One comparison in a few sentences, for the first screen: what was compared, and what may be said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bidora.analysis.choosing import block_in_words
from bidora.analysis.comparing import comparison, paired_differences
from bidora.analysis.grouping import groups_of
from bidora.runs import Run
from bidora.tasks import TASKS
from bidora.wording import counted

if TYPE_CHECKING:
    import pandas

REFERENCES = ("dora", "lora", "full", "bidora")
"""What the others are held against: the first of these that is there."""


@dataclass(frozen=True)
class Headline:
    """A finished comparison of one task.

    Attributes:
        task: task, variant and examples per class in words.
        reference: label of the method that the others are compared with; empty where there is only one.
        sentences: what may be said of each difference.
        terms: n, seeds and split in words.
        differences: as `paired_differences` gives it, with the reference.
        scores: as `comparison` gives it; empty where differences of several seeds say more.
    """

    task: str
    reference: str
    sentences: tuple[str, ...]
    terms: str
    differences: pandas.DataFrame
    scores: pandas.DataFrame


def headline(runs: Sequence[Run]) -> Headline | None:
    """The comparison of the first task among runs with final scores; None where there are none."""
    groups = groups_of(runs)
    if not groups:
        return None
    groups = [group for group in groups if group.block == groups[0].block]
    members = [each for group in groups for each in group.members]
    of_task = [each.run for each in members]
    reference = next(
        (group.label for method in REFERENCES for group in groups if group.method == method and len(groups) > 1), ""
    )
    differences = paired_differences(of_task, reference=reference)
    seeds = sorted({each.config.seed for each in members})
    n_test, n_train = members[0].at("n_test"), members[0].at("n_train")
    task = groups[0].block[0]
    counts = [TASKS[task].title] if task in TASKS and task != "csv" else []
    counts += [f"{n_test:,.0f} test examples"] if math.isfinite(n_test) else []
    counts += [f"{n_train:,.0f} training examples"] if math.isfinite(n_train) else []
    counts += [f"{counted(len(members), 'run')}, seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"]
    counts += ["test data were never trained on, nor used to choose a step"]
    if len(groups) == 1:
        sentences: tuple[str, ...] = (f"Only {groups[0].label}: there is nothing to compare it with yet",)
    else:
        sentences = tuple(differences["verdict"])
    paired = bool(len(differences)) and differences["pairs"].max() > 1
    scores = comparison([] if paired else of_task)
    return Headline(block_in_words(groups[0].block), reference, sentences, " · ".join(counts), differences, scores)
