"""Two browsers on the same runs: what one of them has deleted, moved or emptied is a sentence for the other, and no data is lost."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from run_folders import write_comparison, write_run

pytest.importorskip("streamlit", reason="the app's packages are not installed: pip install -e .[app]")

from bidora import queueing
from bidora.config import RunConfig
from bidora.runs import Run, list_runs, worker_identity
from bidora.runs.trash import deleted_runs, purge, restore


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "runs"


def visit(app, view="runs", **query):
    app.run()
    app.switch_page(f"views/{view}.py")
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception[0].stack_trace
    return app


def said(app, root: Path) -> str:
    """What stands in boxes of errors; where runs are kept on this machine never does."""
    assert not app.exception, app.exception[0].stack_trace
    words = " ".join(error.value for error in app.error).replace("\\", "").replace("\u2060", "")
    assert str(root) not in words
    return words


def test_undo_of_what_another_browser_has_removed_for_good_is_explained(app, root):
    made = write_comparison(root, (0, 1), methods="lora")
    visit(app)
    app.multiselect(key="runs-chosen").set_value([run.id for run in made]).run()
    app.button(key="delete-chosen").click().run()
    shutil.rmtree(root / ".trash" / made[0].id)
    app.button(key="undo").click().run()
    assert f"No run '{made[0].id}' in the trash" in said(app, root).replace("no run", "No run")
    assert [run.id for run in list_runs(root)] == [made[1].id], "the other one came back"


def test_restoring_what_another_browser_has_restored_is_explained(app, root):
    runs = write_comparison(root, (0, 1), methods="lora")
    for run in runs:
        run.delete()
    visit(app)
    app.toggle(key="trash-shown").set_value(True).run()
    app.multiselect(key="trash-ids").set_value([run.id for run in runs]).run()
    button = app.button(key="restore").click()
    restore(runs[0].id, root)
    button.run()
    said(app, root)
    assert {run.id for run in list_runs(root)} == {run.id for run in runs} and deleted_runs(root) == []


def test_of_several_runs_to_delete_one_began_to_work_and_the_others_can_be_undone(app, root, monkeypatch):
    runs = write_comparison(root, (0, 1, 2), methods="lora")
    visit(app)
    app.multiselect(key="runs-chosen").set_value([run.id for run in runs]).run()
    delete = Run.delete

    def began(run: Run) -> Path:
        if run.id == runs[1].id:
            run.update_status(state="running", **worker_identity(os.getpid()))
        return delete(run)

    monkeypatch.setattr(Run, "delete", began)
    app.button(key="delete-chosen").click().run()
    assert f"run {runs[1].id} is running" in said(app, root).replace("Run ", "run ")
    assert [run.id for run in list_runs(root)] == [runs[1].id]
    app.run()
    app.button(key="undo").click().run()
    assert len(list_runs(root)) == 3


def test_a_run_that_is_deleted_while_its_page_is_open_is_a_sentence(app, root):
    run = write_run(root, state="stopped")
    visit(app, run=run.id)
    Run(run.path).delete()
    app.button(key="resume").click().run()
    assert "No such run" in [title.value for title in app.title]
    assert run.id in said(app, root)
    assert not run.path.exists(), "nothing wrote into the old place"


def test_a_deleted_run_cannot_be_given_another_name(app, root):
    run = write_run(root)
    visit(app)
    app.multiselect(key="runs-chosen").set_value([run.id]).run()
    app.text_input(key=f"name-{run.id}").set_value("another")
    Run(run.path).delete()
    next(button for button in app.button if button.label == "Save").click().run()
    said(app, root)
    assert not run.path.exists() and deleted_runs(root)[0].name != "another"


def test_cancelling_a_run_that_has_just_started_is_explained(app, root):
    run = queueing.enqueue([RunConfig()], root)[0]
    queueing.pause(root)
    visit(app, "new_run")
    run.update_status(state="running", **worker_identity(os.getpid()))
    app.button(key=f"queue-cancel-{run.id}").click().run()
    assert "does not wait in the queue" in said(app, root)
    assert run.state == "running"


def test_undo_of_a_cancelled_run_that_somebody_deleted_is_explained(app, root):
    queueing.pause(root)
    run = queueing.enqueue([RunConfig()], root)[0]
    visit(app, "new_run")
    app.button(key=f"queue-cancel-{run.id}").click().run()
    Run(run.path).delete()
    purge(root, older_than_days=0)
    app.button(key="queue-undo").click().run()
    said(app, root)
    assert list_runs(root) == []


def test_a_run_folder_that_is_a_link_is_shown_and_not_thrown_away(app, root, tmp_path):
    run = write_run(root)
    elsewhere = tmp_path / "elsewhere"
    shutil.move(run.path, elsewhere)
    try:
        run.path.symlink_to(elsewhere)
    except OSError:
        pytest.skip("no links here")
    visit(app, run=run.id)
    app.button(key="delete").click().run()
    assert "is a link" in said(app, root)
    assert run.path.is_symlink() and (elsewhere / "config.json").is_file()
