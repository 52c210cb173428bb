"""Tagged words as the Hugging Face hub keeps them: parquet files with columns tokens and ner_tags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bidora.errors import LabError
from bidora.tasks.tag_schemes import TAG
from bidora.tasks.tagging_files import Tagged

REVISION = "refs/convert/parquet"
"""The hub's own parquet copy: the repositories themselves are loading scripts, and scripts are not run."""

TAG_COLUMNS = ("ner_tags", "tags")


def hub_folder(place: Path, name: str) -> bool:
    """Whether a local folder is laid out like the hub's copy: <name>/train/*.parquet."""
    return place.is_dir() and any(place.glob(f"{name}/train/*.parquet"))


def read_hub(source: str, name: str, parts: Sequence[str], tags: tuple[str, ...]) -> dict[str, Tagged]:
    """The parts of a dataset on the hub, or of a local folder with its parquet files (<name>/train/*.parquet).

    Args:
        source: id on the hub, or the folder.
        name: the dataset's own folder in it.
        parts: the parts to read, in the hub's words.
        tags: names of the numbered tags, where the files do not hold them.

    Raises:
        LabError: it can be neither found nor fetched, or holds something else.
    """
    from datasets import load_dataset

    local = Path(source).is_dir()
    try:
        read = load_dataset(
            source,
            data_files={part: f"{name}/{part}/*.parquet" for part in parts},
            revision=None if local else REVISION,
        )
    except Exception as error:  # the library raises many kinds, also those of its network layers
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise LabError(
            f"the hub's dataset {source} ({name}) could not be read: {reason}",
            hint="connect to the internet, or give the folder with your own files as data=FOLDER",
            kind="download",
        ) from error
    return {part: _tagged(read[part], f"{name}/{part}", tags) for part in parts}


def _tagged(table: Any, name: str, tags: tuple[str, ...]) -> Tagged:
    """Sentences of one part; numbered tags are named by the file's own features, or by `tags`."""
    column = next((each for each in TAG_COLUMNS if each in table.column_names), "")
    if not column or "tokens" not in table.column_names:
        raise LabError(
            f"{name} has the columns {', '.join(table.column_names[:12])}, not tokens and ner_tags",
            hint="give the hub's own copy, or files with a word and its tag on each line",
            kind="data",
        )
    named = getattr(getattr(table.features[column], "feature", None), "names", None) or list(tags)
    found = Tagged(name)
    for row, (words, marks) in enumerate(zip(table["tokens"], table[column], strict=True)):
        try:
            written = [mark if isinstance(mark, str) else named[mark] for mark in marks]
        except IndexError:
            written = [str(mark) for mark in marks]
        wrong = next((mark for mark in written if not TAG.fullmatch(mark)), None)
        if wrong is not None or len(words) != len(written):
            problem = f"{wrong!r} is no tag" if wrong is not None else f"{len(written)} tags for {len(words)} words"
            raise LabError(f"row {row} of {name}: {problem}", hint="give the hub's own copy", kind="data")
        if words:
            found.words.append(tuple(str(word) for word in words))
            found.tags.append(written)
            found.lines.append(row)
            found.documents.append(0)
    return found
