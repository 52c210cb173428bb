"""The list of runs: one row each, found by words, sorted; damaged numbers and words do no harm."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidora.analysis.grouping import METHOD_NAMES, number
from bidora.runs import ACTIVE, STATES, Run, worker_alive
from bidora.wording import score_name

if TYPE_CHECKING:
    import pandas

SORTS = ("newest", "oldest", "name", "task and method", "score", "state")

OWN, RECORDING, IMPORTED = "own", "recording", "imported"


@dataclass(frozen=True)
class Row:
    """What the list shows of one run.

    Attributes:
        id: the run's id.
        name: what it is called.
        state: one of STATES, as it is in this moment.
        origin: own, recording (read-only) or imported.
        task: name of the task.
        method: a name out of bidora.methods.METHODS.
        seed: the run's seed.
        group: runs of one comparison share one.
        tags: free words.
        note: free text.
        created: ISO time; empty if unknown.
        step: steps done.
        total: steps of all phases.
        metric: name of the primary score; empty until finished.
        score: its value; NaN until finished.
        low: lower end of its 95 % interval.
        high: upper end.
        seconds: of training; NaN until finished.
        damaged: files of the folder that cannot be read.
        status: what status.json says, to see whether a worker lives.
        path: the folder.
    """

    id: str
    name: str
    state: str
    origin: str
    task: str
    method: str
    seed: int
    group: str
    tags: tuple[str, ...]
    note: str
    created: str
    step: int
    total: int
    metric: str
    score: float
    low: float
    high: float
    seconds: float
    damaged: tuple[str, ...]
    status: Mapping[str, Any]
    path: Path

    @property
    def now(self) -> Row:
        """The same with the state of this moment: a worker that died writes nothing."""
        if self.status.get("state") in ACTIVE:
            return replace(self, state=str(self.status["state"]) if worker_alive(self.status) else "lost")
        return self


def row_of(run: Run) -> Row:
    """What the list shows of a run.

    Raises:
        LabError: its settings cannot be read.
    """
    config, meta, status, result = run.config, run.meta, run.status, run.result
    score = _mapping(_mapping(result.get("scores")).get(str(result.get("primary"))))
    tags = meta.get("tags")
    step, total = number(status.get("step")), number(status.get("total"))
    state = str(status["state"])
    return Row(
        id=run.id,
        name=str(meta.get("name") or run.id)[:200],
        state=state if state in STATES else "lost",
        origin=RECORDING if "recording" in meta else IMPORTED if "imported" in meta else OWN,
        task=config.task,
        method=config.method,
        seed=config.seed,
        group=str(meta.get("group") or "")[:100],
        tags=tuple(str(tag)[:50] for tag in tags[:50]) if isinstance(tags, list) else (),
        note=str(meta.get("note") or "")[:5000],
        created=str(meta.get("created") or "")[:40],
        step=config.total_steps if math.isnan(step) and state == "finished" else 0 if math.isnan(step) else int(step),
        total=config.total_steps if math.isnan(total) else int(total),
        metric=str(result.get("primary") or "")[:60],
        score=number(score.get("value")),
        low=number(score.get("low")),
        high=number(score.get("high")),
        seconds=number(_mapping(result.get("cost")).get("seconds_training")),
        damaged=tuple(_damaged(run, meta, result, state)),
        status=status,
        path=run.path,
    )


def chosen_rows(
    rows: Iterable[Row],
    *,
    text: str = "",
    task: Sequence[str] = (),
    method: Sequence[str] = (),
    state: Sequence[str] = (),
    group: Sequence[str] = (),
    tag: Sequence[str] = (),
) -> list[Row]:
    """The rows that fit: every word of the text somewhere in id, name, note, group or tags, and one of each list.

    An empty list takes all.
    """
    words = text.casefold().split()
    found = []
    for row in rows:
        whole = " ".join((row.id, row.name, row.note, row.group, *row.tags, row.task, row.method)).casefold()
        kept = all(word in whole for word in words)
        for wanted, own in ((task, row.task), (method, row.method), (state, row.state), (group, row.group)):
            kept = kept and (not wanted or own in wanted)
        if kept and (not tag or not set(tag).isdisjoint(row.tags)):
            found.append(row)
    return found


def sorted_rows(rows: Iterable[Row], by: str = "newest") -> list[Row]:
    """The rows in an order of SORTS; equal ones newest first, scores highest first with unfinished runs last."""
    ordered = sorted(rows, key=lambda row: (row.created or row.id, row.id), reverse=True)
    if by == "oldest":
        return ordered[::-1]
    methods = list(METHOD_NAMES)
    keys: dict[str, Any] = {
        "name": lambda row: row.name.casefold(),
        "task and method": lambda row: (row.task, methods.index(row.method) if row.method in methods else 9, row.seed),
        "score": lambda row: (math.isnan(row.score), -row.score if row.score == row.score else 0.0),
        "state": lambda row: STATES.index(row.state),
    }
    return sorted(ordered, key=keys[by]) if by in keys else ordered


def overview(rows: Sequence[Row], *, signs: Mapping[str, str] | None = None) -> pandas.DataFrame:
    """The rows as the table that is shown.

    Args:
        rows: in their order.
        signs: state → how it is shown; by default its word.

    Returns:
        name, state, steps, task, method, seed, score, interval, metric, training_seconds, group, tags, created, origin,
        note, id; interval and note in words, created as a time.
    """
    import pandas

    signs = signs or {}
    return pandas.DataFrame(
        {
            "name": [row.name + (" ⚠" if row.damaged else "") for row in rows],
            "state": [signs.get(row.state, row.state) for row in rows],
            "steps": [f"{row.step}/{row.total}" for row in rows],
            "task": [row.task for row in rows],
            "method": [METHOD_NAMES.get(row.method, row.method) for row in rows],
            "seed": [row.seed for row in rows],
            "score": [row.score for row in rows],
            "interval": ["" if math.isnan(row.low + row.high) else f"{row.low:.3f} to {row.high:.3f}" for row in rows],
            "metric": [score_name(row.metric) for row in rows],
            "training_seconds": [row.seconds for row in rows],
            "group": [row.group for row in rows],
            "tags": [list(row.tags) for row in rows],
            "created": pandas.to_datetime(
                [row.created or None for row in rows], errors="coerce", utc=True, format="ISO8601"
            ),
            "origin": [row.origin for row in rows],
            "note": [row.note for row in rows],
            "id": [row.id for row in rows],
        }
    )


def _damaged(run: Run, meta: Mapping[str, Any], result: Mapping[str, Any], state: str) -> Iterable[str]:
    """Names of missing or corrupt JSON files; `bidora.runs.health.damage` looks at the rest."""
    if not meta:
        yield "meta.json"
    if not (run.path / "status.json").is_file():
        yield "status.json"
    if state == "finished" and not result:
        yield "result.json"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
