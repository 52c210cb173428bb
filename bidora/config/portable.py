"""How settings travel: as JSON, as flags of the command line, as a digest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from bidora.errors import LabError, did_you_mean

SCHEMA_VERSION = 1

ALWAYS_SAID = ("task", "method", "seed")
"""Settings that a command names even where they have their default."""


@dataclass(frozen=True)
class Portable:
    """What a frozen dataclass of settings can do beside holding them; every field has a default."""

    def to_dict(self) -> dict[str, Any]:
        """All settings as JSON-ready values, with the schema version."""
        plain = {
            name: list(each) if isinstance(each, tuple) else each for name, each in dataclasses.asdict(self).items()
        }
        return {"schema_version": SCHEMA_VERSION, **plain}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, strict: bool = False) -> Self:
        """Read settings; unknown keys (of a newer version) are ignored unless strict.

        Raises:
            LabError: a value is not allowed, or, if strict, a name is unknown.
        """
        known = {each.name for each in fields(cls)}
        unknown = sorted(set(values) - known - {"schema_version"})
        if strict and unknown:
            otherwise = f"known settings: {', '.join(sorted(known))}"
            raise LabError(f"unknown setting {unknown[0]!r}", hint=did_you_mean(unknown[0], sorted(known), otherwise))
        return cls(**{name: value for name, value in values.items() if name in known})

    def replace(self, **changes: Any) -> Self:
        """The same settings with some changed."""
        return dataclasses.replace(self, **changes)

    def digest(self) -> str:
        """Twelve hex digits that are equal exactly for equal settings."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:12]

    def flags(self) -> list[str]:
        """The command-line flags that differ from the defaults: `bidora run` with them repeats this run."""
        words: list[str] = []
        for each in fields(self):
            value = getattr(self, each.name)
            if value == each.default and each.name not in ALWAYS_SAID:
                continue
            flag, text = flag_of(each.name), flag_text(value)
            words += [f"{flag}={text}"] if text.startswith("-") else [flag, text]  # "-x" alone would read as a flag
        return words


def flag_of(name: str) -> str:
    """A setting's name on the command line: `--learning-rate`."""
    return f"--{name.replace('_', '-')}"


def flag_text(value: Any) -> str:
    """A setting's value on the command line."""
    return ",".join(value) if isinstance(value, tuple) else str(value)
