"""The files of E2E: trainset.csv, devset.csv and testset_w_refs.csv in a folder or zip, or the hub's parquet files.

Each row pairs a meaning representation with one reference text; several rows share their meaning representation.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bidora.errors import LabError
from bidora.tasks.archives import read_files

HUB_ID = "tuetschek/e2e_nlg"

ARCHIVE = "e2e-dataset.zip"
"""What the release is called; a folder that holds it is read as well as the archive itself."""

FILES = {"train": ("trainset.csv",), "dev": ("devset.csv",), "test": ("testset_w_refs.csv", "testset.csv")}
"""Part → names of its file, the preferred one first; testset.csv of the release holds no references."""

HUB_PARTS = {"train": "train", "dev": "validation", "test": "test"}

LONGEST_CELL = 131_072
"""Characters; a longer cell is a quotation mark that never ends."""

MEANING, REFERENCE = ("mr", "meaning_representation"), ("ref", "human_reference")
"""Names of both columns, in the files (any case: the test file says MR) and on the hub."""


@dataclass(frozen=True)
class Pairs:
    """The rows of one part.

    Args:
        meanings: n meaning representations, as they stand in the file.
        references: n texts.
        numbers: the line in which each row begins; on the hub its number.
        name: of the file, for messages.
        skipped: how many rows without meaning or text were left out.
    """

    meanings: tuple[str, ...]
    references: tuple[str, ...]
    numbers: tuple[int, ...]
    name: str
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.numbers)


def read_part(data: str, part: str) -> tuple[Pairs, str]:
    """One part, from wherever the user's files are.

    Args:
        data: folder or archive with the release's files, a folder with its zip, a folder in the hub's layout, or "hub".
        part: "train", "dev" or "test".

    Returns:
        the rows, and where they are from, in words.

    Raises:
        LabError: they are not there or cannot be read.
    """
    if data in ("", "hub"):
        return read_hub(HUB_ID, HUB_PARTS[part]), f"hub, {HUB_ID}"
    place = Path(data).expanduser()
    if not place.exists():
        raise LabError(f"data={data!r} does not exist", hint=f"give E2E's folder or {ARCHIVE}, or hub", kind="data")
    if place.is_dir() and (pattern := _hub_pattern(place, HUB_PARTS[part])):
        return read_hub(str(place), HUB_PARTS[part], pattern=pattern), "folder in the hub's layout"
    found = _content(place, part)
    if not found and (place / ARCHIVE).is_file():
        found = _content(place / ARCHIVE, part)
    if not found:
        words = " nor ".join(FILES[part])
        raise LabError(
            f"{place} holds {'no' if len(FILES[part]) == 1 else 'neither'} {words}",
            hint=f"give the folder or the zip of E2E's release ({ARCHIVE} holds all parts), or data=hub",
            kind="data",
        )
    name, content = found
    return read_csv(content, name), place.name


def read_csv(content: bytes, name: str) -> Pairs:
    """Rows of one of E2E's files: commas between cells, quotation marks around cells with commas, empty lines skipped.

    Args:
        content: of the file, UTF-8 with or without a mark of byte order.
        name: for messages.

    Raises:
        LabError: a line cannot be read, a column is missing, or there are no rows; names the line.
    """
    rows = _rows(_decoded(content, name), name)
    if not rows:
        raise LabError(f"no rows in {name}", hint="copy the file again", kind="data")
    (line, heading), *rest = rows
    meaning, reference = _columns(heading, name, line)
    kept: list[tuple[str, str, int]] = []
    for number, cells in rest:
        if len(cells) != len(heading):
            raise LabError(
                f"line {number} of {name}: {len(cells)} cells where the heading has {len(heading)}",
                hint='put quotation marks around a text that holds commas: "name[Alimentum], area[riverside]"',
                kind="data",
            )
        if cells[meaning].strip() and cells[reference].strip():
            kept.append((cells[meaning].strip(), cells[reference].strip(), number))
    if not kept:
        raise LabError(
            f"no row with a meaning representation and a text in {name}", hint="copy the file again", kind="data"
        )
    meanings, references, numbers = zip(*kept)
    return Pairs(meanings, references, numbers, name, len(rest) - len(kept))


def read_hub(source: str, part: str, *, pattern: str = "") -> Pairs:
    """A part of the hub's dataset, or of a local folder with its parquet files.

    Args:
        source: id or folder.
        part: "train", "validation" or "test".
        pattern: of the parquet files, for a folder.

    Raises:
        LabError: it can be neither found nor fetched, or lacks a column.
    """
    from datasets import load_dataset

    try:
        table = load_dataset(source, data_files={part: pattern}, split=part) if pattern else _from_hub(source, part)
    except Exception as error:  # the library raises many kinds, also those of its network layers
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise LabError(
            f"the hub's dataset {source} ({part}) could not be read: {reason}",
            hint=f"connect to the internet, or give E2E's folder or {ARCHIVE} as data",
            kind="download",
        ) from error
    meaning, reference = _columns(table.column_names, f"{source}, {part}", 0)
    cells = [[str(cell or "").strip() for cell in table[table.column_names[place]]] for place in (meaning, reference)]
    kept = [row for row in range(len(table)) if cells[0][row] and cells[1][row]]
    meanings, references = (tuple(column[row] for row in kept) for column in cells)
    return Pairs(meanings, references, tuple(kept), f"{source}, {part}", len(table) - len(kept))


def _from_hub(source: str, part: str) -> Any:
    """A dataset that still has its own script is read from the parquet files that the hub makes of it."""
    from datasets import load_dataset

    try:
        return load_dataset(source, split=part)
    except RuntimeError as error:
        if "script" not in str(error).lower():
            raise
    return load_dataset(source, split=part, revision="refs/convert/parquet")


def _hub_pattern(place: Path, part: str) -> str:
    """Where a folder keeps a part's parquet files: in the hub's usual layouts; empty where there are none."""
    patterns = (f"{part}-*.parquet", f"data/{part}-*.parquet", f"*/{part}-*.parquet", f"*/{part}/*.parquet")
    return next((pattern for pattern in patterns if any(place.glob(pattern))), "")


def _content(place: Path, part: str) -> tuple[str, bytes] | None:
    """Name and content of a part's file: the preferred name first, of several the one in the fewest folders."""
    names = FILES[part]
    files = read_files(place, lambda path: path.rsplit("/", 1)[-1] in names)
    order = sorted(files, key=lambda path: (names.index(path.rsplit("/", 1)[-1]), path.count("/"), path))
    return (order[0], files[order[0]]) if order else None


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise LabError(f"line {line} of {name}: not UTF-8", hint="save the file as UTF-8", kind="data") from error


def _rows(text: str, name: str) -> list[tuple[int, list[str]]]:
    """Rows with the line in which each begins; lines without any text are left out."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, line = [], 1
    try:
        for cells in reader:
            if max(map(len, cells), default=0) > LONGEST_CELL:  # csv's own limit may have been raised for other tables
                raise csv.Error(f"field larger than field limit ({LONGEST_CELL})")
            if any(cell.strip() for cell in cells):
                rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise LabError(
            f"line {line} of {name}: {error}",
            hint="a cell that begins with a quotation mark must end with one; write those inside it twice",
            kind="data",
        ) from error
    return rows


def _columns(heading: list[str], name: str, line: int) -> tuple[int, int]:
    """Places of both columns."""
    names = [cell.strip().lower() for cell in heading]
    places = []
    for wanted, words in ((MEANING, "meaning representations"), (REFERENCE, "reference texts")):
        found = [place for place, each in enumerate(names) if each in wanted]
        if len(found) != 1:
            where = f"line {line} of {name}" if line else f"the dataset {name}"
            shown = ", ".join(cell.strip()[:30] for cell in heading[:8])
            raise LabError(
                f"{where}: {len(found) or 'no'} columns {' or '.join(wanted)} with {words} (columns: {shown})",
                hint="testset.csv of the release has no references; give testset_w_refs.csv"
                if wanted is REFERENCE
                else "the first line names the columns: mr,ref",
                kind="data",
            )
        places.append(found[0])
    return places[0], places[1]
