"""What a checkpoint holds besides transformers' own files: trained tensors, and what a method remembers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bidora.errors import LabError
from bidora.methods import Method
from bidora.methods.dora import MAGNITUDE

TRAINABLE_FILE = "trainable.safetensors"
METHOD_FILE = "method.safetensors"
COST_FILE = "cost.json"
LOSS_FILE = "loss.json"
COMPLETE_FILE = "complete"
"""Written last: a folder without it was cut off."""


def trainable_tensors(model: nn.Module, upper: str = MAGNITUDE) -> dict[str, Tensor]:
    """Copies of what a checkpoint holds: everything that is or was trained (A, B, head, and m also while it is frozen)."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in _kept(model, upper)}


def load_trainable(model: nn.Module, path: Path, upper: str = MAGNITUDE) -> None:
    """Read a checkpoint's tensors into the model, bit for bit; names and shapes must fit exactly."""
    stored = load_file(path)
    wanted = dict(_kept(model, upper))
    wrong = sorted(set(stored) ^ set(wanted)) or [name for name in wanted if wanted[name].shape != stored[name].shape]
    if wrong:
        raise LabError(
            f"checkpoint {path} belongs to another model: {len(wrong)} tensors differ, first {wrong[0]}",
            hint="resume with the run's own settings, or start a new run",
            kind="checkpoint",
        )
    with torch.no_grad():
        for name, parameter in wanted.items():
            parameter.copy_(stored[name])


def _kept(model: nn.Module, upper: str) -> Iterator[tuple[str, nn.Parameter]]:
    for name, parameter in model.named_parameters():
        if parameter.requires_grad or (upper and upper in name):
            yield name, parameter


def save_method_state(method: Method, model: nn.Module, folder: Path) -> None:
    """Write what a method remembers besides its tensors, where it remembers anything."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in method.state(model).items()}
    if state:
        save_file(state, folder / METHOD_FILE)


def load_method_state(method: Method, model: nn.Module, folder: Path) -> None:
    """Give it back what `save_method_state` wrote."""
    if (folder / METHOD_FILE).exists():
        method.restore(model, load_file(folder / METHOD_FILE))
