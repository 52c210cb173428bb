"""Peptides that cross the blood-brain barrier (BBP) against others, from the user's own files.

The benchmark is BBPpred's (Dai et al. 2021): 200 peptides to train on and 38 to test on, half of each positive. With 38
test peptides one more right answer is 2.6 points: differences of a few points say nothing.
"""

from __future__ import annotations

import numpy

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.models.packages import Progress
from bidora.tasks.protein_tables import Measured, named_files, read_file, task_data
from bidora.tasks.splits import Split, TaskData
from bidora.tasks.task import Task

LABELS = ("other", "BBP")

POSITIVE = frozenset({"1", "1.0", "bbp", "bbps", "positive", "pos", "true", "yes", "+"})
NEGATIVE = frozenset({"0", "0.0", "-1", "non-bbp", "nonbbp", "non_bbp", "other", "negative", "neg", "false", "no", "-"})

METRICS = ("accuracy", "weighted_precision", "weighted_f1")
"""The published table has accuracy, precision, recall and F1, the last three averaged by class size (recall so averaged
is the accuracy)."""


def load(config: RunConfig, progress: Progress | None = None) -> TaskData:
    """Read XLSX, CSV, FASTA or another table of peptides with labels; a test file, or a fixed part cut by families.

    Raises:
        LabError: a file or its content cannot be used.
    """
    path, test_path = named_files(
        config, needs="a table or FASTA file of peptides with labels (1: crosses the barrier)"
    )
    train = read_file(path, config)
    notes = [*train.notes]
    test = None
    if test_path:
        rows = read_file(test_path, config, setting="test_data")
        notes += [each for each in rows.notes if each not in notes]
        test = _split(rows, "test")
    whole = _split(train, "train")
    repeated = len(whole) - len(set(whole.inputs))
    if repeated:
        notes.append(f"{repeated} of {len(whole)} training rows repeat a peptide and are kept, as in the benchmark")
    return task_data("classification", LABELS, whole, test, notes=notes, metrics=METRICS)


def _split(rows: Measured, part: str) -> Split:
    targets = []
    for row, cell in enumerate(rows.cells):
        word = cell.strip().lower()
        if word not in POSITIVE | NEGATIVE:
            raise LabError(
                f"{rows.table.place(row)}: label {cell!r} in column {rows.label!r} is neither positive nor negative",
                hint="write 1 or BBP for peptides that cross the barrier, 0 or non-BBP for others; for other classes "
                "use task=csv",
                kind="data",
            )
        targets.append(int(word in POSITIVE))
    return Split(tuple(rows.sequences), numpy.array(targets, dtype=numpy.int64), rows.ids(part))


BBP = Task(
    name="bbp",
    title="Peptides that cross the blood-brain barrier",
    family="protein",
    variants=(),
    default_variant="",
    default_model="esm2",
    default_length=64,
    source="your files: XLSX, CSV or FASTA, such as BBPpred's benchmark",
    licence="that of your files; copies of the benchmark are for academic use",
    size=None,
    citation="Dai et al. 2021, BBPpred, J. Chem. Inf. Model. 61",
    notice="BBPpred's benchmark has 38 test peptides: one more right answer is 2.6 points of accuracy.",
    load=load,
    settings=("data", "test_data", "input_column", "label_column"),
)
