"""RunConfig: every setting of a run, in one frozen dataclass.

The metadata of each field makes the command-line flag, the app's widget and the check, so a setting is described once.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from bidora.config.portable import Portable
from bidora.config.setting import checked, setting
from bidora.errors import LabError
from bidora.methods import METHODS, get_method


@dataclass(frozen=True)
class RunConfig(Portable):
    """The settings of one run. Two runs with equal settings on the same machine end with the same bits.

    Raises:
        LabError: a value is of the wrong type or outside its allowed range.

    >>> RunConfig(task="peptides", method="bidora", rank=4).rank
    4
    """

    # What to learn
    task: str = setting("reuters", group="task", help="name of the task; `bidora list tasks` shows all")
    variant: str = setting("", group="task", help="which version of the task, e.g. r8, r52, r90; empty: its default")
    data: str = setting("", group="task", help="path of your own data (file or folder); empty: the packaged data")
    test_data: str = setting("", group="task", help="path of your own test file; empty: a fifth is cut from data")
    input_column: str = setting("", group="task", help="column with the text or sequence; empty: found by its name")
    label_column: str = setting("", group="task", help="column with the label; empty: found by its name")
    kind: str = setting(
        "auto",
        group="task",
        help="what your labels are; auto looks at them",
        choices=("auto", "classification", "regression", "multilabel"),
    )
    examples_per_class: int = setting(
        0,
        group="task",
        help="training examples per class, drawn by seed; 0: all (regression: number in all)",
        minimum=0,
    )
    selection_fraction: float = setting(
        0.0,
        group="task",
        help="part of the training data kept aside to choose settings on; never trained on",
        minimum=0.0,
        maximum=0.9,
    )
    max_length: int = setting(0, group="task", help="longest input in tokens; 0: the task's default", minimum=0)
    beams: int = setting(
        1,
        group="task",
        help="written texts only: beams of the search; 1 takes the likeliest token each time",
        minimum=1,
    )
    max_new_tokens: int = setting(
        0, group="task", help="written texts only: longest text in tokens; 0: half of the longest input", minimum=0
    )

    # What to adapt
    model: str = setting("", group="model", help="packaged name, local folder or hub id; empty: the task's default")
    pooling: str = setting(
        "auto",
        group="model",
        help="what the head reads: the first token, or the mean over tokens; auto: the model's own habit",
        choices=("auto", "first", "mean"),
    )

    # How to adapt it
    method: str = setting(
        "bidora",
        group="method",
        help="what is trained, and how; `bidora list methods` shows all",
        choices=tuple(METHODS),
    )
    rank: int = setting(8, group="method", symbol="r", help="rank of the update BA", minimum=1)
    alpha: float = setting(
        16.0, group="method", symbol="α", help="the update is scaled by s = α/r", minimum=0.0, open_minimum=True
    )
    dropout: float = setting(
        0.0, group="method", help="dropout on the adapter's input", minimum=0.0, maximum=1.0, open_maximum=True
    )
    backbone_dropout: float = setting(
        0.0,
        group="method",
        help="dropout inside the pretrained model while it trains",
        minimum=0.0,
        maximum=1.0,
        open_maximum=True,
    )
    target_modules: tuple[str, ...] = setting(
        ("query", "value"),
        group="method",
        help="linear layers to adapt, by the end of their names; query, key and value fit any architecture's own names",
    )
    norm: str = setting(
        "auto",
        group="method",
        symbol="‖V‖",
        help="attached: gradients flow through the norm; detached: PEFT's DoRA; auto: attached for bidora only",
        choices=("auto", "attached", "detached"),
    )
    b_learning_rate_ratio: float = setting(
        16.0,
        group="method",
        help="loraplus only: learning rate of B, as a multiple of the learning rate of A",
        minimum=0.0,
        open_minimum=True,
    )
    initial_rank: int = setting(
        0,
        group="method",
        help="adalora only: rank that each layer begins with; 0: one and a half times the rank",
        minimum=0,
    )
    orthogonality_weight: float = setting(
        0.5, group="method", help="adalora only: weight in the loss that keeps P and Q orthogonal", minimum=0.0
    )
    frequencies: int = setting(
        1000, group="method", symbol="n", help="fourierft only: trained Fourier coefficients per layer", minimum=1
    )
    fourier_scale: float = setting(
        150.0, group="method", help="fourierft only: the change is multiplied by it", minimum=0.0, open_minimum=True
    )

    # Two levels
    upper_data: str = setting(
        "held-out",
        group="two levels",
        help="data of the upper level: a part held out from the lower level at random, one that keeps similar inputs "
        "together, or the same data (alternation control)",
        choices=("held-out", "held-out-families", "same"),
    )
    upper_fraction: float = setting(
        0.2,
        group="two levels",
        help="part of the training data on which the magnitude is trained; the reference uses 0.2",
        minimum=0.0,
        maximum=1.0,
        open_minimum=True,
        open_maximum=True,
    )
    unroll_scale: str = setting(
        "lr",
        group="two levels",
        symbol="ξ",
        help="step of the unrolled lower level: 0 (first order), lr, adam (the step really taken), or a number",
    )
    mixed_product: str = setting(
        "one-sided",
        group="two levels",
        help="how the mixed second derivative is multiplied",
        choices=("one-sided", "central", "exact"),
    )
    unroll_steps: int = setting(1, group="two levels", symbol="K", help="lower steps per upper step", minimum=1)
    upper_learning_rate_ratio: float = setting(
        1.0,
        group="two levels",
        help="learning rate of the magnitude, as a multiple of the learning rate",
        minimum=0.0,
        open_minimum=True,
    )
    magnitude_decay: float = setting(
        0.0, group="two levels", help="weight decay of the magnitude; 0: none", minimum=0.0, maximum=10.0
    )
    magnitude_decay_target: str = setting(
        "initial",
        group="two levels",
        help="where the decay pulls the magnitude: its initial value ‖W0‖, or zero as the published code does",
        choices=("initial", "zero"),
    )
    regularizer: float = setting(
        1e-5, group="two levels", symbol="γ", help="weight of the orthogonality term ‖DᵀD − I‖_F", minimum=0.0
    )
    retrain: str = setting(
        "restart",
        group="two levels",
        help="after the search, magnitude fixed: train A, B, head anew from their initial values, go on, or stop",
        choices=("restart", "continue", "none"),
    )
    retrain_steps: int = setting(
        0, group="two levels", help="steps of the retraining phase; 0: as many as steps", minimum=0
    )
    retrain_learning_rate: float = setting(
        0.0,
        group="two levels",
        help="peak learning rate of the retraining phase; 0: the learning rate of the search",
        minimum=0.0,
        maximum=1.0,
    )

    # Optimisation
    steps: int = setting(150, group="optimisation", help="lower-level (or ordinary) training steps", minimum=1)
    batch_size: int = setting(16, group="optimisation", help="examples per step", minimum=1)
    learning_rate: float = setting(
        3e-3,
        group="optimisation",
        symbol="η",
        help="peak learning rate of A, B and head; what is usual differs by method, see `bidora list methods`",
        minimum=0.0,
        open_minimum=True,
        maximum=1.0,
    )
    weight_decay: float = setting(
        0.0, group="optimisation", help="weight decay of A, B and head", minimum=0.0, maximum=10.0
    )
    warmup_fraction: float = setting(
        0.1, group="optimisation", help="part of the steps in which the learning rate rises", minimum=0.0, maximum=1.0
    )
    max_gradient_norm: float = setting(
        1.0, group="optimisation", help="gradients are scaled down to this norm; 0: never", minimum=0.0
    )
    adam_beta1: float = setting(
        0.9,
        group="optimisation",
        symbol="β₁",
        help="AdamW, both levels: how much of the running mean of the gradient is kept",
        minimum=0.0,
        maximum=1.0,
        open_maximum=True,
    )
    adam_beta2: float = setting(
        0.999,
        group="optimisation",
        symbol="β₂",
        help="AdamW, both levels: how much of the running mean of the squared gradient is kept",
        minimum=0.0,
        maximum=1.0,
        open_maximum=True,
    )
    adam_epsilon: float = setting(
        1e-8,
        group="optimisation",
        help="AdamW, both levels: added to the root of the squared gradient",
        minimum=0.0,
        open_minimum=True,
    )
    group_by_length: bool = setting(
        True, group="optimisation", help="make batches of similar length, which saves padding"
    )
    magnitude_learning_rate_ratio: float = setting(
        1.0,
        group="optimisation",
        help="dora only: learning rate of the magnitude, as a multiple of the learning rate",
        minimum=0.0,
        open_minimum=True,
    )
    gradient_accumulation: int = setting(
        1,
        group="optimisation",
        help="batches per step, as if they were one large batch; 1 for methods with two levels",
        minimum=1,
    )

    # Running
    seed: int = setting(
        0,
        group="running",
        help="draws examples, splits, initial values, order and dropout",
        minimum=0,
        maximum=2**31 - 1,
    )
    device: str = setting("auto", group="running", help="where to compute", choices=("auto", "cpu", "cuda", "mps"))
    precision: str = setting(
        "float32",
        group="running",
        help="arithmetic of forward and backward; bfloat16 saves memory, and makes the implicit part of a hypergradient by "
        "differences coarse",
        choices=("float32", "bfloat16"),
    )
    kernel: str = setting(
        "fast", group="running", help="adapted layer: this project's fused one, or PEFT's own", choices=("fast", "peft")
    )
    gradient_checkpointing: bool = setting(False, group="running", help="recompute activations to save memory")
    threads: int = setting(
        0,
        group="running",
        help="CPU threads; 0: all cores, or a share of them where a queue runs several at once (may change last bits)",
        minimum=0,
    )
    evaluate_every: int = setting(
        0, group="running", help="steps between test scores on the way; 0: four times a phase", minimum=0
    )
    evaluation_examples: int = setting(
        0,
        group="running",
        help="test examples for scores on the way (the final score uses all); 0: 128, of written texts 32",
        minimum=0,
    )
    record_every: int = setting(
        0, group="running", help="steps between records of the weights; 0: about 40 a phase", minimum=0
    )
    checkpoint_every: int = setting(0, group="running", help="steps between checkpoints; 0: ten a phase", minimum=0)

    def __post_init__(self) -> None:
        for each in fields(self):
            object.__setattr__(self, each.name, checked(each, getattr(self, each.name)))
        method = get_method(self.method)
        method.check(self)
        if method.bilevel and self.gradient_accumulation != 1:
            raise LabError(
                f"gradient_accumulation={self.gradient_accumulation} is not supported by method={self.method} (allowed: 1)",
                hint="raise batch_size instead, or lower max_length where memory is short",
            )
        if method.bilevel and self.unroll_steps > self.steps:
            raise LabError(
                f"unroll_steps={self.unroll_steps} leaves no upper step in steps={self.steps} (allowed: 1 to {self.steps})",
                hint="take fewer lower steps for each upper step, or more steps",
            )
        if method.bilevel and self.gradient_checkpointing:
            raise LabError(
                f"gradient_checkpointing=True is not supported by method={self.method} (allowed: False)",
                hint="lower batch_size or max_length, or use precision=bfloat16, where memory is short",
            )

    @property
    def total_steps(self) -> int:
        """Steps of all phases together (search and retraining for methods with two levels)."""
        return self.steps + self.steps_of_retraining

    @property
    def steps_of_retraining(self) -> int:
        """Steps of the retraining phase; 0 where there is none."""
        if not get_method(self.method).bilevel or self.retrain == "none":
            return 0
        return self.retrain_steps or self.steps


def differences(configs: list[RunConfig]) -> dict[str, list[Any]]:
    """The settings in which the given configs differ: name → one value for each."""
    table = {each.name: [getattr(config, each.name) for config in configs] for each in fields(RunConfig)}
    return {name: values for name, values in table.items() if any(value != values[0] for value in values)}
