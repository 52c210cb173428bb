"""Exact shortcuts through a frozen encoder: the same function with less work.

* `pack_frozen_linears` — frozen fp32 linear layers multiply through oneDNN with weights packed once, where that is faster (CPU).
* `first_token_only` — where the head reads the first token, the last layer computes that position only.
* `attend_briefly` — short inputs go through attention written out, which keeps the weights for the backward pass (CPU).
* `kept_memory` — memory that one step frees is kept for the next instead of being given back to the system (CPU, glibc).

They change the order of floating-point sums at most; tests compare outputs and gradients with the plain model.
"""

from bidora.shortcuts.brief_attention import attend_briefly
from bidora.shortcuts.first_token import first_token_only
from bidora.shortcuts.kept_memory import kept_memory
from bidora.shortcuts.packing import PackedLinear, onednn_is_faster, pack_frozen_linears, packing_available

__all__ = [
    "PackedLinear",
    "attend_briefly",
    "first_token_only",
    "kept_memory",
    "onednn_is_faster",
    "pack_frozen_linears",
    "packing_available",
]
