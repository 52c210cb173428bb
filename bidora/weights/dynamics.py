"""dynamics_of: how far each layer's magnitude and direction moved, for adapters and for whole checkpoints."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bidora.decomposition import Axis, directed_units, unit_change
from bidora.errors import LabError
from bidora.weight_files import layer_matrices, layer_of, module_names
from bidora.weights.adapters import Adapter, is_adapter, read_adapter
from bidora.weights.peft_merge import adapter_kind, merged_pairs
from bidora.weights.tensors import NamedTensors, Source, open_tensors

if TYPE_CHECKING:
    import pandas


def dynamics_of(
    base: Source,
    after: Source | Sequence[Source],
    *,
    axis: Axis = "output",
    modules: Sequence[str] = (),
    each: Callable[[str], None] | None = None,
) -> pandas.DataFrame:
    """ΔM and ΔD of every trained layer, on merged weights in float64 (DoRA, eqs 3 and 4).

    Works on any PEFT adapter folder and on any pair of checkpoints: LoRA, DoRA and BiDoRA one tensor at a time, adapters of
    other kinds (AdaLoRA, VeRA, FourierFT …) by letting PEFT merge them, for which `base` must be a whole model.
    Names are matched although one side may lack the prefix of the task model (bert., esm., model.).

    Args:
        base: the model before: folder, .safetensors file (sharded too), module or state dict.
        after: an adapter folder, or a model after training; or a list of these, such as the checkpoints of one run.
        axis: "output", one unit per output as in PEFT, or "input". Checkpoints that store weights as (in, out), such as
            GPT-2's, need it the other way round; adapters say so themselves and do not.
        modules: compare only layers whose names end so, such as ("query", "value"); all by default.
        each: called with the name of every layer that is done, for those who wait.

    Returns:
        One row per layer (and checkpoint): name, layer (number, -1 without one), module, delta_m (weight units),
        delta_m_signed_percent, delta_d (mean of 1 − cos), angle_degrees, units (how many the means are over); with
        several `after` a first column step: the number at the end of the folder's name, or 1, 2, 3 …
        Of two checkpoints the matrices of all numbered layers are compared; those that are equal bit for bit were not
        trained and are left out (`attrs["unchanged"]` counts them), unless all are. Modules that an adapter saves whole,
        such as a new head, are not compared (`attrs["saved_whole"]` names them). Units that are zero on one side have no
        direction and are in no mean (`attrs["zero_units"]` counts them).

    Raises:
        LabError: something cannot be read; a tensor is missing, too many or of another shape; no unit of a layer has a
            direction. Names the tensor and the shapes.
    """
    import pandas

    if isinstance(base, (str, os.PathLike)) and is_adapter(Path(base)):
        raise LabError(
            f"{base} is an adapter and no model", hint="give the model that it was trained on as base", kind="model"
        )
    before = open_tensors(base)
    if isinstance(after, (str, os.PathLike, nn.Module, Mapping)):
        return _table(base, before, after, axis, modules, each)
    sources = list(after)
    if not sources:
        raise LabError("nothing to compare with the base model", hint="give at least one adapter or checkpoint")
    parts = [_table(base, before, source, axis, modules, each) for source in sources]
    told = {
        **parts[-1].attrs,
        **{name: max(part.attrs[name] for part in parts) for name in ("unchanged", "zero_units")},
    }
    for step, part in zip(_steps(sources), parts):
        part.attrs = {}  # pandas compares those of all parts where it joins them
        part.insert(0, "step", step)
    table = pandas.concat(parts, ignore_index=True)
    table.attrs.update(told)
    return table


def _table(
    base: Source,
    before: NamedTensors,
    after: Source,
    axis: Axis,
    modules: Sequence[str],
    each: Callable[[str], None] | None,
) -> pandas.DataFrame:
    """The rows of one adapter or checkpoint; what they leave out stands in `attrs`."""
    import pandas

    saved_whole: list[str] = []
    if isinstance(after, (str, os.PathLike)) and is_adapter(Path(after)):
        folder = Path(after).parent if Path(after).is_file() else Path(after)
        if adapter_kind(folder) in ("LORA", ""):  # "": the reader of LoRA says what is wrong
            adapter = read_adapter(folder)
            saved_whole = adapter.saved_whole()
            pairs = _adapted_pairs(before, adapter, modules)
        else:
            pairs = _merged_pairs(base, folder, modules)
        rows = every = [_row(name, first, second, axis) for name, first, second in _told(pairs, each)]
    else:
        pairs = _checkpoint_pairs(before, open_tensors(after), modules)
        compared = [(_row(name, one, other, axis), torch.equal(one, other)) for name, one, other in _told(pairs, each)]
        every = [row for row, _ in compared]
        rows = [row for row, same in compared if not same] or every
    short = module_names(row["name"] for row in rows)
    zero_units = sum(row.pop("zero_units") for row in every)
    table = pandas.DataFrame([{**row, "module": short[row["name"]]} for row in rows])
    table.attrs.update(axis=axis, unchanged=len(every) - len(rows), saved_whole=saved_whole, zero_units=zero_units)
    return table


Pairs = Iterator[tuple[str, Tensor, Tensor]]


def _told(pairs: Pairs, each: Callable[[str], None] | None) -> Pairs:
    for name, one, other in pairs:
        yield name, one, other
        if each is not None:
            each(name)


def _adapted_pairs(before: NamedTensors, adapter: Adapter, modules: Sequence[str]) -> Pairs:
    """(module name, W0, merged W), each (out, in), for every layer of an adapter."""
    folder = adapter.folder
    chosen = _chosen(adapter.layers, modules, str(folder))
    places = _aligned([f"{name}.weight" for name in chosen], before)
    for name in chosen:
        layer, place = adapter.layers[name], places[f"{name}.weight"]
        stored = before.shapes[place]
        if (stored[::-1] if layer.transposed else stored) != layer.shape:
            raise LabError(
                f"{place} in {before.source} has shape {stored}, but {name} in {folder} changes a weight "
                f"{layer.shape[::-1] if layer.transposed else layer.shape}",
                hint="use the model that the adapter was trained on",
                kind="model",
            )
        weight = before.read(place)
        weight = weight.T if layer.transposed else weight
        yield place.removesuffix(".weight"), weight, adapter.merged(layer, weight)


def _merged_pairs(base: Source, folder: Path, modules: Sequence[str]) -> Pairs:
    """The same for an adapter of another kind, which PEFT merges."""
    pairs = {name: (one, other) for name, one, other in merged_pairs(base, folder)}
    if not pairs:
        raise LabError(
            f"{folder} changes no linear layer: it is an adapter of kind {adapter_kind(folder)[:40]}",
            hint="ΔM and ΔD are those of linear layers' weights; there are none to compare",
            kind="model",
        )
    for name in _chosen(pairs, modules, str(folder)):
        yield name, *pairs[name]


def _checkpoint_pairs(before: NamedTensors, after: NamedTensors, modules: Sequence[str]) -> Pairs:
    """(module name, W0, W), each (out, in), for every matrix in the numbered layers of two checkpoints."""
    first, second = layer_matrices(before.shapes), layer_matrices(after.shapes)
    for names, tensors in ((first, before), (second, after)):
        if not names:
            raise LabError(
                f"{tensors.source} has no matrices in numbered layers",
                hint="give a transformer's weights",
                kind="model",
            )
    chosen = _chosen([name.removesuffix(".weight") for name in second], modules, after.source)
    wanted = [f"{name}.weight" for name in chosen]
    places = _aligned(wanted, before)
    if not modules:
        lacking = set(first) - set(places.values())
        if lacking:
            raise _missing(min(lacking), before, after)
    turned = _inputs_first(before.shapes)
    for name in wanted:
        place = places[name]
        if before.shapes[place] != after.shapes[name]:
            raise LabError(
                f"{place} has shape {before.shapes[place]} in {before.source} "
                f"and {after.shapes[name]} in {after.source}",
                hint="compare two checkpoints of the same model",
                kind="model",
            )
        one, other = before.read(place), after.read(name)
        if place.split(".")[-2] in turned:
            one, other = one.T, other.T
        yield place.removesuffix(".weight"), one, other


def _inputs_first(shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    """Layers that are stored (in, out): GPT-2's own kind of layer (`Conv1D`), known by query, key and value lying side by side."""
    lying = any(name.endswith(".c_attn.weight") and shape[0] < shape[-1] for name, shape in shapes.items())
    return ("c_attn", "q_attn", "c_proj", "c_fc") if lying else ()


def _chosen(names: Iterable[str], modules: Sequence[str], source: str) -> list[str]:
    every = sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])
    if not modules:
        return every
    for module in modules:
        if not any(name == module or name.endswith(f".{module}") for name in every):
            ends = sorted({name.rpartition(".")[2] for name in every})
            near = difflib.get_close_matches(module, ends, n=3) or ends
            raise LabError(
                f"no layer of {source} is called {module!r}", hint=f"there are {', '.join(near[:8])}", kind="model"
            )
    return [name for name in every if any(name == module or name.endswith(f".{module}") for module in modules)]


def _aligned(wanted: Sequence[str], before: NamedTensors) -> dict[str, str]:
    """Where each wanted tensor stands in the base, which may have one name part more or less at the front.

    One rule is chosen for all names, so that two of them can never land on the same tensor of the base.
    """
    available = before.shapes
    too_long = {name.partition(".")[0] for name in wanted}
    too_short = {name.partition(".")[0] for name in available}
    rules = [{name: name for name in wanted}]
    rules += [{name: name.removeprefix(f"{part}.") for name in wanted} for part in sorted(too_long)]
    rules += [{name: name if name in available else f"{part}.{name}" for name in wanted} for part in sorted(too_short)]
    best = max(rules, key=lambda rule: sum(place in available for place in set(rule.values())))
    for name, place in best.items():
        if place not in available:
            raise _missing(name, None, before)
    if len(set(best.values())) < len(best):
        raise LabError(
            f"several layers fit the same tensor of {before.source}",
            hint="use the model it was trained on",
            kind="model",
        )
    return best


def _missing(name: str, there: NamedTensors | None, here: NamedTensors) -> LabError:
    ending = name.split(".")[-3:]
    near = difflib.get_close_matches(
        name, [other for other in here.shapes if other.split(".")[-2:] == ending[-2:]], n=1
    )
    where = f" of {there.source}" if there else ""
    return LabError(
        f"{name}{where} is missing in {here.source}" + (f"; the nearest there is {near[0]}" if near else ""),
        hint="use the same model, with the same number of layers, on both sides",
        kind="model",
    )


def _row(name: str, first: Tensor, second: Tensor, axis: Axis) -> dict[str, Any]:
    one, other, kept = directed_units(first, second, axis)
    try:  # where no unit is left, the refusal names those of the whole layer
        change = unit_change(one, other, axis) if bool(kept.any()) else unit_change(first, second, axis)
    except LabError as error:
        raise LabError(f"{name}.weight: {error.message}", hint=error.hint, kind="model") from error
    return {
        "name": name,
        "layer": layer_of(name),
        "module": "",
        "delta_m": float(change.magnitude.abs().mean()),
        "delta_m_signed_percent": float(change.percent.mean()),
        "delta_d": float(change.direction.mean()),
        "angle_degrees": float(change.angle.mean()),
        "units": len(change.magnitude),
        "zero_units": len(kept) - len(change.magnitude),
    }


def _steps(sources: Sequence[Source]) -> list[int]:
    """Step numbers from the ends of folder names (checkpoint-300), or 1, 2, 3 … where they are not all different."""
    found = []
    for source in sources:
        parts = Path(source).parts[::-1] if isinstance(source, (str, os.PathLike)) else ()
        numbers = (re.search(r"^(?:checkpoint|step|epoch)?[-_]?(\d+)$", part) for part in parts[:2])
        found.append(next((int(number[1]) for number in numbers if number), None))
    if None in found or len(set(found)) < len(found):
        return list(range(1, len(sources) + 1))
    return [step for step in found if step is not None]
