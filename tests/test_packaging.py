"""What is declared fits together: pyproject.toml, environment.yml, constraints.txt, Makefile, package data."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from bidora.cli.doctor import PACKAGES, pinned_versions

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
CONDA_NAMES = {"pytorch": "torch", "python-kaleido": "kaleido", "playwright-python": "playwright"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*extras: str) -> dict[str, str]:
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    return {canonical(Requirement(line).name): str(Requirement(line).specifier) for line in lines}


def conda() -> dict[str, str]:
    """The lines of environment.yml's dependencies; the file is simple enough to be read without a YAML library."""
    text = (ROOT / "environment.yml").read_text(encoding="utf-8").split("dependencies:\n")[1]
    lines = re.findall(r"^  - ([\w.-]+)([<>=!~].*)?$", text, re.MULTILINE)
    return {canonical(CONDA_NAMES.get(name, name)): bounds for name, bounds in lines}


def test_conda_users_get_the_same_packages_with_the_same_bounds():
    named = conda()
    assert named.pop("python") == PROJECT["requires-python"]
    assert named.pop("pip") == ""
    assert named == declared("app", "notebooks", "test", "bench", "tagging", "generation")


def test_every_declared_package_is_pinned_within_its_bounds():
    pinned = {canonical(name): version for name, version in pinned_versions().items()}
    for name, bounds in declared(*EXTRAS).items():
        assert name in pinned, f"{name} is missing in constraints.txt"
        assert Version(pinned[name]) in Requirement(f"{name}{bounds}").specifier


def test_constraints_are_exact_sorted_and_name_no_place():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins == sorted(pins, key=lambda line: line.split("==")[0])
    assert len({canonical(line.split("==")[0]) for line in pins}) == len(pins)
    for line in pins:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line), line  # no build, no path, no address, no marker
    assert "bidora-lab" not in "".join(pins)


def test_name_script_licence_and_extras():
    assert PROJECT["name"] == "bidora-lab"
    assert PROJECT["license"] == "Apache-2.0"
    assert PROJECT["scripts"] == {"bidora": "bidora.__main__:main"}
    assert set(EXTRAS) == {"app", "notebooks", "test", "bench", "tagging", "generation", "dev"}
    assert "betty-ml" not in declared(*EXTRAS)  # pip 24.1 and newer refuse its metadata


def test_the_doctor_looks_at_all_core_packages():
    assert {canonical(name) for name in PACKAGES} == set(declared())


def test_make_shows_its_targets_by_default():
    done = subprocess.run(["make", "-s", "-C", str(ROOT)], capture_output=True, text=True, check=True)
    for target in ("test", "demo", "bench", "lint", "clean"):
        assert f"make {target} " in done.stdout
    assert "TORCH_INDEX_URL" in done.stdout


@pytest.mark.parametrize("index", ["", "https://example.org/cpu"])
def test_make_installs_torch_pinned_and_first(index, tmp_path):
    order = ["make", "-n", "-C", str(ROOT), "setup", f"VENV={tmp_path / 'venv'}", f"TORCH_INDEX_URL={index}"]
    lines = subprocess.run(order, capture_output=True, text=True, check=True).stdout.splitlines()
    installs = [line for line in lines if "pip" in line and " install " in line]
    assert installs[0].endswith(" torch")
    assert installs[1].endswith(" -e .")
    assert all("-c constraints.txt" in line for line in installs)
    assert (f"--index-url {index}" in installs[0]) == bool(index)
    assert "--index-url" not in installs[1]


def test_ci_runs_what_developers_run():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    commands = [line for line in script.read_text(encoding="utf-8").splitlines() if line.startswith("make")]
    assert commands == ["make test", "make test-notebooks"]


def test_files_beside_the_code_are_package_data():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"][
        "bidora"
    ]
    beside = [path.relative_to(ROOT / "bidora") for path in (ROOT / "bidora").rglob("*") if path.is_file()]
    beside = [path for path in beside if path.suffix not in (".py", ".pyc")]
    assert Path("py.typed") in beside
    for path in beside:
        assert any(path.match(pattern) for pattern in data), f"{path} would be missing in a wheel"
