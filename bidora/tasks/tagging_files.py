"""Files of tagged words: one word a line with its tag in the first or the last column, a blank line after each sentence.

Read from a folder, zip or tar, or from parquet files as the hub keeps them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from bidora.errors import LabError
from bidora.tasks.archives import read_files
from bidora.tasks.tag_schemes import TAG

_ENDING = r"(\.(txt|tsv|tab|conll|iob|iob1|iob2|bio|bio2|iobes|bioes|bilou))?"

FILES = {
    "train": re.compile(rf"([\w-]+\.)?(train|training){_ENDING}|genia4ertask1\.iob2"),
    "devel": re.compile(rf"([\w-]+\.)?(dev|devel|valid|validation|testa){_ENDING}"),
    "test": re.compile(rf"([\w-]+\.)?(test|testb){_ENDING}|genia4ereval1\.iob2"),
}
"""Part → its file's name, whatever the case: train.tsv, eng.train, devel.txt, eng.testa, eng.testb, Genia4EReval1.iob2."""

BORDER = re.compile(r"-DOCSTART-(\s|$)|###MEDLINE:")
"""Lines that begin a document (CoNLL; JNLPBA)."""


@dataclass
class Tagged:
    """Sentences of one part.

    Args:
        name: of the file, for messages.
        words: of each sentence.
        tags: of each word, as they are written.
        lines: where each sentence begins in the file, from 1; for parquet its row, from 0.
        documents: number of the document that each sentence is in; all 0 where the file marks none.
    """

    name: str
    words: list[tuple[str, ...]] = field(default_factory=list)
    tags: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    documents: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.words)


def read_parts(data: str, folders: tuple[str, ...]) -> dict[str, Tagged]:
    """train, test and, where there is one, devel, from the user's folder, zip or tar.

    Args:
        data: its path.
        folders: names that the task's own folder may have among those of other tasks.

    Raises:
        LabError: it is not there, a part is missing or named twice, or a file cannot be read.
    """
    place = Path(data).expanduser()
    if not place.exists():
        raise LabError(
            f"data={data!r} does not exist", hint="give the folder or archive with train and test file", kind="data"
        )
    names: list[str] = []

    def seen(name: str) -> bool:
        names.append(name)
        return False

    read_files(place, seen)
    chosen = {part: name for part in FILES if (name := _chosen(part, names, folders, place))}
    for part in ("train", "test"):
        if part not in chosen:
            inside = ", ".join(sorted(names)[:8]) or "nothing"
            raise LabError(
                f"{place} holds no {part} file (it holds {inside})",
                hint="name the files train, devel and test, with .txt, .tsv or .conll",
                kind="data",
            )
    contents = read_files(place, lambda name: name in chosen.values())
    return {part: read_columns(contents[name], PurePosixPath(name).name) for part, name in chosen.items()}


def read_columns(content: bytes, name: str) -> Tagged:
    """Sentences of a column file; the tags are in the last column, or in the first where the last holds none.

    Args:
        content: of the file.
        name: for messages.

    Raises:
        LabError: it is no such file; names the line.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        broken = content[: error.start].count(b"\n") + 1
        raise LabError(f"line {broken} of {name}: not UTF-8", hint="save the file as UTF-8", kind="data") from error
    # Only line feeds end a line: words may hold other characters at which splitlines would break.
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    separator = "\t" if any("\t" in line for line in lines) else None
    rows = [(number, line) for number, line in enumerate(lines, start=1)]
    cells = {number: line.split(separator) for number, line in rows if line.strip() and not BORDER.match(line)}
    if not cells:
        raise LabError(f"no words in {name}", hint="give a file with a word and its tag on each line", kind="data")
    word_column, tag_column = _columns(cells, name)
    found, sentence_open, document = Tagged(name), False, 0
    for number, line in rows:
        if number not in cells:
            document += bool(BORDER.match(line))
            sentence_open = False
            continue
        if not sentence_open:
            found.words.append(())
            found.tags.append([])
            found.lines.append(number)
            found.documents.append(document)
            sentence_open = True
        found.words[-1] += (cells[number][word_column].strip(),)
        found.tags[-1].append(cells[number][tag_column].strip())
    return found


def _columns(cells: Mapping[int, list[str]], name: str) -> tuple[int, int]:
    """Column of the word and column of the tag; every line is checked.

    Raises:
        LabError: a line has another number of columns, no word, or no tag where the others have one.
    """
    width = len(next(iter(cells.values())))
    for number, row in cells.items():
        if len(row) != width or width < 2:
            raise LabError(
                f"line {number} of {name}: {len(row)} {'column' if len(row) == 1 else 'columns'}, "
                f"not {max(width, 2)}{'' if width > 1 else ' or more'}",
                hint="write a word and its tag on each line, and nothing on the line after each sentence",
                kind="data",
            )
    wrong = {
        column: next((number for number, row in cells.items() if not TAG.fullmatch(row[column].strip())), 0)
        for column in (-1, 0)
    }
    tag_column = max((-1, 0), key=lambda column: wrong[column] or len(cells) + max(cells) + 1)
    if wrong[tag_column]:
        number = wrong[tag_column]
        raise LabError(
            f"line {number} of {name}: {cells[number][tag_column]!r} is no tag (O, or B-, I-, E-, S-, L-, U- and a type)",
            hint="give the tags in the last column, or in the first",
            kind="data",
        )
    word_column = 0 if tag_column else width - 1
    for number, row in cells.items():
        if not row[word_column].strip():
            raise LabError(
                f"line {number} of {name}: a tag without a word", hint="write the word before it", kind="data"
            )
    return word_column, tag_column


def _chosen(part: str, names: list[str], folders: tuple[str, ...], place: Path) -> str:
    """The file of a part; among several that of the task's own folder; empty where there is none.

    Raises:
        LabError: several files could be meant.
    """
    fitting = [name for name in names if FILES[part].fullmatch(PurePosixPath(name).name.lower())]
    own = [name for name in fitting if {each.lower() for each in PurePosixPath(name).parts[:-1]} & set(folders)]
    fitting = own or fitting
    if len(fitting) > 1:
        raise LabError(
            f"{place} holds several {part} files: {', '.join(sorted(fitting)[:6])}",
            hint="name the folder that holds only those of this task",
            kind="data",
        )
    return fitting[0] if fitting else ""
