"""Preflight: what stands in the way of a run, or is worth knowing, before anything is trained or fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.models import get_model
from bidora.own_data import shown_name
from bidora.preflight.check import Check, note, problem
from bidora.preflight.comparison import check_effort, check_rate, check_repetition, check_unused, check_writing
from bidora.preflight.material import check_data, check_layers, check_length, check_model, check_splits
from bidora.preflight.room import check_device, check_disk, check_memory
from bidora.preview import kinds_of
from bidora.runs import runs_root
from bidora.tasks import get_task

__all__ = ["Check", "note", "preflight", "preflight_of_group", "remarks", "worst"]


def preflight(
    config: RunConfig, root: str | Path | None = None, *, others: Sequence[RunConfig] = (), memory: float | None = None
) -> list[Check]:
    """Look at settings, data, model, length, splits, layers, disk, memory, device, equal runs and effort; fetches and trains nothing.

    Args:
        config: the settings.
        root: where runs are kept; by default `runs_root()`.
        others: the other runs of its group.
        memory: peak bytes that are expected; None where unknown.
    """
    folder = Path(root) if root is not None else runs_root()
    try:
        task = get_task(config.task)
        model = get_model(config.model or task.default_model)
    except LabError as error:
        return [problem("settings", error)]
    checks = [Check("settings", True, "All settings are within their ranges.")]
    checks += [*check_data(config, task), *check_model(model)]
    checks += [*check_length(config, task), *check_splits(config, task)]
    machine = [check_disk(folder, config, task), check_memory(memory), check_device(config)]
    found = [
        *checks,
        check_layers(config, model),
        *machine,
        *remarks(config, others),
        check_repetition(config, folder),
        check_effort(config, others),
    ]
    return [each._replace(sentence=_with_shown_name(each.sentence, config)) for each in found if each is not None]


def remarks(config: RunConfig, others: Sequence[RunConfig] = ()) -> list[Check]:
    """What settings alone say, without looking at data or machine: an unusual learning rate, settings without use."""
    found = (check_rate(config), check_unused(config, others), check_writing(config))
    return [each for each in found if each is not None]


def _with_shown_name(words: str, config: RunConfig) -> str:
    """An upload is called what its sender calls it, not what its file is called here."""
    for path in filter(None, (config.data, config.test_data)):
        words = words.replace(Path(path).name, shown_name(path))
    return words


def preflight_of_group(
    configs: Sequence[RunConfig], root: str | Path | None = None, *, memory: float | None = None
) -> list[Check]:
    """As `preflight`, for all runs of a group: each finding once, with the method where methods differ.

    Splits are looked at for the first seed only, equal runs for every seed.
    """
    folder = Path(root) if root is not None else runs_root()
    labels = kinds_of(configs)
    firsts = [next(each for each in configs if each.replace(seed=0) == kind) for kind in labels]
    found = [(config, preflight(config, folder, others=configs, memory=memory)) for config in firsts]
    merged: dict[tuple[str, str], Check] = {}
    for _, checks in found:
        for check in checks:
            having = [labels[each.replace(seed=0)] for each, others in found if check in others]
            same = len(having) == len(found) or check.topic not in ("splits", "classes")
            label = "" if same else f"{', '.join(having)}: "
            shown = check._replace(sentence=label + check.sentence)
            of_machine = check.topic in ("disk", "memory", "device")  # measured again each time, meant once
            merged.setdefault((check.topic, "" if of_machine else shown.sentence), shown)
    for config in configs:
        if config not in firsts and (equal := check_repetition(config, folder)):
            merged.setdefault((equal.topic, equal.sentence), equal)
    order = list(dict.fromkeys(check.topic for _, checks in found for check in checks))
    return sorted(merged.values(), key=lambda check: order.index(check.topic) if check.topic in order else len(order))


def worst(checks: Iterable[Check]) -> bool | None:
    """False where a check failed, None where one is worth a look, True where all is well."""
    found = [each.ok for each in checks]
    return False if False in found else None if None in found else True
