"""How settings travel: as JSON, as flags of the command line, as a digest."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from bidora.errors import LabError

SCHEMA_VERSION = 1


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
            near = difflib.get_close_matches(unknown[0], sorted(known), n=1)
            raise LabError(
                f"unknown setting {unknown[0]!r}",
                hint=f"did you mean {near[0]!r}?" if near else f"known settings: {', '.join(sorted(known))}",
            )
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
            if value == each.default and each.name not in ("task", "method", "seed"):
                continue
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            flag = f"--{each.name.replace('_', '-')}"
            words += [f"{flag}={text}"] if text.startswith("-") else [flag, text]  # "-x" alone would read as a flag
        return words
