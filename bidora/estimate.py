"""How long a run will take and how much memory it will need, judged by runs that have finished, and by which."""

from __future__ import annotations

import math
import os
import socket
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bidora.config import RunConfig, gradient_evaluations
from bidora.methods import get_method
from bidora.models import get_model
from bidora.runs import Run
from bidora.tasks import get_task
from bidora.wording import counted

LIBRARIES_BYTES = 450e6
"""What a process holds before it has a model: Python, torch, transformers."""

MOST_RUNS = 60
"""Newest finished runs that are looked at."""


@dataclass(frozen=True)
class Estimate:
    """What is expected of one run.

    Attributes:
        seconds: from start to end; None where nothing is known.
        memory: peak bytes; None where nothing is known.
        basis: what it rests on, in words.
    """

    seconds: float | None
    memory: float | None
    basis: str


@dataclass(frozen=True)
class _Known:
    """What one finished run cost.

    `pace` is seconds per gradient evaluation, example and token of the length limit; `around` seconds outside training
    steps (imports, reading, test).
    """

    config: RunConfig
    pace: float
    around: float
    memory: float
    tokens: int
    here: bool
    recorded: str


def estimate(config: RunConfig, runs: Iterable[Run]) -> Estimate:
    """Seconds and peak memory of a run, scaled from finished runs with the same model.

    Training time grows with gradient evaluations × batch size × length; everything around it is taken as it was. Runs of
    this machine come before recordings, and runs of the same task and method before others.

    Args:
        config: the settings.
        runs: finished runs of this machine and recordings; others are passed over.

    Raises:
        LabError: task or model is unknown.
    """
    known = _known(config, runs)
    here = [each for each in known if each.here]
    chosen = here or known
    if not chosen:
        return Estimate(None, None, "unknown until step 5: no run with this model has finished yet")
    same_task = [each for each in chosen if each.config.task == config.task]
    chosen = same_task or chosen
    by_method: dict[str, list[_Known]] = {}
    for each in chosen:
        by_method.setdefault(each.config.method, []).append(each)
    nearest = by_method.get(config.method, chosen)
    factor = {id(each): _pass_cost(config) / _pass_cost(each.config) for each in nearest}
    pace = statistics.median(each.pace * factor[id(each)] for each in nearest)
    around = statistics.median(each.around for each in chosen)
    work = gradient_evaluations(config) * _tokens(config)
    return Estimate(pace * work + around, _memory(config, nearest), _basis(config, nearest, bool(here), same_task))


def total(estimates: Iterable[Estimate], *, limit: int = 1) -> Estimate:
    """What a group needs: seconds of all runs one after the other, memory of as many at once as the queue allows.

    Several at once on one CPU share its cores; their times are added up all the same, which is the careful guess.
    """
    found = list(estimates)
    seconds = [each.seconds for each in found]
    memory = sorted((each.memory or math.nan for each in found), reverse=True)[:limit]
    return Estimate(
        None if None in seconds or not found else math.fsum(filter(None, seconds)),
        None if not memory or any(map(math.isnan, memory)) else math.fsum(memory),
        max(found, key=lambda each: each.seconds or math.inf).basis if found else "",
    )


def estimate_of_group(configs: Sequence[RunConfig], runs: Iterable[Run], *, limit: int = 1) -> Estimate:
    """What several runs need together; each kind of run is estimated once, as the seed changes nothing."""
    finished = list(runs)
    kinds: dict[RunConfig, Estimate] = {}
    for config in configs:
        kind = config.replace(seed=0)
        if kind not in kinds:
            kinds[kind] = estimate(kind, finished)
    return total((kinds[config.replace(seed=0)] for config in configs), limit=limit)


def _known(config: RunConfig, runs: Iterable[Run]) -> list[_Known]:
    wanted = _model(config)
    found: list[_Known] = []
    for run in runs:
        if len(found) >= MOST_RUNS:
            break
        try:
            facts = _facts(run.path, (run.path / "result.json").stat().st_mtime_ns)
            if facts is not None and _model(facts.config) == wanted:
                found.append(facts)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):  # unfinished, older, or written by hand
            continue
    return found


@lru_cache(maxsize=1024)
def _facts(path: Path, stamp: int) -> _Known | None:
    """What a finished run cost, read once; None where it says nothing that can be used."""
    run = Run(path)
    config, meta, cost = run.config, run.meta, run.result["cost"]
    evaluations, seconds = float(cost["gradient_evaluations"]), float(cost["seconds_training"])
    around = max(0.0, float(cost.get("seconds_total", seconds)) - seconds)
    if not (evaluations > 0 and seconds > 0 and math.isfinite(seconds + around)):
        return None
    recorded = str((meta.get("recording") or {}).get("machine") or "another machine") if "recording" in meta else ""
    device = meta.get("device") or {}
    here = not recorded and run.status.get("host") in (None, socket.gethostname())
    if here and device.get("type") == "cpu" and device.get("cores") not in (None, os.cpu_count()):
        here = False
    tokens = _tokens(config)
    memory = float(cost.get("peak_memory_bytes") or math.nan)
    return _Known(config, seconds / (evaluations * tokens), around, memory, tokens, here, recorded)


def _memory(config: RunConfig, runs: list[_Known]) -> float | None:
    """What libraries and model hold, and on top of it what grows with the tokens of a batch."""
    peaks = []
    for each in runs:
        floor = min(LIBRARIES_BYTES, each.memory)
        peaks.append(floor + (each.memory - floor) * max(1.0, _tokens(config) / each.tokens))
    known = [peak for peak in peaks if math.isfinite(peak)]
    return max(known) if known else None


def _basis(config: RunConfig, runs: list[_Known], here: bool, same_task: list[_Known]) -> str:
    if not here:
        where = sorted({each.recorded for each in runs if each.recorded}) or ["another machine"]
        return f"a rough guess, from {counted(len(runs), 'run')} made on {where[0]}"
    method = {each.config.method for each in runs}
    words = f"from {counted(len(runs), 'finished run')} with this model on this machine"
    if method != {config.method}:
        words += f" (of {' and '.join(sorted(method))}, none of {config.method} yet)"
    return words if same_task else f"{words}, on another task: a rough guess"


def _pass_cost(config: RunConfig) -> float:
    """Seconds of one forward and backward pass against LoRA's, used only where no run of the method is there."""
    return get_method(config.method).pass_cost


def _model(config: RunConfig) -> str:
    return config.model or get_task(config.task).default_model


def _tokens(config: RunConfig) -> int:
    """Tokens of one batch at its longest."""
    length = config.max_length or get_task(config.task).default_length or get_model(_model(config)).default_length
    return config.batch_size * length
