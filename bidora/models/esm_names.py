"""ESM-2 as fair-esm, its first home, names it, and its sizes as shapes tell them. No torch.

Source: github.com/facebookresearch/esm (esm/model/esm2.py, esm/data.py) and Lin et al. 2023, Science 379, table S1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bidora.errors import LabError

ESM_ALPHABET = (*("<cls>", "<pad>", "<eos>", "<unk>"), *"LAGVSERTIDPKQNFYMHWCXBUZO.-", "<null_1>", "<mask>")
"""Tokens of all ESM-2 models in their order."""

SIZES = {
    (320, 6): (20, "8M"),
    (480, 12): (20, "35M"),
    (640, 30): (20, "150M"),
    (1280, 33): (20, "650M"),
    (2560, 36): (40, "3B"),
    (5120, 48): (40, "15B"),
}
"""Width and number of layers of each published ESM-2 → its attention heads, which no shape tells, and its name."""

_FAIR = {
    "attention.self.query": "self_attn.q_proj",
    "attention.self.key": "self_attn.k_proj",
    "attention.self.value": "self_attn.v_proj",
    "attention.output.dense": "self_attn.out_proj",
    "attention.LayerNorm": "self_attn_layer_norm",
    "intermediate.dense": "fc1",
    "output.dense": "fc2",
    "LayerNorm": "final_layer_norm",
}
"""transformers' name within a layer → fair-esm's."""

_QUERY = (".attention.self.query.weight", ".self_attn.q_proj.weight")
_WORDS = ("embeddings.word_embeddings.weight", "embed_tokens.weight")
_LAYERS = ("encoder.layer.", "layers.")


def fair_names(wanted: Iterable[str]) -> dict[str, str]:
    """Other names under which an ESM-2 file may hold tensors → transformers' names.

    >>> fair_names(["encoder.layer.3.attention.self.query.bias"])
    {'layers.3.self_attn.q_proj.bias': 'encoder.layer.3.attention.self.query.bias'}
    """
    found = {}
    for name in wanted:
        layer = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)\.(weight|bias)", name)
        if layer and layer[2] in _FAIR:
            found[f"layers.{layer[1]}.{_FAIR[layer[2]]}.{layer[3]}"] = name
        elif name == _WORDS[0]:
            found[_WORDS[1]] = name
        elif name.startswith("encoder.emb_layer_norm_after."):
            found[name.removeprefix("encoder.")] = name
        elif name == "rotary_embeddings.inv_freq":  # one for all layers now, one for each of them earlier
            found["layers.0.self_attn.rot_emb.inv_freq"] = name
            found |= {f"encoder.layer.{each}.attention.self.{name}": name for each in "0*"}  # transformers 5 writes *
    return found


def esm_settings(shapes: Mapping[str, tuple[int, ...]], prefix: str | None, source: str) -> tuple[dict[str, Any], str]:
    """Settings of transformers' EsmConfig for an ESM-2 whose size is seen by its shapes, and its name.

    Args:
        shapes: names and shapes of the file's tensors.
        prefix: what stands before its names; None for what is found.
        source: the file, for messages.

    Raises:
        LabError: there is no ESM-2 in it, several of different sizes, an ESM-1, or one of a size that is not published.
    """
    found = {}
    for name, shape in shapes.items():
        for words, each_list, query in zip(_WORDS, _LAYERS, _QUERY):
            start = name.removesuffix(words)
            if name.endswith(words) and len(shape) == 2 and shape[0] == len(ESM_ALPHABET):
                numbers = {int(each[1]) for other in shapes if (each := _layer(other, start + each_list, query))}
                if numbers and prefix in (None, start, start.removesuffix(".")):
                    found[start] = (shape[1], max(numbers) + 1)
    if not found:
        raise LabError(
            f"{source} holds no ESM-2 encoder (an embedding of {len(ESM_ALPHABET)} letters, and layers beside it)",
            hint="name a model of the same architecture with --base"
            + ("" if prefix is None else f", or another --prefix than {prefix!r}"),
            kind="model",
        )
    if len(set(found.values())) > 1:
        told = ", ".join(f"{start!r} ({layers} layers of {width})" for start, (width, layers) in sorted(found.items()))
        raise LabError(f"{source} holds several encoders: {told}", hint="choose one with --prefix", kind="model")
    start, (width, layers) = next(iter(found.items()))
    if any(name.startswith(f"{start}embed_positions.") or "emb_layer_norm_before" in name for name in shapes):
        raise LabError(
            f"{source} holds an ESM-1, whose positions are learnt", hint="name its model with --base", kind="model"
        )
    if (width, layers) not in SIZES:
        known = ", ".join(f"{each[1]} layers of {each[0]}" for each in SIZES)
        raise LabError(
            f"{source} holds {layers} layers of width {width}, which is no published ESM-2 ({known})",
            hint="name a model of the same architecture with --base: shapes do not tell the number of attention heads",
            kind="model",
        )
    heads, size = SIZES[width, layers]
    return {
        "vocab_size": len(ESM_ALPHABET),
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
        "max_position_embeddings": 1026,
        "position_embedding_type": "rotary",
        "emb_layer_norm_before": False,
        "token_dropout": True,
        "layer_norm_eps": 1e-5,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "pad_token_id": ESM_ALPHABET.index("<pad>"),
        "mask_token_id": ESM_ALPHABET.index("<mask>"),
    }, f"ESM-2 {size} (by its shapes: {layers} layers of width {width})"


def _layer(name: str, start: str, end: str) -> re.Match[str] | None:
    return re.fullmatch(re.escape(start) + r"(\d+)" + re.escape(end), name)
