"""Attention over short inputs, written out: on CPUs the fused kernel computes everything again in its backward pass."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NAME = "bidora_brief"
"""Under which transformers knows it."""

BRIEF = 128
"""Longest input in tokens for which it is taken. Measured on two cores, forward and backward against the fused kernel: 0.6 of the
time at 32 and 64 tokens, 0.85 at 128, 1.1 at 256; the weights that it keeps grow with the square."""


def attend_briefly(backbone: nn.Module) -> bool:
    """Let an encoder that uses torch's fused attention write it out for short inputs on the CPU; returns whether it will.

    Whether it is written out is decided anew at each call: a model may be moved to a GPU later.
    """
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    if getattr(backbone.config, "_attn_implementation", "") != "sdpa":
        return False
    if NAME not in ALL_ATTENTION_FUNCTIONS:
        ALL_ATTENTION_FUNCTIONS.register(NAME, _attention)
        ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    try:
        backbone.set_attn_implementation(NAME)
    except ValueError:  # an architecture with attention of its own
        return False
    return backbone.config._attn_implementation == NAME


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Heads (batch, heads, tokens, size) → mixed values (batch, tokens, heads, size), as transformers asks for it."""
    causal = is_causal if is_causal is not None else getattr(module, "is_causal", True)
    plain = query.device.type == "cpu" and query.dtype is torch.float32 and not torch.is_autocast_enabled("cpu")
    plain = plain and query.shape == key.shape
    if not (plain and query.shape[2] <= BRIEF and torch.is_grad_enabled()) or (attention_mask is None and causal):
        return _fused()(module, query, key, value, attention_mask, dropout, scaling, is_causal, **options)
    if any(options.get(name) is not None for name in _NEEDS_MORE):
        return _fused()(module, query, key, value, attention_mask, dropout, scaling, is_causal, **options)
    weights = attention_weights(query, key, attention_mask, query.shape[-1] ** -0.5 if scaling is None else scaling)
    mixed = F.dropout(weights, dropout, training=dropout > 0.0) @ value
    return mixed.transpose(1, 2).contiguous(), None


_NEEDS_MORE = ("position_bias", "softcap", "cache", "s_aux")
"""What some architectures add, which only the kernels of transformers know."""


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """softmax(q kᵀ·scale) over the keys, (…, queries, keys).

    Args:
        query: (…, queries, size).
        key: (…, keys, size).
        mask: True or 0 for keys that are seen, False or a very negative number for others; broadcast over the rest.
        scale: usually 1/√size.
    """
    return masked_softmax((query * scale) @ key.transpose(-1, -2), mask)


def masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax over the last axis, with 0 where the mask is False or very negative."""
    if mask is not None and mask.dtype is torch.bool:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    elif mask is not None:
        scores = scores + mask
    return torch.softmax(scores, dim=-1)


def _fused() -> Any:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    return ALL_ATTENTION_FUNCTIONS["sdpa"]
