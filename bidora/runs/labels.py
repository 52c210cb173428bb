"""The words by which people find runs: name, group, tags, note."""

from __future__ import annotations

from typing import Any

from bidora.errors import LabError
from bidora.runs.run import Run

LONGEST = {"name": 200, "group": 100, "note": 5000, "tag": 50}
"""Characters that each may have."""


def relabel(
    run: Run,
    *,
    name: str | None = None,
    group: str | None = None,
    note: str | None = None,
    tags: str | None = None,
    more_tags: str = "",
) -> None:
    """Change some of a run's words; None leaves one as it is.

    Args:
        run: an own run; recordings are refused.
        name: what to call it; empty: its id.
        group: runs of one comparison share one.
        note: free text.
        tags: all of its tags, with commas between them.
        more_tags: tags to add, with commas between them.

    Raises:
        LabError: the run is a recording, a word is too long, or there is no place on the disk.
    """
    if "recording" in run.meta:
        raise LabError(f"run {run.id} is a recording and cannot be changed", hint="clone it", kind="run")
    changes: dict[str, Any] = {}
    for key, value in (("name", name), ("group", group), ("note", note)):
        if value is not None:
            changes[key] = _checked(key, value.strip())
    try:
        with run.locked():  # two people may add a tag at the same moment
            if tags is not None or more_tags:
                changes["tags"] = _tags(run, tags, more_tags)
            if changes:
                run.update_meta(**changes)
    except OSError as error:
        raise LabError(
            f"run {run.id} cannot be changed: {error.strerror}", hint="free some space", kind="disk"
        ) from error


def _tags(run: Run, tags: str | None, more_tags: str) -> list[str]:
    found = run.meta.get("tags")
    own = [str(tag) for tag in found] if isinstance(found, list) and tags is None else []
    words = [*own, *(tags or "").split(","), *more_tags.split(",")]
    return list(dict.fromkeys(_checked("tag", word.strip()) for word in words if word.strip()))


def _checked(key: str, value: str) -> str:
    if len(value) > LONGEST[key]:
        raise LabError(
            f"the {key} has {len(value)} characters (allowed: up to {LONGEST[key]})", hint="shorten it", kind="run"
        )
    return " ".join(value.split()) if key != "note" else value
