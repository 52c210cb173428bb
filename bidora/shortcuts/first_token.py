"""Where the head reads the first token, the last layer of the encoder computes that position only."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import torch
from peft.tuners.lora import Linear as PeftLoraLinear
from torch import Tensor, nn

from bidora.shortcuts.brief_attention import NAME as BRIEF_ATTENTION
from bidora.shortcuts.brief_attention import attention_weights, masked_softmax
from bidora.shortcuts.packing import PackedLinear


def first_token_only(backbone: nn.Module) -> bool:
    """Let the last layer of a BERT, RoBERTa or ESM encoder compute only the first position; returns whether it did.

    Only for heads that read the first token. Keys and values still come from every position, so the numbers that the
    head reads stay the same; `last_hidden_state` has length 1 afterwards.
    """
    layers = [module for module in backbone.modules() if type(module).__name__ in _FIRST_TOKEN_FORWARD]
    kinds = {type(layer).__name__ for layer in layers}
    if len(kinds) != 1:
        return False
    last = layers[-1]
    attention = last.attention.self
    plain = getattr(attention.config, "_attn_implementation", "eager") in ("eager", "sdpa", BRIEF_ATTENTION)
    if not plain or last.is_decoder or last.chunk_size_feed_forward:
        return False
    last.forward = types.MethodType(_FIRST_TOKEN_FORWARD[kinds.pop()], last)
    return True


def _first_token_bert(
    layer: nn.Module, hidden_states: Tensor, attention_mask: Tensor | None = None, *rest: Any, **options: Any
) -> Tensor:
    """BertLayer.forward for the first position."""
    first = hidden_states[:, :1]
    mixed = _attend(layer.attention.self, first, hidden_states, attention_mask)
    return layer.feed_forward_chunk(layer.attention.output(mixed, first))


def _first_token_esm(
    layer: nn.Module,
    hidden_states: Tensor,
    attention_mask: Tensor | None = None,
    *rest: Any,
    position_embeddings: Any = None,
    **options: Any,
) -> Tensor:
    """EsmLayer.forward (LayerNorm first, rotary positions) for the first position."""
    normalised = layer.attention.LayerNorm(hidden_states)
    mixed = _attend(layer.attention.self, normalised[:, :1], normalised, attention_mask, position_embeddings)
    return layer.feed_forward_chunk(layer.attention.output(mixed, hidden_states[:, :1]))


_FIRST_TOKEN_FORWARD: dict[str, Callable[..., Tensor]] = {
    "BertLayer": _first_token_bert,
    "RobertaLayer": _first_token_bert,
    "XLMRobertaLayer": _first_token_bert,
    "EsmLayer": _first_token_esm,
}


def _attend(attention: Any, queries: Tensor, states: Tensor, mask: Tensor | None, rotary: Any = None) -> Tensor:
    """Self-attention of (batch, 1, width) queries over (batch, tokens, width) states, heads joined again.

    With one query a head's score of position t is q·(W x_t + b) = (Wᵀq)·x_t + q·b, and its mixed value Σ_t a_t (W x_t + b) =
    W (Σ_t a_t x_t) + b, as the weights a_t sum to 1: keys and values of single positions need not be computed.
    """
    size, tokens = attention.attention_head_size, states.shape[1]
    key, value = attention.key, attention.value
    exact = _attention_dropout(attention) == 0.0 and _is_affine(value)
    if states.device.type != "cpu" or not exact or queries.shape[-1] // size >= tokens:
        return _fused(attention, queries, states, mask, rotary)
    query = attention.query(queries).view(len(queries), -1, size)  # (batch, heads, size)
    if rotary is None and type(key) in (nn.Linear, PackedLinear):
        folded = torch.einsum("bhs,hsw->bhw", query, key.weight.view(query.shape[1], size, -1))
        scores = folded @ states.transpose(1, 2)  # (batch, heads, tokens)
        if key.bias is not None:
            scores = scores + (query * key.bias.view(-1, size)).sum(dim=-1, keepdim=True)
    else:
        keys = _heads(key(states), size)
        if rotary is not None:
            cos, sin = (part.unsqueeze(1) for part in rotary)
            query = (query.unsqueeze(2) * cos[:, :, :1] + _rotate_half(query.unsqueeze(2)) * sin[:, :, :1]).squeeze(2)
            keys = keys * cos + _rotate_half(keys) * sin
        scores = (keys @ query.unsqueeze(-1)).squeeze(-1)
    weights = masked_softmax(scores * size**-0.5, None if mask is None else mask[:, :, 0])
    mixed = value(weights @ states)  # (batch, heads, width): a head's own part of it is what it wants
    own = mixed.view(*mixed.shape[:2], -1, size).diagonal(dim1=1, dim2=2)  # (batch, size, heads)
    return own.transpose(1, 2).reshape(len(queries), 1, -1)


def _fused(attention: Any, queries: Tensor, states: Tensor, mask: Tensor | None, rotary: Any = None) -> Tensor:
    """The same with the kernels of torch, which start less often: on a GPU that counts for more than the products saved."""
    size = attention.attention_head_size
    query, key, value = (
        _heads(layer(inputs), size)
        for layer, inputs in ((attention.query, queries), (attention.key, states), (attention.value, states))
    )
    scale = size**-0.5
    if rotary is not None:
        cos, sin = (part.unsqueeze(1) for part in rotary)
        query = query * cos[:, :, :1] + _rotate_half(query) * sin[:, :, :1]
        key = key * cos + _rotate_half(key) * sin
    mask = mask[:, :, :1] if mask is not None else None
    dropout = _attention_dropout(attention)
    if attention.config._attn_implementation == "eager":
        mixed = nn.functional.dropout(attention_weights(query, key, mask, scale), dropout) @ value
    else:
        mixed = nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=dropout, scale=scale
        )
    return mixed.transpose(1, 2).flatten(2)


def _heads(product: Tensor, size: int) -> Tensor:
    """(batch, tokens, width) → (batch, heads, tokens, size)."""
    return product.view(*product.shape[:-1], -1, size).transpose(1, 2)


def _attention_dropout(attention: Any) -> float:
    """The chance with which attention weights are dropped now."""
    dropout = attention.dropout
    chance = dropout.p if isinstance(dropout, nn.Dropout) else float(dropout)
    return chance if attention.training else 0.0


def _is_affine(layer: Any) -> bool:
    """Whether a layer is known to compute x ↦ W x + b, without dropout on its way."""
    if type(layer) in (nn.Linear, PackedLinear):
        return True
    known = isinstance(layer, PeftLoraLinear) and hasattr(layer, "lora_dropout")
    return known and all(type(each) is nn.Identity or not layer.training for each in layer.lora_dropout.values())


def _rotate_half(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)
