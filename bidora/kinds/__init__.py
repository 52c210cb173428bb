"""The kinds of tasks: one small object each, which knows how to encode, build, lose, answer and show.

A new kind is a module here with an entry in `KINDS`, and a module in `bidora.metrics` with one in `SCORINGS`, which says without
torch how it is scored. How its examples are cut is said in `bidora.tasks.cuts.strata`.
"""

from __future__ import annotations

from bidora.errors import LabError
from bidora.kinds.generation import Generation
from bidora.kinds.kind import Kind
from bidora.kinds.tagging import Tagging
from bidora.kinds.whole import Classification, Multilabel, Regression

__all__ = ["KINDS", "Kind", "get_kind"]

KINDS: dict[str, Kind] = {
    kind.name: kind for kind in (Classification(), Regression(), Multilabel(), Tagging(), Generation())
}
"""Every kind by name."""


def get_kind(name: str) -> Kind:
    """The kind of that name.

    Raises:
        LabError: there is none.
    """
    if name not in KINDS:
        raise LabError(f"kind={name!r} is not one of {', '.join(KINDS)}", hint="see the task's kind")
    return KINDS[name]
