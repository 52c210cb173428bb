"""What training did to the weights, read from files: PEFT adapters and checkpoints, safetensors only."""

from bidora.weight_files import canonical_name, check_header, layer_of, module_names
from bidora.weights.adapters import AdaptedLayer, Adapter, read_adapter
from bidora.weights.dynamics import dynamics_of
from bidora.weights.tensors import NamedTensors, open_tensors

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
