"""Named tensors from safetensors files or from a model in memory, read one at a time.

A file from outside is looked at before it is read (`bidora.weight_files`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from bidora.errors import LabError
from bidora.weight_files import canonical_name, check_header, damaged, weight_files

Source = str | os.PathLike[str] | nn.Module | Mapping[str, Tensor]
"""A model folder, a .safetensors file, a module, or a state dict."""


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
        return _from_files(weight_files(path), str(path))
    raise LabError(
        f"{path} does not exist",
        hint="give a model folder, a .safetensors file or a PEFT adapter folder",
        kind="model",
    )


def _from_files(paths: list[Path], source: str) -> NamedTensors:
    from safetensors import SafetensorError, safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    floating: set[str] = set()
    places: dict[str, tuple[Path, str]] = {}
    for path in paths:
        for stored, (kind, shape) in check_header(path).items():
            name = canonical_name(stored)
            if name in places:
                raise damaged(path, f"{name} is there twice")
            shapes[name], places[name] = shape, (path, stored)
            if "F" in kind:
                floating.add(name)

    def read(name: str) -> Tensor:
        path, stored = places[name]
        try:
            with safe_open(path, "pt") as tensors:
                return tensors.get_tensor(stored)
        except (SafetensorError, OSError) as error:
            raise damaged(path, str(error)) from error

    return NamedTensors(source, shapes, frozenset(floating), read)


def _in_memory(state: Mapping[str, Tensor], source: str) -> NamedTensors:
    tensors = {canonical_name(name): tensor for name, tensor in state.items() if ".lora_" not in name}
    floating = frozenset(name for name, tensor in tensors.items() if tensor.is_floating_point())
    return NamedTensors(source, {name: tuple(t.shape) for name, t in tensors.items()}, floating, tensors.__getitem__)
