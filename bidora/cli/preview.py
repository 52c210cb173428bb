"""What `bidora run --dry-run` says: data, model, phases and steps, and the same as a command. Nothing is fetched."""

from __future__ import annotations

import shlex

from bidora.cli.formatting import facts, number, size
from bidora.config import RunConfig


def preview(config: RunConfig) -> str:
    """What would happen, as text.

    Raises:
        LabError: task or model is unknown, the data cannot be read, max_length, rank or target_modules do not fit the
            model, or the device is not there.
    """
    from bidora.models import get_model, is_fetched
    from bidora.preflight import note, remarks
    from bidora.preflight.check import refuse_failed
    from bidora.preflight.material import check_layers, check_length, check_splits
    from bidora.preflight.room import check_device
    from bidora.preview import data_in_words, method_in_words, phases_in_words
    from bidora.tasks import get_task

    task = get_task(config.task)
    model = get_model(config.model or task.default_model)
    found = (*check_length(config, task), check_layers(config, model), check_device(config))
    checks = [each for each in found if each is not None]
    for each in checks:
        refuse_failed(each)
    of_data = [each for each in check_splits(config, task) if each.topic in ("classes", "remark")]
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
        *((each.topic, each.sentence) for each in checks),
        *(("note", note(each)) for each in (*of_data, *remarks(config))),
        ("command", shlex.join(["bidora", "run", *config.flags()])),
    ]
    return facts(pairs)
