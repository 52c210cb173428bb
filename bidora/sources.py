"""What can be analysed: adapters, checkpoints and base models, looked at without reading a tensor. No torch.

A source is found in four ways: a run, an upload, a path that somebody typed, or a model's name. Which of them a visitor
may use is for the caller to say (`paths_allowed`); a base model that an adapter names is never opened for that alone.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bidora.errors import LabError
from bidora.models import MODELS, get_model, is_fetched, model_folder
from bidora.runs import Run
from bidora.uploads import Received, checked_settings, shown
from bidora.weight_files import canonical_name, check_header, layer_matrices, weight_files

LOCAL = ("127.0.0.1", "localhost", "::1")
"""Addresses on which only this machine's own users reach a server."""

_COPIES = 8
"""Matrices in float64 that are in memory at once while one layer is compared: both weights, norms, products."""


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


def paths_allowed(address: str | None) -> bool:
    """Whether visitors may name files of the server: only where no other machine can reach it.

    >>> paths_allowed("127.0.0.1"), paths_allowed("0.0.0.0"), paths_allowed(None)
    (True, False, False)
    """
    return (address or "").strip().lower() in LOCAL


def of_path(text: str) -> Source:
    """A folder or .safetensors file of this machine that somebody typed.

    Raises:
        LabError: there is none, or it cannot be used.
    """
    try:
        path = Path(text.strip()).expanduser().absolute()
        there = path.is_dir() or path.is_file()
    except (ValueError, OSError, RuntimeError):  # a null byte, a name too long, an unknown ~user
        there = False
    if not text.strip() or not there:
        raise LabError(
            f"there is no folder or file {shown(text)!r} on this machine",
            hint="give the folder that save_pretrained(folder) wrote, or a .safetensors file",
            kind="model",
        )
    return _look_at(path, title=shown(str(path)))


def of_upload(received: Received) -> Source:
    """What was uploaded; messages name the upload, not where it is kept.

    Raises:
        LabError: it cannot be used.
    """
    try:
        return _look_at(received.path, title=received.title)
    except LabError as error:
        message = error.message.replace(f"{received.path}{os.sep}", "").replace(str(received.path), received.title)
        raise LabError(message, hint=error.hint, kind=error.kind) from error


def of_run(run: Run) -> Source:
    """The adapter (or the whole model) that a run trained.

    Raises:
        LabError: it is not there yet.
    """
    if not run.adapter_dir.is_dir():
        raise LabError(
            f"run {run.id} has no adapter: it is {run.state}",
            hint="choose a finished run",
            kind="run",
        )
    found = _look_at(run.adapter_dir.absolute(), title=shown(str(run.meta.get("name") or run.id)))
    return replace(found, method=run.config.method)


def base_of_run(run: Run) -> str:
    """The name of the model that a run started from."""
    from bidora.tasks import get_task

    return run.config.model or get_task(run.config.task).default_model


def suggested_base(after: Source) -> str:
    """A model by name that an adapter's settings point to, if it needs no path to be opened; "" for none.

    Only packaged models and ids in the hub cache count: a settings file may name any place.
    """
    named = after.base_named
    return packaged(named) or (named if named and _cached(named) is not None else "")


def what_is_read(*sources: Source) -> list[dict[str, str | int]]:
    """One row per file, for a table: side, file, megabytes, and what is known from its header."""
    rows: list[dict[str, str | int]] = []
    for side, source in zip(("after training", "before training"), sources):
        about = f"{source.kind}, {source.matrices} {'adapted layers' if source.is_adapter else 'matrices in layers'}"
        about += f", rank {source.rank}" if source.rank else ""
        files = source.files or {f"{source.argument} (is fetched first)": source.to_fetch}
        rows += [
            {"side": side, "file": name, "MB": f"{size / 1e6:.3g}", "what it is": about} for name, size in files.items()
        ]
    return rows


def packaged(name: str) -> str:
    """The packaged model that a name means ("" for none): its own name, its hub id, or its folder in a cache.

    >>> packaged("esm2"), packaged("roberta-base")
    ('esm2', '')
    """
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    for model in MODELS.values():
        folder = f"{model.package.name}-{model.package.version}" if model.package else ""
        if (name and name in (model.name, model.hub_id)) or (last and last == folder):
            return model.name
    return ""


def of_model(name: str) -> Source:
    """A packaged model, or a hub id whose weights are in this machine's hub cache. Nothing is fetched, no path opened.

    Raises:
        LabError: it is neither.
    """
    name = name.strip()
    if own := packaged(name):
        model = get_model(own)
        title = model.title.partition(" (")[0]
        if is_fetched(own):
            return replace(_look_at(Path(model_folder(own)), title=title), argument=own, kind="packaged model")
        return Source(own, title, "packaged model", {}, to_fetch=model.size or 0)
    folder = _cached(name)
    if folder is None:
        raise LabError(
            f"{shown(name)!r} is no packaged model ({', '.join(MODELS)}), and its weights are not in the hub cache here",
            hint=f"fetch it once with `hf download {shown(name)}`, or give its folder or file",
            kind="model",
        )
    return replace(_look_at(folder, title=name), kind="checkpoint")


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
    if needed > free:
        raise LabError(
            f"the largest matrix ({largest:,} numbers) needs about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free",
            hint="close other programs, or use a machine with more memory",
            kind="model",
        )


def _look_at(path: Path, *, title: str) -> Source:
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


def _cached(name: str) -> Path | None:
    """The snapshot of a hub id in the local cache, or None; asks no network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    if not name or name.startswith(("/", ".", "~")) or name.count("/") > 1 or "\\" in name or ".." in name:
        return None
    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError, ValueError):
        return None
