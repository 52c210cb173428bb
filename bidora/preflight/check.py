"""One finding of a preflight, and how a problem becomes one."""

from __future__ import annotations

from typing import NamedTuple

from bidora.errors import LabError


class Check(NamedTuple):
    """One finding.

    Attributes:
        topic: one or two words.
        ok: True: fine; False: the run would fail; None: it would run, but this is worth knowing.
        sentence: what was found.
        hint: what to do; empty where nothing.
        run: id of a run that it is about; else empty.
    """

    topic: str
    ok: bool | None
    sentence: str
    hint: str = ""
    run: str = ""


def problem(topic: str, error: LabError) -> Check:
    """A problem that the user can solve, as a failed check."""
    return Check(topic, False, sentence(error.message), error.hint)


def refuse_failed(check: Check) -> None:
    """A failed check as an error, for those who go no further.

    Raises:
        LabError: the check failed.
    """
    if check.ok is False:
        raise LabError(check.sentence.removesuffix("."), hint=check.hint)


def note(check: Check) -> str:
    """A finding and what to do about it, as one line of text."""
    return " ".join(filter(None, [check.sentence, sentence(check.hint) if check.hint else ""]))


def sentence(text: str) -> str:
    """With a capital letter, except where a setting or a file begins it, and a full stop."""
    named = any(mark in text.split(" ", 1)[0] for mark in "=_.")
    return f"{text if named else text[:1].upper() + text[1:]}."
