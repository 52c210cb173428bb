"""Finding runs: all of a folder, or one by its id."""

from __future__ import annotations

import os
from pathlib import Path

from bidora.errors import LabError
from bidora.runs.ids import RUN_ID, runs_root
from bidora.runs.run import Run


def list_runs(root: str | Path | None = None) -> list[Run]:
    """All readable runs in a folder, newest first; what is not a run is passed over."""
    root = Path(root) if root is not None else runs_root()
    if not root.is_dir():
        return []
    found = []
    for path in sorted(root.iterdir(), reverse=True):
        if not RUN_ID.match(path.name):
            continue
        try:
            found.append(_readable(path))
        except (LabError, OSError):
            continue
    return found


def _readable(path: Path) -> Run:
    run = Run(path)
    run.config  # noqa: B018 - reading it shows whether it is readable
    return run


def find_run(name: str, root: str | Path | None = None) -> Run:
    """The run of that id or unique part of one, the last one for `last`, or the run folder of that path.

    Raises:
        LabError: none or more than one fits, or the settings of the one whose whole id it is cannot be read.
    """
    if os.sep in name and (Path(name) / "config.json").is_file():
        return Run(name)
    where = Path(root) if root is not None else runs_root()
    if RUN_ID.match(name) and (where / name).is_dir():  # the whole id: the others need not be read
        return _readable(where / name)
    runs = list_runs(root)
    fitting = runs[:1] if name == "last" else [run for run in runs if name and name in run.id]
    if not fitting and name not in ("", "last"):
        fitting = [Run(path) for path in run_folders(where) if name in path.name]  # one that cannot be read says why
        if len(fitting) == 1:
            return _readable(fitting[0].path)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise LabError(
            f"{name!r} fits {len(fitting)} runs: {', '.join(run.id for run in fitting[:4])}",
            hint="write more of the id",
            kind="run",
        )
    raise LabError(f"no run {name!r} in {where}", hint="`bidora list` shows the runs there are", kind="run")


def run_folders(root: str | Path | None = None) -> list[Path]:
    """Folders that are named like runs and have settings, newest first; nothing of them is read."""
    root = Path(root) if root is not None else runs_root()
    if not root.is_dir():
        return []
    names = (each.name for each in os.scandir(root) if RUN_ID.match(each.name))
    return [root / name for name in sorted(names, reverse=True) if (root / name / "config.json").is_file()]
