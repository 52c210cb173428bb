"""E2E: a meaning representation in, a sentence about a restaurant out (Novikova, Dušek and Rieser 2017).

Training goes over pairs of meaning representation and reference. What is scored is one item per meaning representation
with all its references, and no cut tears these apart.
"""

from __future__ import annotations

import numpy

from bidora.config import RunConfig
from bidora.metrics.generated import require_libraries, why_no_meteor
from bidora.models.packages import Progress
from bidora.tasks.generation_files import HUB_ID, Pairs, read_part
from bidora.tasks.splits import Split, TaskData
from bidora.tasks.task import Task


def load(config: RunConfig, progress: Progress | None = None) -> TaskData:
    """Read the training pairs and what is scored: E2E's test set, or with variant=dev its development set.

    Raises:
        LabError: the libraries that score texts are missing, the files are not there, or a line cannot be read.
    """
    require_libraries()
    part = "dev" if config.variant == "dev" else "test"
    if progress is not None:
        progress("reading E2E", 0, 0)
    train, source = read_part(config.data, "train")
    scored, _ = read_part(config.data, part)
    pairs, items = pairs_of(train, "train"), items_of(pairs_of(scored, part))
    meanings = len(set(pairs.inputs))
    notes = [
        f"E2E: {len(pairs)} training pairs of {meanings} meaning representations; scored on {len(items)} meaning "
        f"representations with {len(scored)} references",
        f"read from {source}",
    ]
    if part == "dev":
        notes.append(
            "the development set takes the place of the test set: choose settings on it, report on variant=test"
        )
    if lacking := why_no_meteor():
        notes.append(lacking)
    notes += [
        f"{each.name}: {each.skipped} rows without meaning representation or text were left out"
        for each in (train, scored)
        if each.skipped
    ]
    return TaskData("generation", (), pairs, items, tuple(notes), pairs.inputs)


def pairs_of(rows: Pairs, part: str) -> Split:
    """One example per row, whose target is a tuple of one reference."""
    ids = tuple(f"{part}-{number}" for number in rows.numbers)
    return Split(rows.meanings, references_array([(text,) for text in rows.references]), ids)


def items_of(split: Split) -> Split:
    """One example per distinct input, in the order of first appearance, whose target holds all its references."""
    places: dict[str, int] = {}
    references: list[tuple[str, ...]] = []
    ids: list[str] = []
    for text, targets, name in zip(split.inputs, split.targets, split.ids):
        if text in places:
            references[places[text]] += tuple(targets)
            continue
        places[text] = len(references)
        references.append(tuple(targets))
        ids.append(name)
    return Split(tuple(places), references_array(references), tuple(ids))


def references_array(references: list[tuple[str, ...]]) -> numpy.ndarray:
    """Tuples of texts as an array (n,) of objects."""
    made = numpy.empty(len(references), dtype=object)
    for place, texts in enumerate(references):
        made[place] = texts
    return made


E2E = Task(
    name="e2e",
    title="E2E NLG: put a restaurant's data into words",
    family="text",
    variants=("test", "dev"),
    default_variant="test",
    default_model="openai-community/gpt2",
    default_length=192,
    source=f"hub {HUB_ID}, or your own folder or zip of the release (github.com/tuetschek/e2e-dataset)",
    licence="CC BY-SA 4.0",
    size=None,
    citation="Novikova, Dušek and Rieser 2017, The E2E Dataset, SIGDIAL, arXiv:1706.09254",
    notice="E2E: CC BY-SA 4.0. The default model, gpt2, comes from the hub; without a network name your own folder with a "
    "causal model, and E2E's folder or zip as data. Scores need the extra `generation`: pip install bidora-lab[generation].",
    load=load,
    settings=("data", "beams", "max_new_tokens"),
    hub=HUB_ID,
)
