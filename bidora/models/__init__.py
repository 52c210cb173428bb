"""Where a pretrained encoder comes from: a package, a local folder, or the hub. Importing this costs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bidora.errors import LabError
from bidora.models.esm2 import ESM2
from bidora.models.local import cached_folder, hub_model, local_model, looks_like_path, read_config
from bidora.models.minilm import MINILM
from bidora.models.model import Model
from bidora.models.notices import Notice, mark_shown, pending_notices
from bidora.models.packages import Progress, cache_folder, fetch_members, is_complete, package_folder
from bidora.models.positions import input_length

__all__ = [
    "MODELS",
    "Model",
    "Notice",
    "Progress",
    "cache_folder",
    "get_model",
    "input_length",
    "is_fetched",
    "mark_shown",
    "model_folder",
    "packaged_name",
    "pending_notices",
    "settings_here",
]

MODELS: dict[str, Model] = {model.name: model for model in (MINILM, ESM2)}
"""The encoders that need no hub."""

_BY_HUB_ID = {model.hub_id: model for model in MODELS.values() if model.hub_id}


def get_model(name: str) -> Model:
    """What is known about a model.

    Args:
        name: a packaged name (`MODELS`), a local folder, or a hub id; the id of weights that travel in a package means
            these, since they are the same bytes and need no hub.

    Raises:
        LabError: it is none of these, or the folder is not a model that can be used.

    >>> get_model("esm2").family
    'protein'
    """
    name = name.strip()
    if name in MODELS:
        return MODELS[name]
    if not name:
        raise LabError(
            "no model is named", hint=f"name one of {', '.join(MODELS)}, a folder, or a hub id", kind="model"
        )
    if "://" in name:
        raise LabError(
            f"model={name!r} is an address", hint="give the hub id, the last two parts of the address", kind="model"
        )
    if looks_like_path(name) or Path(name).is_dir():
        return local_model(name)
    if name in _BY_HUB_ID:
        return _BY_HUB_ID[name]
    return hub_model(name, packaged=list(MODELS))


def packaged_name(name: str) -> str:
    """A model's packaged name where the hub's id of the same bytes is given; every other name as it is.

    >>> packaged_name("esm2"), packaged_name("roberta-base")
    ('esm2', 'roberta-base')
    """
    return _BY_HUB_ID[name].name if name in _BY_HUB_ID else name


def model_folder(name: str, progress: Progress | None = None) -> str:
    """Where transformers can load a model from: a folder, or the hub id itself.

    Weights that travel in a package are fetched the first time, checked, and turned into safetensors.

    Raises:
        LabError: there is no such model, or it can be neither found nor fetched.
    """
    model = get_model(name)
    if model.package is not None:
        folder = package_folder(model.package)
        return str(
            fetch_members(
                model.package, folder, title=model.title.split(" (")[0], progress=progress, convert=model.convert
            )
        )
    return model.folder or model.name


def is_fetched(name: str) -> bool:
    """Whether a model needs no fetching any more (for a hub id: unknown, so False)."""
    model = get_model(name)
    if model.package is not None:
        return is_complete(model.package, package_folder(model.package))
    return bool(model.folder)


def settings_here(name: str) -> dict[str, Any]:
    """What a model's config.json holds, where it lies on this machine; else empty.

    Raises:
        LabError: there is no such model, or the file cannot be read.
    """
    model = get_model(name)
    if model.package is not None:
        folder = package_folder(model.package) if is_fetched(name) else None
    else:
        folder = Path(model.folder) if model.folder else cached_folder(model.name)
    return read_config(folder / "config.json") if folder is not None and (folder / "config.json").is_file() else {}
