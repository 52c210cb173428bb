"""Which columns of a user's table hold the input, the label and the split, found by name or by the user's word."""

from __future__ import annotations

from collections.abc import Sequence

from bidora.errors import LabError, did_you_mean
from bidora.tasks.table_files import Table

INPUT_NAMES = (
    "text",
    "sequence",
    "input",
    "sentence",
    "seq",
    "peptide",
    "protein",
    "article",
    "document",
    "review",
    "content",
    "body",
    "message",
    "comment",
    "tweet",
    "abstract",
    "aa_seq",
    "aaseq",
    "peptide_sequence",
    "protein_sequence",
)
LABEL_NAMES = (
    "label",
    "labels",
    "class",
    "category",
    "target",
    "topic",
    "topics",
    "y",
    "sentiment",
    "activity",
    "score",
    "value",
    "output",
    "rating",
    "stars",
    "ddg",
    "tm",
    "mic",
)
SPLIT_NAMES = ("split", "set", "subset", "partition", "fold")

PARTS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "valid": "validation",
    "validation": "validation",
    "val": "validation",
    "dev": "validation",
    "development": "validation",
}


def find_columns(table: Table, *, input_column: str, label_column: str) -> tuple[str, tuple[str, ...]]:
    """The input column and the label columns (several only where the user names them with commas between).

    Raises:
        LabError: a named column does not exist, none can be told by its name (lists the columns), or another one has the
            same title and other cells.
    """
    labels = _labels_named(table, label_column) if label_column else ()
    chosen_input = _named(table, input_column, "input_column") if input_column else ""
    if not chosen_input:
        chosen_input = _by_name(table, INPUT_NAMES, avoid=labels) or _longest_texts(table, avoid=labels)
    if not labels:
        found = _by_name(table, LABEL_NAMES, avoid=(chosen_input,)) or _only_other(table, chosen_input)
        labels = (found,) if found else ()
    for name, value, setting in (("text or sequence", chosen_input, "input_column"), ("label", labels, "label_column")):
        if not value:
            raise LabError(
                f"{table.name}: which column holds the {name} cannot be told by the names {_listed(table)}"
                + _heading_missing(table),
                hint=f"name it with {setting}",
                kind="data",
            )
    if chosen_input in labels:
        raise LabError(
            f"input_column and label_column are both {chosen_input!r}", hint=f"columns: {_listed(table)}", kind="data"
        )
    for each in (chosen_input, *labels):
        _refuse_doubled(table, each)
    return chosen_input, labels


def _refuse_doubled(table: Table, name: str) -> None:
    """Refuse a column where a later one has the same title and other cells."""
    for other in (each for each, title in table.doubled.items() if title == name):
        pairs = zip(table.columns[name], table.columns[other], strict=True)
        differing = [row for row, (one, two) in enumerate(pairs) if one != two]
        if differing:
            raise LabError(
                f"{table.name} has several columns {name!r}, and they differ in {len(differing)} of {len(table)} rows "
                f"(the first: {table.place(differing[0])})",
                hint=f"rename one of them in the file, or choose the later one by the name {other!r}",
                kind="data",
            )


def take_parts(table: Table, used: Sequence[str], *, test_elsewhere: bool) -> tuple[Table, list[str]]:
    """The rows that a split column gives to training, validation or test, and remarks; all rows where no column tells.

    Args:
        table: as it was read.
        used: columns with another meaning.
        test_elsewhere: whether test_data names the test part, so that rows marked test are left out.

    Raises:
        LabError: a column marks test rows, and none to train on.
    """
    name, parts = _marks(table, used)
    marked = set(parts)
    if "test" in marked and "train" not in marked and len(marked) > 1:
        raise LabError(
            f"column {name!r} of {table.name} marks {parts.count('test')} of {len(table)} rows test and none train",
            hint="write train in the rows to train on, or rename the column if it is no split",
            kind="data",
        )
    if "train" not in marked or not (test_elsewhere or marked & {"test", "validation"}):
        return table, []
    wanted = {"train", "validation"} if test_elsewhere else {"train", "validation", "test"}
    notes = []
    if others := [cell for cell, part in zip(table.columns[name], parts, strict=True) if not part]:
        notes.append(
            f"{len(others)} of {len(table)} rows are marked neither train, validation nor test in column {name!r} and "
            f"were left out (the first: {others[0]!r})"
        )
    if test_elsewhere and "test" in marked:
        many = parts.count("test")
        notes.append(f"{many} rows marked test in column {name!r} were left out: test_data names the test part")
    if "validation" in marked and (test_elsewhere or "test" in marked):
        many = parts.count("validation")
        notes.append(f"{many} validation rows are used for training; the upper split is cut from it")
    return table.take([row for row, part in enumerate(parts) if part in wanted]), notes


def find_parts(table: Table, used: Sequence[str]) -> tuple[list[str] | None, tuple[str, ...]]:
    """The part of each row (train, validation or test) where a column says so, else None; and remarks.

    Args:
        table: as `take_parts` leaves it.
        used: columns with another meaning.
    """
    name, parts = _marks(table, used)
    if not name:
        return None, ()
    if "train" in parts and "" not in parts and len(set(parts)) > 1:
        return parts, ()
    shown = ", ".join(map(repr, sorted({cell.lower() for cell in table.columns[name]})[:5]))
    return None, (f"column {name!r} was not used as a split: it holds {shown}, not train and test",)


def _marks(table: Table, used: Sequence[str]) -> tuple[str, list[str]]:
    """The first column that is called like a split, and the part that it gives each row: empty where it is another word."""
    for name, cells in table.columns.items():
        if name.lower().strip() in SPLIT_NAMES and name not in used:
            return name, [PARTS.get(cell.lower(), "") for cell in cells]
    return "", []


def _named(table: Table, name: str, setting: str) -> str:
    """The column of that name; differences in case and outer spaces are forgiven where only one column fits."""
    if name in table.columns:
        return name
    fitting = [each for each in table.columns if each.lower() == name.lower().strip()]
    if len(fitting) == 1:
        return fitting[0]
    raise LabError(
        f"{setting}={name!r} is no column of {table.name}; its columns are {_listed(table)}" + _heading_missing(table),
        hint=did_you_mean(name, table.columns, f"set {setting} to one of them", cutoff=0.5),
        kind="data",
    )


def _labels_named(table: Table, names: str) -> tuple[str, ...]:
    if names in table.columns or "," not in names:
        return (_named(table, names, "label_column"),)
    return tuple(_named(table, name.strip(), "label_column") for name in names.split(",") if name.strip())


def _by_name(table: Table, names: Sequence[str], *, avoid: Sequence[str]) -> str:
    for name in names:
        fitting = [each for each in table.columns if each.lower().replace(" ", "_") == name and each not in avoid]
        if len(fitting) == 1:
            return fitting[0]
    return ""


def _longest_texts(table: Table, *, avoid: Sequence[str]) -> str:
    """The one column whose cells are long texts; nothing where two compete or none is long."""
    lengths = {
        name: sum(map(len, cells[:200])) / max(1, len(cells[:200]))
        for name, cells in table.columns.items()
        if name not in avoid
    }
    ranked = sorted(lengths, key=lambda name: -lengths[name])
    if not ranked or lengths[ranked[0]] < 10 or (len(ranked) > 1 and lengths[ranked[0]] < 2 * lengths[ranked[1]]):
        return ""
    return ranked[0]


def _only_other(table: Table, taken: str) -> str:
    """The one remaining column, row numbers and splits aside."""
    aside = {"id", "index", "name", "column 1", "unnamed: 0", *SPLIT_NAMES}
    rest = [name for name in table.columns if name != taken and name.lower() not in aside]
    return rest[0] if len(rest) == 1 and taken else ""


def _listed(table: Table) -> str:
    names = [repr(name if len(name) <= 40 else name[:37] + "…") for name in table.columns]
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _heading_missing(table: Table) -> str:
    """A remark where the heading looks like the first row of data."""
    repeated = any(name in cells for name, cells in table.columns.items())
    long = any(len(name) > 40 for name in table.columns)
    return " (the first line looks like data: add a heading such as text,label)" if repeated or long else ""
