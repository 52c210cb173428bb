"""Unpacking a run's .zip from outside, which is treated as hostile.

The table of contents is measured before it is read, only files that belong to a run folder are taken, names cannot lead
out of the folder, links are refused, and bytes are counted while they are unpacked, whatever the file says about its size.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
from pathlib import Path
from typing import BinaryIO

from bidora.errors import LabError

MOST_FILES = 2000
MOST_BYTES = 1_000_000_000
"""What an imported run may weigh, unpacked; the largest adapter folder of a full fine-tuning here is half of it."""

MOST_BYTES_OF_TEXT = 50_000_000
"""What one JSON, JSON-lines, text or vocabulary file may weigh."""

KNOWN = re.compile(
    r"""(config|meta|status|result)\.json | metrics\.jsonl | log\.txt | (predictions|units|spectrum)\.parquet
    | dynamics\.parquet/[\w-]{1,40}\.parquet
    | adapter/( (adapter_config|config|lab|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|generation_config
              |sentence_bert_config|modules)\.json
              | (adapter_model|model|head|trained)\.safetensors | README\.md | (vocab|merges)\.txt )""",
    re.VERBOSE,
)
"""Paths of the files that a run folder consists of, without checkpoints."""

_ENTRY = 46 + 600  # bytes of a table of contents per file, with a long name


def opened(source: Path | BinaryIO) -> zipfile.ZipFile:
    """The archive, after a look at how long its table of contents is: a million names would fill the memory."""
    if isinstance(source, (str, Path)):
        with open(source, "rb") as handle:
            _measure(handle)
    else:
        _measure(source)
        source.seek(0)
    return zipfile.ZipFile(source)


def _measure(handle: BinaryIO) -> None:
    size = handle.seek(0, os.SEEK_END)
    handle.seek(max(0, size - 65_557))
    tail = handle.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) < place + 22:
        raise refused("this is no .zip file", "upload a .zip that was made with Export")
    count, length = struct.unpack("<HI", tail[place + 10 : place + 16])
    larger = tail[max(0, place - 20) : place][:4] == b"PK\x06\x07"  # zip64 has a second table, which would be believed
    if larger or count > MOST_FILES or length > MOST_FILES * _ENTRY:
        raise refused(f"the .zip lists {count:,} files or more; allowed: {MOST_FILES:,}", "export one run at a time")


def unpack(archive: zipfile.ZipFile, place: Path) -> tuple[str, list[str]]:
    """Unpack the known files into a folder; returns the name of the folder around them ("" for none) and what was left out."""
    members = [info for info in archive.infolist() if not info.is_dir()]
    if len(members) > MOST_FILES:
        raise refused(f"the .zip holds {len(members):,} files; allowed: {MOST_FILES:,}", "export one run at a time")
    for info in members:
        _refuse_hostile(info)
    names = [info.filename for info in members]
    configs = [name for name in names if name == "config.json" or name.endswith("/config.json")]
    tops = {name.removesuffix("config.json").removesuffix("/") for name in configs if name.count("/") <= 1}
    tops = {top for top in tops if top != "adapter"}
    if len(tops) != 1:
        raise refused(
            f"the .zip holds {len(tops) or 'no'} run folder{'s' if len(tops) > 1 else ''} with a config.json; needed: one",
            "export one run, and upload that .zip",
        )
    top = tops.pop()
    ignored, left, seen = [], MOST_BYTES, set()
    for info in members:
        name = info.filename.removeprefix(f"{top}/") if top else info.filename
        if not KNOWN.fullmatch(name) or (top and not info.filename.startswith(f"{top}/")):
            ignored.append(info.filename[:100])
            continue
        if name in seen:
            raise refused(f"{name} is in the .zip twice", "export the run once more")
        seen.add(name)
        left -= _write(archive, info, place / name, left)
    return top, ignored


def _refuse_hostile(info: zipfile.ZipInfo) -> None:
    name = info.filename
    parts = re.split(r"[/\\]", info.orig_filename)
    if (
        name.startswith("/")
        or ".." in parts
        or "\\" in info.orig_filename
        or ":" in parts[0]
        or "\0" in info.orig_filename
    ):
        raise refused(
            f"the name {name[:80]!r} in the .zip leads out of its folder", "upload a .zip that was made with Export"
        )
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise refused(f"{name[:80]!r} in the .zip is a link or a device", "upload a .zip that was made with Export")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise refused("the .zip is packed in an unusual way", "upload a .zip that was made with Export")
    if info.flag_bits & 0x1:
        raise refused("the .zip is locked with a password", "unpack it and pack it again without one")


def _write(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Unpack one member and return its bytes; stops at the limit, whatever the .zip says about its size."""
    binary = target.suffix in (".parquet", ".safetensors")
    most = left if binary else min(left, MOST_BYTES_OF_TEXT)
    target.parent.mkdir(exist_ok=True)
    written = 0
    with archive.open(info) as packed, open(target, "xb") as handle:
        while block := packed.read(min(1 << 20, most - written + 1)):
            written += len(block)
            if written > most:
                raise refused(
                    f"{target.name} unpacks to more than {most / 1e6:,.0f} MB, which is all that is allowed",
                    "export the run without large files",
                )
            handle.write(block)
    return written


def refused(message: str, hint: str) -> LabError:
    """An upload that is not taken, with the next step."""
    return LabError(message, hint=hint, kind="data")
