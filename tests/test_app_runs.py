"""View Runs: every state is reached with real folders; hostile addresses and damaged folders do no harm."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import visiting
from run_folders import write_comparison, write_run

pytest.importorskip("streamlit", reason="the app's packages are not installed: pip install -e .[app]")

from bidora import analysis, queueing
from bidora.runs import Run, list_runs, worker_identity
from bidora.runs.exchange import write_run as write_zip
from bidora.runs.trash import deleted_runs

TABS = ("Live", "Weights", "Two levels", "Samples", "Config", "Log", "Files")
PICTURES = ("Magnitude drift", "Direction drift", "m against m₀", "ΔM against ΔD", "Spectrum of ΔW")


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    yield process
    process.kill()
    process.wait()


def at_work(run: Run, process, state: str, **changes) -> Run:
    run.update_status(**{"state": state, "step": 10, "total": 80, **worker_identity(process.pid), **changes})
    return run


def visit(app, **query):
    """Open the view with a query string."""
    return visiting.visit(app, "runs", **query)


def words(app) -> str:
    """All that can be read on the page."""
    kinds = ("title", "markdown", "caption", "info", "warning", "error", "success", "code")
    return "\n".join(str(each.value) for kind in kinds for each in getattr(app, kind))


def buttons(app) -> set[str]:
    return {button.label for button in app.button} | {button.label for button in app.get("download_button")}


# -- the list ---------------------------------------------------------------------------------------------------


def test_an_empty_machine_says_what_to_do(app):
    visit(app)
    assert "There are no runs yet" in words(app)


def test_own_runs_and_recordings_are_listed_and_the_state_is_a_word(app, root, tmp_path):
    write_comparison(root, (0,), methods="lora bidora")
    write_run(tmp_path / "recordings", "dora", recorded=True)
    write_run(root, "full", state="failed")
    visit(app)
    table = app.dataframe[0].value
    assert len(table) == 4 and set(table["state"]) == {"✔ finished", "✖ failed"}
    assert set(table["origin"]) == {"own", "recording"}
    assert "3 runs of yours, 1 recording; nothing is running." in words(app)


def test_the_list_is_searched_filtered_and_put_in_order(app, root):
    write_comparison(root, (0, 1), methods="lora bidora")
    visit(app, q="bidora")
    assert set(app.dataframe[0].value["method"]) == {"BiDoRA"}
    visit(app)
    app.text_input(key="q").set_value("").run()
    app.multiselect(key="filter-method").set_value(["lora"]).run()
    assert set(app.dataframe[0].value["method"]) == {"LoRA"}
    app.multiselect(key="filter-method").set_value([]).run()
    app.selectbox(key="sort").set_value("score").run()
    scores = list(app.dataframe[0].value["score"])
    assert len(scores) == 4 and scores == sorted(scores, reverse=True)
    app.text_input(key="q").set_value("nothing like this").run()
    assert "No run fits" in words(app) and not app.exception


def test_fields_of_the_list_are_set_only_where_what_they_name_is_gone(app, root):
    """The page draws itself anew while a run is at work; a field that is set then forgets what is being typed into it."""
    kept, lost = write_comparison(root, (0,), methods="lora bidora")
    visit(app)
    app.multiselect(key="runs-chosen").set_value([kept.id, lost.id])
    app.multiselect(key="filter-method").set_value(["lora", "bidora"]).run()
    app.run()
    assert not [each.key for each in app.multiselect if each.proto.set_value]
    lost.delete()
    app.run()
    assert app.multiselect(key="runs-chosen").value == [kept.id]
    assert app.multiselect(key="filter-method").value == ["lora"]


@pytest.mark.parametrize("query", [{"q": "[*<script>"}, {"sort": "drop table"}, {"filter-task": "x"}, {"run": ""}])
def test_a_strange_address_of_the_list_does_no_harm(app, root, query):
    write_run(root)
    visit(app, **query)
    assert app.title[0].value == "Runs"


def test_chosen_runs_can_be_compared_opened_and_cloned(app, root):
    made = write_comparison(root, (0,), methods="lora bidora")
    visit(app)
    app.multiselect(key="runs-chosen").set_value([made[0].id]).run()
    links = {link.label: link for link in app.get("page_link")}
    assert made[0].id in str(links["Clone"].proto)
    assert "Open" in [each.label for each in app.button]  # on the page that is open: a link would leave the address
    app.multiselect(key="runs-chosen").set_value([run.id for run in made]).run()
    links = {link.label: link for link in app.get("page_link")}
    assert "Compare 2" in links and all(run.id in str(links["Compare 2"].proto) for run in made)


def test_several_runs_are_deleted_and_brought_back(app, root):
    made = write_comparison(root, (0, 1), methods="lora")
    keep = write_run(root, "dora")
    visit(app)
    app.multiselect(key="runs-chosen").set_value([run.id for run in made]).run()
    app.button(key="delete-chosen").click().run()
    assert [run.id for run in list_runs(root)] == [keep.id]
    assert "2 runs moved to the trash" in words(app)
    assert app.multiselect(key="runs-chosen").value == []
    app.button(key="undo").click().run()
    assert len(list_runs(root)) == 3 and deleted_runs(root) == [] and not app.exception


def test_the_trash_is_shown_restored_from_and_emptied(app, root):
    first, second = write_run(root, "lora"), write_run(root, "dora")
    first.delete()
    second.delete()
    visit(app)
    app.toggle(key="trash-shown").set_value(True).run()
    app.multiselect(key="trash-ids").set_value([first.id]).run()
    app.button(key="restore").click().run()
    assert [run.id for run in list_runs(root)] == [first.id]
    assert app.button(key="purge-all").disabled, "asks first"
    app.checkbox(key="trash-sure").check().run()
    app.button(key="purge-all").click().run()
    assert deleted_runs(root) == [] and not app.exception


def test_words_of_one_and_of_several_are_changed(app, root):
    made = write_comparison(root, (0, 1), methods="lora")
    visit(app)
    app.multiselect(key="runs-chosen").set_value([made[0].id]).run()
    mark = made[0].id
    app.text_input(key=f"name-{mark}").set_value("Größe 🧬 *bold*")
    app.text_input(key=f"tags-{mark}").set_value("a, b")
    app.text_area(key=f"note-{mark}").set_value("two\nlines")
    next(button for button in app.button if button.label == "Save").click().run()
    assert (made[0].meta["name"], made[0].meta["tags"], made[0].meta["note"]) == (
        "Größe 🧬 *bold*",
        ["a", "b"],
        "two\nlines",
    )
    app.multiselect(key="runs-chosen").set_value([run.id for run in made]).run()
    mark = "-".join(app.multiselect(key="runs-chosen").value)
    field = next(each for each in app.text_input if each.label == "Tags to add")
    field.set_value("c")
    next(button for button in app.button if button.label == "Save").click().run()
    assert [run.meta["tags"] for run in made] == [["a", "b", "c"], ["c"]]
    assert [run.meta["group"] for run in made] == ["demo", "demo"] and mark


def test_recordings_are_neither_changed_nor_deleted(app, root, tmp_path):
    recording = write_run(tmp_path / "recordings", recorded=True)
    visit(app)
    app.multiselect(key="runs-chosen").set_value([recording.id]).run()
    assert "cannot be changed or deleted" in words(app)
    assert not {"Save", "Delete"} & buttons(app)


def test_a_run_at_work_is_not_deleted(app, root, sleeper):
    run = at_work(write_run(root, state="x"), sleeper, "running")
    visit(app)
    app.multiselect(key="runs-chosen").set_value([run.id]).run()
    assert app.button(key="delete-chosen").disabled
    assert "1 run at work" in words(app)


def test_an_exported_run_is_imported_and_a_false_one_refused(app, root, tmp_path):
    other = write_run(tmp_path / "elsewhere", "bidora")
    buffer = io.BytesIO()
    write_zip(other.path, buffer)
    visit(app)
    app.file_uploader[0].upload("run.zip", buffer.getvalue(), "application/zip").run()
    assert not app.exception and "Imported" in words(app)
    assert [run.id for run in list_runs(root)] == [other.id]
    app.file_uploader[0].upload("run.zip", b"PK\x03\x04 no zip", "application/zip").run()
    assert not app.exception and "no .zip file" in words(app).replace("\\", "")
    assert len(list_runs(root)) == 1


def test_damaged_folders_are_named_and_can_be_put_away(app, root):
    write_run(root)
    for number, text in enumerate(('{"rank":', '{"rank": -4}', None)):
        folder = root / f"2026010{number + 1}-000000-aaaa"
        folder.mkdir()
        if text is not None:
            (folder / "config.json").write_text(text)
    visit(app)
    assert "20260101-000000-aaaa" in words(app).replace("\\", "") and len(app.dataframe[0].value) == 1
    app.multiselect(key="broken").set_value(["20260101-000000-aaaa"]).run()
    app.button(key="broken-away").click().run()
    assert not (root / "20260101-000000-aaaa").exists() and not app.exception


@pytest.mark.slow
def test_two_hundred_runs_stay_quick(app, root):
    first = write_run(root)
    for number in range(199):
        shutil.copytree(first.path, root / f"20260101-{number:06d}-{number:04x}")
    visit(app)
    began = time.perf_counter()
    app.run()
    print(f"200 runs drawn again in {1000 * (time.perf_counter() - began):.0f} ms")
    assert len(app.dataframe[0].value) == 200
    assert time.perf_counter() - began < 15  # a stall, not a budget: shared machines differ


# -- one run ----------------------------------------------------------------------------------------------------

HOSTILE = (
    *("../../etc", "/etc/passwd", "..", "a/b", "..\\x", "%2e%2e", "20260101-000000-ffff", "\0", "x" * 5000, "<script>"),
    *("[a](http://x)", "20260101-000000-aaaa\n"),
)


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: repr(name)[:20])
def test_an_id_that_is_none_is_explained_and_nothing_is_opened(app, root, name):
    write_run(root)
    write_run(root)
    visit(app, run=name)
    assert app.title[0].value == "No such run" and len(app.error) == 1


def test_a_run_outside_the_runs_folder_is_not_reached(app, root, tmp_path):
    write_run(root)
    outside = write_run(tmp_path / "private")
    visit(app, run=f"../private/{outside.id}")
    assert app.title[0].value == "No such run"
    visit(app, run=outside.id)
    assert app.title[0].value == "No such run"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "dora", "bidora", "full"])
def test_every_tab_of_a_finished_run_opens(app, root, method):
    run = write_run(root, method)
    for tab in TABS:
        visit(app, run=run.id, tab=tab)
        assert not app.error
    for picture in PICTURES:
        visit(app, run=run.id, tab="Weights", weights=picture)
        assert not app.error


def test_a_finished_run_says_how_it_ended_and_what_was_predicted(app, root):
    run = write_run(root, "bidora", accuracy=0.914)
    run.update_meta(
        name="Größe 🧬 <b>_x_</b>",
        prediction={"question": "How much?", "answer": "95 %", "metric": "accuracy", "low": 0.95},
    )
    visit(app, run=run.id)
    assert "91.4 %" in app.success[0].value and "less than you expected" in app.info[0].value
    assert app.title[0].value.replace("\\", "") == "Größe 🧬 <b>_x_</b>"
    assert {"Delete", "Download .zip"} <= buttons(app) and not {"Resume", "Stop and keep"} & buttons(app)


def test_the_adapter_is_offered_where_there_is_one(app, root):
    run = write_run(root)
    visit(app, run=run.id)
    assert "Download adapter" not in buttons(app)
    run.adapter_dir.mkdir()
    visit(app, run=run.id)
    assert "Download adapter" in buttons(app)


def test_a_queued_run_says_when_its_turn_is(app, root, sleeper):
    at_work(write_run(root, state="x"), sleeper, "running")
    waiting = queueing.put(write_run(root, "dora", state="queued"))
    made_only = write_run(root, "lora", 3, state="queued")
    visit(app, run=waiting.id)
    assert "next" in app.info[0].value and "1 run is at work" in app.info[0].value
    app.button(key="unqueue").click().run()
    assert waiting.state == "stopped" and not app.exception
    visit(app, run=made_only.id)
    assert "never started" in app.info[0].value and "Start" in buttons(app)


@pytest.mark.parametrize("state", ["preparing", "running", "stopping", "finalising"])
def test_a_run_at_work_shows_its_progress_and_can_be_ended(app, root, sleeper, state):
    run = at_work(write_run(root, "bidora", state="x"), sleeper, state, eta_seconds=33.0, phase="search")
    (run.path / "log.txt").write_text("reading data\n")
    visit(app, run=run.id)
    shown = words(app) + str([each.proto for each in app.get("progress")])
    assert {
        "preparing": "reading data",
        "running": "33 s left",
        "stopping": "saves and stops",
        "finalising": "testing",
    }[state] in shown
    assert "Delete" not in buttons(app) and "End it now" in buttons(app)
    assert ("Stop and keep" in buttons(app)) == (state in ("preparing", "running"))


def test_time_left_is_told_once_it_is_known(app, root, sleeper):
    run = at_work(write_run(root, state="x"), sleeper, "running", eta_seconds=None)
    visit(app, run=run.id)
    assert "after 5 steps" in str([each.proto for each in app.get("progress")])


@pytest.mark.parametrize("state", ["preparing", "running"])
def test_stop_and_keep_asks_the_worker_and_says_so(app, root, sleeper, state):
    run = at_work(write_run(root, state="x"), sleeper, state, eta_seconds=33.0)
    visit(app, run=run.id)
    assert not app.button(key="stop").disabled
    app.button(key="stop").click().run()
    assert run.stop_requested() and sleeper.poll() is None and not app.exception
    assert app.button(key="stop").disabled
    shown = words(app) + str([each.proto for each in app.get("progress")])
    assert "saves and stops after" in shown and "33 s left" not in shown


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX systems")
def test_cancel_ends_the_process(app, root, sleeper):
    run = at_work(write_run(root, state="x"), sleeper, "running")
    visit(app, run=run.id)
    app.button(key="cancel").click().run()
    assert sleeper.wait(10) is not None
    visit(app, run=run.id)
    assert "Interrupted at step 10 of 80" in app.error[0].value and "Resume" in buttons(app)


def test_charts_stand_still_while_asked_to(app, root, sleeper):
    run = at_work(write_run(root, state="x"), sleeper, "running")
    visit(app, run=run.id)

    def points():
        return [str(chart.proto.spec) for chart in app.get("plotly_chart")]

    before = points()
    app.toggle(key="hold").set_value(True).run()
    run.append_metrics({"phase": "train", "phase_index": 0, "step": 41, "loss": 9.0, "seconds": 20})
    app.run()
    assert points() == before
    app.toggle(key="hold").set_value(False).run()
    assert points() != before and not app.exception


def test_numbers_that_are_written_while_they_are_read_are_drawn_at_the_next_look(app, root, sleeper, monkeypatch):
    run = at_work(write_run(root, state="x"), sleeper, "running")

    def curves(runs):
        table = analysis.curves(runs)
        if not written:
            written.append({"phase": "train", "phase_index": 0, "step": 41, "loss": 9.0, "seconds": 20})
            run.append_metrics(written[0])
        return table

    written: list[dict] = []
    monkeypatch.setattr("app.run_details.live.curves", curves)
    visit(app, run=run.id)
    before = [str(chart.proto.spec) for chart in app.get("plotly_chart")]
    app.run()
    assert written and [str(chart.proto.spec) for chart in app.get("plotly_chart")] != before


def test_without_new_numbers_a_chart_is_the_same_chart(app, root, sleeper):
    """Streamlit hashes the figure into its identity; an equal one keeps its zoom."""
    run = at_work(write_run(root, "bidora", state="x"), sleeper, "running")
    visit(app, run=run.id)
    before = [chart.proto.id for chart in app.get("plotly_chart")]
    run.update_status(step=11)
    app.run()
    assert len(before) == 3 and [chart.proto.id for chart in app.get("plotly_chart")] == before


def test_nothing_polls_unless_a_run_is_at_work(app, root, sleeper):
    from app.run_details.page import is_watched

    finished, waiting = write_run(root), queueing.put(write_run(root, state="queued"))
    assert not is_watched(finished) and not is_watched(waiting)
    running = at_work(write_run(root, state="x"), sleeper, "running")
    assert is_watched(running) and is_watched(waiting)
    sleeper.kill()
    sleeper.wait()
    assert not is_watched(running) and not is_watched(waiting)


def test_a_stopped_run_can_go_on(app, root, monkeypatch):
    started = []
    monkeypatch.setattr("app.run_details.actions.start_next", started.append)
    run = write_run(root, state="stopped")
    run.update_status(step=17, total=40)
    visit(app, run=run.id)
    assert "no checkpoint in the folder" in app.info[0].value
    (run.checkpoints_dir / "train" / "checkpoint-16").mkdir(parents=True)
    (run.checkpoints_dir / "train" / "checkpoint-16" / "complete").touch()
    visit(app, run=run.id)
    assert "step 17 of 40; everything is saved" in app.info[0].value
    app.button(key="resume").click().run()
    assert run.state == "queued" and started == [root] and not app.exception


def test_a_failed_run_tells_the_cause_and_starts_its_repair(app, root, monkeypatch):
    monkeypatch.setattr("app.run_details.failure.start_next", lambda root: [])
    run = write_run(root, state="failed", learning_rate=0.5)
    error = {"kind": "diverged", "message": "loss=nan at step 12", "hint": "lower the learning rate"}
    run.update_status(step=12, total=40, error=error)
    (run.path / "log.txt").write_text("\n".join(f"line {n}" for n in range(60)))
    visit(app, run=run.id)
    assert "diverged" in app.error[0].value and "What to do" in app.error[0].value
    assert "line 59" in words(app) and "line 19\n" not in words(app)
    app.button(key="remedy-0").click().run()
    assert not app.exception
    clone = next(each for each in list_runs(root) if each.id != run.id)
    assert clone.config == run.config.replace(learning_rate=0.05)
    assert clone.meta["cloned_from"] == run.id and clone.state == "queued"


def test_a_lost_run_says_where_it_was_interrupted(app, root):
    run = write_run(root, state="x")
    run.update_status(state="running", step=87, total=200, pid=2**22 + 1, process_start=1.0)
    visit(app, run=run.id)
    assert "Interrupted at step 87 of 200" in app.error[0].value and "Resume" in buttons(app)


def test_a_recording_is_read_only_and_says_why_inputs_are_missing(app, root, tmp_path):
    run = write_run(tmp_path / "recordings", "bidora", recorded=True)
    visit(app, run=run.id, tab="Samples")
    assert not {"Delete", "Resume", "Save"} & buttons(app)
    assert "2 cores" in words(app) and "may not be passed on" in words(app)
    assert "Clone" in {link.label for link in app.get("page_link")}


def test_deleting_a_run_leads_back_to_the_list_with_undo(app, root):
    run = write_run(root)
    visit(app, run=run.id)
    app.button(key="delete").click().run()
    assert not app.exception and not run.path.exists()
    assert "moved to the trash" in words(app)


@pytest.mark.slow
@pytest.mark.parametrize(
    "missing", ["meta.json", "status.json", "result.json", "metrics.jsonl", "dynamics.parquet", "predictions.parquet"]
)
@pytest.mark.parametrize("how", ["gone", "corrupt"])
def test_a_damaged_run_opens_in_every_tab_and_is_named(app, root, missing, how):
    run = write_run(root, "bidora")
    path = run.path / missing
    if path.is_dir():
        shutil.rmtree(path)
        if how == "corrupt":
            path.mkdir()
            (path / "0-00000040.parquet").write_bytes(b"PAR1 nothing")
    elif how == "gone":
        path.unlink()
    else:
        path.write_bytes(b'{"step": 2, "lo\x00\xff')
    for tab in TABS:
        visit(app, run=run.id, tab=tab)
    if not (how == "gone" and missing in ("dynamics.parquet", "predictions.parquet")):
        assert missing in (words(app)).replace("\\", "")


@pytest.mark.slow
def test_two_levels_are_a_sentence_for_methods_with_one(app, root):
    visit(app, run=write_run(root, "lora").id, tab="Two levels")
    assert "one level" in app.info[0].value or "one level" in words(app)
    assert not app.get("plotly_chart")
    visit(app, run=write_run(root, "dora").id, tab="Two levels")
    assert len(app.get("plotly_chart")) == 1
    visit(app, run=write_run(root, "bidora").id, tab="Two levels")
    assert len(app.get("plotly_chart")) == 2


@pytest.mark.parametrize("method", ["bidora", "bilora"])
def test_two_levels_of_a_run_that_has_just_begun_come_later(app, root, sleeper, method):
    run = at_work(write_run(root, method, state="x"), sleeper, "running")
    (run.path / "metrics.jsonl").unlink()
    visit(app, run=run.id, tab="Two levels")
    assert "first values come after a few steps" in app.info[0].value
    run.update_status(state="failed")
    visit(app, run=run.id, tab="Two levels")
    assert "the run ended before" in app.info[0].value


def test_settings_that_differ_come_first_with_command_and_cell(app, root):
    run = write_run(root, "bidora", rank=4)
    visit(app, run=run.id, tab="Config")
    assert "rank (r)" in list(app.dataframe[0].value["setting"])
    assert "--rank 4" in words(app) and "RunConfig(" in words(app) and "reuters test" in str(app.dataframe[2].value)


def test_the_log_tells_errors_from_the_rest(app, root):
    run = write_run(root)
    (run.path / "log.txt").write_text("fine\nUserWarning: hm\nError: no\n")
    visit(app, run=run.id, tab="Log")
    assert "E Error: no" in words(app) and "W UserWarning" in words(app)
    app.toggle(key="log-only").set_value(True).run()
    assert "fine" not in words(app)


def test_every_file_can_be_chosen_for_download(app, root):
    run = write_run(root)
    visit(app, run=run.id, tab="Files")
    assert {"config.json", "metrics.jsonl"} <= set(app.selectbox(key="file").options)


@pytest.mark.slow
def test_pages_do_not_touch_what_they_show(app, root):
    run = write_run(root, "bidora")
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    for tab in TABS:
        visit(app, run=run.id, tab=tab)
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before
    assert os.listdir(root) == [run.id]


def test_the_error_of_a_missing_run_names_no_folder_of_the_machine(app, root):
    visit(app, run="20260101-000000-aaaa")
    assert "20260101-000000-aaaa" in app.error[0].value.replace("\\", "")
    assert str(root.parent) not in app.error[0].value.replace("\\", "")


def test_a_click_in_a_table_of_before_opens_nothing(monkeypatch):
    """With "back" the browser sends the selection of the table that opened the run once more."""
    import streamlit as st

    from app.run_list import table

    click = {"selection": {"rows": [], "cells": [(0, "name")]}}
    state = {"runs-generation": 1, "runs-table-x-0": click, "runs-table-x-1": click}
    monkeypatch.setattr(st, "session_state", state)
    table._selected("runs-table-x-0", ["a"])
    assert table.OPEN not in state
    table._selected("runs-table-x-1", ["a"])
    assert state[table.OPEN] == "a" and state["runs-generation"] == 2
