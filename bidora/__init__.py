"""BiDoRA Lab: bi-level training of weight-decomposed low-rank adapters, with its analysis and figures.

Names are loaded when they are first used, so that `import bidora` and the command line's help cost no torch import.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "RunConfig": "bidora.config",
    "LabError": "bidora.errors",
    "Run": "bidora.runs",
    "list_runs": "bidora.runs",
    "find_run": "bidora.runs",
    "train": "bidora.train",
    "launch": "bidora.launch",
    "stop": "bidora.launch",
    "resume": "bidora.launch",
    "TASKS": "bidora.tasks",
    "get_task": "bidora.tasks",
    "MODELS": "bidora.models",
    "get_model": "bidora.models",
    "METHODS": "bidora.methods",
    "get_method": "bidora.methods",
    "decompose": "bidora.decomposition",
    "Decomposition": "bidora.decomposition",
    "magnitude_change": "bidora.decomposition",
    "direction_change": "bidora.decomposition",
    "dynamics_of": "bidora.weights",
    "fit_dynamics": "bidora.statistics",
    "hypergradient": "bidora.hypergradient",
    "Hypergradient": "bidora.hypergradient",
    "adapt": "bidora.adapter",
    "split_parameters": "bidora.adapter",
    "BiLevelTrainer": "bidora.trainer",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'bidora' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


class _Package(ModuleType):
    """Keeps `bidora.train`, `bidora.launch` and `bidora.hypergradient` the functions that they are named after.

    Importing a submodule makes Python bind its name in the package, which would hide the function of the same name.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
