"""For how many tokens a model has positions: no longer input can be read. From config.json alone: no torch.

Models whose positions are computed from distances (rotary, relative, ALiBi) have no such end; their
max_position_embeddings only says how long the inputs of pretraining were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bidora.errors import LabError

_TABLE = frozenset(
    "albert bart bert bert-generation big_bird biogpt canine codegen convbert ctrl deberta deberta-v2 distilbert electra "
    "ernie flaubert fnet gpt2 gpt_bigcode gpt_neo gptj mbart megatron-bert mobilebert mra nystromformer openai-gpt opt "
    "pegasus rembert roformer squeezebert xlm yoso".split()
)
"""Model types with one entry for each position in a table."""

_BEHIND_PADDING = frozenset(
    "camembert data2vec-text esm ibert longformer luke mpnet roberta roberta-prelayernorm xlm-roberta xlm-roberta-xl "
    "xmod".split()
)
"""The same, but their first position has the number pad_token_id + 1, so that the entries before it are never used."""


def positions_of(settings: Mapping[str, Any]) -> int | None:
    """The longest input in tokens; None where there is no end, or none is known.

    Args:
        settings: what config.json holds, or transformers' configuration as a dict.

    >>> positions_of({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1})
    512
    """
    kind = settings.get("model_type")
    entries = settings.get("max_position_embeddings") or settings.get("n_positions")
    if not isinstance(entries, int) or entries < 1:
        return None
    if kind in ("deberta", "deberta-v2") and not settings.get("position_biased_input", True):
        return None  # as in DeBERTa-v3: distances only
    if kind == "esm" and settings.get("position_embedding_type", "absolute") != "absolute":
        return None  # as in ESM-2: rotary
    if kind in _TABLE:
        return entries
    if kind in _BEHIND_PADDING:
        padding = settings.get("pad_token_id")
        return entries - (1 if padding is None else int(padding)) - 1
    return None


def input_length(asked: int, default: int, settings: Mapping[str, Any]) -> tuple[int, list[str]]:
    """The longest input of a run in tokens, and a remark where the model shortens it.

    Args:
        asked: max_length; 0 for the default.
        default: of the task.
        settings: as for `positions_of`.

    Raises:
        LabError: the model has no positions for as many tokens as were asked for.
    """
    positions = positions_of(settings)
    if positions is None or (asked or default) <= positions:
        return asked or default, []
    if asked:
        raise LabError(
            f"max_length={asked} is outside 1 to {positions}, the tokens for which this model "
            f"({settings['model_type']}) has positions",
            hint=f"use max_length={positions} or less, or a model for longer inputs",
            kind="model",
        )
    return positions, [f"inputs are cut at {positions} tokens, not at {default}: the model has no more positions"]
