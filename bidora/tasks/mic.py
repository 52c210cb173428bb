"""Minimal inhibitory concentrations (MIC) of antimicrobial peptides, as log10 of µM: a regression per bacterium.

Two kinds of table are read: long (one row per measurement, with a column that names the bacterium, as GRAMPA's) and
pivoted (one row per peptide, one column per bacterium). Several measurements of one peptide are averaged as logarithms.
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
from bidora.tasks.table_labels import read_labels
from bidora.tasks.task import Task

BACTERIA = (
    "E_coli",
    "S_aureus",
    "P_aeruginosa",
    "B_subtilis",
    "S_epidermidis",
    "K_pneumoniae",
    "S_typhimurium",
    "M_luteus",
    "E_faecalis",
    "A_baumannii",
    "M_smegmatis",
    "M_tuberculosis",
    "B_cepacia",
)

SPECIES_COLUMNS = ("bacterium", "bacteria", "species", "organism", "target_species", "microbe")
VALUE_COLUMNS = ("log10_mic", "log_mic", "logmic", "value", "mic_um", "mic", "label")

HIGHEST = 5.0
"""log10 of µM beyond which a number is taken for a concentration: 10⁵ µM is 0.1 M."""

METRICS = ("spearman", "mse")
"""The published table has the mean squared error; ranks do not depend on the unit."""


def load(config: RunConfig, progress: Progress | None = None) -> TaskData:
    """Read the values of one bacterium (the variant); a test file, or a fixed part cut by families.

    Raises:
        LabError: a file or its content cannot be used.
    """
    path, test_path = named_files(config, needs="a table of peptides with their MIC")
    bacterium = config.variant or BACTERIA[0]
    train, notes = read_concentrations(read_table(path), config, bacterium, part="train")
    test = None
    if test_path:
        test, remarks = read_concentrations(read_table(test_path, setting="test_data"), config, bacterium, part="test")
        notes += [each for each in remarks if each not in notes]
    notes.append("log10 of the MIC in µM; lower means more active")
    return task_data("regression", (), train, test, notes=notes, metrics=METRICS)


def read_concentrations(table: Table, config: RunConfig, bacterium: str, *, part: str) -> tuple[Split, list[str]]:
    """One example per peptide with its mean log10 MIC in µM, and remarks.

    Raises:
        LabError: the bacterium is not in the table, or values cannot be log10 of µM nor µM.
    """
    notes: list[str] = []
    pivoted = {species(name): name for name in table.columns}
    long = next((name for name in table.columns if _plain(name) in SPECIES_COLUMNS), "")
    label = ""
    if not config.label_column and species(bacterium) in pivoted:
        label = pivoted[species(bacterium)]
        notes.append(f"values of {bacterium}, one column per bacterium")
    elif long:
        table, remark = _of_species(table, long, bacterium)
        notes.append(remark)
    if not label and not config.label_column:
        label = next((name for wanted in VALUE_COLUMNS for name in table.columns if _plain(name) == wanted), "")
        if not long and label:
            notes.append("the table names no bacterium: all its values are used")
        if not label and _is_pivoted(table):
            raise LabError(
                f"{table.name} has no column for {bacterium}; its columns are {', '.join(list(table.columns)[:16])}",
                hint="choose another variant, or name the column with label_column",
                kind="data",
            )
    table, modified = _unmodified(table)
    rows = read_measured(table, config, label=label)
    values, unit = log10_micromolar(rows)
    split, several = merged(rows.sequences, values, rows.ids(part))
    notes += [*modified, *rows.notes, unit]
    if several:
        notes.append(f"{table.name}: {several} peptides have several values, which were averaged as logarithms")
    return split, notes


def log10_micromolar(rows: Measured) -> tuple[numpy.ndarray, str]:
    """log10 of µM of each row, (n,), judged by the column's name; and what was read, in words.

    Raises:
        LabError: the unit is another one, or the numbers contradict it.
    """
    name = _plain(rows.label)
    where = f"column {rows.label!r} of {rows.table.name}"
    if re.search(r"(^|_)([uµμmn]g)(ml|_|$)", name) or name.startswith(("pmic", "neg", "-log")):
        raise LabError(
            f"{where} seems to be in another unit than µM",
            hint="convert it to µM (µg/mL × 1000 / molar mass) and name the column MIC_uM, or log10_MIC",
            kind="data",
        )
    reader = read_labels(rows.table, (rows.label,), "regression")
    values = reader.read(rows.table, (rows.label,))
    if "log" not in name and ("mic" in name or re.search(r"(^|_)[uµμ]m($|_)", name)):
        if values.min() <= 0:
            raise LabError(
                f"{where} holds {values.min():g}, and a concentration is above 0",
                hint="name the column log10_MIC if these are logarithms",
                kind="data",
            )
        return numpy.log10(values), f"{where}: taken for µM, log10 was taken"
    if values.max() > HIGHEST:
        raise LabError(
            f"{where} holds {values.max():g}, which cannot be log10 of µM (at most {HIGHEST:g})",
            hint="name the column MIC_uM if these are concentrations in µM",
            kind="data",
        )
    return values, f"{where}: taken for log10 of µM"


def species(name: str) -> str:
    """Initial of the genus and the species, by which spellings are compared.

    >>> species("Escherichia coli ATCC 25922"), species("E. coli"), species("E_coli")
    ('e coli', 'e coli', 'e coli')
    """
    words = [word for word in re.split(r"[\s._-]+", name.strip().lower()) if word]
    return f"{words[0][0]} {words[1]}" if len(words) > 1 else name.strip().lower()


def _of_species(table: Table, column: str, bacterium: str) -> tuple[Table, str]:
    kept = [row for row, cell in enumerate(table.columns[column]) if species(cell) == species(bacterium)]
    if not kept:
        known = sorted({cell for cell in table.columns[column] if cell})
        raise LabError(
            f"column {column!r} of {table.name} never names {bacterium}; it names {', '.join(known[:12])}",
            hint="choose another variant",
            kind="data",
        )
    return table.take(kept), f"{len(kept)} of {len(table)} rows of {table.name} are about {bacterium}"


def _unmodified(table: Table) -> tuple[Table, list[str]]:
    """Rows of GRAMPA whose peptide carries no unusual modification, which its sequence would not show."""
    marks = table.columns.get("has_unusual_modification")
    if marks is None:
        return table, []
    kept = [row for row, mark in enumerate(marks) if mark.lower() not in ("true", "1")]
    many = len(table) - len(kept)
    return table.take(kept), [f"{many} rows with unusual modifications were left out"] if many else []


def _is_pivoted(table: Table) -> bool:
    known = {species(each) for each in BACTERIA}
    return any(species(name) in known for name in table.columns)


def _plain(name: str) -> str:
    return re.sub(r"[\s()\[\]/.]+", "_", name.strip().lower()).strip("_")


MIC = Task(
    name="mic",
    title="Minimal inhibitory concentration of antimicrobial peptides (log10 µM)",
    family="protein",
    variants=BACTERIA,
    default_variant=BACTERIA[0],
    default_model="esm2",
    default_length=128,
    source="your file: long or pivoted table, such as GRAMPA's",
    licence="that of your file; GRAMPA states none",
    size=None,
    citation="Witten and Witten 2019, bioRxiv 692681 (GRAMPA)",
    notice="GRAMPA is collected from APD, DADP, DBAASP, DRAMP and YADAMP and is not the MIC set of the BiDoRA paper.",
    load=load,
    settings=("data", "test_data", "input_column", "label_column"),
)
