"""Runs as .zip files: export without checkpoints, import of what somebody else exported.

A .zip from outside is treated as hostile (`bidora.runs.unpacking`), and what was in it is checked before it becomes a run.
Nothing in it is run or unpickled.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import struct
import sys
import zipfile
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.parquet_size import unpacked_size
from bidora.runs.contents import files_of
from bidora.runs.files import read_json, write_json
from bidora.runs.ids import RUN_ID, new_folder, runs_root
from bidora.runs.run import Run
from bidora.runs.tables import INPUTS, MOST_BYTES
from bidora.runs.trash import FOLDER as TRASH
from bidora.runs.unpacking import KNOWN, MOST_BYTES_OF_TEXT, opened, refused, unpack
from bidora.runs.workers import ACTIVE, STATES
from bidora.weight_files import check_header
from bidora.wording import size

TEXTS = (".json", ".jsonl", ".txt", ".md")
"""Endings of files in which folders of this machine may be named."""

MOST_CELLS = 20_000_000
"""Rows times columns of all tables; a few bytes of parquet can stand for any number of rows."""


class Imported(NamedTuple):
    """What became of a .zip: the run, and the members that were left out because no run folder has them."""

    run: Run
    ignored: tuple[str, ...]


def write_run(folder: Path, target: Path | BinaryIO, *, inputs: bool = True) -> None:
    """Write a run as .zip, without checkpoints: enough to look at it and to use its adapter, not to go on training.

    Neither the machine's name and process nor where its folders lie go out: data and model become their last names, the runs
    folder `runs`, this project's `bidora-lab`, Python's `python`, the home folder `~`.

    Args:
        folder: the run's.
        target: file to write.
        inputs: whether predictions keep the beginnings of the test inputs; without them private texts stay at home.
    """
    named = _names_of_places(folder)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in files_of(folder):
            if not KNOWN.fullmatch(each.path):
                continue
            if each.path == "predictions.parquet" and not inputs:
                archive.writestr(f"{folder.name}/{each.path}", _without_inputs(folder))
            elif each.path.endswith(TEXTS) and each.size <= MOST_BYTES_OF_TEXT:
                text = (folder / each.path).read_text(encoding="utf-8", errors="replace")
                text = _without_machine(text) if each.path == "status.json" else text
                archive.writestr(f"{folder.name}/{each.path}", _without_places(text, named))
            else:
                archive.write(folder / each.path, f"{folder.name}/{each.path}")


def read_run(source: Path | BinaryIO, root: str | Path | None = None, *, title: str = "") -> Imported:
    """Unpack a .zip that `write_run` made into a new run folder, which is marked as imported.

    Args:
        source: the file; treated as hostile.
        root: where runs are kept; by default `runs_root()`.
        title: the file's name, for meta.json; only ever shown.

    Returns:
        The run, under the id it had, or a new one where that is taken; and what was left out.

    Raises:
        LabError: it is no .zip, too large, tries to leave its folder, holds links, or no readable run.
    """
    root = Path(root) if root is not None else runs_root()
    place = root / f".import-{secrets.token_hex(6)}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        place.mkdir()
        with opened(source) as archive:
            top, ignored = unpack(archive, place)
        _check(place)
        _mark(place, top, title)
        final = _free_place(root, top)
        place.rename(final)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, struct.error, zlib.error, RuntimeError) as error:
        raise refused(f"the .zip cannot be read: {error}", "export the run once more, or upload it again") from error
    except OSError as error:
        raise LabError(
            f"the run cannot be unpacked: {error.strerror or error}", hint="free some disk space", kind="disk"
        ) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return Imported(Run(final), tuple(ignored))


def _check(place: Path) -> None:
    """Make sure that settings are readable, weights are safetensors, and tables are tables of a sensible size."""
    try:
        RunConfig.from_dict(read_json(place / "config.json"))
    except LabError as error:
        reason = error.message.replace(str(place / "config.json"), "config.json")
        raise refused(f"the settings of the run cannot be read: {reason}", "export the run once more") from error
    for path in place.rglob("*.safetensors"):
        check_header(path, limit=5_000_000)
    _check_tables([path for path in place.rglob("*.parquet") if path.is_file()], place)


def _check_tables(paths: list[Path], place: Path) -> None:
    """Refuse what is no table, and tables that are small only on disk; what they hold together counts."""
    import pyarrow
    import pyarrow.parquet

    cells = taken = 0
    for path in paths:
        name = path.relative_to(place).as_posix()
        try:
            footer = pyarrow.parquet.read_metadata(path)
            cells += footer.num_rows * max(1, footer.num_columns)
            taken += unpacked_size(path, limit=MOST_BYTES) if cells <= MOST_CELLS else 0
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise refused(f"{name} is no parquet table", "export the run once more") from error
        if cells > MOST_CELLS or taken > MOST_BYTES:
            raise refused(
                f"with {name} the tables hold {cells:,} cells and at least {size(taken)}; allowed: {MOST_CELLS:,} cells and "
                f"{size(MOST_BYTES)}",
                "export the run once more",
            )


def _mark(place: Path, top: str, title: str) -> None:
    """Say in meta.json where the run is from, and drop from status.json what belongs to another machine."""
    meta = read_json(place / "meta.json", missing_ok=True)
    found = meta.get("tags")
    tags = [str(tag)[:50] for tag in found[:50]] if isinstance(found, list) else []
    words = {
        name: str(meta.get(name) or "")[:length] for name, length in (("name", 200), ("group", 100), ("note", 5000))
    }
    origin: dict[str, Any] = {
        "file": title[:200],
        "id": top[:100],
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if "recording" in meta:  # a recording may not be changed; a copy among one's own runs may
        origin["recording"] = meta.pop("recording")
    write_json(place / "meta.json", {**meta, **words, "tags": tags, "imported": origin})
    status = read_json(place / "status.json", missing_ok=True)
    state = status.get("state")
    if state not in STATES or state in (*ACTIVE, "queued", "lost"):
        state = "finished" if (place / "result.json").is_file() else "stopped"
    kept: dict[str, Any] = {name: status[name] for name in ("phase", "step", "total", "error") if name in status}
    write_json(place / "status.json", {**kept, "state": state})


def _free_place(root: Path, top: str) -> Path:
    """The run's own id where it is free, among the deleted ones too; else a new one."""
    if RUN_ID.match(top) and not (root / top).exists() and not (root / TRASH / top).exists():
        return root / top
    final = new_folder(root)
    final.rmdir()
    return final


def _without_machine(text: str) -> str:
    """status.json without process, host and heartbeat, which mean nothing elsewhere."""
    try:
        status = json.loads(text)
    except (ValueError, RecursionError):
        return text
    kept = ("state", "phase", "step", "total", "exit_code", "error")
    found = {name: status[name] for name in kept if name in status} if isinstance(status, dict) else {}
    return json.dumps(found, indent=1) + "\n"


def _names_of_places(folder: Path) -> dict[str, str]:
    """Places of this machine → what they are called elsewhere, for a run folder."""
    named = {
        str(folder.parent.absolute()): "runs",
        str(Path(__file__).absolute().parents[2]): "bidora-lab",
        sys.prefix: "python",
        str(Path.home()): "~",
    }
    try:
        config = Run(folder).config
    except LabError:
        return named
    own = [place for place in (config.data, config.test_data, config.model) if Path(place).is_absolute()]
    return {**named, **{place.rstrip("/\\"): Path(place).name for place in own if Path(place).name}}


def _without_places(text: str, named: dict[str, str]) -> str:
    """A text in which folders of this machine have names that tell nothing of it; in JSON backslashes stand doubled."""
    for place in sorted(named, key=len, reverse=True):
        if len(Path(place).parts) < 2:
            continue  # the root of the disk
        either = "|".join(re.escape(each) for each in {place, place.replace("\\", "\\\\")})
        text = re.sub(rf"(?<![\w.-])(?:{either})(?![\w.-])", named[place], text)
    return text


def _without_inputs(folder: Path) -> bytes:
    import io

    table = Run(folder).predictions().drop(columns=list(INPUTS), errors="ignore")
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()
