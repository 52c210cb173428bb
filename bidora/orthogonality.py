"""The regulariser R = mean over adapted layers of ‖DᵀD − I‖_F, D the directions of unit length, without a large product.

The papers' columns are PEFT's rows: one direction per output unit, so the Gram matrix of the directions is (out, out).
With V = W0 + s·BA, H = s·W0Aᵀ + s²/2·B(AAᵀ), L = [B H] and Q = [H B]:

    G = VVᵀ = W0W0ᵀ + LQᵀ                rank 2r on top of a constant matrix
    ‖DᵀD − I‖_F² = Σ_ij w_i w_j G_ij² − out        with w_i = 1 / G_ii

G itself is never formed: with G0 = W0W0ᵀ and its elementwise square kept, a step reads these two once (out²·r operations
instead of out²·in), and layers of equal shape are computed together. Where out > in, ‖DDᵀ‖_F = ‖DᵀD‖_F and the smaller
(in, in) matrix is formed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bidora.linear_layers import weight_of


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
        self.shapes: dict[Any, list[int]] = {}
        for place, layer in enumerate(layers):
            weight = weight_of(layer.get_base_layer())
            rank = layer.lora_A[layer.active_adapters[0]].weight.shape[0]
            self.shapes.setdefault((weight.shape, rank, weight.dtype, weight.device), []).append(place)
        self.grams = [_grams([layers[place] for place in places]) for places in self.shapes.values()]

    def forward(self) -> Tensor:
        """R, a scalar; 0 for a model without adapted layers."""
        values = []
        for places, grams in zip(self.shapes.values(), self.grams, strict=True):
            parts = [_parts(self.layers[place]) for place in places]
            if grams is None:
                values += [deviation(*part, gram=None, twice=self.twice) for part in parts]
            elif self.twice:
                values += [deviation(*part, gram=gram, twice=True) for part, gram in zip(parts, grams[0], strict=True)]
            else:
                values += list(_together(parts, *grams).unbind())
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
        twice: use plain operations, which can be differentiated twice.
    """
    if gram is None:
        direction = torch.addmm(weight, lora_B, lora_A, alpha=scale)
        unit = direction / torch.linalg.vector_norm(direction, dim=1, keepdim=True)
        small = unit.t() @ unit
        return _root(small.square().sum() - weight.shape[0])
    if twice:
        half = _half(weight, lora_A, lora_B, scale)
        full = gram + lora_B @ half.t() + half @ lora_B.t()
        inverse = 1 / full.diagonal()
        return _root((full.square() * inverse * inverse.unsqueeze(1)).sum() - len(full))
    return _together([(weight, lora_A, lora_B, scale)], gram.unsqueeze(0), gram.square().unsqueeze(0)).squeeze(0)


def _together(parts: list[tuple[Tensor, Tensor, Tensor, float]], grams: Tensor, squares: Tensor) -> Tensor:
    """‖DᵀD − I‖_F of n layers of equal shape, (n,); each part is (W0, A, B, s)."""
    halves = torch.stack([_half(*part) for part in parts])
    lora_B = torch.stack([part[2] for part in parts])
    return _root(_SumOfSquares.apply(grams, squares, lora_B, halves) - grams.shape[-1])


def _half(weight: Tensor, lora_A: Tensor, lora_B: Tensor, scale: float) -> Tensor:
    """H = s·W0Aᵀ + s²/2·B(AAᵀ), (out, r)."""
    return torch.addmm(scale * (weight @ lora_A.t()), lora_B, lora_A @ lora_A.t(), alpha=0.5 * scale**2)


def _parts(layer: nn.Module) -> tuple[Tensor, Tensor, Tensor, float]:
    name = layer.active_adapters[0]
    weight = weight_of(layer.get_base_layer())
    return weight, layer.lora_A[name].weight, layer.lora_B[name].weight, float(layer.scaling[name])


def _grams(layers: list[nn.Module]) -> tuple[Tensor, Tensor] | None:
    """W0W0ᵀ and its elementwise square for layers of equal shape, (n, out, out) each; None where out > in."""
    weights = [weight_of(layer.get_base_layer()).detach() for layer in layers]
    if weights[0].shape[0] > weights[0].shape[1]:
        return None
    exact = [weight.to(torch.promote_types(weight.dtype, torch.float32)) for weight in weights]
    grams = torch.stack([weight @ weight.t() for weight in exact])
    return grams, grams.square()


class _SumOfSquares(torch.autograd.Function):
    """(B, H) ↦ Σ_ij w_i w_j G_ij² of each layer, (n,), for G = G0 + LQᵀ and w = 1 / diag G; all with a leading n.

    With P = G0(w ⊙ Q) and K = Qᵀ(w ⊙ Q), (2r, 2r), the sums of a row are
        Σ_j w_j G_ij² = (G0² w)_i + L_i · (2 P_i + L_i K)
    and, since the gradient by G is 2 ww'ᵀ ⊙ G − 2 diag(w² ⊙ these sums), B and H receive 4 times
        w ⊙ (P + LK) − w² ⊙ sums ⊙ Q
    in the columns where Q holds the other one: nothing of size (out, out) is made in either pass.
    """

    @staticmethod
    def forward(ctx: Any, grams: Tensor, squares: Tensor, lora_B: Tensor, half: Tensor) -> Tensor:
        left, right = torch.cat((lora_B, half), dim=2), torch.cat((half, lora_B), dim=2)
        diagonal = grams.diagonal(dim1=1, dim2=2) + torch.linalg.vecdot(left, right)
        inverse = diagonal.reciprocal().unsqueeze(2)
        weighted = inverse * right
        product = grams @ weighted
        spread = left @ (right.mT @ weighted)
        sums = squares @ inverse + torch.linalg.vecdot(left, 2 * product + spread).unsqueeze(2)
        ctx.save_for_backward(inverse * (product + spread - inverse * sums * right))
        return (inverse * sums).sum(dim=(1, 2))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        pulled = (4 * gradient).view(-1, 1, 1) * slope
        rank = pulled.shape[2] // 2
        return None, None, pulled[:, :, :rank], pulled[:, :, rank:]


def _root(square: Tensor) -> Tensor:
    """√ with a finite slope where rounding leaves 0 or less (orthonormal directions)."""
    return square.clamp_min(torch.finfo(square.dtype).eps).sqrt()
