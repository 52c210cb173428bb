"""Casting and counting: one small file per ballot, so that no two of them ever write to the same place."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from bidora.analysis.spreadsheet import harmless
from bidora.errors import LabError
from bidora.lessons.browsers import mark_of
from bidora.lessons.votes import MOST_BALLOTS, Vote, folder_of, no_space, read_vote
from bidora.runs import read_json, write_json


def cast(code: str, option: int, *, browser: str, root: str | Path | None = None) -> None:
    """Put a browser's choice on file; a later choice takes the place of an earlier one.

    Raises:
        LabError: there is no such vote or option, it is closed, or it is full.
    """
    vote = read_vote(code, root)
    if not vote.open:
        raise LabError(f"vote {vote.code} is closed", hint="the last choice before closing counts", kind="vote")
    if not 0 <= option < len(vote.options):
        raise LabError(f"option {option} is outside 0 <= option < {len(vote.options)}", hint="choose one of the list")
    ballots = folder_of(root) / vote.code / "ballots"
    ballot = ballots / f"{mark_of(browser, vote.code)}.json"
    try:
        if not ballot.exists() and sum(1 for _ in ballots.iterdir()) >= MOST_BALLOTS:
            raise LabError(f"vote {vote.code} has {MOST_BALLOTS} ballots, the most it takes", hint="open another one")
        write_json(ballot, {"option": option})
    except OSError as error:
        raise no_space(error) from error


def choice_of(vote: Vote, browser: str, root: str | Path | None = None) -> int | None:
    """What a browser chose; None if it has not voted."""
    if not browser:
        return None
    return _option(folder_of(root) / vote.code / "ballots" / f"{mark_of(browser, vote.code)}.json", vote)


def tally(vote: Vote, root: str | Path | None = None) -> tuple[int, ...]:
    """Ballots for each option; what cannot be read is not counted."""
    counts = [0] * len(vote.options)
    ballots = folder_of(root) / vote.code / "ballots"
    for path in ballots.glob("*.json") if ballots.is_dir() else ():
        option = _option(path, vote)
        if option is not None and not path.name.startswith("."):
            counts[option] += 1
    return tuple(counts)


def as_csv(vote: Vote, root: str | Path | None = None) -> str:
    """Options, votes and shares as CSV; text that a spreadsheet would run as a formula is quoted with an apostrophe."""
    counts, out = tally(vote, root), io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["code", "question", "option", "votes", "share"])
    for option, count in zip(vote.options, counts, strict=True):
        share = count / sum(counts) if sum(counts) else 0.0
        writer.writerow([vote.code, harmless(vote.question), harmless(option), count, f"{share:.4f}"])
    return out.getvalue()


def _option(path: Path, vote: Vote) -> int | None:
    option = read_json(path, missing_ok=True).get("option")
    return option if isinstance(option, int) and 0 <= option < len(vote.options) else None
