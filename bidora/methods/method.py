"""What a method is: its name and look, what it trains, which of it belongs to the upper level, and how it is saved.

A method is one small class in a file of this folder. Everything that asks "which method is it?" asks here. Nothing at
module level imports torch: the app, the command line and the analysis read names and looks only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bidora.config import RunConfig

LOW_RANK = ("rank", "alpha", "dropout", "target_modules")
"""The settings of an update sBA."""

TWO_LEVELS = (
    *("upper_data", "upper_fraction", "unroll_scale", "mixed_product", "unroll_steps", "upper_learning_rate_ratio"),
    *("magnitude_decay", "magnitude_decay_target", "regularizer", "retrain", "retrain_steps", "retrain_learning_rate"),
)
"""The settings of a search with an upper level and of the retraining after it."""


class Paper(NamedTuple):
    """Where a method was published: short name, full reference, address, and what stands behind what is said of it."""

    short: str
    full: str
    address: str
    note: str = ""


class Look(NamedTuple):
    """How a method looks in every figure; colour is never the only sign.

    `dash` and `symbol` are plotly's; `on_dark` is the colour on dark pages where the first one is hard to see there.
    """

    colour: str
    dash: str
    symbol: str
    on_dark: str = ""


class Rates(NamedTuple):
    """Learning rates (AdamW, peak) that are usual for a method with small encoders, from `low` to `high`."""

    low: float
    high: float


class Method:
    """One way of adapting a model. Subclasses set the attributes and change the few steps in which they differ.

    Attributes:
        name: in flags and run folders; lower case, short.
        title: in sentences, tables and legends.
        summary: one sentence: what is trained, and from where.
        formula: LaTeX of the weight that acts; empty where no weight changes.
        convention: what has to be said beside a result: scale, initial values, what differs from the paper.
        paper: where it was published.
        place: its place in tables and legends.
        look: in figures.
        settings: the settings that belong to methods and that it uses; see `bidora.methods.uses`.
        rates: learning rates that are usual; outside of them a preflight says so.
        pass_cost: seconds of a forward and backward pass against LoRA's, roughly; used until a run was measured.
        trained: parts of parameter names that are trained inside the backbone, besides the head.
        upper: the part of a parameter's name that puts it on the upper level; empty: one level, one phase.
        upper_title: what the upper level trains, in a sentence.
        own_rates: (part of a parameter's name, the setting that multiplies its learning rate), one or more.
        undecayed: parts of names of parameters without weight decay.
        uses_peft: whether PEFT builds, saves and loads it.
        moves_weights: whether weight matrices change, so that there is a ΔM and ΔD to analyse.
    """

    name: str = ""
    title: str = ""
    summary: str = ""
    formula: str = ""
    convention: str = ""
    paper: Paper
    place: int = 0
    look: Look
    settings: tuple[str, ...] = LOW_RANK
    rates: Rates = Rates(1e-4, 5e-3)
    pass_cost: float = 1.0
    trained: tuple[str, ...] = ("lora_",)
    upper: str = ""
    upper_title: str = ""
    own_rates: tuple[tuple[str, str], ...] = ()
    undecayed: tuple[str, ...] = ()
    uses_peft: bool = True
    moves_weights: bool = True

    @property
    def bilevel(self) -> bool:
        """Whether it searches on two levels before it trains."""
        return bool(self.upper)

    def check(self, config: RunConfig) -> None:
        """Refuse settings that cannot work together; called whenever settings are made.

        Raises:
            LabError: names the setting, the allowed values and the next step.
        """

    def norm(self, config: RunConfig) -> str:
        """How gradients treat ‖V‖: attached or detached; empty for methods that divide by no norm."""
        return ""

    # -- the model ----------------------------------------------------------------------------------------------

    def peft_config(self, config: RunConfig, **shared: Any) -> Any:
        """PEFT's configuration.

        Args:
            config: the settings.
            shared: what every method passes on: target_modules, task_type, modules_to_save.
        """
        from peft import LoraConfig

        return LoraConfig(r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout, **shared)

    def check_layer(self, config: RunConfig, name: str, shape: tuple[int, int]) -> None:
        """Refuse settings that a layer (out, in) is too small for.

        Raises:
            LabError: names the layer and what fits.
        """
        refuse_rank_above(config.rank, name, min(shape))

    def adapter_rank(self, config: RunConfig) -> int:
        """The rank of what is added to a weight, at most; 0 where no setting bounds it."""
        return config.rank if "rank" in self.settings else 0

    def prepare(self, model: nn.Module, config: RunConfig) -> None:
        """Change the model that PEFT made: another forward, further buffers. Called once, before training.

        Raises:
            LabError: the model does not fit the method.
        """

    def pretrained_weight(self, layer: nn.Module) -> Tensor:
        """W0 of an adapted layer, (out, in), before training; shares memory where it can."""
        from bidora.linear_layers import weight_of

        return weight_of(layer.get_base_layer()).detach()  # type: ignore[operator]

    def trains(self, name: str) -> bool:
        """Whether a parameter of the backbone is trained; the head always is."""
        return any(part in name for part in self.trained)

    # -- training -----------------------------------------------------------------------------------------------

    def upper_start(self, layer: nn.Module, parameter: Tensor) -> Tensor:
        """Where an upper parameter of an adapted layer begins, shaped like it; its decay may pull it back there."""
        raise NotImplementedError(f"{self.name} has no upper level")

    def regulariser(self, layers: list[nn.Module], config: RunConfig, *, twice: bool) -> nn.Module | None:
        """R(V) of the lower level, a module without arguments that gives a scalar; its weight is `regularizer`.

        Args:
            layers: the adapted layers.
            config: the settings.
            twice: whether it must be differentiable twice.
        """
        return None

    def penalty(self, model: nn.Module, config: RunConfig) -> Callable[[], Tensor] | None:
        """What ordinary training adds to the loss, weight included; None for nothing."""
        return None

    def after_step(self, model: nn.Module, step: int) -> None:
        """Called after the optimiser's step number `step` (from 0), while the gradients are still there."""

    def state(self, model: nn.Module) -> dict[str, Tensor]:
        """What a checkpoint must hold besides trained tensors and optimisers, so that a resumed run has the same bits."""
        return {}

    def restore(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""

    # -- saving -------------------------------------------------------------------------------------------------

    def save(self, backbone: nn.Module, folder: Path) -> None:
        """Write the trained tensors of the backbone; the mean-pooling head is saved elsewhere."""
        # only linear layers are adapted; "auto" would look for the base model on the hub to compare vocabularies
        backbone.save_pretrained(str(folder), save_embedding_layers=False)  # type: ignore[operator]


def refuse_rank_above(rank: int, name: str, width: int, *, setting: str = "rank") -> None:
    """Refuse a rank that does not fit into a layer.

    Raises:
        LabError: it exceeds the layer's shorter side.
    """
    from bidora.errors import LabError

    if rank > width:
        raise LabError(
            f"{setting}={rank} exceeds the width of {name} (allowed: 1 to {width})",
            hint=f"use a rank of at most {width}",
        )
