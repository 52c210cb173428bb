"""Exact shortcuts through a frozen encoder: the same function with less work.

* `pack_frozen_linears` — frozen fp32 linear layers multiply through oneDNN with weights packed once (CPU).
* `first_token_only` — where the head reads the first token, the last layer computes that position only.

Both change the order of floating-point sums, nothing else; tests compare outputs and gradients with the plain model.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

PACKED_ROWS = 2048
"""Number of rows (batch × tokens) for which oneDNN chooses its packing; other numbers of rows work, too."""


class PackedProduct(torch.autograd.Function):
    """x ↦ x Wᵀ + b for a constant W; its backward is the same product with Wᵀ, so it can be differentiated twice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, packed: Tensor, packed_transposed: Tensor, bias: Tensor | None) -> Tensor:
        """The product (…, out) of inputs (…, in)."""
        ctx.packs = (packed, packed_transposed)
        return torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        """The gradient by x; W and b are constants."""
        packed, packed_transposed = ctx.packs
        return PackedProduct.apply(gradient.contiguous(), packed_transposed, packed, None), None, None, None


class PackedLinear(nn.Linear):
    """A frozen nn.Linear whose weight is packed at first use; any change of the weight is noticed and packed anew."""

    def forward(self, x: Tensor) -> Tensor:
        """x Wᵀ + b, packed where that is possible."""
        if (
            x.dtype is not torch.float32
            or x.device.type != "cpu"
            or self.weight.requires_grad
            or torch.is_autocast_enabled("cpu")
        ):
            return super().forward(x)
        packed, packed_transposed = self._packs()
        return PackedProduct.apply(x, packed, packed_transposed, self.bias)

    def _packs(self) -> tuple[Tensor, Tensor]:
        stamp = (self.weight.data_ptr(), self.weight._version)
        if self.__dict__.get("_pack_stamp") != stamp:
            weight = self.weight.detach()
            pack = torch.ops.mkldnn._reorder_linear_weight
            self.__dict__["_pack"] = (pack(weight, PACKED_ROWS), pack(weight.t().contiguous(), PACKED_ROWS))
            self.__dict__["_pack_stamp"] = stamp
        return self.__dict__["_pack"]

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("_pack", "_pack_stamp")}


def packing_available() -> bool:
    """Whether this torch build has oneDNN's packed fp32 product."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def pack_frozen_linears(model: nn.Module) -> int:
    """Let every frozen fp32 nn.Linear on the CPU that PEFT has not wrapped use the packed product; returns their number."""
    if not packing_available():
        return 0
    wrapped = {id(module.get_base_layer()) for module in model.modules() if hasattr(module, "get_base_layer")}
    count = 0
    for module in model.modules():
        if type(module) is not nn.Linear or id(module) in wrapped:
            continue
        frozen = not module.weight.requires_grad and (module.bias is None or not module.bias.requires_grad)
        if frozen and module.weight.dtype is torch.float32 and module.weight.device.type == "cpu":
            module.__class__ = PackedLinear
            count += 1
    return count


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
    plain = getattr(attention.config, "_attn_implementation", "eager") in ("eager", "sdpa")
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


def _attend(attention: nn.Module, queries: Tensor, states: Tensor, mask: Tensor | None, rotary: Any = None) -> Tensor:
    """Self-attention of (batch, 1, width) queries over (batch, tokens, width) states, heads joined again."""
    size = attention.attention_head_size

    def heads(product: Tensor) -> Tensor:
        return product.view(*product.shape[:-1], -1, size).transpose(1, 2)

    query, key, value = heads(attention.query(queries)), heads(attention.key(states)), heads(attention.value(states))
    scale = size**-0.5
    if rotary is not None:
        cos, sin = (part.unsqueeze(1) for part in rotary)
        query = query * cos[:, :, :1] + _rotate_half(query) * sin[:, :, :1]
        key = key * cos + _rotate_half(key) * sin
    mask = mask[:, :, :1] if mask is not None else None
    dropout = attention.dropout.p if isinstance(attention.dropout, nn.Dropout) else attention.dropout
    if attention.config._attn_implementation == "eager":
        scores = query @ key.transpose(-1, -2) * scale
        weights = torch.softmax(scores if mask is None else scores + mask, dim=-1)
        mixed = nn.functional.dropout(weights, dropout, attention.training) @ value
    else:
        mixed = nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=dropout if attention.training else 0.0, scale=scale
        )
    return mixed.transpose(1, 2).flatten(2)


def _rotate_half(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)
