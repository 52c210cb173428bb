"""Tables that people upload: kept below the runs folder under a name of our own, checked before they are read."""

from __future__ import annotations

import re
import secrets
import zipfile
from pathlib import Path
from typing import NamedTuple

from bidora.errors import LabError
from bidora.parquet_size import unpacked_size
from bidora.runs import read_json, runs_root, write_json
from bidora.tasks.table_files import FASTA_SUFFIXES, read_table
from bidora.wording import number, size

SUFFIXES = (".csv", ".tsv", ".xlsx", ".parquet", *FASTA_SUFFIXES)
SIZE_LIMIT = 50_000_000
UNPACKED_LIMIT = 300_000_000
"""Bytes that a compressed table may unpack to."""
FOLDER_LIMIT = 1_000_000_000
"""Bytes of all uploads together."""
MOST_ROWS, MOST_COLUMNS = 500_000, 1000
"""What a form shows in a moment; the command line has no such limits."""
SHOWN_ROWS = 5
SHOWN_LETTERS = 160

_KEPT = re.compile(r"^[0-9a-f]{16}\.[a-z]{2,7}$")


class OwnData(NamedTuple):
    """A table of the user's, as far as a form shows it.

    Attributes:
        path: where it lies.
        name: what it was called when it was uploaded.
        rows: how many.
        columns: their names.
        head: the first rows: column → text, long cells cut.
        notes: remarks on how it was read.
    """

    path: Path
    name: str
    rows: int
    columns: tuple[str, ...]
    head: tuple[dict[str, str], ...]
    notes: tuple[str, ...]


def keep(name: str, content: bytes, root: str | Path | None = None) -> Path:
    """Keep an uploaded table, if it can be read as one.

    Args:
        name: what the sender calls it; only its ending decides anything.
        content: its bytes.
        root: where runs are kept; by default `runs_root()`.

    Raises:
        LabError: its kind or size is not allowed, it is not what its ending says, or the disk is full.
    """
    suffix = Path(name.replace("\\", "/")).suffix.lower()
    if suffix not in SUFFIXES:
        raise _refused(f"{_plain(name)} ends in {_plain(suffix) or 'nothing'}", f"give one of {', '.join(SUFFIXES)}")
    if not content:
        raise _refused(f"{_plain(name)} is empty (0 bytes)", "choose another file, or save the table again")
    if len(content) > SIZE_LIMIT:
        raise _refused(
            f"{_plain(name)} has {size(len(content))} (allowed: up to {size(SIZE_LIMIT)})", "give fewer rows"
        )
    folder = folder_of(root)
    path = folder / f"{secrets.token_hex(8)}{suffix}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if sum(each.stat().st_size for each in folder.iterdir()) + len(content) > FOLDER_LIMIT:
            raise _refused(f"uploads hold {size(FOLDER_LIMIT)} already", f"delete some in {folder}")
        path.write_bytes(content)
        _check_unpacked(path)
        _check_shape(path, content)
        write_json(path.with_name(f"{path.name}.json"), {"name": _plain(name)})
    except LabError as error:
        path.unlink(missing_ok=True)
        raise LabError(error.message.replace(path.name, _plain(name)), hint=error.hint, kind=error.kind) from None
    except OSError as error:
        path.unlink(missing_ok=True)
        raise LabError(
            f"{_plain(name)} cannot be kept: {error.strerror or error}",
            hint="free some space and try again",
            kind="disk",
        ) from error
    return path


def kept(root: str | Path | None = None) -> list[Path]:
    """The tables that were uploaded before, newest first."""
    folder = folder_of(root)
    if not folder.is_dir():
        return []
    found = [each for each in folder.iterdir() if _KEPT.match(each.name) and each.suffix in SUFFIXES]
    return sorted(found, key=lambda each: each.stat().st_mtime, reverse=True)


def look(path: str | Path) -> OwnData:
    """The first rows of a table, its columns, and what it was called.

    Raises:
        LabError: it cannot be read.
    """
    place = Path(path)
    table = read_table(str(place))
    rows = range(min(SHOWN_ROWS, len(table)))
    head = tuple({name: _cut(cells[row]) for name, cells in table.columns.items()} for row in rows)
    name = shown_name(place)
    notes = tuple(note.replace(place.name, name) for note in table.notes)
    return OwnData(place, name, len(table), tuple(table.columns), head, notes)


def shown_name(path: str | Path) -> str:
    """What a table was called when it was uploaded; else its file's name."""
    place = Path(path)
    return str(read_json(place.with_name(f"{place.name}.json"), missing_ok=True).get("name") or place.name)


def is_kept(path: str | Path, root: str | Path | None = None) -> bool:
    """Whether a path is an upload of this lab, and not a way to some other file."""
    place = Path(path)
    folder = folder_of(root).resolve()
    return bool(_KEPT.match(place.name)) and place.is_file() and place.resolve().parent == folder


def folder_of(root: str | Path | None = None) -> Path:
    """Where uploads are kept: `uploads` in the folder of runs, as an absolute path, because workers start elsewhere."""
    return (Path(root) if root is not None else runs_root()).absolute() / "uploads"


def _check_shape(path: Path, content: bytes) -> None:
    """Refuse tables that no form can show; text with endless lines before it is read, as reading takes minutes."""
    lines = content.count(b"\n") if path.suffix in (".csv", ".tsv") else 0
    if lines <= 2 * MOST_ROWS:  # a text may go over lines
        table = read_table(str(path))
        if len(table) <= MOST_ROWS and len(table.columns) <= MOST_COLUMNS:
            return
        lines = len(table)
    raise _refused(
        f"{path.name} has {number(lines)} rows or more than {number(MOST_COLUMNS)} columns (allowed: {number(MOST_ROWS)} rows)",
        "give fewer, or train in a terminal: bidora run --task csv --data FILE",
    )


def _check_unpacked(path: Path) -> None:
    """Refuse what is small only while it is packed, before anything unpacks it whole."""
    if path.suffix == ".xlsx":
        try:
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(entry.file_size for entry in archive.infolist())
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise _refused(
                f"{path.name} is not an XLSX file: {error}", "save it again, as XLSX or CSV (UTF-8)"
            ) from error
    elif path.suffix == ".parquet":
        unpacked = _unpacked_parquet(path)
    else:
        return
    if unpacked > UNPACKED_LIMIT:
        raise _refused(f"{path.name} unpacks to more than {size(UNPACKED_LIMIT)}", "give fewer rows or columns")


def _unpacked_parquet(path: Path) -> int:
    """Bytes in memory, counted no further than the limit."""
    try:
        return unpacked_size(path, limit=UNPACKED_LIMIT)
    except Exception as error:  # pyarrow has a family of errors of its own
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _refused(
            f"{path.name} is not a parquet file: {first}", "write it again with DataFrame.to_parquet"
        ) from error


def _refused(message: str, hint: str) -> LabError:
    return LabError(message, hint=hint, kind="data")


def _plain(name: str) -> str:
    """A sender's name for showing: its last part, printable, short."""
    last = re.split(r"[\\/]", name)[-1]
    return "".join(letter for letter in last if letter.isprintable())[-60:] or "the file"


def _cut(cell: str) -> str:
    many = len(cell) - SHOWN_LETTERS
    return cell if many <= 0 else f"{cell[:SHOWN_LETTERS]}… ({number(many)} more letters)"
