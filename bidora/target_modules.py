"""Which linear layers the setting target_modules means. From names and shapes alone: no torch, so a preview can ask, too."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.methods import get_method

_TOGETHER = ("c_attn", "query_key_value", "qkv_proj", "Wqkv")
"""Layers that compute query, key and value in one: GPT-2's, GPT-NeoX's, Phi-3's, ModernBERT's."""

ROLES = {
    "query": ("query_proj", "q_proj", "q_lin", "Wq", *_TOGETHER),
    "key": ("key_proj", "k_proj", "k_lin", *_TOGETHER),
    "value": ("value_proj", "v_proj", "v_lin", *_TOGETHER),
}
"""Names of BERT's projections → what other architectures call the same: DeBERTa-v2 and v3, Llama and its kin, DistilBERT."""


def own_names(linear: Iterable[str], wanted: Iterable[str]) -> tuple[str, ...]:
    """The names of layers to adapt, in the words of this architecture.

    query, key and value are roles: where a model has no linear layer of that name, its own name for it is taken, such as
    query_proj in DeBERTa-v2, q_proj in Llama or c_attn in GPT-2. Other names are taken as they are.

    Args:
        linear: names of the model's linear layers.
        wanted: the setting.
    """
    ends = {name.split(".")[-1] for name in linear}
    found = []
    for name in wanted:
        own = [] if name in ends else [other for other in ROLES.get(name, ()) if other in ends]
        found.append(own[0] if own else name)
    return tuple(dict.fromkeys(found))


def meant_layers(config: RunConfig, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """The layers that are adapted: every name must end some layer's name, and what the method adds must fit into each.

    Args:
        config: target_modules, method, rank and so on.
        shapes: the model's linear layers, by name, in either order of inputs and outputs.

    Raises:
        LabError: a name ends none of them; rank or another setting exceeds the smallest.
    """
    method, found = get_method(config.method), []
    for target in own_names(shapes, config.target_modules):
        fitting = [name for name in shapes if name == target or name.endswith(f".{target}")]
        if not fitting:
            ends = sorted({name.split(".")[-1] for name in shapes})
            near = difflib.get_close_matches(target, [*ends, *shapes], n=3, cutoff=0.4)
            raise LabError(
                f"target_modules={target!r} names no linear layer of this model",
                hint=f"near names: {', '.join(near)}" if near else f"its linear layers end in: {', '.join(ends)}",
            )
        smallest = min(fitting, key=lambda name: min(shapes[name]))
        rows, columns = shapes[smallest]
        method.check_layer(config, smallest, (rows, columns))
        found += [name for name in fitting if name not in found]
    return found
