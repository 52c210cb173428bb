"""RunConfig: every setting of a run, its allowed values, and how it travels through JSON, flags and forms."""

from bidora.config.effort import gradient_evaluations, is_bilevel, with_gradient_evaluations
from bidora.config.portable import SCHEMA_VERSION
from bidora.config.run_config import RunConfig, differences
from bidora.config.setting import allowed_range, checked, setting

__all__ = [
    "SCHEMA_VERSION",
    "RunConfig",
    "allowed_range",
    "checked",
    "differences",
    "gradient_evaluations",
    "is_bilevel",
    "setting",
    "with_gradient_evaluations",
]
