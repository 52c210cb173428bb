"""The regulariser R = mean over adapted layers of ‖DᵀD − I‖_F, D the directions of unit length, without a large product.

The papers' columns are PEFT's rows: one direction per output unit, so the Gram matrix of the directions is (out, out).
With G = VVᵀ, V = W0 + s·BA and H = s·W0Aᵀ + s²/2·B(AAᵀ):

    G = W0W0ᵀ + B Hᵀ + H Bᵀ              rank 2r on top of a constant matrix
    ‖DᵀD − I‖_F² = Σ_ij G_ij² / (G_ii G_jj) − out

so a step costs out²·r instead of out²·in. Where out > in, ‖DDᵀ‖_F = ‖DᵀD‖_F and the smaller (in, in) matrix is formed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Orthogonality(nn.Module):
    """R for the adapted layers of one model; their W0 must stay as they are.

    Args:
        layers: PEFT's adapted linear layers (one adapter each).
        twice: whether the result must be differentiable twice (plain operations instead of the closed-form gradient).
    """

    def __init__(self, layers: list[nn.Module], *, twice: bool = False) -> None:
        super().__init__()
        self.layers = list(layers)  # a plain list: the layers belong to the model
        self.twice = twice
        self.grams: list[Tensor | None] = []
        for layer in layers:
            weight = layer.get_base_layer().weight.detach()
            weight = weight.to(torch.promote_types(weight.dtype, torch.float32))
            self.grams.append(weight @ weight.t() if weight.shape[0] <= weight.shape[1] else None)

    def forward(self) -> Tensor:
        """R, a scalar; 0 for a model without adapted layers."""
        values = []
        for layer, gram in zip(self.layers, self.grams, strict=True):
            name = layer.active_adapters[0]
            values.append(
                deviation(
                    layer.get_base_layer().weight,
                    layer.lora_A[name].weight,
                    layer.lora_B[name].weight,
                    layer.scaling[name],
                    gram=gram,
                    twice=self.twice,
                )
            )
        return torch.stack(values).mean() if values else torch.zeros(())


def deviation(
    weight: Tensor, lora_A: Tensor, lora_B: Tensor, scale: float, *, gram: Tensor | None, twice: bool = False
) -> Tensor:
    """‖DᵀD − I‖_F of one layer, a scalar.

    Args:
        weight: W0, (out, in).
        lora_A: (r, in).
        lora_B: (out, r).
        scale: s = α/r.
        gram: W0W0ᵀ, (out, out), where out <= in; None forms the (in, in) matrix.
        twice: use plain operations.
    """
    if gram is None:
        direction = torch.addmm(weight, lora_B, lora_A, alpha=scale)
        unit = direction / torch.linalg.vector_norm(direction, dim=1, keepdim=True)
        small = unit.t() @ unit
        return _root(small.square().sum() - weight.shape[0])
    half = torch.addmm(scale * (weight @ lora_A.t()), lora_B, lora_A @ lora_A.t(), alpha=0.5 * scale**2)
    if twice:
        full = gram + lora_B @ half.t() + half @ lora_B.t()
        inverse = 1 / full.diagonal()
        return _root((full.square() * inverse * inverse.unsqueeze(1)).sum() - len(full))
    return _root(_SumOfSquares.apply(gram, lora_B, half) - len(gram))


class _SumOfSquares(torch.autograd.Function):
    """(B, H) ↦ Σ_ij G_ij² / (G_ii G_jj) for G = G0 + BHᵀ + HBᵀ.

    With w_i = 1/G_ii, S = G ⊙ wwᵀ and t_i = Σ_j S_ij G_ij the gradient by G is 2S − diag(2 w ⊙ t), so B and H receive
    2·(that)·H and 2·(that)·B: two thin products, no further (out, out) matrix.
    """

    @staticmethod
    def forward(ctx: Any, gram: Tensor, lora_B: Tensor, half: Tensor) -> Tensor:
        left, right = torch.cat((lora_B, half), dim=1), torch.cat((half, lora_B), dim=1)
        full = torch.addmm(gram, left, right.t())
        inverse = full.diagonal().reciprocal()
        scaled = full * inverse
        scaled.mul_(inverse.unsqueeze(1))
        sums = torch.linalg.vecdot(scaled, full)
        ctx.save_for_backward(scaled, inverse * sums, lora_B, half)
        return sums.sum()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        scaled, diagonal, lora_B, half = ctx.saved_tensors
        both = torch.cat((half, lora_B), dim=1)
        pulled = (4 * gradient) * (scaled @ both - diagonal.unsqueeze(1) * both)
        rank = lora_B.shape[1]
        return None, pulled[:, :rank], pulled[:, rank:]


def _root(square: Tensor) -> Tensor:
    """√ with a finite slope where rounding leaves 0 or less (orthonormal directions)."""
    return square.clamp_min(torch.finfo(square.dtype).eps).sqrt()
