"""DoRA, and BiDoRA, which is DoRA's parameterisation with the magnitude on a level of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bidora.errors import LabError
from bidora.methods.method import LOW_RANK, TWO_LEVELS, Look, Method, Paper

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bidora.config import RunConfig

MAGNITUDE = "lora_magnitude_vector"
"""PEFT's name for m."""


class Dora(Method):
    """m ⊙ (W0 + s·BA) / ‖W0 + s·BA‖ (DoRA, eq. 5), m trained beside A and B."""

    name = "dora"
    title = "DoRA"
    summary = "trains the magnitude m of each weight and a low-rank update of its direction together"
    formula = r"W' = m \odot \tfrac{W_0 + sBA}{\lVert W_0 + sBA \rVert}"
    convention = "Norm per output unit; PEFT's layer treats it as a constant in the backward pass (norm)."
    paper = Paper(
        "DoRA",
        "S.-Y. Liu and others: DoRA: Weight-Decomposed Low-Rank Adaptation. ICML 2024. arXiv 2402.09353.",
        "https://arxiv.org/abs/2402.09353",
    )
    place = 20
    look = Look("#D55E00", "dash", "square")
    settings: tuple[str, ...] = (*LOW_RANK, "norm", "magnitude_learning_rate_ratio")
    pass_cost = 1.1
    own_rates: tuple[tuple[str, str], ...] = ((MAGNITUDE, "magnitude_learning_rate_ratio"),)
    undecayed = (MAGNITUDE,)

    def norm(self, config: RunConfig) -> str:
        """What the setting says; auto is PEFT's detached norm."""
        return config.norm if config.norm != "auto" else "detached"

    def peft_config(self, config: RunConfig, **shared: Any) -> Any:
        """LoRA's, with `use_dora`."""
        from peft import LoraConfig

        return LoraConfig(r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout, use_dora=True, **shared)

    def prepare(self, model: nn.Module, config: RunConfig) -> None:
        """Choose the layer's forward: PEFT's own only for the detached norm with kernel="peft".

        Raises:
            LabError: an output unit is zero, so that the layer would divide by zero.
        """
        from bidora.dora_layer import use_dora_linear

        _refuse_zero_units(model)
        attached = self.norm(config) == "attached"
        if config.kernel == "peft" and not attached:
            return
        twice = self.bilevel and config.mixed_product == "exact"
        use_dora_linear(model, norm_attached=attached, fused=config.kernel == "fast" and not twice)


class Bidora(Dora):
    """DoRA with m on the upper level: searched on data held out from A, B and head, then fixed for a retraining."""

    name = "bidora"
    title = "BiDoRA"
    summary = (
        "DoRA on two levels: m on a held-out split by its hypergradient, A, B and head on the rest; then retrained"
    )
    convention = "Norm per output unit, kept in the graph (norm); the head belongs to the lower level."
    paper = Paper(
        "BiDoRA",
        "P. Qin, R. Zhang, P. Xie: BiDoRA: Bi-level Optimization-Based Weight-Decomposed Low-Rank Adaptation. "
        "Transactions on Machine Learning Research, July 2025. arXiv 2410.09758.",
        "https://arxiv.org/abs/2410.09758",
        "Cited here by its abstract, figures, repository and code; section numbers are not given.",
    )
    place = 60
    look = Look("#009E73", "solid", "circle")
    settings = (*LOW_RANK, "norm", *TWO_LEVELS)
    pass_cost = 1.2
    own_rates = ()
    upper = MAGNITUDE
    upper_title = "the magnitude"

    def norm(self, config: RunConfig) -> str:
        """What the setting says; auto is the attached norm, as the mixed derivative is about 12 % off without it."""
        return config.norm if config.norm != "auto" else "attached"

    def upper_start(self, layer: nn.Module, parameter: Tensor) -> Tensor:
        """‖W0‖ per output unit."""
        import torch

        from bidora.linear_layers import weight_of

        weight = weight_of(layer.get_base_layer()).detach()  # type: ignore[operator]
        return torch.linalg.vector_norm(weight, dim=1).to(parameter.dtype)

    def regulariser(self, layers: list[nn.Module], config: RunConfig, *, twice: bool) -> nn.Module | None:
        """Mean over layers of ‖DᵀD − I‖_F, D the normalised W0 + s·BA."""
        from bidora.orthogonality import Orthogonality

        return Orthogonality(layers if config.regularizer else [], twice=twice)


def _refuse_zero_units(model: nn.Module) -> None:
    """PEFT starts m at ‖W0‖: where m is zero, the norm is."""
    for name, m in model.named_parameters():
        if MAGNITUDE in name and bool((m == 0).any()):
            zero = (m == 0).nonzero().flatten().tolist()
            layer = name.partition(f".{MAGNITUDE}")[0].removeprefix("base_model.model.")
            raise LabError(
                f"{len(zero)} of {m.numel()} output units of {layer} are zero (the first is {zero[0]}), and DoRA divides by their norm",
                hint="leave that module out of target_modules, or choose method=lora",
                kind="model",
            )


METHODS = (Dora(), Bidora())
