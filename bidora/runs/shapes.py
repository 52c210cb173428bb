"""Of which type the entries of meta.json, status.json and result.json are; one of another type counts as missing.

Whoever reads a run folder, which may be somebody else's or damaged, can rely on these types; all else is checked where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Shapes = Mapping[str, type | tuple[type, ...]]

_NUMBER = (int, float)

META: Shapes = {
    **dict.fromkeys(("name", "group", "note", "created", "kind", "unit", "primary", "cloned_from"), str),
    **dict.fromkeys(("tags", "labels", "notes"), list),
    **dict.fromkeys(("data", "device", "versions", "model", "tuning"), dict),
    "prediction": (dict, str),
    "max_length": int,
}

STATUS: Shapes = {
    **dict.fromkeys(("state", "phase", "host"), str),
    **dict.fromkeys(("step", "total", "eta_seconds", "seconds_per_step", "heartbeat", "process_start"), _NUMBER),
    "queue_position": _NUMBER,
    "pid": int,
    "error": dict,
}

RESULT: Shapes = {
    **dict.fromkeys(("primary", "kind"), str),
    **dict.fromkeys(("scores", "train_scores", "baseline", "cost", "dynamics"), dict),
}


def fitting(values: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
    """The entries without those of a wrong type; None and names that are not in the list are let through.

    >>> fitting({"name": ["a"], "tags": ["b"], "more": 1}, META)
    {'tags': ['b'], 'more': 1}
    """
    return {
        name: value
        for name, value in values.items()
        if value is None
        or name not in shapes
        or (isinstance(value, shapes[name]) and (not isinstance(value, bool) or shapes[name] is bool))
    }
