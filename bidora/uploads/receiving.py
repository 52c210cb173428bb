"""Taking in an upload: under names of our own, checked, and gone when the visit is over."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bidora.errors import LabError
from bidora.uploads.archives import unpack
from bidora.uploads.limits import (
    ACCEPTED,
    SETTINGS_LIMIT,
    UNPACKED_LIMIT,
    UPLOAD_HEADER_LIMIT,
    Upload,
    ending,
    plain_name,
    refused,
    shown,
    write_counted,
)
from bidora.uploads.settings import checked_settings
from bidora.weight_files import PICKLED, check_header, pickle_refused

_PREFIX = "bidora-upload-"


@dataclass(frozen=True)
class Received:
    """An upload on disk.

    Attributes:
        path: the adapter's or checkpoint's folder, below the session's folder.
        title: what the visitor called it, shortened and without control characters; text, not a path.
        digest: SHA-256 over the kept files, in hexadecimal.
    """

    path: Path
    title: str
    digest: str


def session_folder() -> Path:
    """A new private folder for one visit's uploads; those of servers that were killed are removed on the way."""
    _sweep()
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))


def remove(folder: Path) -> None:
    """Remove a session's folder with all that is in it; quiet where it is gone already."""
    shutil.rmtree(folder, ignore_errors=True)


def receive(uploads: Sequence[Upload], folder: Path) -> Received:
    """Take in an adapter (two files or a .zip of the folder) or a checkpoint (one file, or all shards and the index).

    Args:
        uploads: what the browser sent.
        folder: the session's folder; a folder of its own is made in it.

    Raises:
        LabError: it is not what it says, too large, or not enough. Then nothing of it stays.
    """
    if not uploads:
        raise refused("nothing was uploaded", "choose adapter_model.safetensors and adapter_config.json")
    try:
        place = Path(tempfile.mkdtemp(dir=folder))
    except OSError as error:
        raise LabError(
            f"the upload cannot be kept: {error.strerror or error}", hint="reload the page and try again", kind="disk"
        ) from error
    try:
        archives = [upload for upload in uploads if ending(upload.name) == ".zip"]
        if archives and len(uploads) > 1:
            raise refused("a .zip comes alone", "upload either the .zip or the files")
        sent: dict[str, str] = {}
        if archives:
            unpack(archives[0], place)
        else:
            sent = _keep(uploads, place)
        _check(place, sent)
        return Received(place, _title(uploads), _digest(place))
    except OSError as error:
        remove(place)
        raise LabError(
            f"the upload cannot be kept: {error.strerror or error}", hint="free some disk space", kind="disk"
        ) from error
    except BaseException:
        remove(place)
        raise


def _keep(uploads: Sequence[Upload], place: Path) -> dict[str, str]:
    """Single files: settings under PEFT's name, one weight file under the name that fits, shards under their own.

    Returns:
        name here → what the sender calls it.
    """
    weights = [upload for upload in uploads if ending(upload.name) == ".safetensors"]
    notes = [upload for upload in uploads if ending(upload.name) == ".json"]
    for upload in uploads:
        if ending(upload.name) in PICKLED:
            raise pickle_refused(Path(shown(upload.name)))
        if upload not in weights and upload not in notes:
            raise refused(
                f"{shown(upload.name)!r} is not of use here; allowed: {', '.join('.' + each for each in ACCEPTED)}",
                "choose adapter_model.safetensors and adapter_config.json",
            )
    index = [upload for upload in notes if "index" in upload.name]
    settings = [upload for upload in notes if upload not in index]
    if not weights:
        raise refused("there is no .safetensors file among the uploads", "choose adapter_model.safetensors, too")
    if len(weights) > 1 and not index:
        raise refused(
            f"{len(weights)} .safetensors files need the index that says what is where",
            "choose model.safetensors.index.json, too, or one file only",
        )
    if len(settings) > 1 or len(index) > 1:
        raise refused("there is more than one .json file of a kind", "choose one adapter_config.json")
    if index:
        wanted = [(index[0], "model.safetensors.index.json")]
        wanted += [(upload, plain_name(PurePosixPath(upload.name).name)) for upload in weights]
    else:
        # A model's own config.json beside its weights says no more than the weights do.
        adapter = bool(settings) and PurePosixPath(settings[0].name).name != "config.json"
        wanted = [(weights[0], "adapter_model.safetensors" if adapter else "model.safetensors")]
        wanted += [(settings[0], "adapter_config.json")] if adapter else []
    if len({name for _, name in wanted}) < len(wanted):
        raise refused("two of the files have the same name", "choose each file once")
    left = UNPACKED_LIMIT
    for upload, name in wanted:
        limit = SETTINGS_LIMIT if name == "adapter_config.json" else left
        left -= write_counted(upload.content, place / name, limit, called=_called(upload))
    return {name: _called(upload) for upload, name in wanted}


def _check(place: Path, sent: Mapping[str, str]) -> None:
    """Headers and settings of what was kept; messages name the file as its sender does, never where it lies."""
    files = sorted(place.iterdir())
    weights = [path for path in files if path.suffix == ".safetensors"]
    if (place / "adapter_config.json").exists():
        checked_settings(place / "adapter_config.json")
    if not weights:
        raise refused("adapter_model.safetensors is missing", "upload it, too")
    for path in weights:
        try:
            check_header(path, limit=UPLOAD_HEADER_LIMIT)
        except LabError as error:
            message = error.message.replace(str(path), sent.get(path.name, path.name))
            raise LabError(message, hint=error.hint, kind=error.kind) from error


def _digest(place: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(place.iterdir()):
        with open(path, "rb") as handle:
            total.update(f"{path.name}\0{hashlib.file_digest(handle, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def _title(uploads: Sequence[Upload]) -> str:
    return _called(next((each for each in uploads if ending(each.name) != ".json"), uploads[0]))


def _called(upload: Upload) -> str:
    """What the sender calls a file, for showing."""
    return shown(re.split(r"[/\\]", upload.name)[-1]) or "upload"


def _sweep() -> None:
    """Remove the folders of servers that are gone."""
    import psutil

    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = re.match(rf"{_PREFIX}(\d+)-", folder.name)
        try:
            mine = folder.lstat().st_uid == os.getuid() if hasattr(os, "getuid") else True
            if owner and mine and folder.is_dir() and not folder.is_symlink() and not psutil.pid_exists(int(owner[1])):
                remove(folder)
        except OSError:
            continue
