"""The lab in a real browser, from the form to plain PEFT: what people do, on real peptides and real weights."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile

import pytest

pytest.importorskip("streamlit", reason="the app's packages are not installed: pip install -e .[app]")
pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e .[test]")

from lab_in_browser import appears, needs_browser, needs_weights, offers, until
from playwright.sync_api import expect

from bidora.models import model_folder
from bidora.recordings import recordings
from bidora.runs import ACTIVE, list_runs

pytestmark = [pytest.mark.slow, pytest.mark.browser, needs_browser]

STEPS = 12
"""Of the search; as many of retraining follow."""

TRAINING = 600
"""Seconds for a run that takes twenty on an idle machine."""


def fill(page, role, name, text):
    """Type into a field and leave it, as a person does."""
    field = page.get_by_role(role, name=name, exact=True)
    field.fill(text)
    field.press("Enter")


def state_of(page, word):
    """The badge that names a run's state."""
    return page.locator(".stMarkdownBadge").filter(has_text=re.compile(rf"{word}$"))


def open_run(page, run):
    page.goto(f"runs?run={run.id}")
    appears(page.get_by_text(run.id))


# -- a run, from the form to plain PEFT -----------------------------------------------------------------------------


@pytest.mark.real
@needs_weights
def test_a_run_from_the_form_to_plain_peft(lab, visitor, tmp_path):
    """Two seeds of BiDoRA: the first through reload and restart to its adapter, the second stopped, resumed, ended, deleted."""
    page = visitor()
    first, second = started_from_the_form(page, lab)
    goes_on_without_page_and_server(page, lab, first)
    visitor.forgive()  # the page says that its server was away
    stopped_and_resumed(page, second, after=first)
    beside_a_recording(page, first)
    loads_in_plain_peft(page, first, tmp_path)
    deleted_and_brought_back(page, lab, second)


def started_from_the_form(page, lab):
    page.goto("new_run")
    for method in ("LoRA", "DoRA"):
        page.get_by_role("button", name=method, exact=True).click()
    offers(page, 2)
    fill(page, "spinbutton", "steps", str(STEPS))
    appears(page.get_by_text(f"{STEPS} steps of 8 examples"))
    offers(page, 2).click()
    page.get_by_role("link", name="Watch the first one").click()
    page.wait_for_url(re.compile(r"/runs\?run="))
    first, second = sorted(list_runs(lab.runs), key=lambda run: run.config.seed)
    assert page.url.endswith(first.id)
    assert (first.config.method, first.config.steps, first.config.seed) == ("bidora", STEPS, 0)
    appears(state_of(page, "(preparing|running)"))
    open_run(page, second)
    appears(state_of(page, "queued"))
    appears(page.get_by_text("Waits for its turn: next."))
    return first, second


def goes_on_without_page_and_server(page, lab, run):
    open_run(page, run)
    appears(
        state_of(page, "running"), seconds=TRAINING
    )  # a worker steps aside: on a busy machine it prepares for minutes
    appears(page.get_by_text(re.compile(rf"step [1-9]\d* of {2 * STEPS}")))
    page.reload()
    appears(page.get_by_text(run.id))
    worker = run.status["pid"]
    lab.kill()
    step = run.status["step"]
    assert run.state in ACTIVE, "the run was over before the server was killed; give it more steps"
    until(lambda: run.status["step"] != step or run.state == "finished", seconds=TRAINING)
    lab.start()
    assert run.state in (*ACTIVE, "finished") and run.status["pid"] == worker
    page.goto(page.url)
    appears(state_of(page, "finished"), seconds=TRAINING)
    assert run.state == "finished"
    for title in ("How fast does the loss fall?", "How does test accuracy develop?"):
        appears(page.get_by_role("heading", name=title))


def stopped_and_resumed(page, run, *, after):
    open_run(page, run)
    appears(
        state_of(page, "running"), seconds=TRAINING
    )  # a worker steps aside: on a busy machine it prepares for minutes
    assert after.state == "finished", "one at a time"
    page.get_by_role("button", name="Stop and keep").click()
    appears(state_of(page, "stopped"))
    step = run.status["step"]
    assert 0 < step < 2 * STEPS, "it was over before it was stopped; give it more steps"
    appears(page.get_by_text(f"Stopped at step {step} of {2 * STEPS}; everything is saved."))
    page.get_by_role("button", name="Resume").click()
    until(lambda: run.state == "running" and (run.status.get("step") or 0) > step, seconds=TRAINING)
    went = [each["step"] for each in run.records() if "loss" in each and each["phase"] == "search"]
    assert went == list(range(1, len(went) + 1)), "from where it was: no step twice, none left out"
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="End it now").click()
    appears(state_of(page, "stopped"))


def beside_a_recording(page, run):
    """By a deep link; the recording had more steps, which the page says."""
    recording = next(each for each in recordings() if (each.config.task, each.config.method) == ("peptides", "dora"))
    assert recording.config.seed == run.config.seed == 0
    page.goto(f"compare?runs={run.id},{recording.id}")
    appears(page.get_by_text("2 of 5 runs are taken"))
    appears(page.get_by_role("heading", name="How well does each method do on the test data?"))
    expect(page.get_by_text("belong to 2 tasks")).to_have_count(0)
    appears(page.get_by_text(re.compile(r"Is this comparison fair\? (?!Nothing)")))
    assert run.id in page.url and recording.id in page.url


PLAIN = """
import sys
from peft import PeftModel
from transformers import AutoModel
model = PeftModel.from_pretrained(AutoModel.from_pretrained(sys.argv[1]), sys.argv[2])
names = [name for name, _ in model.named_parameters() if "lora_magnitude_vector" in name]
assert names, "no magnitudes"
moved = [p.norm().item() for name, p in model.named_parameters() if "lora_B" in name]
assert min(moved) > 0, "B is zero: nothing was loaded"
assert "bidora" not in sys.modules
print(len(names), "magnitudes")
"""


def loads_in_plain_peft(page, run, folder):
    open_run(page, run)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download adapter").click()
    assert download.value.suggested_filename == f"{run.id}-adapter.zip"
    download.value.save_as(folder / "adapter.zip")
    with zipfile.ZipFile(folder / "adapter.zip") as archive:
        archive.extractall(folder / "adapter")
    base = model_folder("esm2")
    where = next(folder.glob("adapter/**/adapter_config.json")).parent
    told = subprocess.run(
        [sys.executable, "-c", PLAIN, base, str(where)],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0 and "magnitudes" in told.stdout, told.stderr[-2000:]


def deleted_and_brought_back(page, lab, run):
    open_run(page, run)
    page.get_by_role("button", name="Delete").click()
    appears(page.get_by_text("1 run moved to the trash."))
    assert run.id not in {each.id for each in list_runs(lab.runs)}
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("1 run moved to the trash.")).to_have_count(0)
    assert run.id in {each.id for each in list_runs(lab.runs)}
    open_run(page, run)
    appears(state_of(page, "stopped"))
