"""Prediction votes of a class: small files below the runs, one per ballot, so that many may vote in the same moment.

runs/.classroom/votes/<CODE>/vote.json           question, options, who opened it, open, revealed
runs/.classroom/votes/<CODE>/ballots/<mark>.json  the option that one browser chose, written whole
runs/.classroom/trash/<CODE>/                     deleted votes, until the space is needed
"""

from __future__ import annotations

import hmac
import re
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bidora.errors import LabError
from bidora.lessons.browsers import mark_of
from bidora.runs import read_json, runs_root, write_json

ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # without 0, O, 1, I and L, which look alike on a wall
CODE = re.compile(rf"^[{ALPHABET}]{{4}}$")
QUESTION_LENGTH, OPTION_LENGTH = 300, 120
MOST_OPTIONS, MOST_BALLOTS, MOST_VOTES, MOST_DELETED = 6, 500, 200, 20
MOST_OF_ONE = 30
"""Votes that one browser may have, so that nobody takes the room of all others by mistake."""

LESSON = 12 * 3600.0
"""Seconds after which a vote gives way to a new one, where there is no room left."""


@dataclass(frozen=True)
class Vote:
    """One vote as its file says.

    Attributes:
        code: four letters or digits.
        question: in plain text.
        options: two to six, in plain text.
        answer: place of the right option, from 0; −1 where there is none.
        open: whether ballots are taken.
        revealed: whether everybody may see the result.
        owner: mark of the browser that opened it.
        created: seconds since 1970.
    """

    code: str
    question: str
    options: tuple[str, ...]
    answer: int
    open: bool
    revealed: bool
    owner: str
    created: float

    def owned_by(self, browser: str) -> bool:
        """Whether this browser opened it and so may reveal, close and delete it."""
        return bool(browser) and hmac.compare_digest(self.owner, mark_of(browser, self.code))


def open_vote(
    question: str, options: Sequence[str], *, browser: str, answer: int = -1, root: str | Path | None = None
) -> Vote:
    """Begin a vote.

    Args:
        question: up to 300 characters.
        options: two to six different ones, up to 120 characters each.
        browser: of the teacher, as `browser_of` gives it.
        answer: place of the right option; −1: none.
        root: where runs are kept; by default `runs_root()`.

    Raises:
        LabError: the question or an option is empty or too long, or there are too many votes.
    """
    question, chosen = _checked(question, options)
    folder = folder_of(root)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if len(own_votes(browser, root)) >= MOST_OF_ONE:
            raise LabError(
                f"this browser has opened {MOST_OF_ONE} votes already", hint="delete some of them first", kind="vote"
            )
        if sum(1 for _ in folder.iterdir()) >= MOST_VOTES and not _make_room(folder):
            raise LabError(f"there are {MOST_VOTES} votes already", hint="delete old ones first", kind="disk")
        code = _new_code(folder)
        (folder / code / "ballots").mkdir()
        values = {
            "question": question,
            "options": list(chosen),
            "answer": answer if 0 <= answer < len(chosen) else -1,
            "open": True,
            "revealed": False,
            "owner": mark_of(browser, code),
            "created": time.time(),
        }
        write_json(folder / code / "vote.json", values)
    except OSError as error:
        raise no_space(error) from error
    return read_vote(code, root)


def read_vote(code: str, root: str | Path | None = None) -> Vote:
    """The vote of that code; small letters are taken for capitals.

    Raises:
        LabError: there is none.
    """
    code = code.strip().upper()[:8]
    values = read_json(folder_of(root) / code / "vote.json", missing_ok=True) if CODE.match(code) else {}
    options = values.get("options")
    if not isinstance(options, list) or not 2 <= len(options) <= MOST_OPTIONS:
        raise LabError("there is no vote of that code", hint="look at the code on the wall again", kind="vote")
    answer, created = values.get("answer"), values.get("created")
    return Vote(
        code=code,
        question=str(values.get("question", ""))[:QUESTION_LENGTH],
        options=tuple(str(each)[:OPTION_LENGTH] for each in options),
        answer=answer if isinstance(answer, int) and 0 <= answer < len(options) else -1,
        open=values.get("open") is True,
        revealed=values.get("revealed") is True,
        owner=str(values.get("owner", "")),
        created=float(created) if isinstance(created, (int, float)) else 0.0,
    )


def own_votes(browser: str, root: str | Path | None = None) -> list[Vote]:
    """The votes that a browser opened, newest first."""
    folder, found = folder_of(root), []
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            vote = read_vote(path.name, root)
        except LabError:
            continue
        if vote.owned_by(browser):
            found.append(vote)
    return sorted(found, key=lambda vote: -vote.created)


def change(vote: Vote, *, browser: str, root: str | Path | None = None, **changes: bool) -> Vote:
    """Open or close a vote, reveal or hide its result: `open=`, `revealed=`.

    Raises:
        LabError: another browser opened it.
    """
    path = folder_of(root) / _owned(vote, browser, root).code / "vote.json"
    known = {name: value for name, value in changes.items() if name in ("open", "revealed")}
    try:
        write_json(path, {**read_json(path), **known})
    except OSError as error:
        raise no_space(error) from error
    return read_vote(vote.code, root)


def delete(vote: Vote, *, browser: str, root: str | Path | None = None) -> None:
    """Move a vote to the trash, from where `restore` takes it back; of deleted ones the last 20 are kept.

    Raises:
        LabError: another browser opened it.
    """
    _owned(vote, browser, root)
    try:
        _put_away(folder_of(root) / vote.code)
    except OSError as error:
        raise no_space(error) from error


def _put_away(place: Path) -> None:
    """Move a vote's folder to the trash, of which the oldest give way."""
    trash = place.parents[1] / "trash"
    trash.mkdir(exist_ok=True)
    shutil.rmtree(trash / place.name, ignore_errors=True)
    place.rename(trash / place.name)
    oldest = sorted(trash.iterdir(), key=lambda path: path.stat().st_ctime)[:-MOST_DELETED]
    for path in oldest:
        shutil.rmtree(path, ignore_errors=True)


def _make_room(folder: Path) -> bool:
    """Put the oldest vote away, if it is of an earlier lesson; whether it was."""
    oldest = min(folder.iterdir(), key=lambda path: path.stat().st_ctime)
    if oldest.stat().st_ctime > time.time() - LESSON:
        return False
    _put_away(oldest)
    return True


def restore(code: str, root: str | Path | None = None) -> Vote:
    """Take a deleted vote back, with its ballots.

    Raises:
        LabError: it is not in the trash, or its code was given to another vote.
    """
    place, folder = folder_of(root).parent / "trash" / code, folder_of(root) / code
    if not CODE.match(code) or not place.is_dir() or folder.exists():
        raise LabError("this vote cannot be taken back", hint="open a new one", kind="vote")
    try:
        place.rename(folder)
    except OSError as error:
        raise no_space(error) from error
    return read_vote(code, root)


def folder_of(root: str | Path | None) -> Path:
    """Where votes lie, below the runs."""
    return (Path(root) if root is not None else runs_root()) / ".classroom" / "votes"


def _owned(vote: Vote, browser: str, root: str | Path | None) -> Vote:
    """The vote as it is now on file.

    Raises:
        LabError: it is gone, or another browser opened it.
    """
    there = read_vote(vote.code, root)
    if not there.owned_by(browser):
        raise LabError(f"vote {vote.code} was opened in another browser", hint="change it there", kind="vote")
    return there


def _new_code(folder: Path) -> str:
    while True:
        code = "".join(secrets.choice(ALPHABET) for _ in range(4))
        try:
            (folder / code).mkdir()
        except FileExistsError:
            continue
        return code


def _checked(question: str, options: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Question and options without surrounding space and without empty options.

    Raises:
        LabError: one of them is not allowed.
    """
    question, chosen = question.strip(), tuple(each.strip() for each in options if each.strip())
    if not 0 < len(question) <= QUESTION_LENGTH:
        raise LabError(
            f"the question has {len(question)} characters (allowed: 1 to {QUESTION_LENGTH})", hint="write a question"
        )
    if not 2 <= len(chosen) <= MOST_OPTIONS or len(set(chosen)) < len(chosen):
        raise LabError(
            f"{len(set(chosen))} different options (allowed: 2 to {MOST_OPTIONS}, all different)",
            hint="write one option a line",
        )
    longest = max(len(each) for each in chosen)
    if longest > OPTION_LENGTH:
        raise LabError(f"an option has {longest} characters (allowed: {OPTION_LENGTH})", hint="make it shorter")
    return question, chosen


def no_space(error: OSError) -> LabError:
    """The sentence for a disk that takes nothing more."""
    return LabError(f"the vote cannot be written: {error.strerror or error}", hint="free some space", kind="disk")
