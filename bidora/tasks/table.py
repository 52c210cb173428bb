"""Your own table: a text or sequence column and a label column, in CSV, TSV, XLSX, parquet or FASTA."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.models import get_model
from bidora.models.packages import Progress
from bidora.tasks.cuts import cut
from bidora.tasks.sequences import check_sequences, clean_sequence, look_like_nucleotides, look_like_proteins
from bidora.tasks.splits import Split, TaskData
from bidora.tasks.table_columns import find_columns, find_parts, take_parts
from bidora.tasks.table_files import Table, read_table
from bidora.tasks.table_labels import Labels, empty_cell, filled_cells, read_labels
from bidora.tasks.table_numbers import are_numbers
from bidora.tasks.task import Task

TEST_FRACTION = 0.2
TEST_SEED = "table"
"""Fixed: the test part does not depend on the run's seed, so runs of different seeds are scored on the same rows."""


def load(config: RunConfig, progress: Progress | None = None) -> TaskData:
    """Read the table, find its columns, tell what the labels are, and cut a test part where the table has none.

    Raises:
        LabError: the file or its content cannot be used; says where and why.
    """
    if not config.data:
        raise LabError(
            "task=csv needs a table of yours", hint="add data=PATH (CSV, TSV, XLSX, parquet or FASTA)", kind="data"
        )
    table = read_table(config.data)
    input_column, label_columns = find_columns(
        table, input_column=config.input_column, label_column=config.label_column
    )
    used = (input_column, *label_columns)
    table, left_out = take_parts(table, used, test_elsewhere=bool(config.test_data))
    reader = read_labels(table, label_columns, config.kind)
    table, unlabelled = reader.labelled(table, label_columns)
    inputs, notes = _inputs(table, input_column, config)
    notes += [*left_out, *unlabelled]
    shown = ", ".join(map(repr, label_columns))
    notes += [f"{table.name}: input column {input_column!r}, label column {shown}", *table.notes]
    targets = reader.read(table, label_columns)
    whole = Split(tuple(inputs), targets, tuple(f"{table.unit}-{number}" for number in table.numbers))
    notes += reader.notes
    if config.test_data:
        test, remarks = _test_table(config, input_column, label_columns, reader)
        train = whole
    else:
        train, test, remarks = _own_parts(table, whole, reader, used)
    notes += [*remarks, *_contradictions(train, reader.kind)]
    _check_classes(table, train, test, reader)
    groups = tuple(_key(each) for each in train.inputs)
    return TaskData(reader.kind, reader.labels, train, test, tuple(notes), groups)


def _inputs(table: Table, column: str, config: RunConfig) -> tuple[list[str], list[str]]:
    """The input cells, cleaned and checked for the kind of model that will read them."""
    cells = filled_cells(table, column, "input")
    if get_model(config.model or CSV.default_model).family != "protein":
        if not config.model and look_like_proteins(cells):
            raise LabError(
                f"column {column!r} of {table.name} looks like protein sequences, and the default model "
                f"{CSV.default_model} reads English text",
                hint=f"choose model=esm2, or model={CSV.default_model} if this is text",
                kind="data",
            )
        return cells, []
    sequences = [clean_sequence(cell) for cell in cells]
    for row, sequence in enumerate(sequences):
        if not sequence:
            raise empty_cell(table, row, column, "input")
    check_sequences(sequences, table.place)
    if look_like_nucleotides(sequences):
        return sequences, [
            "the sequences use the letters A, C, G, T, U, N only: if they are DNA, a protein model is wrong"
        ]
    return sequences, []


def _own_parts(table: Table, whole: Split, reader: Labels, used: tuple[str, ...]) -> tuple[Split, Split, list[str]]:
    """Training and test part of one table: by its split column, or a fixed fifth."""
    if reader.kind == "classification":
        _check_single(table, whole, reader.labels)
    parts, remarks = find_parts(table, used)
    notes = list(remarks)
    if parts is not None:
        words = numpy.array(parts)
        counts = Counter(parts)
        if counts["test"]:
            test = words == "test"
        else:
            test = words == "validation"
            notes.append("there are no test rows: the validation rows are the test part")
        return whole.take(numpy.flatnonzero(~test)), whole.take(numpy.flatnonzero(test)), notes
    groups = [_key(each) for each in whole.inputs]
    first, second = cut(whole, reader.kind, TEST_FRACTION, seed=TEST_SEED, purpose="test", groups=groups, exact=True)
    if len(second) == 0 or len(first) == 0:
        raise LabError(
            f"{table.name} has {len(table)} rows, too few to cut a test part from",
            hint="add rows (a few for each class), or name a test file with test_data",
            kind="data",
        )
    notes.append(f"test set: {len(second)} of {len(whole)} rows, a fifth, stratified, the same for every seed")
    return whole.take(first), whole.take(second), notes


def _test_table(
    config: RunConfig, input_column: str, label_columns: tuple[str, ...], reader: Labels
) -> tuple[Split, list[str]]:
    table = read_table(config.test_data, setting="test_data")
    chosen, labels = find_columns(table, input_column=input_column, label_column=",".join(label_columns))
    table, unlabelled = reader.labelled(table, labels)
    inputs, notes = _inputs(table, chosen, config)
    notes += unlabelled
    targets = reader.read(table, labels)
    ids = tuple(f"test-{table.unit}-{number}" for number in table.numbers)
    return Split(tuple(inputs), targets, ids), [*table.notes, *notes]


def _check_classes(table: Table, train: Split, test: Split, reader: Labels) -> None:
    """Refuse what cannot be learnt: one class, a class with one example, numbers that are all equal."""
    if reader.kind == "regression":
        if len(train) < 2 or numpy.ptp(train.targets) == 0:
            raise LabError(
                f"all {len(train)} training numbers of {table.name} are equal ({train.targets[0]:g})"
                if len(train)
                else f"{table.name} has no training rows",
                hint="give different numbers, or name another column with label_column",
                kind="data",
            )
        return
    if reader.kind == "classification":
        _check_single(table, train, reader.labels)
    present = train.targets.max(axis=0) > 0 if reader.kind == "multilabel" and len(train) else None
    if present is not None and not present.all():
        lacking = reader.labels[int(numpy.flatnonzero(~present)[0])]
        raise LabError(
            f"label {lacking!r} has no training example", hint="add some, or leave that label out", kind="data"
        )


def _check_single(table: Table, split: Split, labels: Sequence[str]) -> None:
    counts = numpy.bincount(split.targets, minlength=len(labels))
    for wanted, words in ((1, "occurs once"), (0, "does not occur in the training rows")):
        found = numpy.flatnonzero(counts == wanted)
        if not len(found):
            continue
        label = labels[int(found[0])]
        where = ""
        if wanted == 1:
            where = f" ({split.ids[int(numpy.flatnonzero(split.targets == found[0])[0])].replace('-', ' ')})"
        others = f"; so do {len(found) - 1} other labels" if wanted and len(found) > 1 else ""
        raise LabError(
            f"label {label!r} of {table.name} {words}{where}, and a class needs at least 2 training examples{others}",
            hint="add examples, correct the label, or remove its row"
            + ("; if these are measurements set kind=regression" if are_numbers(labels) else ""),
            kind="data",
        )


def _contradictions(train: Split, kind: str) -> list[str]:
    if kind != "classification":
        return []
    seen: dict[str, set[int]] = {}
    for text, target in zip(train.inputs, train.targets):
        seen.setdefault(_key(text), set()).add(int(target))
    many = sum(len(found) > 1 for found in seen.values())
    return [f"training inputs that occur with different labels: {many}"] if many else []


def _key(text: str) -> str:
    """What makes two inputs the same: letters, not case or spacing."""
    return " ".join(text.lower().split())


CSV = Task(
    name="csv",
    title="Your own table of texts or protein sequences with labels",
    family="text",
    variants=(),
    default_variant="",
    default_model="minilm",
    default_length=128,
    source="your file: CSV, TSV, XLSX, parquet, or FASTA with labels",
    licence="yours",
    size=None,
    citation="",
    notice="",
    load=load,
    settings=("data", "test_data", "input_column", "label_column", "kind"),
)
