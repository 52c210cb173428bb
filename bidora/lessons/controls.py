"""What a lesson link may set, hide or lock in each view, and which values it may take."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.presets import SIZES

LINKED = {
    "decompose": "Decompose",
    "two_levels": "Two levels",
    "new_run": "New run",
    "compare": "Compare",
    "classroom": "Replay of recordings",
}
"""Views that a lesson link may lead to, and their titles."""


@dataclass(frozen=True)
class Control:
    """One control of a sandbox: its name in the address, what it is called, and what it may be set to.

    Attributes:
        name: its parameter in the address; also the key of its widget.
        label: in words.
        start: what it is where the address does not set it.
        options: allowed words; () for numbers.
        low: smallest number.
        high: largest number.
        buttons: keys of buttons that change it, too.
    """

    name: str
    label: str
    start: str
    options: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    buttons: tuple[str, ...] = ()

    def allows(self, value: str) -> bool:
        """Whether the control can be set to this."""
        if self.options:
            return value in self.options
        try:
            number = float(value)
        except ValueError:
            return False
        return math.isfinite(number) and self.low <= number <= self.high


SANDBOXES = {
    "decompose": (
        Control("part", "Part of the page", "A vector", ("A vector", "A matrix", "What an update reaches")),
        Control("length", "Length of W", "2.6", (), 0.2, 3.0),
        Control("turn", "Turn of W in degrees", "25", (), -180, 180),
        Control("axis", "Norm axis", "output", ("output", "input")),
        Control("change", "What changes", "lengths", ("lengths", "headings", "both")),
        Control("percent", "Largest change of a length in %", "30", (), 0, 80),
        Control("degrees", "Turn of every row in degrees", "30", (), 0, 80),
        Control("turning", "Rows turn towards", "own", ("own", "shared")),
    ),
    "two_levels": (
        Control("xi", "ξ", "0.0", (), 0.0, 1.0),
        Control("lower_steps", "Lower steps per upper step", "5", (), 1, 20),
        Control("lower_rate", "Lower rate (of V)", "0.2", (), 0.05, 0.5),
        Control("outer_rate", "Outer rate (of m)", "0.1", (), 0.02, 1.0),
        Control("upper_steps", "Upper steps taken", "0", (), 0, 150, ("play", "pause", "one", "reset")),
    ),
    "compare": (
        Control(
            "part",
            "Part of the page",
            "Scores",
            ("Scores", "Settings", "Curves", "Weights", "Two levels", "Cost", "Samples"),
        ),
    ),
}

LOCAL = frozenset({"data", "test_data", "model"})
"""Settings that may name files of this machine; a link never sets them."""

SETTINGS = ("size", *(each.name for each in fields(RunConfig) if each.name not in LOCAL))
"""What a link may set in New run; size is how long the runs of a preset take."""

PARTS = {
    "preset": "choice of a preset",
    "advanced": "all further settings",
    "prediction": "prediction",
    "code": "command and notebook cell",
    "queue": "queue",
}
"""Parts of New run that a link may hide, besides its settings."""

SEVERAL = ("method", "seed")
"""Settings that take several values, with commas between: each is run."""
_LONGEST = 80
_PLAIN = re.compile(r"^[\w .,:+\-]*$")


def names_of(view: str) -> tuple[str, ...]:
    """Names of what a link may set or hide in a view; none where it takes only runs and a question."""
    if view == "new_run":
        return SETTINGS
    return tuple(each.name for each in SANDBOXES.get(view, ()))


def hideable(view: str) -> tuple[str, ...]:
    """Names of what a link may hide or lock in a view."""
    return (*PARTS, *SETTINGS) if view == "new_run" else names_of(view) if view != "compare" else ()


def label_of(view: str, name: str) -> str:
    """What a control is called on its page."""
    if view == "new_run" and name in PARTS:
        return PARTS[name]
    found = [each.label for each in SANDBOXES.get(view, ()) if each.name == name]
    return found[0] if found else name.replace("_", " ")


def starts_of(view: str, names: Iterable[str]) -> dict[str, str]:
    """Control of a sandbox → what it is where the address does not set it; New run's depend on the preset."""
    there = set(names)
    return {each.name: each.start for each in SANDBOXES.get(view, ()) if each.name in there}


def buttons_of(view: str, names: Iterable[str]) -> tuple[str, ...]:
    """Keys of buttons that change one of these controls."""
    there = set(names)
    return tuple(key for each in SANDBOXES.get(view, ()) if each.name in there for key in each.buttons)


def allowed(view: str, name: str, value: str) -> bool:
    """Whether a link may set that control to that value."""
    if name not in names_of(view) or len(value) > _LONGEST or not _PLAIN.match(value):
        return False
    if view == "new_run":
        values = value.split(",") if name in SEVERAL else [value]
        return value in SIZES if name == "size" else all(_is_setting(name, each) for each in values)
    return any(each.name == name and each.allows(value) for each in SANDBOXES[view])


def _is_setting(name: str, value: str) -> bool:
    try:
        RunConfig.from_dict({"method": "lora", name: value})
    except LabError:
        return False
    return True


def known(view: str, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the names that the view can hide or lock, each once, in the given order."""
    there = set(hideable(view))
    return tuple(dict.fromkeys(name for name in names if name in there))
