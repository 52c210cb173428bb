"""Lesson links: a view with its controls set, hidden or locked, and a question above it, in one short address.

    new_run?preset=first-run&method=dora&rank=4&seed=3&lock=rank&hide=alpha,dropout&question=Which%20is%20higher%3F

Whatever is unknown, too long or not allowed in an address is passed over, never shown and never obeyed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from bidora.lessons.controls import LINKED, allowed, known, label_of, names_of
from bidora.runs import RUN_ID

QUESTION_LENGTH = 200
MOST_RUNS = 24
SPEEDS = ("1", "5", "20")
_PRESET = re.compile(r"^[a-z0-9][a-z0-9_-]{0,39}$")


@dataclass(frozen=True)
class LessonLink:
    """One link.

    Attributes:
        view: one of LINKED; "classroom" is the replay.
        settings: control → value as text.
        preset: of New run; empty for none.
        hide: controls that are not shown.
        lock: controls that are shown and cannot be changed.
        question: plain text above the view.
        runs: ids, for compare and the replay.
        speed: of the replay: 1, 5, 20, or empty.
    """

    view: str
    settings: Mapping[str, str] = field(default_factory=dict)
    preset: str = ""
    hide: tuple[str, ...] = ()
    lock: tuple[str, ...] = ()
    question: str = ""
    runs: tuple[str, ...] = ()
    speed: str = ""

    def query(self) -> dict[str, str]:
        """The parameters, as `st.page_link` and `st.switch_page` take them."""
        runs = {"compare": "runs", "classroom": "replay"}.get(self.view, "")
        found = {
            "preset": self.preset,
            **self.settings,
            runs: ",".join(self.runs) if runs else "",
            "speed": self.speed if runs == "replay" else "",
            "hide": ",".join(self.hide),
            "lock": ",".join(self.lock),
            "question": self.question,
        }
        return {name: value for name, value in found.items() if name and value}

    def address(self, base: str = "") -> str:
        """The whole link; `base` is the lab's address with the slash at its end."""
        query = urlencode(self.query(), safe=",:", quote_via=quote)
        return f"{base}{self.view}{'?' if query else ''}{query}"

    def in_words(self) -> list[str]:
        """What the link does, a sentence each, for the teacher who makes it."""
        words = [f"Opens **{LINKED[self.view]}**" + (f" with the preset {self.preset}." if self.preset else ".")]
        words += [f"{label_of(self.view, name)}: {value}." for name, value in self.settings.items()]
        if self.hide:
            words.append(f"Hidden: {', '.join(label_of(self.view, name) for name in self.hide)}.")
        if self.lock:
            words.append(f"Locked: {', '.join(label_of(self.view, name) for name in self.lock)}.")
        return words


def read_link(view: str, parameters: Mapping[str, str]) -> LessonLink | None:
    """What an address asks for, as far as it may; None for a view that takes no lesson link.

    Args:
        view: the view's name.
        parameters: as `st.query_params` gives them.
    """
    if view not in LINKED:
        return None
    values = {name: str(parameters[name]) for name in parameters}
    hide = known(view, values.get("hide", "")[:2000].split(","))
    preset = values.get("preset", "")
    speed = values.get("speed", "")
    return LessonLink(
        view=view,
        settings={
            name: values[name] for name in names_of(view) if name in values and allowed(view, name, values[name])
        },
        preset=preset if view == "new_run" and _PRESET.match(preset) else "",
        hide=hide,
        lock=tuple(name for name in known(view, values.get("lock", "")[:2000].split(",")) if name not in hide),
        question=plain_question(values.get("question", "")),
        runs=run_ids(values.get({"compare": "runs", "classroom": "replay"}.get(view, ""), "")),
        speed=speed if view == "classroom" and speed in SPEEDS else "",
    )


def plain_question(text: str) -> str:
    """A question as one line of at most 200 characters, without control and direction-changing characters."""
    printable = "".join(" " if letter.isspace() else letter for letter in text[: 4 * QUESTION_LENGTH])
    visible = "".join(letter for letter in printable if unicodedata.category(letter)[0] != "C")
    return " ".join(visible.split())[:QUESTION_LENGTH].strip()


def run_ids(text: str) -> tuple[str, ...]:
    """Ids of runs with commas between, each once, at most 24; what is no id is passed over."""
    parts = (part.strip() for part in text[:800].split(","))
    return tuple(dict.fromkeys(part for part in parts if RUN_ID.match(part)))[:MOST_RUNS]
