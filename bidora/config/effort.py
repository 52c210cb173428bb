"""How much work settings ask for, before anything is trained."""

from __future__ import annotations

from bidora.config.run_config import RunConfig
from bidora.methods import get_method

_PASSES = {"one-sided": 2, "central": 3, "exact": 2}


def is_bilevel(config: RunConfig) -> bool:
    """Whether the method has an upper level, trained in a search phase (BiDoRA: the magnitude)."""
    return get_method(config.method).bilevel


def gradient_evaluations(config: RunConfig) -> int:
    """How many batches will go forward and backward through the model in all phases; what `cost` counts when it is over.

    >>> [gradient_evaluations(RunConfig(method=method, steps=100)) for method in ("lora", "bidora")]
    [100, 400]
    """
    lower = (config.steps + config.steps_of_retraining) * config.gradient_accumulation
    if not is_bilevel(config):
        return lower
    return lower + config.steps // config.unroll_steps * upper_passes(config)


def upper_passes(config: RunConfig) -> int:
    """Forward-backward passes of one upper step beyond the lower one: one for the direct part, the rest for the implicit one."""
    return 1 if config.unroll_scale == "0" else _PASSES[config.mixed_product]


def with_gradient_evaluations(config: RunConfig, wanted: int) -> RunConfig:
    """The settings with as many steps as come nearest to so many gradient evaluations, phases in proportion."""
    share = max(1, wanted) / gradient_evaluations(config)
    retraining = max(1, round(config.retrain_steps * share)) if config.retrain_steps else 0
    fewest = config.unroll_steps if is_bilevel(config) else 1  # one upper step at least
    return config.replace(steps=max(fewest, round(config.steps * share)), retrain_steps=retraining)
