"""Where a side of an analysis comes from: a run, an upload, a path that somebody typed, or a model's name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bidora.errors import LabError
from bidora.methods import get_method
from bidora.models import MODELS, get_model, is_fetched, model_folder
from bidora.runs import Run
from bidora.sources.source import Source, look_at
from bidora.uploads import Received, shown

LOCAL = ("127.0.0.1", "localhost", "::1")
"""Addresses on which only this machine's own users reach a server."""


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
    return look_at(path, title=shown(str(path)))


def of_upload(received: Received) -> Source:
    """What was uploaded; messages name the upload, not where it is kept.

    Raises:
        LabError: it cannot be used.
    """
    with _named(received.path, received.title):
        return _read_by_tensors(look_at(received.path, title=received.title))


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
    refuse_without_motion(run)
    title = shown(str(run.meta.get("name") or run.id))
    if not run.adapter_dir.resolve().is_relative_to(run.path.resolve()):
        raise LabError(
            f"the adapter of run {run.id} is a link out of its folder", hint="choose another run", kind="run"
        )
    with _named(run.adapter_dir.absolute(), title):
        found = replace(look_at(run.adapter_dir.absolute(), title=title), method=run.config.method)
        return _read_by_tensors(found) if "imported" in run.meta else found


def _read_by_tensors(source: Source) -> Source:
    """Something from outside, unless PEFT would have to build it: settings from elsewhere could ask for any size.

    Raises:
        LabError: it is an adapter of a kind that only PEFT can merge.
    """
    if source.merged_by_peft:
        raise LabError(
            f"{source.title} is a {source.kind}; of what comes from elsewhere the app reads LoRA and DoRA adapters",
            hint="`bidora analyse FOLDER --base MODEL` takes every kind that PEFT can merge",
            kind="model",
        )
    return source


def refuse_without_motion(run: Run) -> None:
    """Refuse to analyse what a run left where its method changes no weight matrix.

    Raises:
        LabError: it was BitFit or the head alone.
    """
    method = get_method(run.config.method)
    if not method.moves_weights:
        raise LabError(
            f"run {run.id} changed no weight matrix: {method.title} {method.summary}",
            hint="ΔM and ΔD are 0 by definition; choose a run of another method",
            kind="run",
        )


def base_of_run(run: Run) -> str:
    """The name of the model that a run started from."""
    from bidora.tasks import get_task

    return run.config.model or get_task(run.config.task).default_model


def of_run_base(run: Run, *, paths: bool) -> Source:
    """The model that a run started from; a folder only where paths are allowed and the run was made here.

    Raises:
        LabError: it is not on this machine, or cannot be used.
    """
    name = base_of_run(run)
    here = paths and "imported" not in run.meta and not packaged(name)
    return of_path(name) if here and Path(name).exists() else of_model(name)


def suggested_base(after: Source) -> str:
    """A model by name that an adapter's settings point to, if it needs no path to be opened; "" for none.

    Only packaged models and ids in the hub cache count: a settings file may name any place.
    """
    named = after.base_named
    return packaged(named) or (named if named and _cached(named) is not None else "")


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
            return replace(look_at(Path(model_folder(own)), title=title), argument=own, kind="packaged model")
        return Source(own, title, "packaged model", {}, to_fetch=model.size or 0)
    folder = _cached(name)
    if folder is None:
        raise LabError(
            f"{shown(name)!r} is no packaged model ({', '.join(MODELS)}), and its weights are not in the hub cache here",
            hint=f"fetch it once with `hf download {shown(name)}`, or give its folder or file",
            kind="model",
        )
    return replace(look_at(folder, title=name), kind="checkpoint")


@contextmanager
def _named(place: Path, title: str) -> Iterator[None]:
    """Let messages name a side by its title, not by where the server keeps it."""
    try:
        yield
    except LabError as error:
        message = error.message.replace(f"{place}{os.sep}", "").replace(str(place), title)
        raise LabError(message, hint=error.hint, kind=error.kind) from error


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
