"""A checkpoint that another program wrote, as a model folder: its encoder's tensors under transformers' names.

Made for protein encoders that were trained on outside of transformers, such as ProteinAligner's, whose sequence encoder is an ESM-2
inside a larger model: the tensors have a prefix, stand beside other encoders and heads, and may have the names of fair-esm,
ESM-2's first home. Only safetensors files are read. What the encoder needs must be there in full; the rest is counted and left.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidora.errors import LabError
from bidora.models.esm_names import ESM_ALPHABET, esm_settings
from bidora.models.matching import NOT_NEEDED, check, chosen_prefix, encoder_shapes, places_of
from bidora.weight_files import PICKLED, check_header

if TYPE_CHECKING:
    import torch

RECORD = "converted.json"
"""File of the new folder that says where its weights come from."""

UNPICKLE = (
    "python -c \"import torch; from safetensors.torch import save_file; s = torch.load('{name}', map_location='cpu', "
    "weights_only=True); s = s.get('state_dict', s.get('model', s)); save_file({{k: v.clone().contiguous() for k, v in "
    "s.items() if torch.is_tensor(v)}}, '{stem}.safetensors')\""
)
"""What makes a safetensors file of a pickled state dict; weights_only refuses everything that could run."""


@dataclass(frozen=True)
class Conversion:
    """What was converted.

    Attributes:
        folder: the new model.
        prefix: what stood before the encoder's names in the file; empty for nothing.
        tensors: how many were taken.
        parameters: how many numbers they hold.
        unused: names of the others.
        names: whose names they were: "transformers" or "fair-esm".
        described_by: what gave the architecture: a model's name, or an ESM-2 known by its shapes.
    """

    folder: Path
    prefix: str
    tensors: int
    parameters: int
    unused: tuple[str, ...]
    names: str
    described_by: str


def convert_checkpoint(file: str | Path, into: str | Path, *, base: str = "", prefix: str | None = None) -> Conversion:
    """Write a model folder (config.json, model.safetensors, tokenizer) of one checkpoint file.

    Args:
        file: a .safetensors file; its tensors keep their numbers and their precision.
        into: the folder to make; must not exist, or be empty.
        base: packaged name, folder or hub id of a model of the same architecture, which gives settings and tokenizer;
            empty: an ESM-2, whose size is seen by its shapes.
        prefix: what stands before the encoder's names; by default what fits the most tensors.

    Raises:
        LabError: the file is a pickle or damaged; nothing in it fits; two encoders fit equally well; tensors are
            missing, of another shape, or of more layers than the base has; the folder is in use.
    """
    path, target = Path(file).expanduser(), Path(into).expanduser()
    shapes = {name: shape for name, (_, shape) in _header(path).items()}
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise LabError(f"{target} is there already", hint="name a new folder with --into", kind="model")
    settings, described_by = _settings(shapes, base, prefix, path)
    wanted = encoder_shapes(settings)
    places = places_of(shapes, wanted, esm=settings.model_type == "esm")
    chosen = chosen_prefix(places, shapes, wanted, prefix, path)
    taken = places[chosen]
    check(taken, shapes, wanted, chosen, path)
    tensors = _read(path, taken)
    _write(tensors, settings, base, target, path, chosen)
    unused = tuple(sorted(name for name in set(shapes) - set(taken.values()) if not name.endswith("inv_freq")))
    fair = any(re.match(r"layers\.\d", stored.removeprefix(chosen)) for stored in taken.values())
    count = sum(each.numel() for name, each in tensors.items() if not name.startswith(NOT_NEEDED))
    return Conversion(target, chosen, len(tensors), count, unused, "fair-esm" if fair else "transformers", described_by)


def _header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    if path.is_dir():
        raise LabError(
            f"{path} is a folder", hint="give the .safetensors file; a model folder needs no conversion", kind="model"
        )
    if path.suffix in PICKLED and path.is_file():
        raise LabError(
            f"{path} is a pickle, and opening one runs whatever it says; only .safetensors files are read",
            hint=f"make one of it, where you trust it: {UNPICKLE.format(name=path.name, stem=path.stem)}",
            kind="model",
        )
    return check_header(path)


def _settings(shapes: Mapping[str, tuple[int, ...]], base: str, prefix: str | None, path: Path) -> tuple[Any, str]:
    """transformers' configuration of the encoder, and in words where it comes from."""
    if not base:
        from transformers import EsmConfig

        values, title = esm_settings(shapes, prefix, str(path))
        return EsmConfig(**values), title
    from bidora.classifier import read_config
    from bidora.models import get_model, model_folder

    return read_config(str(model_folder(base))), get_model(base).title


def _read(path: Path, taken: Mapping[str, str]) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(stored) for name, stored in taken.items()}
    except (SafetensorError, OSError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint="download or save it again", kind="model") from error


def _write(
    tensors: Mapping[str, torch.Tensor], settings: Any, base: str, target: Path, path: Path, prefix: str
) -> None:
    """The folder under another name first, so that half a model never bears the name that was asked for."""
    from safetensors.torch import save_file
    from transformers import AutoModel, AutoTokenizer

    settings.architectures = [AutoModel._model_mapping[type(settings)].__name__]
    for name in ("problem_type", "id2label", "label2id"):  # of a head that is not taken
        settings.__dict__.pop(name, None)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as place:
            folder = Path(place) / target.name
            folder.mkdir()
            save_file(dict(tensors), folder / "model.safetensors", metadata={"format": "pt"})
            (folder / "model.safetensors").chmod(0o644)  # safetensors makes it readable for its owner only
            settings.save_pretrained(folder)
            if base:
                from bidora.models import model_folder

                AutoTokenizer.from_pretrained(model_folder(base)).save_pretrained(folder)
            else:
                _write_alphabet(folder)
            record = {"from": path.name, "bytes": path.stat().st_size, "prefix": prefix, "base": base or "ESM-2"}
            (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
            if target.is_dir():
                target.rmdir()
            os.replace(folder, target)
    except OSError as error:
        raise LabError(
            f"{target} cannot be written: {error.strerror or error}", hint="name another folder", kind="disk"
        ) from error


def _write_alphabet(folder: Path) -> None:
    """ESM-2's tokenizer, which is nothing but its 33 letters."""
    (folder / "vocab.txt").write_text("\n".join(ESM_ALPHABET), encoding="utf-8")
    special = {f"{name}_token": f"<{name}>" for name in ("cls", "eos", "mask", "pad", "unk")}
    described = {"tokenizer_class": "EsmTokenizer", "model_max_length": 1024, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
