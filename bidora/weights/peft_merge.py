"""Adapters of PEFT's other kinds (AdaLoRA, VeRA, FourierFT, IA³, LoHa, LoKr, OFT, BOFT …): PEFT itself puts them into the model.

LoRA and DoRA are merged tensor by tensor in float64 without the backbone (`bidora.weights.adapters`); what the others do to a
weight only their own layers know. So the base is loaded without a head, given the adapter, merged in float32, and its adapted
layers compared with what they were.
"""

from __future__ import annotations

import copy
import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from bidora.errors import LabError
from bidora.linear_layers import LINEAR, weight_of
from bidora.weight_files import check_header
from bidora.weights.patterns import refuse_slow_patterns
from bidora.weights.tensors import Source

KINDS = tuple("ADALORA VERA FOURIERFT IA3 LOHA LOKR OFT BOFT HRA MISS VBLORA RANDLORA SHIRA".split())
"""Kinds that are merged: each is compared with PEFT in tests. Others change no weight, or fetch adapters from elsewhere (XLORA)."""

_SHARED = ("vera_A", "vera_B", "vector_bank")
"""Matrices that all layers share: saved once, or drawn again from a seed."""

_WAY_OUT = "merge it (merge_and_unload), save the model, and compare the two checkpoints"


def adapter_kind(folder: Path) -> str:
    """PEFT's word for an adapter's kind, such as LORA; empty where its settings cannot be read."""
    try:
        return str(json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["peft_type"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def merged_pairs(base: Source, folder: Path) -> Iterator[tuple[str, Tensor, Tensor]]:
    """(module name, W0, W), each (out, in) in float64, for every linear layer that an adapter changes.

    Args:
        base: a model folder, or a model in memory, which stays as it is.
        folder: the adapter's.

    Raises:
        LabError: the base is no whole model; PEFT does not know the kind, or cannot merge it; tensors do not fit.
    """
    tensors = folder / "adapter_model.safetensors"
    check_header(
        tensors if tensors.is_file() or not (folder / "adapter_model.bin").is_file() else folder / "adapter_model.bin"
    )
    model = _model(base, folder)
    config = _config(folder)
    before = {name: _weight(layer) for name, layer in model.named_modules() if isinstance(layer, LINEAR)}
    adapted, merged = _merged(model, config, tensors, folder)
    linear = dict(merged.named_modules())
    for name in adapted:
        if name in before:
            yield name, before[name].double(), _weight(linear[name]).double()


def _weight(layer: nn.Module) -> Tensor:
    return weight_of(layer).detach().cpu().clone()


def _config(folder: Path) -> Any:
    from peft import PeftConfig

    kind = adapter_kind(folder)
    if kind not in KINDS:
        raise LabError(
            f"{folder} is an adapter of kind {kind[:40]}; allowed are LORA, {', '.join(KINDS)}",
            hint="kinds that change no weight cannot be compared; else " + _WAY_OUT,
            kind="model",
        )
    refuse_slow_patterns(json.loads((folder / "adapter_config.json").read_text(encoding="utf-8")))
    try:
        config = PeftConfig.from_pretrained(str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabError(
            f"{folder} is an adapter of kind {kind[:40]}, whose settings the installed PEFT cannot read",
            hint="install the PEFT that wrote it, or " + _WAY_OUT,
            kind="model",
        ) from error
    config.modules_to_save = None  # heads: nothing is compared there
    if getattr(config, "megatron_config", None):
        config.megatron_config = None  # would import the module that the settings name
    config.inference_mode = True
    return config


def _model(base: Source, folder: Path) -> nn.Module:
    """The base without any head, in float32, as a copy."""
    from transformers import AutoModel

    from bidora.classifier import read_config, read_weights

    if isinstance(base, nn.Module):
        whole = copy.deepcopy(base)
        return getattr(whole, getattr(whole, "base_model_prefix", "") or "-", whole)
    if not isinstance(base, (str, os.PathLike)) or not (Path(base) / "config.json").is_file():
        raise LabError(
            f"{folder} is an adapter of kind {adapter_kind(folder)}, which only PEFT can merge into a whole model, and the base "
            "has no config.json",
            hint="give the folder of the model as base, or " + _WAY_OUT,
            kind="model",
        )
    settings = read_config(str(base))
    return read_weights(AutoModel, str(base), settings, attention=None)


def _merged(model: nn.Module, config: Any, tensors: Path, folder: Path) -> tuple[list[str], nn.Module]:
    """Names of the adapted modules, and the model with the adapter in its weights."""
    from peft import get_peft_model, set_peft_model_state_dict
    from safetensors.torch import load_file

    prefix = getattr(model, "base_model_prefix", "")
    state = _without_head(load_file(tensors), f"{prefix}." if prefix else "", set(dict(model.named_modules())))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as that AdaLoRA's ranks fit no module: they are applied when loading
            wrapped = get_peft_model(model, config)
        found = set_peft_model_state_dict(wrapped, state)
        merge = wrapped.merge_and_unload
    except (ValueError, RuntimeError, KeyError, AttributeError, TypeError) as error:
        raise LabError(
            f"{folder} does not fit the base: {str(error).splitlines()[0][:200]}",
            hint="use the model that the adapter was trained on; of kinds that change no weight nothing can be compared",
            kind="model",
        ) from error
    own = wrapped.base_model.prefix if hasattr(wrapped.base_model, "prefix") else "-"
    lacking = [name for name in found.missing_keys if own in name and not any(each in name for each in _SHARED)]
    if found.unexpected_keys or lacking:
        raise LabError(
            f"{folder} does not fit the base: {(list(found.unexpected_keys) + lacking)[0]} has no counterpart",
            hint="use the model that the adapter was trained on",
            kind="model",
        )
    adapted = list(wrapped.targeted_module_names)
    try:
        return adapted, merge()
    except (ValueError, RuntimeError, NotImplementedError, AttributeError, TypeError) as error:
        raise LabError(
            f"PEFT cannot merge {folder}: {str(error).splitlines()[0][:200]}",
            hint="choose another adapter",
            kind="model",
        ) from error


def _without_head(state: Mapping[str, Tensor], prefix: str, modules: Sequence[str] | set[str]) -> dict[str, Tensor]:
    """An adapter's tensors under the names of the model without head; those of the head itself are left out."""
    start, kept = "base_model.model.", {}
    has_prefix = bool(prefix) and any(name.startswith(start + prefix) for name in state)
    for name, tensor in state.items():
        inner = name.removeprefix(start)
        if inner == name or not name.startswith(start):
            kept[name] = tensor  # VeRA's shared matrices
        elif has_prefix and inner.startswith(prefix):
            kept[start + inner.removeprefix(prefix)] = tensor
        elif not has_prefix and inner.partition(".")[0] in modules:
            kept[name] = tensor
    return kept
