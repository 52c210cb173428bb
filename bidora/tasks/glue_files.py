"""The files of GLUE: folders of .tsv as its own script leaves them, CoLA's zip, and the hub's parquet files.

A tab ends a cell and a line break a row; quotation marks are letters like others in every file of GLUE, so nothing is
ever unquoted. CoLA's training and development files have no heading.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bidora.errors import LabError
from bidora.tasks.archives import read_files

HUB_ID = "nyu-mll/glue"

SIZE_LIMIT = 500_000_000
"""Bytes of one file; the largest, MNLI's training file, has about 80 million."""

COLA_COLUMNS = ("source", "label", "judgment", "sentence")
"""Of CoLA's files without heading."""

_PUBLIC = {"train": ("in_domain_train",), "dev": ("in_domain_dev", "out_of_domain_dev")}
"""Part → files of cola_public.zip, folder raw; together the 1,043 sentences of GLUE's dev.tsv."""


@dataclass(frozen=True)
class Rows:
    """Rows of one part.

    Args:
        columns: name → cells, all of equal length.
        numbers: where each row stands in its file.
        name: of the file, for messages.
        skipped: how many lines had too few or too many cells.
    """

    columns: dict[str, list[str]]
    numbers: list[int]
    name: str
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.numbers)


def read_part(data: str, task: str, part: str, *, hub_name: str) -> tuple[Rows, str]:
    """One part of one task, from wherever the user's files are.

    Args:
        data: folder of all tasks (glue_data), folder of this task, a zip of it, a folder in the hub's layout, or "hub".
        task: name of its folder, e.g. "CoLA".
        part: "train", "dev", "dev_matched", "dev_mismatched".
        hub_name: name of the task on the hub, e.g. "cola".

    Returns:
        the rows, and where they are from, in words.

    Raises:
        LabError: they are not there or cannot be read.
    """
    hub_part = part.replace("dev", "validation")
    if data in ("", "hub"):
        return read_hub(HUB_ID, hub_name, hub_part), f"hub, {HUB_ID}"
    place = Path(data).expanduser()
    if not place.exists():
        raise LabError(
            f"data={data!r} does not exist", hint=f"give the folder glue_data, its folder {task}, or hub", kind="data"
        )
    if place.is_file():
        return _from_archive(place, task, part), f"{place.name}"
    if list(place.glob(f"{hub_name}/{hub_part}-*.parquet")):
        return read_hub(str(place), hub_name, hub_part), "folder in the hub's layout"
    for path in (place / task / f"{part}.tsv", place / f"{part}.tsv"):
        if path.is_file():
            return read_tsv(_content(path), f"{task}/{part}.tsv", heading=_heading(task)), f"{task}/*.tsv"
    inside = sorted(each.name for each in place.iterdir())[:8]
    raise LabError(
        f"{place} holds neither {task}/{part}.tsv nor {part}.tsv nor {hub_name}/{hub_part}-*.parquet (it holds "
        f"{', '.join(inside) or 'nothing'})",
        hint="name the folder glue_data that GLUE's download script fills, or data=hub",
        kind="data",
    )


def read_tsv(content: bytes, name: str, *, heading: tuple[str, ...] | None = None) -> Rows:
    """Rows of a file without quoting.

    Args:
        content: of the file.
        name: for messages.
        heading: names of the columns where the file has none.

    Raises:
        LabError: it is not UTF-8, or holds no rows.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabError(f"{name} is not UTF-8: {error}", hint="copy the file again", kind="data") from error
    # Only line feeds end a row: texts may hold other characters at which splitlines would break.
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    names = list(heading) if heading else lines[0].split("\t")
    first = 0 if heading else 1
    numbered = [(number, line.split("\t")) for number, line in enumerate(lines[first:], start=first + 1) if line]
    fitting = [(number, cells) for number, cells in numbered if len(cells) == len(names)]
    if not fitting:
        raise LabError(
            f"{name} holds no rows with {len(names)} cells ({', '.join(names[:12])})",
            hint="give the file as GLUE's download script writes it",
            kind="data",
        )
    columns = {title: [cells[place] for _, cells in fitting] for place, title in enumerate(names)}
    return Rows(columns, [number for number, _ in fitting], name, len(numbered) - len(fitting))


def read_hub(source: str, name: str, part: str) -> Rows:
    """A part of the hub's dataset, or of a local folder with its parquet files (cola/train-00000-of-00001.parquet).

    Raises:
        LabError: it can be neither found nor fetched.
    """
    from datasets import load_dataset

    try:
        if Path(source).is_dir():
            table = load_dataset(source, data_files={part: f"{name}/{part}-*.parquet"}, split=part)
        else:
            table = load_dataset(source, name, split=part)
    except Exception as error:  # the library raises many kinds, also those of its network layers
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise LabError(
            f"the hub's dataset {source} ({name}, {part}) could not be read: {reason}",
            hint="connect to the internet, or give a folder with GLUE's files as data=FOLDER",
            kind="download",
        ) from error
    columns = {each: [str(cell) for cell in table[each]] for each in table.column_names}
    return Rows(columns, list(range(len(table))), f"{name}, {part}")


def _from_archive(place: Path, task: str, part: str) -> Rows:
    """A part out of a zip or tar, in memory: `<TASK>/<part>.tsv` as GLUE zips it, or CoLA's own raw files."""
    wanted = re.compile(rf"(^|/){re.escape(task)}/{part}\.tsv$")
    public = [f"raw/{name}.tsv" for name in _PUBLIC.get(part, ())] if task == "CoLA" else []
    files = read_files(place, lambda name: bool(wanted.search(name)) or name.endswith(tuple(public) or ("\0",)))
    whole = [name for name in files if wanted.search(name)]
    if whole:
        return read_tsv(files[whole[0]], whole[0], heading=_heading(task))
    parts = [next((name for name in files if name.endswith(each)), "") for each in public]
    if not parts or not all(parts):
        raise LabError(
            f"{place} holds no {task}/{part}.tsv",
            hint="unpack it and give the folder, or give another archive",
            kind="data",
        )
    found = [read_tsv(files[name], name, heading=COLA_COLUMNS) for name in parts]
    columns = {title: [cell for rows in found for cell in rows.columns[title]] for title in COLA_COLUMNS}
    return Rows(columns, list(range(1, 1 + sum(map(len, found)))), parts[0], sum(rows.skipped for rows in found))


def _heading(task: str) -> tuple[str, ...] | None:
    return COLA_COLUMNS if task == "CoLA" else None


def _content(path: Path) -> bytes:
    size = path.stat().st_size
    if size > SIZE_LIMIT:
        raise LabError(f"{path} has {size:,} bytes", hint=f"GLUE's files have at most {SIZE_LIMIT:,}", kind="data")
    try:
        return path.read_bytes()
    except OSError as error:
        raise LabError(
            f"{path} cannot be read: {error.strerror or error}", hint="check the file and its rights", kind="data"
        ) from error
