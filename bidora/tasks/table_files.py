"""A user's table as text cells: CSV, TSV, XLSX, parquet, or FASTA with labels in the headings."""

from __future__ import annotations

import codecs
import csv
import io
from dataclasses import dataclass, field, replace
from pathlib import Path

from bidora.errors import LabError
from bidora.tasks.workbook import cell_text, sheets_of

TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".tab")
FASTA_SUFFIXES = (".fasta", ".fa", ".faa", ".fas", ".fsa")
READABLE = (*TEXT_SUFFIXES, ".xlsx", ".parquet", *FASTA_SUFFIXES)

SIZE_LIMIT = 2_000_000_000
"""Bytes of a file, and of what a compressed one unpacks to."""

SEPARATORS = (",", ";", "\t", "|")
SEPARATOR_NAMES = {",": "comma", ";": "semicolon", "\t": "tabulator", "|": "bar"}


@dataclass(frozen=True)
class Table:
    """A table whose cells are text without white space at either end.

    Args:
        name: the file's name, for messages.
        columns: name → cells; all of equal length.
        numbers: where each row stands in the file.
        unit: what the numbers count: "line", "row" or "record".
        notes: remarks on how it was read.
        doubled: name of a column → title that it shares with an earlier one.
    """

    name: str
    columns: dict[str, list[str]]
    numbers: list[int]
    unit: str
    notes: tuple[str, ...] = ()
    doubled: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: list[int]) -> Table:
        """The table with some of its rows."""
        columns = {name: [cells[row] for row in rows] for name, cells in self.columns.items()}
        return replace(self, columns=columns, numbers=[self.numbers[row] for row in rows])

    def place(self, row: int) -> str:
        """Where a row stands, in words: `line 17 of train.csv`."""
        return f"{self.unit} {self.numbers[row]} of {self.name}"


def read_table(path: str, *, setting: str = "data") -> Table:
    """Read a file by its suffix.

    Args:
        path: the file.
        setting: which setting named it, for messages.

    Raises:
        LabError: it is missing, of another kind, or cannot be read.
    """
    place = Path(path).expanduser()
    if not place.exists():
        near = _near(place)
        raise LabError(f"{setting}={path!r} does not exist", hint=near or "check the path", kind="data")
    suffix = place.suffix.lower()
    if place.is_dir() or suffix not in READABLE:
        raise LabError(_not_readable(path, place, setting), hint=_advice(place), kind="data")
    size = place.stat().st_size
    if size == 0 or size > SIZE_LIMIT:
        raise LabError(f"{setting}={path!r} has {size:,} bytes", hint=f"give 1 to {SIZE_LIMIT:,} bytes", kind="data")
    try:
        if suffix == ".xlsx":
            return _read_xlsx(place)
        if suffix == ".parquet":
            return _read_parquet(place)
        text, notes = _decoded(place.read_bytes(), place.name)
    except OSError as error:
        problem = error.strerror or error
        raise LabError(
            f"{place} cannot be read: {problem}", hint="check the file and its rights", kind="data"
        ) from error
    if suffix in FASTA_SUFFIXES or text.lstrip().startswith(">"):
        from bidora.tasks.fasta import read_fasta

        return read_fasta(text, place.name, notes)
    return _read_separated(text, place, notes)


def _not_readable(path: str, place: Path, setting: str) -> str:
    if place.is_dir():
        return f"{setting}={path!r} is a folder, and one file is needed ({', '.join(READABLE)})"
    return f"{setting}={path!r} ends in {place.suffix or 'nothing'}; readable are {', '.join(READABLE)}"


def _advice(place: Path) -> str:
    if place.is_dir():
        inside = sorted(each.name for each in place.iterdir() if each.suffix.lower() in READABLE)
        return f"it holds {', '.join(inside[:5])}" if inside else "name a file"
    if place.suffix.lower() in (".pkl", ".pickle", ".joblib", ".npy", ".npz", ".pt", ".pth", ".bin", ".sav", ".rds"):
        return "such files can run code when they are opened; save the table as CSV or parquet"
    if place.suffix.lower() in (".gz", ".zip", ".bz2", ".xz", ".7z"):
        return "unpack it first"
    return "save the table as CSV (UTF-8), XLSX or parquet"


def _near(place: Path) -> str:
    import difflib

    if not place.parent.is_dir():
        return f"there is no folder {str(place.parent)!r} either; give a path from {Path.cwd()} on, or a whole one"
    names = [each.name for each in place.parent.iterdir()]
    close = difflib.get_close_matches(place.name, names, n=1, cutoff=0.6)
    return f"did you mean {str(place.parent / close[0])!r}?" if close else ""


def _decoded(content: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """Text of a file: UTF-8, UTF-16 or UTF-32 where it says so, else the encoding of Western Windows."""
    notes: tuple[str, ...] = ()
    marks = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    marked = next((encoding for mark, encoding in marks.items() if content.startswith(mark)), "utf-8-sig")
    try:
        text = content.decode(marked, errors="strict" if marked == "utf-8-sig" else "replace")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
        notes = (f"{name} is not UTF-8 and was read as Windows-1252: check letters with accents",)
    if "\0" in text:
        raise LabError(f"{name} is not text: it holds zero bytes", hint="save the table as CSV (UTF-8)", kind="data")
    return text, notes


def _read_separated(text: str, place: Path, notes: tuple[str, ...]) -> Table:
    separator = _separator(text, place)
    try:
        rows, numbers = _rows(text, separator, quoted=True)
        ragged = _ragged(rows)
        broken = ""
    except csv.Error as error:
        rows, numbers, ragged, broken = [], [], None, str(error)
    if broken or ragged is not None:  # many tables, tab-separated ones above all, mean quotation marks as they stand
        plain, plain_numbers = _rows(text, separator, quoted=False)
        if _ragged(plain) is None and len(plain) > 1:
            rows, numbers, ragged, broken = plain, plain_numbers, None, ""
    if broken:
        raise LabError(
            f"{place.name} cannot be read as a table: {broken}",
            hint="look for a quotation mark without its partner, or save the table as XLSX",
            kind="data",
        )
    if ragged is not None:
        raise LabError(
            f"line {numbers[ragged]} of {place.name} has {len(rows[ragged])} cells and the heading {len(rows[0])} "
            f"(separator: {SEPARATOR_NAMES[separator]})",
            hint="put texts that hold the separator between quotation marks, or save the table as XLSX",
            kind="data",
        )
    return _table(place.name, rows, numbers, "line", notes)


def _separator(text: str, place: Path) -> str:
    """The separator that cuts the heading into most cells; for TSV the tabulator if there is one."""
    heading = next((line for line in text.splitlines() if line.strip()), "")
    if place.suffix.lower() in (".tsv", ".tab") and "\t" in heading:
        return "\t"
    counts = {each: len(next(csv.reader([heading], delimiter=each))) for each in SEPARATORS}
    best = max(SEPARATORS, key=lambda each: counts[each])
    if counts[best] < 2:
        raise LabError(
            f"{place.name} has one column only: {heading[:60]!r}",
            hint="give a table with a text (or sequence) column and a label column, and a heading such as text,label",
            kind="data",
        )
    return best


def _rows(text: str, separator: str, *, quoted: bool) -> tuple[list[list[str]], list[int]]:
    """Rows that are not empty, and the line in which each begins."""
    csv.field_size_limit(2**31 - 1)
    source = io.StringIO(text, newline="")
    if quoted:
        reader = csv.reader(source, delimiter=separator, strict=True, skipinitialspace=True)
    else:
        reader = csv.reader(source, delimiter=separator, quoting=csv.QUOTE_NONE)
    rows, numbers, before = [], [], 0
    for row in reader:
        if any(cell.strip() for cell in row):
            rows.append(row)
            numbers.append(before + 1)
        before = reader.line_num
    return rows, numbers


def _ragged(rows: list[list[str]]) -> int | None:
    """The first row that has more cells than the heading; rows of R may have one more throughout (their names)."""
    if not rows:
        return None
    width = len(rows[0])
    if _row_names(rows):
        return None
    return next((index for index, row in enumerate(rows) if any(cell.strip() for cell in row[width:])), None)


def _row_names(rows: list[list[str]]) -> bool:
    """Whether the first column has no heading, as R writes tables: every row is longer by one filled cell."""
    below = rows[1:]
    return bool(below) and all(len(row) == len(rows[0]) + 1 for row in below) and any(row[-1].strip() for row in below)


def _read_xlsx(place: Path) -> Table:
    sheets = sheets_of(place, most_bytes=SIZE_LIMIT)
    filled = {title: rows for title, rows in sheets.items() if any(any(row) for row in rows)}
    if not filled:
        raise LabError(f"{place.name} has no filled sheet", hint="put the table into its first sheet", kind="data")
    title, rows = next(iter(filled.items()))
    notes = (f"{place.name} has {len(filled)} sheets; {title!r}, the first, was read",) if len(filled) > 1 else ()
    numbers = [number for number, row in enumerate(rows, start=1) if any(row)]
    found = [row for row in rows if any(row)]
    found[0] += [""] * (max(map(len, found)) - len(found[0]))  # a column without a heading is one, too
    return _table(place.name, found, numbers, "row", notes)


def _read_parquet(place: Path) -> Table:
    from pyarrow import parquet

    try:
        table = parquet.read_table(place)
        columns = {name: [cell_text(value) for value in table.column(name).to_pylist()] for name in table.column_names}
    except Exception as error:  # pyarrow has a family of errors of its own
        raise LabError(
            f"{place.name} cannot be read as parquet: {str(error).splitlines()[0]}",
            hint="write it again, for instance with DataFrame.to_parquet",
            kind="data",
        ) from error
    if not columns or table.num_rows == 0:
        raise LabError(f"{place.name} holds no rows", hint="give a table with a heading and rows", kind="data")
    return Table(place.name, columns, list(range(1, table.num_rows + 1)), "row")


def _table(name: str, rows: list[list[str]], numbers: list[int], unit: str, notes: tuple[str, ...]) -> Table:
    """Columns of rows whose first is the heading; unnamed columns without content are dropped."""
    if len(rows) < 2:
        raise LabError(f"{name} has no rows below its heading", hint="give at least a few examples", kind="data")
    heading = [cell.strip() for cell in rows[0]]
    if _row_names(rows):
        heading = ["", *heading]
    columns: dict[str, list[str]] = {}
    doubled: dict[str, str] = {}
    for position, title in enumerate(heading):
        cells = [row[position].strip() if position < len(row) else "" for row in rows[1:]]
        if not title and not any(cells):
            continue
        title = own = title or f"column {position + 1}"
        while own in columns:
            own += "'"
        if own != title:
            doubled[own] = title
        columns[own] = cells
    if doubled:
        shown = ", ".join(map(repr, [*doubled][:5])) + (f" and {len(doubled) - 5} more" if len(doubled) > 5 else "")
        notes += (f"{name} has columns of equal titles; the later ones are called {shown}",)
    return Table(name, columns, numbers[1:], unit, notes, doubled)
