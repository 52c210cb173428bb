"""Deleted runs: listed, moved back, purged; nothing else is touched."""

from __future__ import annotations

import os
import time

import pytest

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.runs import Run, list_runs
from bidora.runs.trash import deleted_runs, move_to_trash, purge, restore


def made(root, name="a run") -> Run:
    return Run.create(RunConfig(), root, name=name)


def age(path, days):
    then = time.time() - days * 86400
    os.utime(path, (then, then))


def test_the_trash_of_a_new_folder_is_empty(tmp_path):
    assert deleted_runs(tmp_path) == [] and deleted_runs(tmp_path / "nowhere") == []
    assert purge(tmp_path) == []


def test_a_deleted_run_is_listed_with_name_time_and_size_and_comes_back(tmp_path):
    run = made(tmp_path, "Versuch Größe 🧪")
    before = time.time()
    place = run.delete()
    (found,) = deleted_runs(tmp_path)
    assert (found.id, found.name, found.path) == (run.id, "Versuch Größe 🧪", place)
    assert found.when >= before - 1 and found.size > 500
    assert restore(found.id, tmp_path) == run.path
    assert [each.id for each in list_runs(tmp_path)] == [run.id]
    assert deleted_runs(tmp_path) == []


def test_the_last_deleted_comes_first(tmp_path):
    places = [made(tmp_path, str(n)).delete() for n in range(3)]
    for days, place in enumerate(places):
        age(place, 10 - days)
    assert [each.name for each in deleted_runs(tmp_path)] == ["2", "1", "0"]


def test_a_run_whose_id_is_taken_comes_back_under_a_new_one(tmp_path):
    run = made(tmp_path, "first")
    run.delete()
    run.path.mkdir()
    (run.path / "config.json").write_text("{}")
    place = restore(run.id, tmp_path)
    assert place != run.path and Run(place).meta["name"] == "first"
    assert len(list_runs(tmp_path)) == 2


def test_two_deleted_runs_of_one_id_both_come_back(tmp_path):
    run = made(tmp_path, "first")
    run.delete()
    run.path.mkdir()
    (run.path / "config.json").write_text("{}")
    Run(run.path).delete()
    for found in deleted_runs(tmp_path):
        restore(found.id, tmp_path)
    assert len(list_runs(tmp_path)) == 2


def test_a_corrupt_run_folder_can_be_thrown_away(tmp_path):
    broken = tmp_path / "20260101-000000-aaaa"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    move_to_trash(broken)
    assert not broken.exists()
    assert [each.id for each in deleted_runs(tmp_path)] == [broken.name]


@pytest.mark.parametrize("name", ["notes", ".trash", "20260101-000000-aaaa"])
def test_only_folders_of_runs_are_moved(tmp_path, name):
    if name == "notes":
        (tmp_path / name).mkdir()
    with pytest.raises(LabError, match="not the folder of a run"):
        move_to_trash(tmp_path / name)


@pytest.mark.parametrize(
    "name", ["../20260101-000000-aaaa", "/etc", "", "..", "20260101-000000-aaaa/../..", "zzz", "a\0b"]
)
def test_nothing_outside_the_trash_is_moved_back(tmp_path, name):
    made(tmp_path).delete()
    (tmp_path / "20260101-000000-aaaa").mkdir()
    with pytest.raises(LabError, match="in the trash"):
        restore(name, tmp_path)


def test_a_link_in_the_trash_is_neither_listed_nor_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("")
    trash = tmp_path / "runs" / ".trash"
    trash.mkdir(parents=True)
    (trash / "20260101-000000-aaaa").symlink_to(outside)
    assert deleted_runs(tmp_path / "runs") == []
    purge(tmp_path / "runs", older_than_days=0)
    assert (outside / "precious").exists()
    with pytest.raises(LabError):
        restore("20260101-000000-aaaa", tmp_path / "runs")


def test_purging_takes_what_is_old_and_leaves_the_rest(tmp_path):
    old, new = made(tmp_path, "old").delete(), made(tmp_path, "new").delete()
    keep = made(tmp_path, "kept")
    age(old, 31)
    (tmp_path / ".trash" / "notes.txt").write_text("mine")
    assert purge(tmp_path, older_than_days=30) == [old.name]
    assert new.exists() and not old.exists()
    assert purge(tmp_path, older_than_days=0) == [new.name]
    assert keep.path.exists() and (tmp_path / ".trash" / "notes.txt").exists()


@pytest.mark.parametrize("days", [-1, float("nan")])
def test_a_negative_age_is_refused(tmp_path, days):
    with pytest.raises(LabError, match="older_than_days"):
        purge(tmp_path, older_than_days=days)


def test_a_link_to_a_run_elsewhere_stays_where_it_is(tmp_path):
    elsewhere = made(tmp_path / "elsewhere").path
    link = tmp_path / elsewhere.name
    try:
        link.symlink_to(elsewhere)
    except OSError:
        pytest.skip("no links here")
    with pytest.raises(LabError, match="is a link"):
        Run(link).delete()
    assert link.is_symlink() and (elsewhere / "config.json").is_file() and deleted_runs(tmp_path) == []


def test_a_run_that_comes_back_while_the_trash_is_emptied_stays_whole(tmp_path, monkeypatch):
    """Of two browsers one empties the trash, the other brings a run back in the middle of it."""
    from bidora.runs import trash

    run = made(tmp_path)
    run.delete()
    removed, taken = trash.shutil.rmtree, []

    def slow(path, **options):
        with pytest.raises(LabError):
            restore(run.id, tmp_path)
        taken.append(path)
        removed(path, **options)

    monkeypatch.setattr(trash.shutil, "rmtree", slow)
    assert purge(tmp_path, older_than_days=0) == [run.id] and len(taken) == 1
    assert not any((tmp_path / ".trash").iterdir())


def test_a_run_that_came_back_before_the_trash_is_emptied_is_kept(tmp_path, monkeypatch):
    from bidora.runs import trash

    run = made(tmp_path)
    run.delete()
    found = deleted_runs(tmp_path)
    restore(run.id, tmp_path)
    monkeypatch.setattr(trash, "deleted_runs", lambda root: found)  # what was in the list a moment ago
    assert purge(tmp_path, older_than_days=0) == []
    assert (run.path / "config.json").is_file()


def test_a_run_that_is_being_started_is_not_deleted(tmp_path):
    """Whoever starts a run holds its lock until the run says that it is at work."""
    import threading

    from bidora.runs import worker_identity

    run, said = made(tmp_path), []

    def delete() -> None:
        try:
            Run(run.path).delete()
        except LabError as error:
            said.append(error.message)

    with run.locked():
        other = threading.Thread(target=delete)
        other.start()
        other.join(0.3)
        run.update_status(state="preparing", **worker_identity(os.getpid()))
    other.join(20)
    assert said == [f"run {run.id} is preparing"] and run.path.is_dir()
