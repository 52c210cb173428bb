"""Fixtures for all tests: tiny models on disk, made-up data, an empty cache."""

from __future__ import annotations

import gc
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_configure() -> None:
    """Started in the background by a script, a process ignores Ctrl-C and so do its children; tests send it to theirs."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """The imported libraries stay; without them, the searches for garbage that training asks for take a tenth of their time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """`AppTest` leaves its script behind as `__main__`, and a process that is spawned later would run it first."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


@pytest.fixture
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs and cache of the test's own, and no network."""
    monkeypatch.setenv("BIDORA_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("BIDORA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BIDORA_OFFLINE", "1")
    monkeypatch.delenv("BIDORA_WHEELS", raising=False)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random two-layer BERT without a head (read by mean pooling)."""
    from tiny import save_tiny_model

    return save_tiny_model(tmp_path_factory.mktemp("models") / "tiny-bert")


@pytest.fixture(scope="session")
def tiny_roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random two-layer RoBERTa (read by its first token)."""
    from tiny import save_tiny_model

    return save_tiny_model(tmp_path_factory.mktemp("models") / "tiny-roberta", "roberta")


@pytest.fixture(scope="session")
def tiny_esm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random two-layer ESM-2 with rotary positions."""
    from tiny import save_tiny_model

    return save_tiny_model(tmp_path_factory.mktemp("models") / "tiny-esm", "esm")


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CSV of 120 made-up texts in two classes."""
    from tiny import write_table

    return write_table(tmp_path_factory.mktemp("data") / "table.csv")


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The lab on an empty folder of runs ($BIDORA_RUNS) and without recordings; `app.switch_page("views/runs.py").run()`."""
    pytest.importorskip("streamlit", reason="the app's packages are not installed: pip install -e .[app]")
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("BIDORA_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("BIDORA_RECORDINGS", str(tmp_path / "recordings"))
    return AppTest.from_file(str(Path(__file__).resolve().parents[1] / "app" / "lab.py"), default_timeout=30)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    """A server of the lab, with recordings and an empty folder of runs."""
    from lab_in_browser import Lab

    lab = Lab(tmp_path_factory.mktemp("lab"))
    lab.start()
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def chrome():
    """Chromium, without a window."""
    from lab_in_browser import ARGUMENTS, chromium
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def visitor(chrome, lab):
    """Makes visitors: a browser of their own each. Afterwards nothing may have left this machine, nothing complained.

    `visitor.forgive()` forgets complaints so far, such as those of pages whose server a test has killed.
    """
    from lab_in_browser import PATIENCE, Watch

    contexts, watches = [], []

    def another():
        context = chrome.new_context(viewport={"width": 1280, "height": 900}, base_url=lab.url, locale="en-GB")
        context.set_default_timeout(PATIENCE * 1000)
        contexts.append(context)
        watches.append(Watch(context))
        return context.new_page()

    another.forgive = lambda: [watch.complaints.clear() for watch in watches]
    yield another
    for context in contexts:
        context.close()
    assert not set().union(*(watch.outside for watch in watches)), "requests left this machine"
    assert not [each for watch in watches for each in watch.complaints], "errors in the browser's console"
    assert "Traceback" not in lab.log.read_text(encoding="utf-8")
