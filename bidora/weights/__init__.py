"""What training did to the weights, read from files: PEFT adapters and checkpoints, safetensors only."""

from bidora.weights.adapters import AdaptedLayer, Adapter, read_adapter
from bidora.weights.dynamics import dynamics_of, layer_of, module_names
from bidora.weights.tensors import NamedTensors, canonical_name, check_header, open_tensors

__all__ = [
    "AdaptedLayer",
    "Adapter",
    "NamedTensors",
    "canonical_name",
    "check_header",
    "dynamics_of",
    "layer_of",
    "module_names",
    "open_tensors",
    "read_adapter",
]
