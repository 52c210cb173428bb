"""RunConfig → adapted model: the chosen method's change is applied, everything else is frozen.

Which layers and which parameters; what a method is, is said in `bidora.methods`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bidora.classifier import Classifier, head_modules, task_type_of
from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.linear_layers import LINEAR, stores_inputs_first, weight_of
from bidora.methods import get_method
from bidora.methods.dora import MAGNITUDE
from bidora.shortcuts import attend_briefly, first_token_only, pack_frozen_linears
from bidora.target_modules import meant_layers, own_names

__all__ = [
    "MAGNITUDE",
    "adapt",
    "adapted_layers",
    "initial_norms",
    "peft_config",
    "split_parameters",
    "target_names",
]


def adapt(model: nn.Module, config: RunConfig) -> nn.Module:
    """Change a model as the method asks, and freeze what it does not train.

    A `Classifier` is adapted in place: its backbone becomes the PeftModel, and the classifier is returned. Of any other
    model the PeftModel is returned; for methods without adapter the model itself.

    Raises:
        LabError: a target module is unknown or not linear, a setting does not fit a layer, or nothing would be trained.
    """
    method = get_method(config.method)
    if isinstance(model, Classifier):
        head_names = model.head_names()
        model.backbone = adapt(model.backbone, config)
        _train_only(model, config, head_names)
        own = [name for name, each in model.named_parameters() if each.requires_grad and name not in head_names]
        if method.uses_peft and not any("modules_to_save" not in name for name in own):
            raise LabError(
                f"method={config.method} trains no parameter of its adapter: none is named {', '.join(method.trained)}",
                hint="name PEFT's parameters of this kind in the method's `trained`",
            )
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise LabError(
                f"method={config.method} trains nothing of this model: it keeps its own head as it is",
                hint="choose a method that adapts its layers, such as lora",
            )
        if not all(parameter.requires_grad for parameter in model.parameters()):
            _apply_shortcuts(model, config)
        return model
    if not method.uses_peft:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(method.trains(name))
        method.prepare(model, config)
        return model
    from peft import get_peft_model

    meant_layers(config, _linear_shapes(model))
    peft_model = get_peft_model(model, peft_config(model, config))
    method.prepare(peft_model, config)
    return peft_model


def peft_config(model: nn.Module, config: RunConfig) -> Any:
    """PEFT's configuration for these settings; heads of transformers' own classifiers are saved with the adapter."""
    targets = target_names(model, config.target_modules)
    inputs_first = any(
        stores_inputs_first(module) for name, module in model.named_modules() if name.split(".")[-1] in targets
    )
    return get_method(config.method).peft_config(
        config,
        target_modules=list(targets),
        task_type=task_type_of(model),
        modules_to_save=head_modules(model) or None,
        **({"fan_in_fan_out": True} if inputs_first else {}),
    )


def target_names(model: nn.Module, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The names of layers to adapt, in the words of this architecture (`target_modules.own_names`)."""
    return own_names(_linear_shapes(model), wanted)


def _linear_shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(weight_of(module).shape) for name, module in model.named_modules() if isinstance(module, LINEAR)
    }


def split_parameters(
    model: nn.Module, upper: str = MAGNITUDE
) -> tuple[dict[str, nn.Parameter], dict[str, nn.Parameter]]:
    """The two levels: (direction, magnitude), by parameter name. The head is neither A, B nor m: it goes with direction.

    Frozen parameters belong to neither, except magnitudes, which are frozen during lower steps.

    Args:
        model: adapted.
        upper: the part of a name that marks the upper level, for methods whose upper level is not the magnitude.
    """
    direction = {name: p for name, p in model.named_parameters() if p.requires_grad and upper not in name}
    magnitude = {name: p for name, p in model.named_parameters() if upper in name}
    return direction, magnitude


def initial_norms(model: nn.Module) -> dict[str, Tensor]:
    """‖W0‖ per output unit of every adapted layer, by layer name; the magnitude that leaves W0 as it is."""
    return {
        name: torch.linalg.vector_norm(weight_of(layer.get_base_layer()).detach().float(), dim=1)
        for name, layer in adapted_layers(model)
    }


def adapted_layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """PEFT's adapted linear layers with their names in the model."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, BaseTunerLayer) and isinstance(module.get_base_layer(), LINEAR)
    ]


def _apply_shortcuts(model: Classifier, config: RunConfig) -> None:
    if config.kernel != "fast":
        return
    if model.pooling == "first" and not config.gradient_checkpointing:
        first_token_only(model.backbone)
    pack_frozen_linears(model)
    attend_briefly(model.backbone)


def _train_only(model: Classifier, config: RunConfig, head_names: list[str]) -> None:
    """Freeze everything but what the method trains and the head."""
    method = get_method(config.method)
    for name, parameter in model.named_parameters():
        new = "modules_to_save" in name or name in head_names
        parameter.requires_grad_(new or method.trains(name))
