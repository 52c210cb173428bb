"""One setting: how it is declared, which values it allows, and how a value from a flag, a file or a form is checked."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import field
from typing import Any

from bidora.errors import LabError, did_you_mean


def setting(
    default: Any,
    *,
    group: str,
    help: str,
    symbol: str = "",
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    open_minimum: bool = False,
    open_maximum: bool = False,
) -> Any:
    """Declare one setting: its default, where it belongs, what it means and which values are allowed."""
    described = dict(
        group=group,
        help=help,
        symbol=symbol,
        choices=choices,
        minimum=minimum,
        maximum=maximum,
        open_minimum=open_minimum,
        open_maximum=open_maximum,
    )
    return field(default=default, metadata=described)


def allowed_range(each: dataclasses.Field[Any]) -> str:
    """The allowed values of a setting in words, e.g. `0 < upper_fraction < 1`."""
    described = each.metadata
    if described["choices"]:
        return "one of " + ", ".join(described["choices"])
    low, high = described["minimum"], described["maximum"]
    left = "" if low is None else f"{_number(low)} {'<' if described['open_minimum'] else '<='} "
    right = "" if high is None else f" {'<' if described['open_maximum'] else '<='} {_number(high)}"
    return f"{left}{each.name}{right}"


def checked(each: dataclasses.Field[Any], value: Any) -> Any:
    """The value in its proper type, or a LabError that names value, range and next step."""
    converted = _converted(each, value)
    described = each.metadata
    if described["choices"] and converted not in described["choices"]:
        raise LabError(
            f"{each.name}={converted!r} is not {allowed_range(each)}",
            hint=did_you_mean(str(converted), described["choices"], "use one of these"),
        )
    low, high = described["minimum"], described["maximum"]
    if low is None and high is None:
        return converted
    too_low = low is not None and (converted < low or (described["open_minimum"] and converted == low))
    too_high = high is not None and (converted > high or (described["open_maximum"] and converted == high))
    if too_low or too_high or not math.isfinite(converted):
        raise LabError(
            f"{each.name}={_number(converted)} is outside {allowed_range(each)} ({described['help']})",
            hint=f"the default is {_number(each.default)}",
        )
    return converted


def _number(value: Any) -> str:
    """Whole numbers in full, others as short as they can be."""
    return str(value) if isinstance(value, int) else f"{value:.12g}"


def _converted(each: dataclasses.Field[Any], value: Any) -> Any:
    """The value as the type of the field's default; text from the command line is accepted for each type."""
    wanted: Any = type(each.default)
    if each.name == "unroll_scale":
        return _unroll_scale(value)
    try:
        if wanted is bool:
            if isinstance(value, bool):
                return value
            return {"true": True, "false": False, "1": True, "0": False}[str(value).lower()]
        if wanted is int:
            if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
                raise ValueError
            return int(value)
        if wanted is float:
            if isinstance(value, bool):
                raise ValueError
            return float(value)
        if wanted is tuple:
            names = value.split(",") if isinstance(value, str) else list(value)
            cleaned = tuple(name.strip() for name in names if str(name).strip())
            if not cleaned:
                raise ValueError
            return cleaned
        if isinstance(value, os.PathLike):  # data=Path("peptides.csv")
            return os.fspath(value)
        if not isinstance(value, str):
            raise ValueError
        return value
    except (ValueError, TypeError, KeyError, OverflowError, AttributeError):
        word = {bool: "true or false", int: "a whole number", float: "a number", tuple: "names with commas between"}
        raise LabError(
            f"{each.name}={value!r} is not {word.get(wanted, 'text')} ({each.metadata['help']})",
            hint=f"the default is {each.default!r}",
        ) from None


def _unroll_scale(value: Any) -> str:
    """ξ as text: 'lr', 'adam' or a number that is at least 0."""
    if str(value) in ("lr", "adam"):
        return str(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise LabError(
            f"unroll_scale={value!r} is not 0, lr, adam or a number above 0",
            hint="use 0 for the first-order variant, lr for the paper's one-step unroll",
        )
    return repr(int(number)) if number.is_integer() else repr(number)
