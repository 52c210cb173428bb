"""Which safetensors files hold a model's weights, and what their headers say; the tensors themselves stay untouched.

No torch: the app looks at a folder or an upload before a process of its own reads it. A file from outside may lie, so a
header's length, its JSON and the place of every tensor are checked. Pickles (.bin, .pt, .ckpt) are never opened, since
opening one runs what it says.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bidora.errors import LabError

HEADER_LIMIT = 100_000_000
"""Longest header in bytes; the format's own limit."""

INDEX_LIMIT = 50_000_000
"""Longest index of a sharded model in bytes; that of a model of 700 billion parameters has 9 million."""

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
"""Endings under which pickles travel."""

BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U8": 8, "BOOL": 8}
BITS |= {"U16": 16, "U32": 32, "U64": 64, "F8_E4M3": 8, "F8_E5M2": 8}
"""dtype as the format writes it → bits of one number."""

_DIMENSIONS, _LARGEST = 16, 2**63 - 1
"""A tensor has at most so many dimensions, and no number of a header is larger: beyond, a product takes minutes."""


def canonical_name(name: str) -> str:
    """A tensor's name as the bare model has it: without the prefixes that PEFT, compile and data parallelism add."""
    name = re.sub(r"^(?:module\.|_orig_mod\.)+", "", name)
    name = re.sub(r"(?:^|(?<=\.))base_model\.model\.", "", name)
    return name.replace(".base_layer.", ".")


def layer_of(name: str) -> int:
    """The number of the layer a module belongs to: the first number in its name, -1 where there is none.

    >>> layer_of("bert.encoder.layer.11.attention.self.query")
    11
    """
    found = re.search(r"(?:^|\.)(\d+)(?:\.|$)", name)
    return int(found[1]) if found else -1


def module_names(names: Iterable[str]) -> dict[str, str]:
    """A short name for each module that still tells the modules of one layer apart.

    >>> list(module_names(["l.0.self.query", "l.1.self.query"]).values())
    ['query', 'query']
    >>> list(module_names(["l.0.attention.output.dense", "l.0.output.dense"]).values())
    ['attention.output.dense', 'output.dense']
    """
    inner = {name: re.split(r"(?:^|\.)\d+\.", name, maxsplit=1)[-1].split(".") for name in names}
    distinct = {tuple(parts) for parts in inner.values()}
    short: dict[tuple[str, ...], str] = {}
    for parts in distinct:
        ends = (parts[-length:] for length in range(1, len(parts) + 1))
        unique = (end for end in ends if sum(other[-len(end) :] == end for other in distinct) == 1)
        short[parts] = ".".join(next(unique, parts))
    return {name: short[tuple(parts)] for name, parts in inner.items()}


def layer_matrices(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Names of the linear weights of numbered layers; heads, poolers and embeddings may differ between checkpoints."""
    return [
        name
        for name, shape in shapes.items()
        if name.endswith(".weight") and len(shape) == 2 and layer_of(name) >= 0 and "embed" not in name
    ]


def check_header(path: Path, *, limit: int = HEADER_LIMIT) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Read and check the header of a .safetensors file without touching its tensors.

    Args:
        path: the file.
        limit: longest header in bytes; parsing one takes about ten times as much memory.

    Returns:
        name → (dtype as the format writes it, shape).

    Raises:
        LabError: the file is no safetensors file, is cut off, or contradicts itself; says which.
    """
    if path.suffix in PICKLED:
        raise pickle_refused(path)
    try:
        size = path.stat().st_size
        with open(path, "rb") as handle:
            start = handle.read(64)
            length = int.from_bytes(start[:8], "little")
            if size < 10 or length > limit or (start[8:9] != b"{" and size >= 9):
                raise _not_safetensors(path, start, size)
            handle.seek(8)
            text = handle.read(length)
    except OSError as error:
        raise LabError(
            f"{path} cannot be read: {error.strerror or error}", hint="check the path", kind="model"
        ) from error
    if len(text) < length:
        raise damaged(path, f"it is cut off in its header ({size:,} bytes)")
    try:
        header = json.loads(text)
        entries = {name: _entry(value) for name, value in header.items() if name != "__metadata__"}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise damaged(path, "its header is not what the format asks for") from error
    needed = 8 + length + max((end for *_, end in entries.values()), default=0)
    if size < needed:
        raise damaged(path, f"it is cut off: {size:,} of {needed:,} bytes")
    if size > needed:
        raise damaged(path, f"it holds {size - needed:,} bytes too many")
    end = 0
    for name, (_, _, begin, after) in sorted(entries.items(), key=lambda entry: entry[1][2:]):
        if begin != end:
            raise damaged(path, f"{_short(name)} overlaps another tensor or leaves a gap")
        end = after
    return {name: (kind, shape) for name, (kind, shape, *_) in entries.items()}


def weight_files(folder: Path) -> list[Path]:
    """The .safetensors files of a model folder: model.safetensors, all that a sharded index names, or the only one.

    Raises:
        LabError: there is none, more than one without an index, or only a pickle; the index leads out of the folder.
    """
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
    pickles = [path for path in sorted(folder.iterdir()) if path.suffix in PICKLED]
    if pickles:
        raise pickle_refused(pickles[0])
    raise LabError(
        f"{folder} holds no weights (no model.safetensors)",
        hint="give the folder that model.save_pretrained(folder) wrote",
        kind="model",
    )


def _entry(value: Any) -> tuple[str, tuple[int, ...], int, int]:
    """One tensor's dtype, shape, begin and end; ValueError where they contradict each other."""
    kind, shape, (begin, end) = str(value["dtype"]), tuple(value["shape"]), value["data_offsets"]
    if len(shape) > _DIMENSIONS or len(kind) > 16:
        raise ValueError("too many dimensions, or no dtype")
    if not all(type(number) is int and 0 <= number <= _LARGEST for number in (*shape, begin, end)):
        raise ValueError("shape or place is not made of whole numbers")
    if kind in BITS and end - begin != math.prod(shape) * BITS[kind] // 8:
        raise ValueError("shape and place do not agree")
    return kind, shape, begin, end


def _shards(index: Path) -> list[Path]:
    try:
        if index.stat().st_size > INDEX_LIMIT:
            raise damaged(index, f"it has more than {INDEX_LIMIT:,} bytes")
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        outside = [name for name in names if Path(name).name != name or not name.endswith(".safetensors")]
    except LabError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(index, "it has no weight_map of file names") from error
    if outside:
        raise damaged(index, f"it names {_short(outside[0])!r}, which is not a .safetensors file beside it")
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise LabError(
            f"{index.parent} lacks {len(missing)} of {len(names)} weight files ({missing[0]})",
            hint="download the model again",
            kind="model",
        )
    return [index.parent / name for name in names]


def pickle_refused(path: Path) -> LabError:
    """The refusal of a pickle, with the way out."""
    return LabError(
        f"{path} is a pickle, and opening one runs whatever it says; only .safetensors files are read",
        hint="save it again where you trust it: model.save_pretrained(folder) writes safetensors",
        kind="model",
    )


def _not_safetensors(path: Path, start: bytes, size: int) -> LabError:
    if size == 0:
        return damaged(path, "it is empty")
    if start.startswith(b"version https://git-lfs"):
        return LabError(
            f"{path} is a Git LFS pointer of {size} bytes, not the weights",
            hint="run `git lfs pull` in that folder, or download the file itself",
            kind="model",
        )
    # torch.save writes a zip archive (PK), before 1.6 a bare pickle (0x80 and the protocol).
    if start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")):
        return pickle_refused(path)
    return damaged(path, "it is not a safetensors file")


def damaged(path: Path, what: str) -> LabError:
    """A file that cannot be used, and why."""
    return LabError(f"{path} cannot be used: {what}", hint="download or save it again", kind="model")


def _short(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:80]}…"
