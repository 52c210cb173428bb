"""One side of an analysis: what files it has and what their headers say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bidora.errors import LabError
from bidora.uploads import checked_settings, shown
from bidora.weight_files import canonical_name, check_header, layer_matrices, layer_of, weight_files
from bidora.wording import size

_COPIES = 8
"""Matrices in float64 that are in memory at once while one layer is compared: both weights, norms, products."""

_WHOLE_COPIES = 4
"""The same for a whole model that PEFT merges an adapter into; a file in half precision doubles when it is read."""

_TITLES = {"ADALORA": "AdaLoRA", "VERA": "VeRA", "FOURIERFT": "FourierFT"}
"""PEFT's word for a kind → the method's name."""


@dataclass(frozen=True)
class Source:
    """One side of an analysis.

    Attributes:
        argument: what the command line gets: an absolute path, or the name of a packaged model.
        title: what to call it; text from outside, so escape it where markup is understood.
        kind: in words: DoRA adapter, LoRA adapter, checkpoint, packaged model.
        files: name → bytes of what will be read.
        matrices: how many layers are adapted, or how many matrices the numbered layers of a checkpoint have.
        largest: numbers in the largest of them.
        rank: of an adapter; 0 for others.
        folder: where the files lie (or the file itself); empty where they are still to be fetched.
        base_named: the base model that an adapter's settings name; text, not believed.
        to_fetch: bytes to fetch first.
        merged_by_peft: whether it is of a kind that only PEFT can merge, into the whole model.
        method: that made it, where a run says so; DoRA and BiDoRA adapters look alike on disk.
    """

    argument: str
    title: str
    kind: str
    files: Mapping[str, int]
    matrices: int = 0
    largest: int = 0
    rank: int = 0
    folder: str = ""
    base_named: str = ""
    to_fetch: int = 0
    method: str = ""
    merged_by_peft: bool = False

    @property
    def look(self) -> str:
        """The key of its look in figures: the method where it is known, else what the files tell."""
        return self.method or ("full" if not self.is_adapter else self.kind.split()[0].lower())

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum(self.files.values())

    @property
    def is_adapter(self) -> bool:
        """Whether it needs a base model to become a weight."""
        return self.kind.endswith("adapter")


def look_at(path: Path, *, title: str) -> Source:
    """An adapter or a checkpoint, from its settings and headers.

    Raises:
        LabError: it cannot be used; names the path.
    """
    folder = path.parent if path.is_file() and path.name.startswith("adapter_model.") else path
    if (folder / "adapter_config.json").is_file():
        return _adapter(folder, title)
    files = [path] if path.is_file() else weight_files(path)
    shapes = {canonical_name(name): shape for each in files for name, (_, shape) in check_header(each).items()}
    matrices = layer_matrices(shapes)
    return Source(
        argument=str(path),
        folder=str(path),
        title=title,
        kind="checkpoint",
        files={each.name: each.stat().st_size for each in files},
        matrices=len(matrices),
        largest=max((math.prod(shapes[name]) for name in matrices), default=0),
    )


def _adapter(folder: Path, title: str) -> Source:
    settings = checked_settings(folder / "adapter_config.json")
    weights = folder / "adapter_model.safetensors"
    if not weights.is_file() and (folder / "adapter_model.bin").is_file():
        weights = folder / "adapter_model.bin"  # refused by name, with the way out
    shapes = {canonical_name(name): shape for name, (_, shape) in check_header(weights).items()}
    kind = str(settings.get("peft_type") or "LORA")
    if kind != "LORA":
        return _of_another_kind(folder, weights, title, shapes, settings)
    layers = {name.rpartition(".lora_")[0] for name in shapes if ".lora_" in name}
    if not layers:
        raise LabError(
            f"{weights} holds no lora_A and lora_B",
            hint="give the folder of a trained LoRA or DoRA adapter",
            kind="model",
        )
    ends = [(shapes.get(f"{name}.lora_B.weight", ()), shapes.get(f"{name}.lora_A.weight", ())) for name in layers]
    rank = settings.get("r")
    return Source(
        argument=str(folder),
        folder=str(folder),
        title=title,
        kind="DoRA adapter" if settings.get("use_dora") else "LoRA adapter",
        files={each.name: each.stat().st_size for each in (folder / "adapter_config.json", weights)},
        matrices=len(layers),
        largest=max((out[0] * into[1] for out, into in ends if len(out) == 2 and len(into) == 2), default=0),
        rank=rank if isinstance(rank, int) else 0,
        base_named=shown(str(settings.get("base_model_name_or_path") or "")),
    )


def _of_another_kind(
    folder: Path, weights: Path, title: str, shapes: Mapping[str, tuple[int, ...]], settings: Mapping[str, object]
) -> Source:
    """An adapter that only PEFT can merge: its layers are those of the numbered modules that it has tensors for."""
    kind = str(settings["peft_type"])
    layers = {name.rpartition(".")[0] for name in shapes if layer_of(name) >= 0 and "classifier" not in name}
    return Source(
        argument=str(folder),
        folder=str(folder),
        title=title,
        kind=f"{shown(_TITLES.get(kind, kind), longest=20)} adapter",
        files={each.name: each.stat().st_size for each in (folder / "adapter_config.json", weights)},
        matrices=len(layers),
        base_named=shown(str(settings.get("base_model_name_or_path") or "")),
        merged_by_peft=True,
    )


def what_is_read(*sources: Source) -> list[dict[str, str | int]]:
    """One row per file, for a table: side, file, size, and what is known from its header."""
    rows: list[dict[str, str | int]] = []
    for side, source in zip(("after training", "before training"), sources):
        about = f"{source.kind}, {source.matrices} {'adapted layers' if source.is_adapter else 'matrices in layers'}"
        about += f", rank {source.rank}" if source.rank else ""
        files = source.files or {f"{source.argument} (is fetched first)": source.to_fetch}
        rows += [
            {"side": side, "file": name, "size": size(count), "what it is": about} for name, count in files.items()
        ]
    return rows


def check_pair(before: Source, after: Source) -> None:
    """Make sure that two sides can be compared on this machine, as far as headers tell.

    Raises:
        LabError: the base is an adapter, both are the same, or the largest matrix needs more memory than is free.
    """
    import psutil

    if before.is_adapter:
        raise LabError(
            f"{before.title} is an adapter and no model", hint="give the model it was trained on as base", kind="model"
        )
    if before.argument == after.argument:
        raise LabError("both sides are the same", hint="choose another base model", kind="model")
    largest = max(after.largest, 0 if after.is_adapter else before.largest)
    needed, free = 8 * _COPIES * largest, psutil.virtual_memory().available
    what = f"the largest matrix ({largest:,} numbers)"
    if after.merged_by_peft:
        needed, what = _WHOLE_COPIES * before.size, "the whole model"
    if needed > free:
        raise LabError(
            f"{what} needs about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free",
            hint="close other programs, or use a machine with more memory",
            kind="model",
        )
