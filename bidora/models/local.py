"""Models that are not ours: a folder on this machine, or an id on the Hugging Face hub."""

from __future__ import annotations

import difflib
import json
import os
import re
from pathlib import Path
from typing import Any

from bidora.errors import LabError
from bidora.models.model import Model

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_PICKLED = ("pytorch_model.bin", "model.bin", "pytorch_model.pt", "model.pt", "tf_model.h5", "flax_model.msgpack")
_TOKENIZERS = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
_PROTEIN_WORDS = ("esm", "prot", "ankh", "antibert", "ablang")


def local_model(name: str) -> Model:
    """A model in a folder: config.json, a tokenizer, and weights as safetensors. A hub cache's model folder will do.

    Raises:
        LabError: something is missing, or the weights are pickled.
    """
    path = Path(name).expanduser()
    if not path.exists():
        raise LabError(
            f"there is no folder {name!r}",
            hint="give the path of a folder with config.json and model.safetensors, a packaged name, or a hub id",
            kind="model",
        )
    if not path.is_dir():
        whole = (path.parent / "config.json").is_file()
        way = f"give {str(path.parent)!r}" if whole else f"make one of it: `bidora convert {name} --into FOLDER`"
        raise LabError(f"{name!r} is a file, and a model is a folder", hint=way, kind="model")
    path = _snapshot(path) or path
    _check_files(path)
    config = read_config(path / "config.json")
    sizes = [each.stat().st_size for each in path.glob("*.safetensors")]
    return Model(
        name=name,
        title=path.name,
        family=_family(str(config.get("model_type", "")), path.name),
        source=f"local folder {path}",
        licence="see the folder",
        size=sum(sizes),
        parameters=None,
        citation="",
        default_length=128,
        folder=str(path.resolve()),
    )


def hub_model(name: str, *, packaged: list[str]) -> Model:
    """A model on the hub. It is not looked up here: loading it says what is wrong.

    Raises:
        LabError: the name cannot be a hub id, or is nearly one of ours.
    """
    near = difflib.get_close_matches(name.lower(), packaged, n=1, cutoff=0.75)
    if near and "/" not in name:
        raise LabError(f"there is no model {name!r}", hint=f"did you mean {near[0]!r}?", kind="model")
    if not _HUB_ID.fullmatch(name) or len(name) > 96 or "--" in name or ".." in name:
        raise LabError(
            f"model={name!r} is neither a packaged model ({', '.join(packaged)}), nor a folder, nor a hub id",
            hint="a hub id looks like roberta-base or facebook/esm2_t6_8M_UR50D",
            kind="model",
        )
    cached = cached_folder(name)
    config = read_config(cached / "config.json") if cached is not None and (cached / "config.json").is_file() else {}
    return Model(
        name=name,
        title=name,
        family=_family(str(config.get("model_type", "")), name),
        source=f"Hugging Face hub, {name}",
        licence="see its page on the hub",
        size=None,
        parameters=None,
        citation="see its page on the hub",
        default_length=128,
    )


def looks_like_path(name: str) -> bool:
    """Whether a model's name can only be meant as a path."""
    return (
        name.startswith(("/", "./", "../", "~", ".\\", "..\\"))
        or bool(re.match(r"[A-Za-z]:[\\/]", name))
        or ("\\" in name)
        or name.endswith(("/", ".safetensors", ".bin", ".pt"))
        or (name.count("/") > 1 and "://" not in name)
    )


def _check_files(path: Path) -> None:
    if (path / "adapter_config.json").is_file() and not (path / "config.json").is_file():
        raise LabError(
            f"{path} holds an adapter, not a model",
            hint="name the model that the adapter belongs to; `bidora analyse` looks at adapters",
            kind="model",
        )
    if not (path / "config.json").is_file():
        lone = any(path.glob("*.safetensors"))
        raise LabError(
            f"{path} holds no config.json, so it is not a model",
            hint="save the model with model.save_pretrained(folder) and tokenizer.save_pretrained(folder)"
            + (", or make one of its weights: `bidora convert FILE --into FOLDER`" if lone else ""),
            kind="model",
        )
    if not any(path.glob("*.safetensors")):
        pickled = [name for name in _PICKLED if (path / name).is_file()]
        held = f"its weights are in {pickled[0]}, which is not read because opening it can run code" if pickled else ""
        raise LabError(
            f"{path} holds no weights as safetensors" + (f": {held}" if held else ""),
            hint="convert it once, if you trust it: AutoModel.from_pretrained(folder).save_pretrained(new_folder), and "
            "AutoTokenizer.from_pretrained(folder).save_pretrained(new_folder)",
            kind="model",
        )
    if not any((path / name).is_file() for name in _TOKENIZERS):
        raise LabError(
            f"{path} holds no tokenizer (looked for {', '.join(_TOKENIZERS)})",
            hint="save it there with tokenizer.save_pretrained(folder)",
            kind="model",
        )


def _snapshot(path: Path) -> Path | None:
    """The current snapshot of a model folder in a hub cache; None where it is no such folder."""
    if not (path / "snapshots").is_dir():
        return None
    reference = path / "refs" / "main"
    if reference.is_file():
        current = path / "snapshots" / reference.read_text(encoding="utf-8").strip()
        if current.is_dir():
            return current
    return max((each for each in (path / "snapshots").iterdir() if each.is_dir()), default=None, key=lambda p: p.name)


def cached_folder(name: str) -> Path | None:
    """Where the hub's cache has a model; None where it has not."""
    return _snapshot(_hub_cache() / f"models--{name.replace('/', '--')}")


def _hub_cache() -> Path:
    """Where transformers keeps what it fetched from the hub."""
    if chosen := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(chosen).expanduser()
    home = os.environ.get("HF_HOME", "")
    return (Path(home).expanduser() if home else Path.home() / ".cache" / "huggingface") / "hub"


def read_config(path: Path) -> dict[str, Any]:
    """What a model's config.json holds.

    Raises:
        LabError: it cannot be read.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint="copy the model again", kind="model") from error
    if not isinstance(config, dict):
        raise LabError(f"{path} holds no settings", hint="copy the model again", kind="model")
    return config


def _family(model_type: str, name: str) -> str:
    """What a model reads, from its type, or where that is unknown or says nothing, from its name."""
    if model_type.startswith("esm"):
        return "protein"
    return "protein" if any(word in name.lower() for word in _PROTEIN_WORDS) else "text"
