"""A saved PEFT adapter as matrices: which layers it changes, by which A, B, scale and magnitude.

Read straight from adapter_config.json and adapter_model.safetensors, so that PEFT is not imported and the backbone is
not built. LoRA, rank-stabilised LoRA and DoRA (which BiDoRA saves as) on linear layers; other kinds: `bidora.weights.peft_merge`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from bidora.decomposition import merged_weight
from bidora.errors import LabError
from bidora.weights.patterns import refuse_slow_patterns
from bidora.weights.tensors import NamedTensors, open_tensors

# Settings of PEFT that make the merged weight something else than W0 + s·BA or its DoRA form.
_OTHER_FORMS = (
    "use_qalora",
    "use_bdlora",
    "kasa_config",
    "monteclora_config",
    "arrow_config",
    "alora_invocation_tokens",
    "layer_replication",
    "target_parameters",
)
# Initialisations that also change W0 itself: the saved A and B then belong to a base that is saved nowhere.
_CHANGES_BASE = ("pissa", "olora", "corda", "lora_ga", "loftq")


@dataclass(frozen=True)
class AdaptedLayer:
    """One adapted linear layer.

    Attributes:
        name: module name in the bare model, such as bert.encoder.layer.0.attention.self.query.
        rank: r.
        scale: s, alpha / rank or alpha / √rank.
        has_magnitude: whether it is a DoRA layer.
        transposed: whether the base stores its weight as (in, out), as GPT-2's Conv1D does.
        shape: (out, in) of the update BA.
    """

    name: str
    rank: int
    scale: float
    has_magnitude: bool
    transposed: bool
    shape: tuple[int, int]


@dataclass(frozen=True)
class Adapter:
    """A PEFT adapter folder: its layers by module name, and its tensors, still on disk."""

    folder: Path
    layers: Mapping[str, AdaptedLayer]
    tensors: NamedTensors

    def saved_whole(self) -> list[str]:
        """Names of the modules that are saved beside the adapted layers as they are, such as a classifier's head."""
        return sorted({name.rpartition(".")[0] for name in self.tensors.shapes if ".lora_" not in name})

    def merged(self, layer: AdaptedLayer, base: Tensor) -> Tensor:
        """The merged weight (out, in) in float64.

        Args:
            layer: one of `layers`.
            base: W0 as (out, in).
        """
        magnitude = self.tensors.read(f"{layer.name}.lora_magnitude_vector") if layer.has_magnitude else None
        lora_A, lora_B = (self.tensors.read(f"{layer.name}.lora_{part}.weight") for part in "AB")
        return merged_weight(base, lora_A, lora_B, layer.scale, magnitude)


def is_adapter(path: Path) -> bool:
    """Whether a path is a PEFT adapter: its folder, or the adapter_model file in it."""
    return (path / "adapter_config.json").is_file() or path.name.startswith("adapter_model.")


def read_adapter(path: str | Path) -> Adapter:
    """Read an adapter's settings and the shapes of its tensors; the tensors themselves are read when merged.

    Raises:
        LabError: a file is missing, damaged or a pickle; the adapter is of a kind whose merged weight is not known; a
            tensor is missing, too many, or of a shape that does not fit. Names the tensor and the shapes.
    """
    folder = Path(path)
    folder = folder.parent if folder.is_file() else folder
    config = _read_config(folder)
    weights = folder / "adapter_model.safetensors"
    if not weights.is_file():
        pickled = folder / "adapter_model.bin"
        weights = pickled if pickled.is_file() else weights  # the pickle is refused by name, with the way out
    tensors = open_tensors(weights)
    adapted = sorted({name.rpartition(".lora_")[0] for name in tensors.shapes if ".lora_" in name})
    if not adapted:
        raise LabError(
            f"{weights} holds no lora_A and lora_B",
            hint="give the folder of a trained LoRA or DoRA adapter",
            kind="model",
        )
    return Adapter(folder, {name: _layer(name, config, tensors) for name in adapted}, tensors)


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "adapter_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind = config["peft_type"]
    except FileNotFoundError as error:
        raise LabError(
            f"{folder} has no adapter_config.json",
            hint="give the folder that PEFT's save_pretrained(folder) wrote",
            kind="model",
        ) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise LabError(f"{path} is not an adapter's settings", hint="save the adapter again", kind="model") from error
    if kind != "LORA":
        raise LabError(
            f"{folder} is a PEFT adapter of kind {str(kind)[:40]}; allowed: LORA (which includes DoRA and BiDoRA)",
            hint="merge it (merge_and_unload), save the model, and compare the two checkpoints",
            kind="model",
        )
    refuse_slow_patterns({name: config.get(name) for name in ("rank_pattern", "alpha_pattern")})
    initial = str(config.get("init_lora_weights"))
    other = [name for name in _OTHER_FORMS if config.get(name)]
    if initial.lower().startswith(_CHANGES_BASE):
        other.append(f"init_lora_weights={initial}")
    if other:
        raise LabError(
            f"{folder} uses {', '.join(other)}, so its merged weight is not W0 + s·BA",
            hint="merge it (merge_and_unload), save the model, and compare the two checkpoints",
            kind="model",
        )
    return dict(config)


def _layer(name: str, config: Mapping[str, Any], tensors: NamedTensors) -> AdaptedLayer:
    shapes = {
        key.removeprefix(f"{name}."): shape for key, shape in tensors.shapes.items() if key.startswith(f"{name}.")
    }
    has_magnitude, where = bool(config.get("use_dora")), f"in {tensors.source}"
    needed = {"lora_A.weight", "lora_B.weight"} | ({"lora_magnitude_vector"} if has_magnitude else set())
    found = {key for key in shapes if key.startswith("lora_")} - {"lora_B.bias"}
    if "lora_embedding_A" in shapes:
        raise LabError(
            f"{name} {where} is LoRA on an embedding, whose rows are tokens and no output units: it has no ΔM and ΔD here",
            hint="merge it (merge_and_unload), save the model, and compare the two checkpoints",
            kind="model",
        )
    if needed - found:
        raise _misfit(f"{name}.{min(needed - found)} is missing {where}")
    if found - needed:
        extra = min(found - needed)
        why = "use_dora is false" if extra == "lora_magnitude_vector" else "only linear layers can be read"
        raise _misfit(f"{name}.{extra} {where} is not expected: {why}")
    lora_A, lora_B = shapes["lora_A.weight"], shapes["lora_B.weight"]
    rank, alpha = (_setting(config, *names, name) for names in (("r", "rank_pattern"), ("lora_alpha", "alpha_pattern")))
    if len(lora_A) != 2 or len(lora_B) != 2 or not lora_A[0] == lora_B[1] == rank:
        raise _misfit(f"{name} {where}: lora_A {lora_A} and lora_B {lora_B} are not of rank {rank:g}")
    magnitude = shapes.get("lora_magnitude_vector")
    if magnitude is not None and math.prod(magnitude) != lora_B[0]:
        raise _misfit(f"{name}.lora_magnitude_vector {where} has shape {magnitude}, lora_B has {lora_B}")
    return AdaptedLayer(
        name=name,
        rank=int(rank),
        scale=alpha / (math.sqrt(rank) if config.get("use_rslora") else rank),
        has_magnitude=has_magnitude,
        transposed=bool(config.get("fan_in_fan_out")),
        shape=(lora_B[0], lora_A[1]),
    )


def _setting(config: Mapping[str, Any], default: str, pattern: str, module: str) -> float:
    """Rank or alpha of one module: the first pattern that its name ends with (a regular expression), or the default."""
    try:
        patterns = config.get(pattern) or {}
        fitting = (value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", module))
        value = float(next(fitting, config[default]))
    except (KeyError, TypeError, ValueError, AttributeError, re.error) as error:
        raise _misfit(f"adapter_config.json gives no usable {default} for {module}") from error
    if not (math.isfinite(value) and value > 0):
        raise _misfit(f"adapter_config.json gives {default}={value:g} for {module}; allowed: above 0")
    return value


def _misfit(message: str) -> LabError:
    return LabError(message, hint="save the adapter again with PEFT's save_pretrained(folder)", kind="model")
