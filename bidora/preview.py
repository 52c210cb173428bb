"""What a run would do, in words, as commands and as a notebook cell; nothing is trained and nothing is fetched."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bidora.config import RunConfig, differences, gradient_evaluations, is_bilevel
from bidora.config.portable import ALWAYS_SAID, flag_of, flag_text
from bidora.errors import LabError
from bidora.methods import get_method, uses
from bidora.tasks import prepare, task_is_fetched
from bidora.wording import METHOD_NAMES, number, size

if TYPE_CHECKING:
    from bidora.tasks import Prepared, Task


def data_in_words(config: RunConfig, task: Task) -> str:
    """How many examples each split has, where the data are here; else how much there is to fetch.

    Raises:
        LabError: the data cannot be read or cut.
    """
    if task.from_hub(config):
        return "looked for on the hub"
    if not config.data and task.package is not None and not task_is_fetched(task.name):
        return f"not here yet, {size(task.size)} to be fetched (`bidora fetch {task.name}`)"
    return splits_of(config).words


_CUTTING = (
    *("task", "variant", "data", "test_data", "input_column", "label_column", "kind", "examples_per_class"),
    *("selection_fraction", "max_length", "model", "method", "upper_data", "upper_fraction", "seed"),
)
"""The settings on which the cut depends."""


class Splits(NamedTuple):
    """What a cut leaves: counts in words, remarks, and the number of examples of the lower level."""

    words: str
    notes: tuple[str, ...]
    lower: int


def splits_of(config: RunConfig) -> Splits:
    """How the data are cut; kept in memory, so that a form may ask at each change.

    Raises:
        LabError: the data cannot be read or cut.
    """
    cutting = {name: getattr(config, name) for name in _CUTTING}
    wanted = RunConfig(
        **cutting if is_bilevel(config) else cutting | {"method": "lora"}
    )  # one level is cut like another
    stamps = tuple(_stamp(path) for path in (config.data, config.test_data) if path)
    found = _splits_of(wanted, stamps)
    if isinstance(found, LabError):
        raise LabError(found.message, hint=found.hint, kind=found.kind)
    return found


@lru_cache(maxsize=256)
def _splits_of(config: RunConfig, stamps: tuple[tuple[int, int], ...]) -> Splits | LabError:
    """Refusals are kept, too: they cost as much reading."""
    try:
        prepared = prepare(config)
    except LabError as error:
        return LabError(error.message, hint=error.hint, kind=error.kind)
    return Splits(splits_in_words(prepared), tuple(prepared.notes), len(prepared.lower))


def _stamp(path: str) -> tuple[int, int]:
    try:
        found = Path(path).expanduser().stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


def splits_in_words(prepared: Prepared) -> str:
    """How many examples each split has, and what the labels are."""
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
    """Method and what of the model it trains."""
    return f"{METHOD_NAMES[config.method]}: {what_in_words(config)}"


_WORDS = {"rank": "rank", "alpha": "α", "frequencies": "frequencies", "b_learning_rate_ratio": "B's learning rate ×"}
_WITHOUT_ADAPTER = {"full": "every weight", "bitfit": "every bias and the head", "head": "the head"}


def what_in_words(config: RunConfig) -> str:
    """What of the model is trained."""
    method = get_method(config.method)
    words = [f"{symbol} {getattr(config, name):g}" for name, symbol in _WORDS.items() if uses(config.method, name)]
    if not method.uses_peft:
        return _WITHOUT_ADAPTER.get(config.method, method.summary)
    return f"{', '.join(words)}, on {', '.join(config.target_modules)}"


def phases_in_words(config: RunConfig) -> str:
    """Phases, steps and examples."""
    each = config.batch_size * config.gradient_accumulation
    if not is_bilevel(config):
        return f"{number(config.steps)} steps of {each} examples"
    every = "every step" if config.unroll_steps == 1 else f"every {config.unroll_steps} steps"
    words = f"search, {number(config.steps)} steps of {each} examples and an upper step after {every}"
    if config.steps_of_retraining:
        words += f"; then retraining, {number(config.steps_of_retraining)} steps; {number(config.total_steps)} in all"
    return words


def kinds_of(configs: Iterable[RunConfig]) -> dict[RunConfig, str]:
    """Runs that differ in more than the seed, each once (with seed 0), and what sets each apart from the others."""
    kinds = list(dict.fromkeys(config.replace(seed=0) for config in configs))
    apart = [name for name in differences(kinds) if name not in ("method", "steps", "retrain_steps")]
    if len({config.method for config in kinds}) == len(kinds):
        apart = []
    named = lambda config: [f"{name.replace('_', ' ')} {getattr(config, name)}" for name in apart]  # noqa: E731
    return {config: ", ".join([METHOD_NAMES[config.method], *named(config)]) for config in kinds}


def names_of(configs: Sequence[RunConfig]) -> list[str]:
    """A name for each run of a group: task, what sets it apart, seed."""
    labels = kinds_of(configs)
    return [f"{config.task} {labels[config.replace(seed=0)]}, seed {config.seed}" for config in configs]


def kinds_in_words(configs: Iterable[RunConfig]) -> list[str]:
    """What each kind of run does, whatever its seed: method and phases, one line each."""
    return [
        f"{label}: {what_in_words(config)}. {phases[:1].upper()}{phases[1:]}."
        for config, label in kinds_of(configs).items()
        if (phases := phases_in_words(config))
    ]


def work_in_words(configs: Sequence[RunConfig]) -> str:
    """Gradient evaluations of all runs together, and of one run of each kind where they differ."""
    words = (
        f"{number(sum(map(gradient_evaluations, configs)))} gradient evaluations (one batch forward and backward each)"
    )
    each = [f"{label}: {number(gradient_evaluations(config))}" for config, label in kinds_of(configs).items()]
    return f"{words}. Per run: {'; '.join(each)}." if len(configs) > 1 else f"{words}."


def command_lines(configs: Iterable[RunConfig], *, group: str = "") -> str:
    """The same runs in a terminal, one line each; they run one after the other."""
    ending = ["--group", group] if group else []
    return "\n".join(shlex.join(["bidora", "run", *config.flags(), *ending]) for config in configs)


def sweep_line(configs: Sequence[RunConfig], *, group: str = "") -> str:
    """The same runs as one `bidora sweep`, which can be interrupted and repeated; empty where they are no full grid."""
    from bidora.sweeping.combinations import combinations_of

    values = {each.name: list(dict.fromkeys(getattr(one, each.name) for one in configs)) for each in fields(RunConfig)}
    axes = {name: found for name, found in values.items() if len(found) > 1}
    try:
        if set(combinations_of(axes, {name: found[0] for name, found in values.items() if name not in axes})) != set(
            configs
        ):
            return ""
    except LabError:
        return ""
    words = ["bidora", "sweep"]
    for each in fields(RunConfig):
        if each.name in axes or values[each.name][0] != each.default or each.name in ALWAYS_SAID:
            texts = list(map(flag_text, values[each.name]))
            if any(text.startswith("-") for text in texts):  # would read as a flag
                return ""
            words += [flag_of(each.name), *texts]
    return shlex.join([*words, *(["--group", group] if group else [])])


def notebook_cell(configs: Sequence[RunConfig], *, group: str = "") -> str:
    """The same runs from a notebook: the settings they share once, and what differs for each."""
    changed = {
        each.name for each in fields(RunConfig) for config in configs if _value(config, each.name) != each.default
    }
    changed |= {"task", "method", "seed"}
    names = [each.name for each in fields(RunConfig) if each.name in changed]
    shared = [name for name in names if len({json.dumps(_value(config, name)) for config in configs}) == 1]
    apart = [name for name in names if name not in shared]
    lines = [
        "from bidora import RunConfig",
        "from bidora.queueing import enqueue, start_next",
        "",
        f"shared = dict({_written(configs[0], shared)})" if configs else "shared = {}",
        "configs = [",
        *(f"    RunConfig(**shared{', ' if apart else ''}{_written(config, apart)})," for config in configs),
        "]",
        f"runs = enqueue(configs{f', group={group!r}' if group else ''})",
        "start_next()  # they train in processes of their own, and are seen in the app, too",
    ]
    return "\n".join(lines)


def _value(config: RunConfig, name: str) -> Any:
    return getattr(config, name)


def _written(config: RunConfig, names: Sequence[str]) -> str:
    return ", ".join(f"{name}={_value(config, name)!r}" for name in names)
