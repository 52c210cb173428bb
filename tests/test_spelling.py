"""Spelling of everything that people read: codespell, with the words it is to leave alone in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
READ = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "DECISIONS.md", "data/README.md", "notebooks", "app", "bidora"]


def codespell(*paths: str | Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("codespell_lib", reason="codespell is not installed: pip install -e .[test]")
    command = [sys.executable, "-m", "codespell_lib", "--toml", str(ROOT / "pyproject.toml"), *map(str, paths)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_texts_and_tutorials_are_spelt_right():
    found = codespell(*READ)
    assert found.returncode == 0, found.stdout + found.stderr


def test_a_mistake_would_be_found(tmp_path):
    (tmp_path / "text.md").write_text("The gradeint is recieved.", encoding="utf-8")
    assert "received" in codespell(tmp_path).stdout
