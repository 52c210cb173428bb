"""Which tensors of a checkpoint are an encoder's: by the ends of their names, under one prefix, and by their shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bidora.errors import LabError
from bidora.models.esm_names import fair_names
from bidora.weight_files import layer_of

NOT_NEEDED = ("pooler.", "contact_head.", "rotary_embeddings.")
"""Parts of an encoder that a file may lack: they are not used here, or computed where they are not there."""


def encoder_shapes(settings: Any) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the encoder's tensors, from its settings alone: nothing is allocated."""
    import torch
    from transformers import AutoModel

    with torch.device("meta"):
        state = AutoModel.from_config(settings).state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def places_of(
    shapes: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]], *, esm: bool
) -> dict[str, dict[str, str]]:
    """prefix → name that is wanted → name in the file, for every prefix under which any wanted name stands.

    Args:
        shapes: of the file's tensors.
        wanted: of the encoder's tensors.
        esm: whether fair-esm's names count, too.
    """
    meant = {name: name for name in wanted} | _older_names(wanted)
    if esm:
        meant |= fair_names(wanted)
    found: dict[str, dict[str, str]] = {}
    for stored in shapes:
        parts = stored.split(".")
        for start in range(len(parts)):
            name = meant.get(".".join(parts[start:]))
            if name is not None:
                found.setdefault("".join(f"{part}." for part in parts[:start]), {}).setdefault(name, stored)
    return found


def _older_names(wanted: Iterable[str]) -> dict[str, str]:
    """TensorFlow's names of LayerNorm, which files of BERT and ESM have to this day → transformers' names."""
    newer = {"weight": "gamma", "bias": "beta"}
    parts = {name: name.rpartition(".") for name in wanted}
    return {f"{parent}.{newer[end]}": name for name, (parent, _, end) in parts.items() if parent.endswith("LayerNorm")}


def chosen_prefix(
    places: Mapping[str, Mapping[str, str]],
    shapes: Mapping[str, tuple[int, ...]],
    wanted: Mapping[str, tuple[int, ...]],
    given: str | None,
    path: Path,
) -> str:
    """The prefix that is given, or that fits the most tensors by name and shape.

    Args:
        places: as `places_of` gives them.
        shapes: of the file's tensors.
        wanted: of the encoder's tensors.
        given: what the user names; None for what fits best.
        path: the file, for messages.

    Raises:
        LabError: nothing fits, or two fit equally well.
    """
    fitting = {
        prefix: sum(shapes[stored] == wanted[name] for name, stored in names.items())
        for prefix, names in places.items()
    }
    best = max(fitting.values(), default=0)
    leading = sorted(prefix for prefix, count in fitting.items() if count == best)
    if given is not None:
        asked = f"{given}." if given and not given.endswith(".") else given
        if asked in fitting:
            return asked
        near = ", ".join(map(repr, leading[:4])) or "none"
        raise LabError(f"nothing in {path} stands under {given!r}", hint=f"prefixes that fit: {near}", kind="model")
    if best == 0:
        few = ", ".join(sorted(shapes)[:3])
        raise LabError(
            f"{path} holds no tensor of this encoder; it begins with {few}",
            hint="name a model of the same architecture with --base",
            kind="model",
        )
    if len(leading) > 1:
        raise LabError(
            f"{path} holds {len(leading)} encoders that fit: under {', '.join(map(repr, leading[:6]))}",
            hint="choose one with --prefix",
            kind="model",
        )
    return leading[0]


def check(
    taken: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
    wanted: Mapping[str, tuple[int, ...]],
    prefix: str,
    path: Path,
) -> None:
    """Make sure that an encoder is there in full, in the right size, and that nothing of it would be left behind.

    Args:
        taken: name that is wanted → name in the file.
        shapes: of the file's tensors.
        wanted: of the encoder's tensors.
        prefix: under which the taken ones stand.
        path: the file, for messages.

    Raises:
        LabError: a tensor is missing or has another shape, or the file has more layers.
    """
    for name, stored in taken.items():
        if shapes[stored] != wanted[name]:
            raise LabError(
                f"{stored} in {path} has shape {shapes[stored]}, and the base asks for {wanted[name]}",
                hint="name the model of the same size with --base",
                kind="model",
            )
    missing = sorted(name for name in wanted if name not in taken and not name.startswith(NOT_NEEDED))
    if missing:
        raise LabError(
            f"{path} lacks {len(missing)} of {len(wanted)} tensors of the encoder"
            + (f" under {prefix!r}" if prefix else "")
            + f": {', '.join(missing[:3])}"
            + (" …" if len(missing) > 3 else ""),
            hint="name the model of the same size with --base, or save the whole encoder",
            kind="model",
        )
    last = max(map(layer_of, wanted))
    deepest = max((layer_of(name.removeprefix(prefix)) for name in taken.values()), default=-1)
    more = [name for name in shapes if name.startswith(prefix) and _same_list(name, taken, prefix) > max(last, deepest)]
    if more:
        raise LabError(
            f"{path} holds layers that the base lacks, such as {min(more)}: the base has {last + 1}",
            hint="name the model of the same size with --base",
            kind="model",
        )


def _same_list(name: str, taken: Mapping[str, str], prefix: str) -> int:
    """The layer's number of a tensor that stands in the same list of layers as the encoder's; -1 for others."""
    number = layer_of(name.removeprefix(prefix))
    if number < 0:
        return -1
    inner = name.removeprefix(prefix)
    start, _, end = inner.partition(f".{number}.")
    return number if f"{prefix}{start}.0.{end}" in taken.values() else -1
