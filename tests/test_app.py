"""The app as a whole: every view opens, nothing imports torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason="the app's packages are not installed: pip install -e .[app]")

ROOT = Path(__file__).resolve().parents[1]
VIEWS = sorted(path.name for path in (ROOT / "app" / "views").glob("*.py"))


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_opens_on_an_empty_machine(app, view):
    app.run()
    app.switch_page(f"views/{view}").run()
    assert not app.exception
    assert app.title, "a view begins with its title"


VISIT = """
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app/lab.py", default_timeout=60)
app.run()
for view in sys.argv[1:]:
    app.switch_page(f"views/{view}").run()
    assert not app.exception, (view, app.exception)
heavy = {"torch", "transformers", "peft", "accelerate", "datasets"} & {name.split(".")[0] for name in sys.modules}
assert not heavy, heavy
"""


def test_no_view_imports_torch():
    """With the recordings that come with the lab, in a process of its own."""
    finished = subprocess.run([sys.executable, "-c", VISIT, *VIEWS], cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr[-2000:]


@pytest.mark.parametrize("script", ["main", "lab"])
def test_the_scripts_run_outside_a_session(script):
    """Processes that are spawned from the app's own run them once more, without any session."""
    finished = subprocess.run([sys.executable, f"app/{script}.py"], cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr[-2000:]
