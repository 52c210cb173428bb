"""The queue: runs that wait for their turn, and how many may be at work at once.

Which runs wait, and in which order, stands in their own status.json (`queue_position`); the runs folder holds `.queue.json` with
the limit and the pause. Whoever frees a place asks for the next run: every worker does when it ends, so the queue goes on
when the page, the app or the terminal that filled it are closed. For a worker that is killed a small process beside it
asks (bidora.cli.successor). Where both are gone, as after a restart of the machine, the next worker that ends, the app's
view New run, or `bidora queue --start` does. This module imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.launch import start, thread_share
from bidora.runs import ACTIVE, RUN_ID, Run, read_json, runs_root, write_json
from bidora.runs.lock import locked

FILE = ".queue.json"
POSITION = "queue_position"
"""Entry of status.json by which a run that waits is told from one that was only made."""

LARGEST_LIMIT = 32


@dataclass(frozen=True)
class Queue:
    """The queue of a runs folder at one moment.

    Attributes:
        limit: how many runs may be at work at once; runs that were started without the queue count, too.
        paused: whether waiting runs are held back; those at work go on.
        waiting: runs that wait, the next one first.
        active: runs at work.
    """

    limit: int
    paused: bool
    waiting: tuple[Run, ...]
    active: tuple[Run, ...]


def read_queue(root: str | Path | None = None) -> Queue:
    """The queue as it is now; an unreadable `.queue.json` counts as limit 1, not paused."""
    folder = _folder(root)
    waiting, active = [], []
    for run in _runs(folder):
        status = run.status
        if status["state"] in ACTIVE:
            active.append(run)
        elif status["state"] == "queued" and _position(status) is not None:
            waiting.append((_position(status), run.id, run))
    limit, paused = _settings(folder)
    ordered = tuple(run for _, _, run in sorted(waiting, key=lambda each: each[:2]))
    return Queue(limit, paused, ordered, tuple(active))


def enqueue(
    configs: Iterable[RunConfig],
    root: str | Path | None = None,
    *,
    name: str = "",
    names: Sequence[str] = (),
    group: str = "",
    tags: tuple[str, ...] = (),
    meta: Mapping[str, Any] | None = None,
) -> list[Run]:
    """Make runs that wait for their turn, in this order, behind those that wait already. `start_next` starts them.

    Args:
        configs: the settings of each.
        root: where runs are kept; by default `runs_root()`.
        name: what to call them all; by default task, method and seed of each.
        names: in its place one name for each.
        group: runs of one comparison share a group.
        tags: free words to find them by.
        meta: further entries of their meta.json, such as a prediction.

    Raises:
        LabError: no folder can be made; what was made before stays in the queue.
    """
    folder = _folder(root)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"no run can be made in {folder}: {error.strerror or error}", kind="disk") from error
    made: list[Run] = []
    with locked(folder):
        last = _last_position(folder)
        for place, config in enumerate(configs):
            run = Run.create(config, folder, name=names[place] if names else name, group=group, tags=tags)
            if meta:
                run.update_meta(**meta)
            run.update_status(**{POSITION: last + place + 1.0})
            made.append(run)
    return made


def put(run: Run) -> Run:
    """Put a run at the end of the queue: a new one, or one that was stopped, failed or lost and shall go on in its turn.

    Raises:
        LabError: it is at work or finished.
    """
    with locked(run.path.parent), run.locked():
        if run.state in (*ACTIVE, "finished"):
            raise LabError(
                f"run {run.id} is {run.state} and cannot wait in the queue",
                hint="choose one that is queued, stopped, failed or interrupted",
                kind="run",
            )
        run.clear_stop()
        run.update_status(**{"state": "queued", "error": None, POSITION: _last_position(run.path.parent) + 1.0})
    return run


def start_next(root: str | Path | None = None) -> list[Run]:
    """Start as many waiting runs as the limit allows, in order; safe to call at any time from any process.

    Returns:
        The runs that were started.

    Raises:
        LabError: a worker process cannot be started; the run stays in the queue.
    """
    folder = _folder(root)
    if not read_queue(folder).waiting:  # without the lock: most calls find nothing, and need not write a lock file
        return []
    started: list[Run] = []
    with locked(folder):
        queue = read_queue(folder)
        places = 0 if queue.paused else queue.limit - len(queue.active)
        threads = thread_share(queue.limit)
        for run in queue.waiting:
            if len(started) >= places:
                break
            try:
                with run.locked():
                    if not _waits(run):  # stopped, or started without the queue, since it was read
                        continue
                    run.config  # noqa: B018 - a run whose settings cannot be read would only fail more slowly
                    start(run, threads=threads)
            except FileNotFoundError:  # deleted since it was read
                continue
            except LabError as error:
                if error.kind == "disk":  # neither would the next one start
                    raise
                if run.state == "queued":  # unreadable settings; else somebody started it without the queue
                    said = {"kind": error.kind, "message": error.message, "hint": error.hint}
                    run.update_status(state="failed", error=said)
                continue
            started.append(run)
    return started


def cancel(run: Run) -> None:
    """Take a waiting run out of the queue; it stays in the list of runs as stopped, and `put` brings it back.

    Raises:
        LabError: it does not wait (any more).
    """
    with locked(run.path.parent), run.locked():
        _refuse_if_not_waiting(run)
        run.update_status(**{"state": "stopped", POSITION: None})


def move_up(run: Run) -> None:
    """Let a waiting run change places with the one before it; the first one stays where it is.

    Raises:
        LabError: it does not wait (any more).
    """
    with locked(run.path.parent):
        _refuse_if_not_waiting(run)
        waiting = list(read_queue(run.path.parent).waiting)
        place = next(index for index, each in enumerate(waiting) if each.id == run.id)
        if place:
            before = waiting[place - 1]
            own, other = run.status[POSITION], before.status[POSITION]
            run.update_status(**{POSITION: other - 0.5 if own == other else other})
            before.update_status(**{POSITION: own})


def set_limit(limit: int, root: str | Path | None = None) -> None:
    """Set how many runs may be at work at once; runs at work above a lowered limit go on.

    Raises:
        LabError: outside 1 to LARGEST_LIMIT.
    """
    if not 1 <= limit <= LARGEST_LIMIT:
        raise LabError(
            f"limit={limit} is outside 1 <= limit <= {LARGEST_LIMIT} (runs at work at once)",
            hint="use 1 where the runs share few cores: several slow each other down",
        )
    _change(root, limit=int(limit))


def pause(root: str | Path | None = None) -> None:
    """Hold waiting runs back; those at work go on."""
    _change(root, paused=True)


def go_on(root: str | Path | None = None) -> None:
    """End the pause. `start_next` starts what may start."""
    _change(root, paused=False)


def _folder(root: str | Path | None) -> Path:
    return Path(root) if root is not None else runs_root()


def _runs(folder: Path) -> list[Run]:
    """Run folders, oldest first; only their status is read, so that hundreds cost little."""
    if not folder.is_dir():
        return []
    names = sorted(each.name for each in folder.iterdir() if RUN_ID.match(each.name))
    return [Run(folder / name) for name in names if (folder / name / "config.json").is_file()]


def _last_position(folder: Path) -> float:
    return max((_position(each.status) or 0.0 for each in read_queue(folder).waiting), default=0.0)


def _position(status: Mapping[str, Any]) -> float | None:
    found = status.get(POSITION)
    return float(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else None


def _settings(folder: Path) -> tuple[int, bool]:
    found = read_json(folder / FILE, missing_ok=True)
    limit = found.get("limit")
    known = isinstance(limit, int) and not isinstance(limit, bool) and 1 <= limit <= LARGEST_LIMIT
    return (int(limit) if known else 1), found.get("paused") is True  # type: ignore[arg-type]


def _change(root: str | Path | None, **changes: Any) -> None:
    folder = _folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        write_json(folder / FILE, {**read_json(folder / FILE, missing_ok=True), **changes})


def _waits(run: Run) -> bool:
    status = run.status
    return status["state"] == "queued" and _position(status) is not None


def _refuse_if_not_waiting(run: Run) -> None:
    status = run.status
    if not _waits(run):
        raise LabError(
            f"run {run.id} does not wait in the queue: it is {status['state']}",
            hint="stop it in the list of runs" if status["state"] in ACTIVE else "look at the list of runs",
            kind="run",
        )
