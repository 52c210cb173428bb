"""Named tensors from safetensors files or from a model in memory, read one at a time.

A file from outside is looked at before it is read: the header's length, its JSON, and every tensor's place in the file.
Pickles (.bin, .pt, .ckpt) are never opened, since opening one runs what it says.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bidora.errors import LabError

HEADER_LIMIT = 100_000_000
"""Longest header in bytes; the format's own limit."""

Source = str | os.PathLike[str] | nn.Module | Mapping[str, Tensor]
"""A model folder, a .safetensors file, a module, or a state dict."""

_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U8": 8, "BOOL": 8}
_BITS |= {"U16": 16, "U32": 32, "U64": 64, "F8_E4M3": 8, "F8_E5M2": 8}


class NamedTensors:
    """Tensors by name whose shapes are known before anything is read.

    Attributes:
        source: where they come from, for messages.
        shapes: canonical name → shape.
        floating: names of the tensors that hold floating-point numbers.
    """

    def __init__(
        self,
        source: str,
        shapes: Mapping[str, tuple[int, ...]],
        floating: frozenset[str],
        read: Callable[[str], Tensor],
    ) -> None:
        self.source = source
        self.shapes = dict(shapes)
        self.floating = floating
        self._read = read

    def read(self, name: str) -> Tensor:
        """One tensor in float64 on the CPU.

        Raises:
            LabError: it does not hold floating-point numbers (a quantised weight), or a number is NaN or infinite.
        """
        if name not in self.floating:
            raise LabError(
                f"{name} in {self.source} holds whole numbers, so it is quantised",
                hint="use the model's weights in float32, float16 or bfloat16",
                kind="model",
            )
        try:
            tensor = self._read(name).detach().to(device="cpu", dtype=torch.float64)
        except (RuntimeError, NotImplementedError) as error:
            raise LabError(
                f"{name} in {self.source} cannot be turned into float64: {error}",
                hint="use the model's weights in float32, float16 or bfloat16",
                kind="model",
            ) from error
        if not torch.isfinite(tensor).all():
            raise LabError(
                f"{name} in {self.source} holds NaN or infinite numbers", hint="use an earlier checkpoint", kind="model"
            )
        return tensor


def open_tensors(source: Source) -> NamedTensors:
    """The tensors of a model folder, a .safetensors file, a module or a state dict.

    A folder is searched for model.safetensors, then for a sharded index, then for a single .safetensors file.

    Raises:
        LabError: there is nothing to read, only a pickle, or the file is damaged.
    """
    if isinstance(source, nn.Module):
        return _in_memory(source.state_dict(), f"the given {type(source).__name__}")
    if isinstance(source, Mapping):
        return _in_memory(source, "the given state dict")
    path = Path(source)
    if path.is_file():
        return _from_files([path], str(path))
    if path.is_dir():
        return _from_files(_weight_files(path), str(path))
    raise LabError(
        f"{path} does not exist",
        hint="give a model folder, a .safetensors file or a PEFT adapter folder",
        kind="model",
    )


def canonical_name(name: str) -> str:
    """A tensor's name as the bare model has it: without the prefixes that PEFT, compile and data parallelism add."""
    name = re.sub(r"^(?:module\.|_orig_mod\.)+", "", name)
    name = re.sub(r"(?:^|(?<=\.))base_model\.model\.", "", name)
    return name.replace(".base_layer.", ".")


def check_header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Read and check the header of a .safetensors file without touching its tensors.

    Returns:
        name → (dtype as the format writes it, shape).

    Raises:
        LabError: the file is no safetensors file, is cut off, or contradicts itself; says which.
    """
    if path.suffix in _PICKLED:
        raise _pickle_refused(path)
    try:
        size = path.stat().st_size
        with open(path, "rb") as handle:
            start = handle.read(64)
            length = int.from_bytes(start[:8], "little")
            if size < 10 or length > HEADER_LIMIT or (start[8:9] != b"{" and size >= 9):
                raise _not_safetensors(path, start, size)
            handle.seek(8)
            text = handle.read(length)
    except OSError as error:
        raise LabError(
            f"{path} cannot be read: {error.strerror or error}", hint="check the path", kind="model"
        ) from error
    if len(text) < length:
        raise _damaged(path, f"it is cut off in its header ({size:,} bytes)")
    try:
        header = json.loads(text)
        entries = {name: _entry(value) for name, value in header.items() if name != "__metadata__"}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _damaged(path, "its header is not what the format asks for") from error
    needed = 8 + length + max((end for _, _, end in entries.values()), default=0)
    if size < needed:
        raise _damaged(path, f"it is cut off: {size:,} of {needed:,} bytes")
    if size > needed:
        raise _damaged(path, f"it holds {size - needed:,} bytes too many")
    return {name: (kind, shape) for name, (kind, shape, _) in entries.items()}


def _entry(value: Any) -> tuple[str, tuple[int, ...], int]:
    """One tensor's dtype, shape and end; ValueError where they contradict each other."""
    kind, shape, (begin, end) = str(value["dtype"]), tuple(value["shape"]), value["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise ValueError("shape or place is not made of whole numbers")
    if kind in _BITS and end - begin != math.prod(shape) * _BITS[kind] // 8:
        raise ValueError("shape and place do not agree")
    return kind, shape, end


def _from_files(paths: list[Path], source: str) -> NamedTensors:
    from safetensors import SafetensorError, safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    floating: set[str] = set()
    places: dict[str, tuple[Path, str]] = {}
    for path in paths:
        for stored, (kind, shape) in check_header(path).items():
            name = canonical_name(stored)
            if name in places:
                raise _damaged(path, f"{name} is there twice")
            shapes[name], places[name] = shape, (path, stored)
            if "F" in kind:
                floating.add(name)

    def read(name: str) -> Tensor:
        path, stored = places[name]
        try:
            with safe_open(path, "pt") as tensors:
                return tensors.get_tensor(stored)
        except (SafetensorError, OSError) as error:
            raise _damaged(path, str(error)) from error

    return NamedTensors(source, shapes, frozenset(floating), read)


def _in_memory(state: Mapping[str, Tensor], source: str) -> NamedTensors:
    tensors = {canonical_name(name): tensor for name, tensor in state.items() if ".lora_" not in name}
    floating = frozenset(name for name, tensor in tensors.items() if tensor.is_floating_point())
    return NamedTensors(source, {name: tuple(t.shape) for name, t in tensors.items()}, floating, tensors.__getitem__)


def _weight_files(folder: Path) -> list[Path]:
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if whole.is_file():
        return [whole]
    if index.is_file():
        return _shards(index)
    found = sorted(folder.glob("*.safetensors"))
    if len(found) == 1:
        return found
    if found:
        raise LabError(
            f"{folder} holds {len(found)} .safetensors files and no index: "
            + ", ".join(path.name for path in found[:3]),
            hint="give the path of the file you mean",
            kind="model",
        )
    pickles = [path for path in sorted(folder.iterdir()) if path.suffix in _PICKLED]
    if pickles:
        raise _pickle_refused(pickles[0])
    raise LabError(
        f"{folder} holds no weights (no model.safetensors)",
        hint="give the folder that model.save_pretrained(folder) wrote",
        kind="model",
    )


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        outside = [name for name in names if Path(name).name != name or not name.endswith(".safetensors")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(index, "it has no weight_map of file names") from error
    if outside:
        raise _damaged(index, f"it names {outside[0]!r}, which is not a .safetensors file beside it")
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise LabError(
            f"{index.parent} lacks {len(missing)} of {len(names)} weight files ({missing[0]})",
            hint="download the model again",
            kind="model",
        )
    return [index.parent / name for name in names]


def _pickle_refused(path: Path) -> LabError:
    return LabError(
        f"{path} is a pickle, and opening one runs whatever it says; only .safetensors files are read",
        hint="save it again where you trust it: model.save_pretrained(folder) writes safetensors",
        kind="model",
    )


def _not_safetensors(path: Path, start: bytes, size: int) -> LabError:
    if size == 0:
        return _damaged(path, "it is empty")
    if start.startswith(b"version https://git-lfs"):
        return LabError(
            f"{path} is a Git LFS pointer of {size} bytes, not the weights",
            hint="run `git lfs pull` in that folder, or download the file itself",
            kind="model",
        )
    # torch.save writes a zip archive (PK), before 1.6 a bare pickle (0x80 and the protocol).
    if start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")):
        return _pickle_refused(path)
    return _damaged(path, "it is not a safetensors file")


def _damaged(path: Path, what: str) -> LabError:
    return LabError(f"{path} cannot be used: {what}", hint="download or save it again", kind="model")
