"""The methods: every file of this folder with a `METHODS` tuple adds its own. Importing this costs no torch.

METHODS["pissa"].title          get_method("bidora").bilevel          uses("vera", "rank")
"""

from __future__ import annotations

import importlib
import pkgutil

from bidora.errors import LabError, did_you_mean
from bidora.methods.method import LOW_RANK, TWO_LEVELS, Look, Method, Paper, Rates

__all__ = [
    "LOW_RANK",
    "METHODS",
    "TWO_LEVELS",
    "Look",
    "Method",
    "Paper",
    "Rates",
    "get_method",
    "unused_settings",
    "uses",
]


def _found() -> dict[str, Method]:
    """The methods of all files here, in the order of tables."""
    modules = [importlib.import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__)]
    methods: list[Method] = [method for module in modules for method in getattr(module, "METHODS", ())]
    return {method.name: method for method in sorted(methods, key=lambda method: (method.place, method.name))}


METHODS: dict[str, Method] = _found()
"""Every method by name, in the order of tables and legends."""

_OF_METHODS = frozenset(name for method in METHODS.values() for name in method.settings)


def get_method(name: str) -> Method:
    """The method of that name.

    Raises:
        LabError: there is none; names the near ones.

    >>> get_method("dora").title
    'DoRA'
    """
    if name in METHODS:
        return METHODS[name]
    raise LabError(
        f"method={name!r} is not one of {', '.join(METHODS)}",
        hint=did_you_mean(name, METHODS, "`bidora list methods` shows what each trains", cutoff=0.5),
    )


def uses(method: str, setting: str) -> bool:
    """Whether a setting makes a difference under a method; settings that belong to no method always do.

    >>> uses("full", "rank"), uses("full", "batch_size")
    (False, True)
    """
    return setting not in _OF_METHODS or method not in METHODS or setting in METHODS[method].settings


def unused_settings(method: str) -> frozenset[str]:
    """The settings that are there for other methods only."""
    return frozenset(name for name in _OF_METHODS if not uses(method, name))
