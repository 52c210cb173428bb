"""Licences and terms that people should have read once: kept back until shown, then remembered in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bidora.models.packages import cache_folder


class Source(Protocol):
    """What has terms: a Model or a Task."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def title(self) -> str: ...  # noqa: D102

    @property
    def notice(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Notice:
    """Terms of one model or task: `name` is its name in the registry, `text` what to show."""

    name: str
    text: str

    @property
    def marker(self) -> Path:
        """The file that remembers that this very text was shown."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()[:12]
        return cache_folder() / "notices" / f"{self.name}-{digest}"


def pending_notices(*sources: Source) -> list[Notice]:
    """The notices of models and tasks that were not yet shown to the users of this cache."""
    notices = [Notice(each.name, f"{each.title}. {each.notice}") for each in sources if each.notice]
    return [notice for notice in notices if not notice.marker.exists()]


def mark_shown(notices: Iterable[Notice]) -> None:
    """Remember that notices were shown; where the cache cannot be written to, they will be shown again."""
    for notice in notices:
        try:
            notice.marker.parent.mkdir(parents=True, exist_ok=True)
            notice.marker.touch()
        except OSError:
            return
