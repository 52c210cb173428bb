"""What `bidora run --dry-run` says: data, model, phases and steps, and the same as a command. Nothing is fetched."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from bidora.cli.formatting import facts, number, size
from bidora.config import RunConfig

if TYPE_CHECKING:
    from bidora.tasks.task import Task


def preview(config: RunConfig) -> str:
    """What would happen, as text.

    Raises:
        LabError: task or model is unknown, or the data cannot be read.
    """
    from bidora.models import get_model, is_fetched
    from bidora.tasks import get_task

    task = get_task(config.task)
    model = get_model(config.model or task.default_model)
    hub = model.package is None and not model.folder
    where = (
        "looked for on the hub" if hub else "here" if is_fetched(model.name) else f"to be fetched, {size(model.size)}"
    )
    known = f", {number(model.parameters)} parameters" if model.parameters else ""
    variant = config.variant or task.default_variant
    pairs = [
        ("task", f"{task.title}{f' ({variant})' if variant else ''}"),
        ("data", data_in_words(config, task)),
        ("model", f"{model.title}{known}; {where}"),
        ("method", method_in_words(config)),
        ("phases", phases_in_words(config)),
        ("command", shlex.join(["bidora", "run", *config.flags()])),
    ]
    return facts(pairs)


def data_in_words(config: RunConfig, task: Task) -> str:
    """How many examples each split has, where the data are here; else how much there is to fetch."""
    from bidora.tasks import prepare, task_is_fetched

    if config.data == "hub":
        return "looked for on the hub"
    if not config.data and task.package is not None and not task_is_fetched(task.name):
        return f"not here yet, {size(task.size)} to be fetched (`bidora fetch {task.name}`)"
    prepared = prepare(config)
    words = [f"{number(len(prepared.train))} to train on"]
    if prepared.upper is not None:
        words.append(
            f"{number(len(prepared.lower))} for the lower and {number(len(prepared.upper))} for the upper level"
        )
    if prepared.selection is not None:
        words.append(f"{number(len(prepared.selection))} to choose settings on")
    words.append(f"{number(len(prepared.test))} to test on")
    kind = prepared.kind + (f", {len(prepared.labels)} labels" if prepared.labels else "")
    return f"{', '.join(words)} ({kind})"


def method_in_words(config: RunConfig) -> str:
    """What is trained."""
    if config.method == "full":
        return "full fine-tuning: every weight"
    adapted = f"rank {config.rank}, α {config.alpha:g}, on {', '.join(config.target_modules)}"
    return f"{config.method}: {adapted}"


def phases_in_words(config: RunConfig) -> str:
    """Phases, steps and examples."""
    each = config.batch_size * config.gradient_accumulation
    if config.method != "bidora":
        return f"{number(config.steps)} steps of {each} examples"
    every = "every step" if config.unroll_steps == 1 else f"every {config.unroll_steps} steps"
    words = f"search, {number(config.steps)} steps of {each} examples and an upper step after {every}"
    if config.steps_of_retraining:
        words += f"; then retraining, {number(config.steps_of_retraining)} steps; {number(config.total_steps)} in all"
    return words
