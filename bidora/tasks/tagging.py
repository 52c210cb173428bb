"""Named entities in three collections: a tag for each word, scored by entities.

The test file is the test set. What is called development set there is not trained on unless the variant says so; settings are
chosen on a selection split, cut from the training data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.metrics.scoring import objects
from bidora.metrics.tagging import check_installed
from bidora.models.packages import Progress
from bidora.tasks.splits import Split, TaskData
from bidora.tasks.tag_schemes import OUTSIDE, Scheme, to_iob2, types_of
from bidora.tasks.tagging_files import Tagged, read_parts
from bidora.tasks.tagging_hub import hub_folder, read_hub
from bidora.tasks.task import Task

VARIANTS = ("train", "train+devel")


@dataclass(frozen=True)
class Collection:
    """One collection.

    Args:
        task: its name here.
        title: in words.
        folders: names that its folder has in distributions of several collections, in lower case.
        licence: of texts and annotations.
        citation: whom to cite.
        hub: id on the hub; empty where no copy with tagged words is known.
        hub_name: the folder of its parquet files there.
        hub_parts: part → the hub's word for it.
        hub_tags: names of the hub's numbered tags.
    """

    task: str
    title: str
    folders: tuple[str, ...]
    licence: str
    citation: str
    hub: str = ""
    hub_name: str = ""
    hub_parts: tuple[tuple[str, str], ...] = (("train", "train"), ("devel", "validation"), ("test", "test"))
    hub_tags: tuple[str, ...] = ()


def _tags(*types: str) -> tuple[str, ...]:
    return (OUTSIDE, *(f"{prefix}-{each}" for each in types for prefix in "BI"))


COLLECTIONS = (
    Collection(
        "bionlp13cg",
        "BioNLP-ST 2013 Cancer Genetics: names of 16 kinds, from genes to organisms, in PubMed abstracts",
        ("bionlp13cg-iob", "bionlp13cg"),
        "annotations CC BY-SA 3.0 (NaCTeM); abstracts under the terms of PubMed",
        "Pyysalo, Ohta and Ananiadou 2013, BioNLP; as tagged words: Crichton et al. 2017, BMC Bioinformatics 18",
    ),
    Collection(
        "jnlpba",
        "JNLPBA (BioNLP-2004): proteins, DNA, RNA, cell lines and cell types in MEDLINE abstracts",
        ("jnlpba", "jnlpba-iob", "bionlp2004"),
        "annotations CC BY 3.0 (GENIA project); abstracts under the terms of MEDLINE",
        "Kim et al. 2004, JNLPBA",
        hub="jnlpba/jnlpba",
        hub_name="jnlpba",
        hub_parts=(("train", "train"), ("test", "validation")),  # the shared task's test set has that name there
        hub_tags=_tags("DNA", "RNA", "cell_line", "cell_type", "protein"),
    ),
    Collection(
        "conll2003",
        "CoNLL-2003: persons, organisations, locations and other names in English news",
        ("conll2003", "conll-2003", "conll03"),
        "text copyright of Reuters, for research; annotations of the University of Antwerp",
        "Tjong Kim Sang and De Meulder 2003, CoNLL",
        hub="eriktks/conll2003",
        hub_name="conll2003",
        hub_tags=_tags("PER", "ORG", "LOC", "MISC"),
    ),
)

_BY_NAME = {collection.task: collection for collection in COLLECTIONS}


def load(config: RunConfig, progress: Progress | None = None) -> TaskData:
    """Read train and test, and devel where the variant trains on it.

    Raises:
        LabError: the files are not there or are not such files, seqeval is missing, or a setting does not fit.
    """
    collection = _BY_NAME[config.task]
    check_installed()
    if config.pooling != "auto":
        raise LabError(
            f"pooling={config.pooling} does not fit a task with a tag for each word (allowed: auto)",
            hint="leave pooling out",
        )
    if progress is not None:
        progress(f"reading {collection.task}", 0, 0)
    parts, source = _read(config.data, collection)
    devel = config.variant == "train+devel"
    if devel and "devel" not in parts:
        raise LabError(
            f"variant={config.variant} needs a devel file, and {source} has none", hint="use variant=train", kind="data"
        )
    notes = [f"read from {source}: {', '.join(f'{name} {len(part):,} sentences' for name, part in parts.items())}"]
    if "devel" in parts and not devel:
        notes.append("devel is not used: settings are chosen on a selection split (selection_fraction) of train")
    used: dict[str, Tagged] = {
        part: parts[part] for part in ("train", "devel", "test") if part in parts and (part != "devel" or devel)
    }
    tags, remark = _converted(used)
    types = types_of([sentence for each in tags.values() for sentence in each])
    labels = _tags(*types)
    unseen = sorted(set(types) - set(types_of([s for part in tags if part != "test" for s in tags[part]])))
    if unseen:
        notes.append(f"in the test part only: {', '.join(unseen)}")
    splits = {part: _split(used[part], tags[part], labels, prefix=part) for part in used}
    train = _joined([splits[part] for part in used if part != "test"])
    return TaskData(
        "tagging", labels, train, splits["test"], (*notes, *remark), _documents([used[p] for p in used if p != "test"])
    )


def _read(data: str, collection: Collection) -> tuple[dict[str, Tagged], str]:
    """The parts, and where they are from, in words."""
    place = Path(data).expanduser() if data not in ("", "hub") else None
    local = place is not None and bool(collection.hub_name) and hub_folder(place, collection.hub_name)
    if place is not None and not local:
        return read_parts(data, collection.folders), place.resolve().name
    if not collection.hub:
        raise LabError(
            f"task={collection.task} needs your own files: there is no copy with tagged words on the hub",
            hint="give the folder with train.tsv, devel.tsv and test.tsv as data=FOLDER",
            kind="data",
        )
    source = str(place) if local else collection.hub
    there = dict(collection.hub_parts)
    read = read_hub(source, collection.hub_name, list(there.values()), collection.hub_tags)
    parts = {part: read[name] for part, name in there.items()}
    return parts, "folder in the hub's layout" if local else f"hub, {collection.hub}"


def _converted(parts: Mapping[str, Tagged]) -> tuple[dict[str, list[list[str]]], tuple[str, ...]]:
    """Tags of each part in IOB2, and in words what they were."""
    tags: dict[str, list[list[str]]] = {}
    schemes: dict[str, Scheme] = {}
    for part, tagged in parts.items():
        tags[part], schemes[part] = to_iob2(tagged.tags)
    names = {scheme.name for scheme in schemes.values()}
    if names == {"IOB2"}:
        return tags, ("tags are IOB2",)
    words = "; ".join(
        f"{parts[part].name} {scheme.name}"
        + (f" ({scheme.repaired} I- tags that begin an entity became B-)" if scheme.repaired else "")
        for part, scheme in schemes.items()
    )
    return tags, (f"tags were brought to IOB2: {words}",)


def _split(part: Tagged, tags: list[list[str]], labels: tuple[str, ...], *, prefix: str) -> Split:
    index = {label: place for place, label in enumerate(labels)}
    targets = objects([numpy.array([index[tag] for tag in sentence], dtype=numpy.int64) for sentence in tags])
    ids = tuple(f"{prefix}-{line}" for line in part.lines)
    return Split(tuple(map(" ".join, part.words)), targets, ids, words=tuple(part.words))


def _joined(splits: list[Split]) -> Split:
    return Split(
        tuple(text for split in splits for text in split.inputs),
        objects([target for split in splits for target in split.targets]),
        tuple(name for split in splits for name in split.ids),
        words=tuple(words for split in splits for words in split.words),
    )


def _documents(parts: list[Tagged]) -> tuple[str, ...]:
    """Sentences of one document are kept together when a selection split is cut; () where no file marks documents."""
    if not any(number for part in parts for number in part.documents):
        return ()
    return tuple(f"{part.name}-{number}" for part in parts for number in part.documents)


def _task(collection: Collection) -> Task:
    hub = f"hub {collection.hub}, or " if collection.hub else ""
    return Task(
        name=collection.task,
        title=collection.title,
        family="text",
        variants=VARIANTS,
        default_variant="train",
        default_model="roberta-base",
        default_length=256,
        source=f"{hub}your own folder with train, devel and test file (a word and its tag on each line)",
        licence=collection.licence,
        size=None,
        citation=collection.citation,
        notice=f"{collection.task}: {collection.licence}. A word takes the tag of its first token; entities are scored by "
        "seqeval, strictly. The default model, roberta-base, comes from the hub; without a network name another, such as "
        "minilm, and your own folder as data.",
        load=load,
        settings=("data",),
        hub=collection.hub,
    )


TAGGING = tuple(map(_task, COLLECTIONS))
"""The three tasks."""
