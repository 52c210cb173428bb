"""AdaLoRA: P·diag(λ)·Q in each layer, with a budget of ranks that moves to the layers that need it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bidora.methods.method import LOW_RANK, Look, Method, Paper, Rates, refuse_rank_above

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bidora.config import RunConfig

WARM_UP, FINAL = 0.1, 0.3
"""Parts of the steps before ranks are taken away, and after the last one was."""

_SCORES = ("ipt", "exp_avg_ipt", "exp_avg_unc")
"""What PEFT's rank allocator remembers of each tensor: sensitivity, its average, its uncertainty."""


class Adalora(Method):
    """W0 + (α / r₀) P·diag(λ)·Q; after each step the least important triplets are set to zero (AdaLoRA, section 3)."""

    name = "adalora"
    title = "AdaLoRA"
    summary = "trains P·diag(λ)·Q in each layer and takes away the least important ranks, down to rank on average"
    formula = r"W' = W_0 + \tfrac{\alpha}{r_0} P\, \mathrm{diag}(\lambda)\, Q"
    convention = (
        "From initial_rank down to rank per layer on average: no rank is taken in the first tenth of the steps, and none in "
        "the last three tenths. The loss holds orthogonality_weight · mean(‖PᵀP − I‖_F, ‖QQᵀ − I‖_F), which PEFT adds only to a "
        "loss that the model itself computes."
    )
    paper = Paper(
        "AdaLoRA",
        "Q. Zhang and others: AdaLoRA: Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning. ICLR 2023. "
        "arXiv 2303.10512.",
        "https://arxiv.org/abs/2303.10512",
    )
    place = 30
    look = Look("#CC6677", "longdash", "star-square")
    settings = (*LOW_RANK, "initial_rank", "orthogonality_weight")
    rates = Rates(1e-3, 2e-2)
    pass_cost = 1.1

    def check(self, config: RunConfig) -> None:
        """Refuse runs without a step in which ranks could be taken, and an initial rank that is not above the rank."""
        from bidora.errors import LabError

        if config.steps < 2:
            raise LabError(
                f"steps={config.steps} leaves method=adalora no step to take ranks in (allowed: from 2)",
                hint="use at least 10 steps",
            )
        if config.initial_rank and config.initial_rank <= config.rank:
            raise LabError(
                f"initial_rank={config.initial_rank} is not above rank={config.rank}, which method=adalora ends with",
                hint="leave initial_rank at 0 for one and a half times the rank",
            )

    def peft_config(self, config: RunConfig, **shared: Any) -> Any:
        """AdaLoRA's, with a schedule that fits the number of steps."""
        from peft import AdaLoraConfig

        warm_up = min(round(WARM_UP * config.steps), config.steps - 2)
        return AdaLoraConfig(
            init_r=initial_rank(config),
            target_r=config.rank,
            lora_alpha=config.alpha,
            lora_dropout=config.dropout,
            tinit=warm_up,
            tfinal=min(max(1, round(FINAL * config.steps)), config.steps - 1 - warm_up),
            deltaT=1,
            total_step=config.steps,
            orth_reg_weight=config.orthogonality_weight,
            **shared,
        )

    def adapter_rank(self, config: RunConfig) -> int:
        """A layer may keep all triplets that it begins with."""
        return initial_rank(config)

    def check_layer(self, config: RunConfig, name: str, shape: tuple[int, int]) -> None:
        """The initial rank must fit."""
        refuse_rank_above(initial_rank(config), name, min(shape), setting="initial_rank")

    def penalty(self, model: nn.Module, config: RunConfig) -> Callable[[], Tensor] | None:
        """orthogonality_weight · mean of ‖PᵀP − I‖_F and ‖QQᵀ − I‖_F over all layers, as in PEFT's forward."""
        if not config.orthogonality_weight:
            return None
        layers = svd_layers(model)
        return lambda: config.orthogonality_weight * deviation_from_orthogonal(layers)

    def after_step(self, model: nn.Module, step: int) -> None:
        """Score the triplets by the step's gradients and take away what the budget no longer holds."""
        tuner(model).update_and_allocate(step)

    def state(self, model: nn.Module) -> dict[str, Tensor]:
        """The allocator's scores by tensor, and which triplets are kept."""
        import torch

        allocator, config = tuner(model).rankallocator, tuner(model).peft_config["default"]
        scores = {f"{kind}/{name}": tensor for kind in _SCORES for name, tensor in getattr(allocator, kind).items()}
        kept = {f"kept/{name}": torch.tensor(mask) for name, mask in (config.rank_pattern or {}).items()}
        return {**scores, **kept}

    def restore(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Scores and kept triplets as they were."""
        allocator, config = tuner(model).rankallocator, tuner(model).peft_config["default"]
        parts: dict[str, dict[str, Tensor]] = {}
        for key, tensor in state.items():
            kind, _, name = key.partition("/")
            parts.setdefault(kind, {})[name] = tensor
        device = next(model.parameters()).device
        for kind in _SCORES:
            setattr(allocator, kind, {name: tensor.to(device) for name, tensor in parts.get(kind, {}).items()})
        if "kept" in parts:
            config.rank_pattern = {name: tensor.tolist() for name, tensor in parts["kept"].items()}


def initial_rank(config: RunConfig) -> int:
    """The rank that each layer begins with: the setting, or one and a half times the final rank (the paper's 12 for 8)."""
    return config.initial_rank or -(-3 * config.rank // 2)


def tuner(model: nn.Module) -> Any:
    """PEFT's AdaLoraModel inside a model or classifier."""
    from peft.tuners.adalora import AdaLoraModel

    return next(module for module in model.modules() if isinstance(module, AdaLoraModel))


def svd_layers(model: nn.Module) -> list[nn.Module]:
    """The layers with P, λ and Q."""
    from peft.tuners.adalora import SVDLinear

    return [module for module in model.modules() if isinstance(module, SVDLinear)]


def deviation_from_orthogonal(layers: list[nn.Module]) -> Tensor:
    """Mean over layers of ‖QQᵀ − I‖_F and ‖PᵀP − I‖_F, a scalar (AdaLoRA, eq. 4, as PEFT averages it)."""
    import torch

    found = []
    for layer in layers:
        name = layer.active_adapters[0]  # type: ignore[index]
        matrix_Q, matrix_P = layer.lora_A[name], layer.lora_B[name]  # type: ignore[index]
        for gram in (matrix_Q @ matrix_Q.T, matrix_P.T @ matrix_P):
            found.append(torch.linalg.matrix_norm(gram - torch.eye(len(gram), device=gram.device, dtype=gram.dtype)))
    return torch.stack(found).mean()


METHODS = (Adalora(),)
