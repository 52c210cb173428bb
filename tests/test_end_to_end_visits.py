"""The lab in a real browser: keyboard only, lesson links, own tables, several visitors at once."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

pytest.importorskip("streamlit", reason="the app's packages are not installed: pip install -e .[app]")
pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e .[test]")

from lab_in_browser import PATIENCE, appears, needs_browser, needs_weights, offers, until
from playwright.sync_api import expect
from run_folders import write_run
from tiny import write_table

from bidora.methods import METHODS
from bidora.recordings import recordings
from bidora.runs import list_runs, worker_identity

pytestmark = [pytest.mark.slow, pytest.mark.browser, needs_browser]


# -- keyboard only --------------------------------------------------------------------------------------------------


def tab_to(page, target, *, most=80):
    """Press Tab until the target has the focus, and can be seen to have it."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if target.count() == 1 and target.evaluate("each => each === document.activeElement"):
            expect(target).to_be_visible()
            return
    raise AssertionError(f"{target} cannot be reached by keyboard")


def typed(page, field, text):
    """Replace what is in a field."""
    tab_to(page, field)
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(text)
    page.keyboard.press("Enter")


@pytest.mark.real
@needs_weights
def test_a_run_is_started_and_ended_without_a_mouse(lab, visitor):
    page = visitor()
    page.goto("new_run")
    offers(page, 6)
    tab_to(page, page.get_by_role("button", name="LoRA", exact=True))
    page.keyboard.press("Space")
    offers(page, 4)
    for _ in range(list(METHODS).index("dora")):
        page.keyboard.press("ArrowRight")  # one stop for the Tab key, as toolbars have
    page.keyboard.press("Space")
    offers(page, 2)
    typed(page, page.get_by_role("textbox", name="Seeds", exact=True), "3")
    offers(page, 1)
    typed(page, page.get_by_role("spinbutton", name="examples per class", exact=True), "8")
    typed(page, page.get_by_role("spinbutton", name="steps", exact=True), "500")
    appears(page.get_by_text("500 steps of 8 examples"))
    tab_to(page, offers(page, 1))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name="Watch the first one"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/runs\?run="))
    (run,) = list_runs(lab.runs)
    chosen = run.config
    assert (chosen.method, chosen.seed, chosen.steps, chosen.examples_per_class) == ("bidora", 3, 500, 8)
    appears(page.get_by_text(run.id))
    tab_to(page, page.get_by_role("button", name="Cancel", exact=True))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("button", name="End it now"))
    page.keyboard.press("Space")
    until(lambda: run.state in ("stopped", "lost", "failed"))
    appears(page.get_by_role("button", name="Resume"))


# -- lesson links ---------------------------------------------------------------------------------------------------


def test_a_lesson_link_locks_hides_and_asks(visitor):
    page = visitor()
    page.goto(
        "new_run?method=dora&rank=4&seed=3&lock=rank&hide=alpha,queue,code"
        "&question=Which is higher? ![x](http://192.0.2.1/x.png)"
    )
    offers(page, 1)
    rank = page.get_by_role("spinbutton", name="rank r")
    expect(rank).to_have_value("4")
    expect(rank).to_be_disabled()
    expect(page.get_by_role("textbox", name="Seeds")).to_have_value("3")
    page.get_by_text("Adapter", exact=True).click()
    appears(page.get_by_role("spinbutton", name=re.compile("^dropout")))
    expect(page.get_by_role("spinbutton", name=re.compile("^alpha"))).to_have_count(0)
    expect(page.get_by_role("heading", name="Queue")).to_have_count(0)
    appears(page.get_by_text("Which is higher? ![x]"))


def test_a_lesson_link_into_a_sandbox(visitor):
    page = visitor()
    page.goto("two_levels?xi=0.3&lower_steps=4&lock=xi&hide=outer_rate&question=What does ξ do?")
    appears(page.get_by_text("What does ξ do?"))
    appears(page.get_by_text("Fixed for this lesson: ξ: 0.3"))
    page.get_by_role("button", name="Show without predicting").click()
    expect(page.get_by_role("slider", name=re.compile("^Lower steps per"))).to_have_value("4")
    for name in ("ξ", "Outer rate"):
        expect(page.get_by_role("slider", name=re.compile(rf"^{name}"))).to_have_count(0)


# -- while a run is at work -----------------------------------------------------------------------------------------


def test_what_is_typed_stays_while_a_run_is_at_work(lab, visitor):
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    run = write_run(lab.runs, "bidora", state="queued")
    run.update_status(state="running", step=10, total=80, **worker_identity(worker.pid))
    try:
        page = visitor()
        page.goto("runs")
        appears(page.get_by_text("1 run at work"))
        field = page.get_by_role("combobox", name="Chosen runs")
        field.press_sequentially(run.id)
        page.wait_for_timeout(3 * 2000)  # the list is drawn anew every two seconds
        expect(field).to_have_value(run.id)
        field.press("Enter")
        field.press("Escape")  # an open list hides the rest of the page from screen readers
        appears(page.get_by_role("button", name="Export"))  # is offered for a single run
    finally:
        worker.kill()
        worker.wait()
        run.delete()


# -- own tables -----------------------------------------------------------------------------------------------------


def test_columns_of_an_uploaded_table(lab, visitor, tmp_path):
    table = write_table(tmp_path / "mine & yours.csv", rows=60)
    page = visitor()
    page.goto("new_run?task=csv")
    appears(page.get_by_text("Nothing is chosen yet."))
    page.locator("input[type=file]").set_input_files(table)
    appears(page.get_by_text(re.compile(r"mine.*60 rows\. The first ones:")))
    page.get_by_role("combobox", name="input column").click()
    for column in ("text", "label"):
        appears(page.get_by_role("option", name=column, exact=True))
    page.get_by_role("option", name="text", exact=True).click()
    assert [each.read_bytes() for each in lab.runs.rglob("*.csv")] == [table.read_bytes()], "kept as it was sent"


# -- several visitors -----------------------------------------------------------------------------------------------


def test_a_vote_with_a_teacher_and_two_students(visitor):
    teacher = visitor()
    teacher.goto("classroom?tab=votes")
    teacher.get_by_role("textbox", name="Question").fill("Which is higher?")
    teacher.get_by_role("textbox", name="Options, one a line").fill("DoRA\nBiDoRA\nneither")
    teacher.get_by_role("button", name="Open the vote").click()
    teacher.wait_for_url(re.compile("vote="))
    code = teacher.url.rpartition("vote=")[2]
    students = [visitor(), visitor()]
    for student, choice in zip(students, ("BiDoRA", "neither")):
        student.goto(f"classroom?vote={code.lower()}")
        expect(student.get_by_role("button", name="Reveal the result")).to_have_count(0)
        student.get_by_text(choice, exact=False).first.click()
        student.get_by_role("button", name="Vote", exact=True).click()
        appears(student.get_by_text("Your vote is in"))
    expect(teacher.get_by_test_id("stMetricValue")).to_have_text("2", timeout=PATIENCE * 1000)
    teacher.get_by_role("button", name="Close the vote").click()
    appears(teacher.get_by_role("button", name="Open again"))
    again = students[0].get_by_role("button", name="Look again")
    appears(again)
    teacher.get_by_role("button", name="Reveal the result").click()
    appears(teacher.get_by_test_id("stPlotlyChart"))
    again.click()
    appears(students[0].get_by_test_id("stPlotlyChart"))
    students[1].reload()
    appears(students[1].get_by_text("Your vote is in"))
    expect(students[1].get_by_role("button", name="Vote", exact=True)).to_have_count(0)


# -- the first page -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_comparison_is_there_before_the_lab_and_makes_way_for_it(lab, chrome, scheme):
    page = chrome.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 900}).new_page()
    page.route("**/static/js/index.*.js", lambda route: (page.wait_for_timeout(1500), route.continue_()))
    page.goto(lab.url, wait_until="commit")
    still = page.locator("#first-view")
    expect(still.get_by_text("Each method against")).to_be_visible()
    drawn = still.locator(f".still-{scheme} img.wide")
    expect(drawn).to_be_visible()
    expect(page.locator("#root h1")).to_have_count(0)  # Streamlit's code is not there yet
    place = drawn.bounding_box()
    picture = page.locator("#root .still img.wide")
    picture.wait_for()
    expect(still).to_have_count(0)
    now = picture.bounding_box()
    assert abs(now["x"] - place["x"]) < 8 and abs(now["y"] - place["y"]) < 8, (place, now)
    page.get_by_role("link", name="Decompose a weight").click()
    expect(page.get_by_role("heading", name="Decompose", level=1)).to_be_visible()
    page.context.close()


@pytest.mark.parametrize(("width", "shown"), [(1280, "wide"), (800, "narrow"), (400, "narrow")])
def test_the_first_picture_fits_its_page(lab, chrome, width, shown):
    page = chrome.new_context(viewport={"width": width, "height": 800}).new_page()
    page.route("**/static/js/index.*.js", lambda route: (page.wait_for_timeout(1500), route.continue_()))
    page.goto(lab.url, wait_until="commit")
    for part in ("#first-view .still-light", "#root"):
        picture = page.locator(f"{part} .still img").filter(visible=True)
        expect(picture).to_have_count(1, timeout=PATIENCE * 1000)
        expect(picture).to_have_class(shown)
        drawn = picture.evaluate("each => each.getBoundingClientRect().width / each.naturalWidth")
        assert 0.8 < drawn <= 1, "letters of 13 pixels stay legible"
    door = page.get_by_role("link", name="Decompose a weight")
    expect(door).to_be_visible()
    assert door.bounding_box()["height"] < 45, "its words stand in one line"
    page.context.close()


def test_a_slide_after_the_projector_was_opened_by_its_button(visitor):
    """The address must follow, or the next slide leads back to the notes, in front of the class."""
    page = visitor()
    page.goto("classroom?lesson=two-levels")
    page.get_by_role("button", name="Projector", exact=True).click()
    expect(page).to_have_url(re.compile("project=1"))
    appears(page.get_by_text("1 of"))
    page.locator(".st-key-next button").click()
    appears(page.get_by_text("2 of"))
    expect(page).to_have_url(re.compile("slide=2"))
    assert "project=1" in page.url
    page.get_by_role("button", name="Leave", exact=True).click()
    appears(page.get_by_role("heading", name="Closing question"))
    assert "project" not in page.url and "slide" not in page.url


def test_slides_with_numbers_fit_on_a_wall_or_are_scrolled_by_keys(visitor):
    page = visitor()
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto("classroom?lesson=slope-and-correlation&project=1&slide=5")
    appears(page.locator(".stPlotlyChart .main-svg"))
    bar = page.locator(".st-key-projector-buttons").bounding_box()["y"]
    lowest = page.get_by_text("Numbers from recorded runs")
    until(lambda: lowest.bounding_box()["y"] + 20 < bar)
    assert page.locator(".stPlotlyChart").bounding_box()["height"] > 300
    page.set_viewport_size({"width": 1280, "height": 400})
    until(lambda: page.evaluate("document.documentElement.scrollHeight > innerHeight"))
    for key in ("PageDown", "End", "Space"):
        page.keyboard.press("Home")
        until(lambda: page.evaluate("scrollY") == 0)
        page.keyboard.press(key)
        until(lambda: page.evaluate("scrollY") > 0)
    page.set_viewport_size({"width": 1280, "height": 720})
    for place in (6, 7, 8):
        page.keyboard.press("ArrowRight")
        appears(page.get_by_text(f"{place} of 12"))
    until(lambda: lowest.bounding_box()["y"] + 20 < bar)
    appears(page.get_by_text("Numbers from recorded runs of this lab · 2 of 2"))
    page.keyboard.press("ArrowLeft")
    appears(page.get_by_text("7 of 12"))


def test_the_way_back_from_a_run_leaves_nothing_in_the_address(visitor):
    page = visitor()
    page.goto(f"runs?run={recordings()[0].id}")
    page.get_by_role("button", name="All runs", exact=True).click()
    appears(page.get_by_role("heading", name="Runs", level=1))
    until(lambda: "run=" not in page.url)
