"""Frozen fp32 linear layers on the CPU: oneDNN with weights packed once, or BLAS, whichever is faster there."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PACKED_ROWS = 2048
"""Number of rows (batch × tokens) for which oneDNN chooses its packing; other numbers of rows work, too."""

NARROW = 64
"""Outputs below which a product is as narrow as an adapter's rank, where oneDNN leads everywhere."""


@cache
def packing_available() -> bool:
    """Whether this torch build has oneDNN's packed fp32 product."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


@cache
def onednn_is_faster(inputs: int, outputs: int) -> bool:
    """Whether oneDNN multiplies (…, inputs) to (…, outputs) in float32 faster than BLAS on this processor.

    Measured on two cores: with AVX-512 (Xeon, torch 2.11) by 3 to 7 % at all widths; with AVX2 alone (EPYC, torch 2.13) only where
    a product widens (by 5 %) or is as narrow as an adapter's rank, while BLAS leads by up to 18 % elsewhere. The choice
    depends on processor and shape alone, so a run repeats its bits.
    """
    if not packing_available():
        return False
    return torch.backends.cpu.get_cpu_capability() != "AVX2" or outputs > inputs or outputs < NARROW


class Constant(NamedTuple):
    """A frozen matrix as the products want it.

    Attributes:
        weight: (out, in), of any strides.
        packed: the same in oneDNN's layout; None where BLAS is faster.
    """

    weight: Tensor
    packed: Tensor | None

    @classmethod
    def of(cls, weight: Tensor) -> Constant:
        """The matrix, packed where that is faster."""
        if not onednn_is_faster(weight.shape[1], weight.shape[0]):
            return cls(weight, None)
        return cls(weight, torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), PACKED_ROWS))

    def product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """x Wᵀ + b, (…, out), without a graph."""
        if self.packed is None:
            return F.linear(x, self.weight, bias)
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, bias, "none", [], "")


class PackedProduct(torch.autograd.Function):
    """x ↦ x Wᵀ + b for a constant W; its backward is the same product with Wᵀ, so it can be differentiated twice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Constant, transposed: Constant, bias: Tensor | None) -> Tensor:
        """The product (…, out) of inputs (…, in)."""
        ctx.matrices = (matrix, transposed)
        return matrix.product(x, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        """The gradient by x; W and b are constants."""
        matrix, transposed = ctx.matrices
        return PackedProduct.apply(gradient.contiguous(), transposed, matrix, None), None, None, None


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
        return PackedProduct.apply(x, *self._matrices(), self.bias)

    def _matrices(self) -> tuple[Constant, Constant]:
        stamp = (self.weight.data_ptr(), self.weight._version)
        if self.__dict__.get("_pack_stamp") != stamp:
            weight = self.weight.detach()
            self.__dict__["_pack"] = (Constant.of(weight), Constant.of(weight.t()))
            self.__dict__["_pack_stamp"] = stamp
        return self.__dict__["_pack"]

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("_pack", "_pack_stamp")}


def pack_frozen_linears(model: nn.Module) -> int:
    """Let frozen fp32 nn.Linears on the CPU that PEFT has not wrapped use packed products; returns their number.

    Layers that BLAS multiplies faster in both directions are left as they are.
    """
    wrapped = {id(module.get_base_layer()) for module in model.modules() if hasattr(module, "get_base_layer")}
    count = 0
    for module in model.modules():
        if type(module) is not nn.Linear or id(module) in wrapped:
            continue
        frozen = not module.weight.requires_grad and (module.bias is None or not module.bias.requires_grad)
        outputs, inputs = module.weight.shape
        faster = onednn_is_faster(inputs, outputs) or onednn_is_faster(outputs, inputs)
        if frozen and faster and module.weight.dtype is torch.float32 and module.weight.device.type == "cpu":
            module.__class__ = PackedLinear
            count += 1
    return count
