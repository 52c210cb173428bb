"""RunConfig → PEFT model: what is adapted and what is trained. One of the two places that know `method`."""

from __future__ import annotations

import difflib
from typing import Any

import torch
from torch import Tensor, nn

from bidora.classifier import Classifier
from bidora.config import RunConfig
from bidora.dora_layer import use_dora_linear
from bidora.errors import LabError
from bidora.shortcuts import first_token_only, pack_frozen_linears

MAGNITUDE = "lora_magnitude_vector"
"""PEFT's name for m; every other trainable parameter belongs to the direction's level (A, B and head)."""


def adapt(model: nn.Module, config: RunConfig) -> nn.Module:
    """Add the adapter that the settings ask for; what is returned is a PeftModel (for "full", the model itself).

    A `Classifier` is adapted in place: its backbone becomes the PeftModel, and the classifier is returned.
    LoRA and DoRA are PEFT's own modules. For bidora, and for kernel="fast", the DoRA layers get this project's forward.

    Raises:
        LabError: a target module is unknown or not linear, or the rank exceeds a layer's width.
    """
    if isinstance(model, Classifier):
        head_names = model.head_names()
        model.backbone = adapt(model.backbone, config)
        if config.method != "full":
            _train_only(model, head_names)
            _apply_shortcuts(model, config)
        return model
    if config.method == "full":
        model.requires_grad_(True)
        return model
    from peft import get_peft_model

    _check_targets(model, config)
    peft_model = get_peft_model(model, lora_config(model, config))
    _use_norm(peft_model, config)
    return peft_model


def lora_config(model: nn.Module, config: RunConfig) -> Any:
    """PEFT's configuration for these settings; heads of transformers' own classifiers are saved with the adapter."""
    from peft import LoraConfig

    heads = [name for name, child in model.named_children() if name in ("classifier", "score")]
    return LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=list(config.target_modules),
        use_dora=config.method in ("dora", "bidora"),
        task_type="SEQ_CLS" if heads else "FEATURE_EXTRACTION",
        modules_to_save=heads or None,
    )


def split_parameters(model: nn.Module) -> tuple[dict[str, nn.Parameter], dict[str, nn.Parameter]]:
    """The two levels: (direction, magnitude), by parameter name. The head is neither A, B nor m: it goes with direction.

    Frozen parameters belong to neither, except magnitudes, which are frozen during lower steps.
    """
    direction = {name: p for name, p in model.named_parameters() if p.requires_grad and MAGNITUDE not in name}
    magnitude = {name: p for name, p in model.named_parameters() if MAGNITUDE in name}
    return direction, magnitude


def initial_norms(model: nn.Module) -> dict[str, Tensor]:
    """‖W0‖ per output unit of every adapted layer, by layer name; the magnitude that leaves W0 as it is."""
    return {
        name: torch.linalg.vector_norm(layer.get_base_layer().weight.detach().float(), dim=1)
        for name, layer in adapted_layers(model)
    }


def adapted_layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """PEFT's adapted linear layers with their names in the model."""
    from peft.tuners.lora import Linear

    return [(name, module) for name, module in model.named_modules() if isinstance(module, Linear)]


def norm_is_attached(config: RunConfig) -> bool:
    """Whether gradients flow through ‖V‖ under these settings."""
    return config.norm == "attached" or (config.norm == "auto" and config.method == "bidora")


def _use_norm(model: nn.Module, config: RunConfig) -> None:
    """Choose the layer's forward: PEFT's own only for the detached norm with kernel="peft"."""
    attached = norm_is_attached(config)
    if config.method not in ("dora", "bidora") or (config.kernel == "peft" and not attached):
        return
    twice = config.method == "bidora" and config.mixed_product == "exact"
    use_dora_linear(model, norm_attached=attached, fused=config.kernel == "fast" and not twice)


def _apply_shortcuts(model: Classifier, config: RunConfig) -> None:
    if config.kernel != "fast":
        return
    if model.pooling == "first" and not config.gradient_checkpointing:
        first_token_only(model.backbone)
    pack_frozen_linears(model)


def _train_only(model: Classifier, head_names: list[str]) -> None:
    """Freeze everything but the adapter and the head."""
    for name, parameter in model.named_parameters():
        trained = "lora_" in name or "modules_to_save" in name or name in head_names
        parameter.requires_grad_(trained)


def _check_targets(model: nn.Module, config: RunConfig) -> None:
    """Every name must end some linear layer's name, and the rank must fit into each of them."""
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    ends = sorted({name.split(".")[-1] for name in linear})
    for target in config.target_modules:
        fitting = {name: module for name, module in linear.items() if name == target or name.endswith(f".{target}")}
        if not fitting:
            near = difflib.get_close_matches(target, [*ends, *linear], n=3, cutoff=0.4)
            raise LabError(
                f"target_modules={target!r} names no linear layer of this model",
                hint=f"near names: {', '.join(near)}" if near else f"its linear layers end in: {', '.join(ends)}",
            )
        name, module = min(fitting.items(), key=lambda item: min(item[1].weight.shape))
        width = min(module.weight.shape)
        if config.rank > width:
            raise LabError(
                f"rank={config.rank} exceeds the width of {name} (allowed: 1 to {width})",
                hint=f"use a rank of at most {width}",
            )
