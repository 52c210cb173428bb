"""Protein tasks on a user's own files: reading sequences, cutting a test part by families, measuring what leaks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.tasks.cuts import cut
from bidora.tasks.leakage import leakage_note, nearest_identity, sample
from bidora.tasks.sequences import check_sequences, clean_sequence, clusters, similar_pairs
from bidora.tasks.splits import Split, TaskData
from bidora.tasks.table_columns import find_columns
from bidora.tasks.table_files import READABLE, Table, read_table
from bidora.tasks.table_labels import empty_cell, filled_cells
from bidora.tasks.table_missing import blanked, missing_words

TEST_FRACTION = 0.2
TEST_SEED = "proteins"
"""Fixed: the test part does not depend on the run's seed."""


@dataclass(frozen=True)
class Measured:
    """Rows of one file.

    Args:
        table: the rows that have a sequence and a label.
        sequences: cleaned and checked, one per row.
        label: name of the label column.
        notes: remarks.
    """

    table: Table
    sequences: list[str]
    label: str
    notes: tuple[str, ...]

    @property
    def cells(self) -> list[str]:
        """The label cells."""
        return self.table.columns[self.label]

    def ids(self, part: str) -> tuple[str, ...]:
        """Names of the rows."""
        return tuple(f"{part}-{self.table.unit}-{number}" for number in self.table.numbers)


def named_files(config: RunConfig, *, needs: str) -> tuple[str, str]:
    """The training and the test file (empty where there is none): named both, or found in a folder.

    Args:
        config: data, test_data.
        needs: what the task needs, for the message where nothing is named.

    Raises:
        LabError: nothing is named, or the folder does not hold one file with "train" and one with "test" in its name.
    """
    if not config.data or config.data == "hub":
        raise LabError(
            f"task={config.task} needs {needs}",
            hint="add data=PATH, and test_data=PATH where there is one",
            kind="data",
        )
    folder = Path(config.data).expanduser()
    if not folder.is_dir():
        return config.data, config.test_data
    tables = sorted(each for each in folder.iterdir() if each.suffix.lower() in READABLE and not _is_readme(each))
    found = {part: [each for each in tables if part in each.stem.lower()] for part in ("train", "test")}
    if not config.test_data and all(len(each) == 1 for each in found.values()):
        return str(found["train"][0]), str(found["test"][0])
    shown = ", ".join(each.name for each in tables[:8]) or "no table"
    raise LabError(
        f"data={config.data!r} is a folder, and which file is for training and which for testing cannot be told "
        f"(it holds {shown})",
        hint="name one file with data, and one with test_data",
        kind="data",
    )


def read_measured(table: Table, config: RunConfig, *, label: str = "") -> Measured:
    """Sequences and label cells of a table; rows without a label are left out.

    Args:
        table: as read from a file.
        config: input_column, label_column.
        label: the label column where the task knows it.

    Raises:
        LabError: a column cannot be found, a sequence is empty or holds a letter that is no residue.
    """
    column, labels = find_columns(table, input_column=config.input_column, label_column=config.label_column or label)
    table, said = blanked(table, labels[0], missing_words(table.columns[labels[0]], "auto"))
    kept = [row for row, cell in enumerate(table.columns[labels[0]]) if cell]
    notes = [*table.notes]
    if len(kept) < len(table):
        many = len(table) - len(kept)
        notes.append(f"{table.name}: {many} of {len(table)} rows have no label{said} and were left out")
    table = table.take(kept)
    sequences = [clean_sequence(cell) for cell in filled_cells(table, column, "sequence")]
    for row, sequence in enumerate(sequences):
        if not sequence:
            raise empty_cell(table, row, column, "sequence")
    check_sequences(sequences, table.place)
    return Measured(table, sequences, labels[0], (*notes, f"{table.name}: columns {column!r} and {labels[0]!r}"))


def read_file(path: str, config: RunConfig, *, setting: str = "data", label: str = "") -> Measured:
    """`read_measured` of a file."""
    return read_measured(read_table(path, setting=setting), config, label=label)


def merged(sequences: list[str], values: numpy.ndarray, ids: tuple[str, ...]) -> tuple[Split, int]:
    """One example per sequence with the mean of its values, in the order of first occurrence; and how many had several."""
    first: dict[str, int] = {}
    places = numpy.array([first.setdefault(each, len(first)) for each in sequences], dtype=numpy.int64)
    counts = numpy.bincount(places, minlength=len(first))
    means = numpy.bincount(places, weights=values, minlength=len(first)) / numpy.maximum(1, counts)
    kept = numpy.unique(places, return_index=True)[1]
    return Split(tuple(first), means, tuple(ids[each] for each in kept)), int((counts > 1).sum())


def task_data(
    kind: str,
    labels: tuple[str, ...],
    train: Split,
    test: Split | None,
    *,
    notes: list[str],
    metrics: tuple[str, ...] = (),
) -> TaskData:
    """Cut a fixed test part by families where there is none, and measure how much test resembles training.

    Raises:
        LabError: there are too few sequences, or a class is missing in training.
    """
    families = family_names(train.inputs)
    of_random: numpy.ndarray = numpy.empty(0)
    if test is None:
        whole = train
        first, second = cut(whole, kind, TEST_FRACTION, seed=TEST_SEED, purpose="test", groups=families, exact=True)
        if not len(first) or not len(second):
            raise LabError(
                f"{len(whole)} sequences in {len(set(families))} families are too few to cut a test part from",
                hint="add sequences, or name a test file with test_data",
                kind="data",
            )
        plain = cut(whole, kind, TEST_FRACTION, seed=TEST_SEED, purpose="test", exact=True)
        train, test = whole.take(first), whole.take(second)
        families = [families[each] for each in first]
        of_random = nearest_identity(sample(whole.take(plain[1]).inputs), whole.take(plain[0]).inputs)
        notes.append(
            f"test set: {len(test)} of {len(whole)} sequences, a fixed part cut by families (chains of sequences whose "
            f"sets of three letters in a row overlap by 0.3 or more)"
        )
    if kind == "classification":
        counts = numpy.bincount(train.targets, minlength=len(labels))
        if counts.min() < 2:
            raise LabError(
                f"class {labels[int(counts.argmin())]!r} has {counts.min()} training examples, and 2 are needed",
                hint="add examples of that class",
                kind="data",
            )
    notes.append(leakage_note(test.inputs, train.inputs, of_random=of_random))
    return TaskData(kind, labels, train, test, tuple(notes), tuple(families), metrics)


def family_names(sequences: tuple[str, ...]) -> list[str]:
    """The first member of each sequence's family: chains of sequences that share many triples of letters."""
    first, second = similar_pairs(sequences)
    leader: dict[int, str] = {}
    numbers = clusters(len(sequences), first, second)
    return [leader.setdefault(int(number), sequence) for number, sequence in zip(numbers, sequences)]


def _is_readme(path: Path) -> bool:
    return path.stem.lower().startswith(("readme", "license", "licence"))
