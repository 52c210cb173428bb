"""Thermal stability of proteins: the melting temperature in °C, or classes of it, from the user's own file.

A table has one row per protein, or one per pair of proteins (Sequence1, Tm …1, Sequence2, Tm …2), as in comparisons of
homologues. Homologues resemble each other, so a plain random test set is in part a test of memory: without a test file
whole families are held out.
"""

from __future__ import annotations

import re

import numpy

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.models.packages import Progress
from bidora.tasks.protein_tables import Measured, merged, named_files, read_measured, task_data
from bidora.tasks.splits import Split, TaskData
from bidora.tasks.table_files import Table, read_table
from bidora.tasks.table_labels import Labels, read_labels
from bidora.tasks.task import Task

VARIANTS = ("temperature", "classes")

STABLE_FROM = 60.0
"""°C from which a protein counts as stable where classes are made of temperatures: our choice, fixed before any run."""

TEMPERATURE_COLUMNS = ("tm", "melting_temperature", "melting_point", "temperature", "tm_c", "label", "target")

METRICS = ("accuracy", "weighted_precision", "weighted_f1")
"""Of classes, as in the published table; its recall, averaged by class size, is the accuracy."""


def load(config: RunConfig, progress: Progress | None = None) -> TaskData:
    """Read temperatures or classes; a test file, or a fixed part cut by families.

    Raises:
        LabError: a file or its content cannot be used.
    """
    path, test_path = named_files(config, needs="a table of proteins with melting temperatures or classes")
    rows, notes = read_proteins(read_table(path), config)
    others = None
    if test_path:
        others, remarks = read_proteins(read_table(test_path, setting="test_data"), config)
        notes += [each for each in remarks if each not in notes]
    kind = "regression"
    labels: tuple[str, ...] = ()
    if (config.variant or VARIANTS[0]) == "classes":
        reader = read_labels(rows.table, (rows.label,), "auto")
        if reader.kind == "classification":
            train, repeated = _by_name(rows, reader, "train")
            test = _by_name(others, reader, "test")[0] if others else None
            if repeated:
                notes.append(f"{rows.table.name}: {repeated} rows repeat a protein and are kept")
            return task_data("classification", reader.labels, train, test, notes=notes, metrics=METRICS)
        kind, labels = "classification", (f"below {STABLE_FROM:g} °C", f"{STABLE_FROM:g} °C or above")
        notes.append(f"classes: melting temperature below, or from, {STABLE_FROM:g} °C on, a limit of this lab")
    else:
        notes.append("melting temperature in °C; higher means more stable")
    train, several = _temperatures(rows, "train")
    test = _temperatures(others, "test")[0] if others else None
    if several:
        notes.append(f"{rows.table.name}: {several} proteins have several values, which were averaged")
    if labels:
        train, test = _classes(train), _classes(test) if test else None
    return task_data(kind, labels, train, test, notes=notes, metrics=METRICS if labels else ())


def read_proteins(table: Table, config: RunConfig) -> tuple[Measured, list[str]]:
    """Sequences and label cells; a table of pairs becomes one of proteins.

    Raises:
        LabError: columns cannot be found, or a sequence holds a letter that is no residue.
    """
    notes = []
    if not config.input_column and not config.label_column:
        unpaired = from_pairs(table)
        if unpaired is not None:
            notes.append(f"{table.name}: {len(table)} pairs of proteins, each taken by itself")
            table = unpaired
    label = next((name for wanted in TEMPERATURE_COLUMNS for name in table.columns if _plain(name) == wanted), "")
    rows = read_measured(table, config, label=label)
    return rows, [*notes, *rows.notes]


def from_pairs(table: Table) -> Table | None:
    """One row per different protein and temperature of a table of pairs; None where it is no such table."""
    places = {}
    for end in ("1", "2"):
        for role, words in (("sequence", ("sequence",)), ("tm", ("tm", "tm_protein", "melting_temperature"))):
            fitting = [name for name in table.columns if name.endswith(end) and _plain(name[:-1]) in words]
            if len(fitting) != 1:
                return None
            places[role + end] = fitting[0]
    seen: dict[tuple[str, str], int] = {}
    for end in ("1", "2"):
        cells = zip(table.columns[places[f"sequence{end}"]], table.columns[places[f"tm{end}"]], table.numbers)
        for sequence, value, number in cells:
            seen.setdefault((sequence, value), number)
    sequences, values = [list(each) for each in zip(*seen)]
    return Table(table.name, {"sequence": sequences, "tm": values}, list(seen.values()), table.unit, table.notes)


def _temperatures(rows: Measured, part: str) -> tuple[Split, int]:
    values = read_labels(rows.table, (rows.label,), "regression").read(rows.table, (rows.label,))
    ids = tuple(f"{each}-{number}" for number, each in enumerate(rows.ids(part)))  # both of a pair stand in one row
    return merged(rows.sequences, values, ids)


def _classes(split: Split) -> Split:
    targets = (split.targets >= STABLE_FROM).astype(numpy.int64)
    if not 0 < targets.sum() < len(targets):
        raise LabError(
            f"all {len(targets)} melting temperatures lie on one side of {STABLE_FROM:g} °C "
            f"({split.targets.min():g} to {split.targets.max():g})",
            hint="use variant=temperature, or give a column of classes with label_column",
            kind="data",
        )
    return Split(split.inputs, targets, split.ids)


def _by_name(rows: Measured, reader: Labels, part: str) -> tuple[Split, int]:
    split = Split(tuple(rows.sequences), reader.read(rows.table, (rows.label,)), rows.ids(part))
    return split, len(split) - len(set(split.inputs))


def _plain(name: str) -> str:
    return re.sub(r"[\s()°/._-]+", "_", name.strip().lower()).strip("_")


THERMOSTABILITY = Task(
    name="thermostability",
    title="Thermal stability of proteins (melting temperature, or classes)",
    family="protein",
    variants=VARIANTS,
    default_variant=VARIANTS[0],
    default_model="esm2",
    default_length=512,
    source="your file: one row per protein, or per pair of proteins",
    licence="that of your file",
    size=None,
    citation="for melting temperatures of whole proteomes: Leuenberger et al. 2017, Science 355",
    notice="The thermostability set of the BiDoRA paper is not part of this lab; numbers on another set are no numbers of "
    "the paper.",
    load=load,
    settings=("data", "test_data", "input_column", "label_column"),
)
