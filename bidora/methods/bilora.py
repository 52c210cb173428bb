"""BiLoRA-style two levels: P and Q on the lower level, the singular values λ between them on the upper one.

The worked example of CONTRIBUTING.md, "Add a method": everything about it stands in this file. The layer is PEFT's own
AdaLoRA layer without its budget, so plain PEFT loads what is saved; two levels, recorder and retraining are the lab's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bidora.methods.method import LOW_RANK, TWO_LEVELS, Look, Method, Paper

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bidora.config import RunConfig


class Bilora(Method):
    """W0 + (α/r) P·diag(λ)·Q with λ on the upper level."""

    name = "bilora"
    title = "BiLoRA"
    summary = "P·diag(λ)·Q on two levels: the singular values λ on a held-out split, P, Q and head on the rest"
    formula = r"W' = W_0 + \tfrac{\alpha}{r} P\, \mathrm{diag}(\lambda)\, Q"
    convention = (
        "After the paper's idea, without its variants of λ (softmax, gates near 0 and 1). λ begins at 0, so that step 0 is "
        "the pretrained model; search, hypergradient and retraining are BiDoRA's here. Saved as PEFT's AdaLoRA layer."
    )
    paper = Paper(
        "BiLoRA",
        "R. Qiang, R. Zhang, P. Xie: BiLoRA: A Bi-level Optimization Framework for Overfitting-Resilient Low-Rank "
        "Adaptation of Large Pre-trained Models. 2024. arXiv 2403.13037.",
        "https://arxiv.org/abs/2403.13037",
        "Cited by its abstract.",
    )
    place = 50
    look = Look("#117733", "14px,4px", "diamond-tall", "#3FAE63")
    settings = (*LOW_RANK, *TWO_LEVELS)
    pass_cost = 1.1
    upper = "lora_E"  # PEFT's name for the singular values; A and B of the same layer are Q and P
    upper_title = "the singular values"

    def peft_config(self, config: RunConfig, **shared: Any) -> Any:
        """AdaLoRA's layer; its budget of ranks is never asked."""
        from peft import AdaLoraConfig

        return AdaLoraConfig(
            init_r=config.rank,
            target_r=config.rank,
            lora_alpha=config.alpha,
            lora_dropout=config.dropout,
            total_step=config.steps + 1,
            **shared,
        )

    def upper_start(self, layer: nn.Module, parameter: Tensor) -> Tensor:
        """λ = 0: no change of the weight."""
        return parameter.detach().new_zeros(parameter.shape)

    def regulariser(self, layers: list[nn.Module], config: RunConfig, *, twice: bool) -> nn.Module | None:
        """P and Q near orthogonal, so that λ are singular values."""
        from torch import nn

        from bidora.methods.adalora import deviation_from_orthogonal

        class Orthogonal(nn.Module):
            def forward(self) -> Tensor:
                return deviation_from_orthogonal(layers)

        return Orthogonal()


METHODS = (Bilora(),)
