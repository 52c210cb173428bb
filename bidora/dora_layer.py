"""The adapted linear layer: y = x W'ᵀ + b with W' = m ⊙ V / ‖V‖, V = W0 + s·BA (DoRA eq. 5, BiDoRA's parameterisation).

`DoraLinear` is PEFT's own lora.Linear with another forward: parameters, names, state dict, merging and saving stay PEFT's.
Two forms compute the same numbers:

* composed — plain torch operations; can be differentiated twice (for the exact mixed product);
* fused — one product with the merged weight; the backward pass never forms the dense gradient of V.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from peft.tuners.lora import Linear as PeftLoraLinear
from torch import Tensor

from bidora.linear_layers import LINEAR, weight_of
from bidora.shortcuts import onednn_is_faster


def merge(weight: Tensor, lora_A: Tensor, lora_B: Tensor, magnitude: Tensor, scale: float, *, attached: bool) -> Tensor:
    """The merged weight W' = m ⊙ V / ‖V‖ with V = W0 + s·BA, one magnitude per output unit.

    Args:
        weight: W0, (out, in).
        lora_A: (r, in).
        lora_B: (out, r).
        magnitude: m, (out,).
        scale: s = α/r.
        attached: whether gradients flow through ‖V‖; DoRA §4.3 suggests treating it as a constant.
    """
    direction = torch.addmm(weight, lora_B, lora_A, alpha=scale)
    norm = torch.linalg.vector_norm(direction, dim=1)
    if not attached:
        norm = norm.detach()
    return (magnitude / norm).unsqueeze(1) * direction


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The product x Wᵀ + b without a graph; for float32 on a CPU through oneDNN where that is faster than BLAS.

    Args:
        x: (..., in).
        weight: (out, in), of any strides.
        bias: (out,) or None.
    """
    if x.device.type == "cpu" and x.dtype is torch.float32 and onednn_is_faster(weight.shape[1], weight.shape[0]):
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return F.linear(x, weight, bias)


class MergedLinear(torch.autograd.Function):
    """x ↦ x W'ᵀ + b with W' as in `merge`; once differentiable, only the gradients that are asked for are computed.

    With c = m/‖V‖ and g the gradient of the output (T tokens):
        ∇_x = g W'            ∇_m = Σ_t g ⊙ (y − b) / m
        ∇_B = s·c ⊙ gᵀ(xAᵀ)   ∇_A = s·(g (c ⊙ B))ᵀ x
    and, where the norm is attached, V receives the further gradient −(∇_m/‖V‖) ⊙ W', which reaches A and B as
    products of rank r. A magnitude of exactly 0 gets the gradient 0.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        lora_A: Tensor,
        lora_B: Tensor,
        magnitude: Tensor,
        scale: float,
        attached: bool,
    ) -> Tensor:
        """The product (…, out) of inputs (…, in) with the merged weight."""
        with torch.autocast(x.device.type, enabled=False):
            merged = torch.addmm(weight.to(lora_A.dtype), lora_B, lora_A, alpha=scale)
            norm = torch.linalg.vector_norm(merged, dim=1)
            merged.mul_((magnitude / norm).unsqueeze(1))
            low = merged.to(x.dtype)
            y = product(x, low, None if bias is None else bias.to(x.dtype))
        for_direction = ctx.needs_input_grad[3] or ctx.needs_input_grad[4]
        for_magnitude = ctx.needs_input_grad[5] or (attached and for_direction)
        ctx.save_for_backward(
            x if for_direction else None,  # a perturbed pass asks for the gradient of m only
            low,
            merged if low is not merged else None,
            bias,
            lora_A,
            lora_B,
            magnitude,
            norm,
            y if for_magnitude else None,
        )
        ctx.scale, ctx.attached = scale, attached
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients by x, A, B and m, as far as they are asked for."""
        x, low, full, bias, lora_A, lora_B, magnitude, norm, y = ctx.saved_tensors
        merged = low if full is None else full
        need_x, _, _, need_A, need_B, need_m = ctx.needs_input_grad[:6]
        g = gradient.reshape(-1, gradient.shape[-1]).contiguous()
        grad_x = grad_A = grad_B = grad_m = None
        if need_x:
            grad_x = product(g, low.t()).view(*gradient.shape[:-1], -1)
        if need_m or (ctx.attached and (need_A or need_B)):
            grad_m = _along_output(g, y.reshape(g.shape), bias, magnitude.dtype)
            grad_m = torch.where(magnitude == 0, 0.0, grad_m / magnitude)
        if need_A or need_B:
            flat = x.reshape(-1, x.shape[-1])
            pulled = (lora_B * (ctx.scale * magnitude / norm).unsqueeze(1)).to(g.dtype)
            if need_A:
                grad_A = (product(g, pulled.t()).t() @ flat).to(lora_A.dtype)
            if need_B:
                # the transposed product is six times faster on CPUs: the long sum runs over rows in memory order
                transposed = product(flat, lora_A.to(flat.dtype)).t() @ g
                grad_B = transposed.t().to(lora_B.dtype).contiguous()
                grad_B.mul_((ctx.scale * magnitude / norm).unsqueeze(1))
            if ctx.attached:
                pull = (grad_m * (-ctx.scale) / norm).unsqueeze(1)
                if need_A:
                    grad_A.addmm_((lora_B * pull).t(), merged)
                if need_B:
                    grad_B.addcmul_(pull, merged @ lora_A.t())
        return grad_x, None, None, grad_A, grad_B, grad_m if need_m else None, None, None


def _along_output(gradient: Tensor, y: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Σ_t g ⊙ (y − b), (out,), with one temporary tensor."""
    out = y.to(dtype) * gradient if bias is None else (y.to(dtype) - bias.to(dtype)).mul_(gradient)
    return out.sum(dim=0)


class DoraLinear(PeftLoraLinear):
    """PEFT's DoRA layer with a forward of this project; made from PEFT's by `use_dora_linear`.

    Attributes:
        norm_attached: whether gradients flow through ‖V‖.
        fused: whether the fused form is used; the composed one can be differentiated twice.
    """

    norm_attached: bool = True
    fused: bool = True

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The adapted product; PEFT's own where adapters are off, merged, several or of another kind."""
        if self.disable_adapters or self.merged or not self._one_plain_adapter() or args or kwargs:
            return super().forward(x, *args, **kwargs)
        name = self.active_adapters[0]
        base, dropout = self.get_base_layer(), self.lora_dropout[name]
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        if not self.training or isinstance(dropout, torch.nn.Identity):
            return self._merged_linear(x, base.bias, name)
        # PEFT's formula with dropout: the mask touches what the adapter adds, not the pretrained product.
        dropped = dropout(x)
        return self._merged_linear(dropped, base.bias, name) + F.linear(x - dropped, weight_of(base).to(x.dtype))

    def _merged_linear(self, x: Tensor, bias: Tensor | None, name: str) -> Tensor:
        weight = weight_of(self.get_base_layer())
        lora_A, lora_B = self.lora_A[name].weight, self.lora_B[name].weight
        magnitude, scale = self.lora_magnitude_vector[name].weight, self.scaling[name]
        if self.fused:
            return MergedLinear.apply(x, weight, bias, lora_A, lora_B, magnitude, scale, self.norm_attached)
        merged = merge(weight.to(lora_A.dtype), lora_A, lora_B, magnitude, scale, attached=self.norm_attached)
        return F.linear(x, merged.to(x.dtype), None if bias is None else bias.to(x.dtype))

    def _one_plain_adapter(self) -> bool:
        active = self.active_adapters
        return len(active) == 1 and active[0] in self.lora_magnitude_vector


def use_dora_linear(model: torch.nn.Module, *, norm_attached: bool, fused: bool) -> list[str]:
    """Give every PEFT DoRA layer on a plain nn.Linear or Conv1D the forward of `DoraLinear`; returns their names.

    Layers of other kinds (embeddings, convolutions, quantised weights) keep PEFT's forward.
    """
    changed = []
    for name, module in model.named_modules():
        if type(module) not in (PeftLoraLinear, DoraLinear) or type(module.get_base_layer()) not in LINEAR:
            continue
        if not module.lora_magnitude_vector:
            continue
        module.__class__ = DoraLinear
        module.norm_attached, module.fused = norm_attached, fused
        changed.append(name)
    return changed
