"""GLUE: eight tasks on English sentences and pairs of sentences (Wang et al. 2019).

The labels of the official test sets are not public, so the development set is the test set here, as in the papers on
low-rank adaptation. Nothing may then be chosen on it: settings are chosen on a selection split, cut from train.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.models.packages import Progress
from bidora.tasks.glue_files import HUB_ID, Rows, read_part
from bidora.tasks.splits import Split, TaskData
from bidora.tasks.task import Task


@dataclass(frozen=True)
class Layout:
    """How the files of one GLUE task are made.

    Args:
        name: of the task here and on the hub.
        folder: in glue_data.
        texts: columns of the sentence, or of the pair, in the .tsv files.
        hub_texts: the same on the hub.
        label: column of the label in the .tsv files; on the hub it is called label.
        labels: classes in the hub's order; () for scores.
        metrics: official scores, the primary one first, which is that of the LoRA paper's tables.
    """

    name: str
    folder: str
    texts: tuple[str, ...]
    hub_texts: tuple[str, ...]
    label: str
    labels: tuple[str, ...]
    metrics: tuple[str, ...] = ("accuracy",)


_PAIR = ("sentence1", "sentence2")
_ENTAILMENT = ("entailment", "not_entailment")

LAYOUTS = (
    Layout("cola", "CoLA", ("sentence",), ("sentence",), "label", ("unacceptable", "acceptable"), ("mcc",)),
    Layout("mnli", "MNLI", _PAIR, ("premise", "hypothesis"), "gold_label", ("entailment", "neutral", "contradiction")),
    Layout(
        "mrpc",
        "MRPC",
        ("#1 String", "#2 String"),
        _PAIR,
        "Quality",
        ("not_equivalent", "equivalent"),
        ("accuracy", "f1"),
    ),
    Layout("qnli", "QNLI", ("question", "sentence"), ("question", "sentence"), "label", _ENTAILMENT),
    Layout(
        "qqp",
        "QQP",
        ("question1", "question2"),
        ("question1", "question2"),
        "is_duplicate",
        ("not_duplicate", "duplicate"),
        ("accuracy", "f1"),
    ),
    Layout("rte", "RTE", _PAIR, _PAIR, "label", _ENTAILMENT),
    Layout("sst2", "SST-2", ("sentence",), ("sentence",), "label", ("negative", "positive")),
    Layout("stsb", "STS-B", _PAIR, _PAIR, "score", (), ("pearson", "spearman")),
)

_BY_NAME = {layout.name: layout for layout in LAYOUTS}


def load(config: RunConfig, progress: Progress | None = None) -> TaskData:
    """Read training and development set of one task; the latter is the test set.

    Raises:
        LabError: the files are not there, or not as GLUE makes them.
    """
    layout = _BY_NAME[config.task]
    if progress is not None:
        progress(f"reading {layout.folder}", 0, 0)
    section = f"dev_{config.variant or 'matched'}" if layout.name == "mnli" else "dev"
    kind = "classification" if layout.labels else "regression"
    notes = [
        f"GLUE {layout.folder}: the test set is GLUE's {section.replace('dev', 'development set').replace('_', ', ')} "
        f"(the official test labels are not public); choose settings on a selection split (selection_fraction), "
        f"never on it",
    ]
    parts, remarks = {}, []
    for part in ("train", section):
        rows, source = read_part(config.data, layout.folder, part, hub_name=layout.name)
        parts[part], remark = read_rows(rows, layout, part)
        remarks += remark
    notes += [f"read from {source}", *remarks]
    train = parts["train"]
    # Several pairs often share their first sentence; selection keeps these together.
    groups = train.inputs if train.seconds else ()
    return TaskData(kind, layout.labels, train, parts[section], tuple(notes), groups, layout.metrics)


def read_rows(rows: Rows, layout: Layout, part: str) -> tuple[Split, list[str]]:
    """Texts and targets of one part, and remarks on rows that were left out.

    Raises:
        LabError: a column is missing, or no row has a label.
    """
    texts = layout.texts if all(name in rows.columns for name in layout.texts) else layout.hub_texts
    label = layout.label if layout.label in rows.columns else "label"
    for name in (*texts, label):
        if name not in rows.columns:
            raise LabError(
                f"{rows.name} has no column {name!r}; its columns are {', '.join(list(rows.columns)[:12])}",
                hint=f"give GLUE's own files of {layout.folder}",
                kind="data",
            )
    marks = [_target(mark, layout.labels) for mark in rows.columns[label]]
    columns = [rows.columns[name] for name in texts]
    filled = [mark is not None and all(column[row].strip() for column in columns) for row, mark in enumerate(marks)]
    kept = [row for row, each in enumerate(filled) if each]
    if not kept:
        raise LabError(
            f"{rows.name}: no row has a label that is one of {', '.join(layout.labels) or 'the numbers 0 to 5'}",
            hint="GLUE's test files carry no labels; give train and dev",
            kind="data",
        )
    targets = numpy.array([marks[row] for row in kept], dtype=numpy.int64 if layout.labels else numpy.float64)
    cells = [tuple(column[row].strip() for row in kept) for column in columns]
    ids = tuple(f"{part}-{rows.numbers[row]}" for row in kept)
    remarks = [f"{rows.name}: {rows.skipped} malformed lines were left out"] if rows.skipped else []
    if len(kept) < len(rows):
        remarks.append(f"{rows.name}: {len(rows) - len(kept)} rows without text or label were left out")
    return Split(cells[0], targets, ids, cells[1] if len(cells) > 1 else ()), remarks


def _target(mark: str, labels: tuple[str, ...]) -> float | int | None:
    """A class by its name or number, or a score from 0 to 5; None where there is none ('-' in MNLI, −1 on the hub)."""
    mark = mark.strip()
    if labels:
        return labels.index(mark) if mark in labels else int(mark) if mark in map(str, range(len(labels))) else None
    try:
        value = float(mark)
    except ValueError:
        return None
    return value if 0 <= value <= 5 else None


CITATION = "Wang et al. 2019, GLUE, ICLR"

_ABOUT = {
    "cola": (
        "CoLA: is an English sentence acceptable?",
        "texts copyright of their publishers, for research",
        "Warstadt, Singh and Bowman 2019, TACL 7",
        128,
    ),
    "mnli": (
        "MNLI: does one sentence follow from another, contradict it, or neither?",
        "OANC, CC BY and others, see the corpus",
        "Williams, Nangia and Bowman 2018, NAACL",
        256,
    ),
    "mrpc": (
        "MRPC: do two sentences of the news mean the same?",
        "Microsoft's terms for research, see the corpus",
        "Dolan and Brockett 2005, IWP",
        256,
    ),
    "qnli": (
        "QNLI: does a sentence answer a question?",
        "CC BY-SA 4.0 (SQuAD)",
        "Rajpurkar et al. 2016, EMNLP",
        256,
    ),
    "qqp": (
        "QQP: do two questions ask the same?",
        "Quora's terms: no commercial use",
        "Iyer, Dandekar and Csernai 2017, First Quora dataset release",
        256,
    ),
    "rte": (
        "RTE: does one sentence follow from another?",
        "not stated; for research",
        "Dagan et al. 2006, Bar Haim et al. 2006, Giampiccolo et al. 2007, Bentivogli et al. 2009",
        256,
    ),
    "sst2": (
        "SST-2: is a sentence of a film review positive?",
        "not stated; for research",
        "Socher et al. 2013, EMNLP",
        128,
    ),
    "stsb": (
        "STS-B: how similar are two sentences, 0 to 5?",
        "scores CC BY-SA 4.0; texts under licences of their own",
        "Cer et al. 2017, SemEval",
        256,
    ),
}
"""Title, licence, citation and longest input in tokens of each task."""


def _task(layout: Layout) -> Task:
    title, licence, citation, length = _ABOUT[layout.name]
    return Task(
        name=layout.name,
        title=f"GLUE {title}",
        family="text",
        variants=("matched", "mismatched") if layout.name == "mnli" else (),
        default_variant="matched" if layout.name == "mnli" else "",
        default_model="roberta-base",
        default_length=length,
        source=f"hub {HUB_ID}, or your own folder glue_data/{layout.folder}",
        licence=licence,
        size=None,
        citation=f"{citation}; {CITATION}",
        notice=f"{layout.folder}: {licence}. GLUE's development set is the test set here. The default model, "
        "roberta-base, comes from the hub; without a network name another, such as minilm, and your own folder as data.",
        load=load,
        settings=("data",),
        hub=HUB_ID,
    )


GLUE = tuple(_task(layout) for layout in LAYOUTS)
"""The eight tasks."""
