"""Which variants of a test run in `make test`, and which only with `make test MARKS=long`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def by_default(names: Iterable[str], kept: Collection[str]) -> list[Any]:
    """Parameters for `pytest.mark.parametrize`: those that are kept as they are, the others marked `long`.

    Raises:
        ValueError: something that is to be kept is not among the names.
    """
    names = list(names)
    missing = set(kept) - set(names)
    if missing:
        raise ValueError(f"not among the variants: {', '.join(sorted(missing))}")
    return [name if name in kept else pytest.param(name, marks=pytest.mark.long) for name in names]
