"""The list of runs: rows, search, order, damage; examples, settings and files of one run."""

from __future__ import annotations

import json
import math
import threading
import time

import pandas
import pytest
from run_folders import write_comparison, write_run

from bidora.analysis.described import environment_table, settings_of
from bidora.analysis.examples import examples_of, has_inputs
from bidora.analysis.overview import SORTS, chosen_rows, overview, row_of, sorted_rows
from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.runs import Run, worker_identity
from bidora.runs.contents import file_in, files_of, write_adapter
from bidora.runs.health import damage, unreadable_runs
from bidora.runs.labels import relabel
from bidora.runs.listing import run_folders
from bidora.runs.standing import has_checkpoint, log_lines, standing_of


@pytest.fixture
def rows(tmp_path):
    made = write_comparison(tmp_path, (0, 1), methods="lora bidora")
    made.append(write_run(tmp_path, "dora", 5, state="failed", task="peptides"))
    relabel(made[-1], name="Größe 🧬", tags="rot, blau", note="ein Versuch")
    return [row_of(run) for run in made]


def test_every_word_must_occur_somewhere(rows):
    assert [row.seed for row in chosen_rows(rows, text="GRÖSSE") + chosen_rows(rows, text="größe Blau")] == [5, 5]
    assert len(chosen_rows(rows, text="demo bidora")) == 2
    assert chosen_rows(rows, text="größe demo") == []
    assert len(chosen_rows(rows)) == 5


def test_lists_narrow_and_the_empty_list_takes_all(rows):
    assert len(chosen_rows(rows, method=["lora"])) == 2
    assert len(chosen_rows(rows, method=["lora", "dora"], task=["peptides"])) == 1
    assert len(chosen_rows(rows, state=["failed"])) == len(chosen_rows(rows, tag=["rot"])) == 1
    assert len(chosen_rows(rows, group=["demo"])) == 4


@pytest.mark.parametrize("by", SORTS)
def test_every_order_keeps_every_row(rows, by):
    assert sorted(row.id for row in sorted_rows(rows, by)) == sorted(row.id for row in rows)


def test_scores_come_highest_first_and_unfinished_last(rows):
    scores = [row.score for row in sorted_rows(rows, "score")]
    assert scores[:4] == sorted(scores[:4], reverse=True) and math.isnan(scores[4])
    assert [row.method for row in sorted_rows(rows, "task and method")] == ["dora", "lora", "lora", "bidora", "bidora"]


def test_the_table_has_a_line_for_each(rows):
    table = overview(rows, signs={"failed": "✖ failed"})
    assert len(table) == 5 and "✖ failed" in set(table["state"]) and "finished" in set(table["state"])
    assert overview([]).empty


def test_a_dead_worker_is_seen_in_a_row_that_was_kept(tmp_path):
    run = write_run(tmp_path, state="x")
    run.update_status(state="running", **worker_identity(__import__("os").getpid()))
    row = row_of(run)
    assert row.now.state == "running"
    row.status.update(process_start=1.0, process_ticks=None)  # type: ignore[attr-defined]
    assert row.now.state == "lost"


HOSTILE = [None, [], {}, "x", 3, -1, 1e308, True, ["\0" * 10], {"a": {"b": []}}, 10**400]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:12])
def test_strange_values_in_every_place_do_no_harm(tmp_path, value):
    run = write_run(tmp_path)
    names = {
        "meta.json": "name group tags note created recording imported data notes labels kind prediction device".split(),
        "status.json": "state step total eta_seconds phase pid process_start heartbeat host error".split(),
        "result.json": "primary scores cost baseline train_scores n_test kind dynamics".split(),
    }
    for file, keys in names.items():
        (run.path / file).write_text(json.dumps(dict.fromkeys(keys, value)))
    row = row_of(run)
    overview([row.now])
    chosen_rows([row], text="a", tag=["b"])
    for by in SORTS:
        sorted_rows([row, row], by)
    standing_of(run)
    damage(run)
    environment_table(run.meta)


def test_whats_damaged_is_named(tmp_path):
    run = write_run(tmp_path)
    assert damage(run) == [] and row_of(run).damaged == ()
    with open(run.path / "metrics.jsonl", "ab") as handle:
        handle.write(b'{"step": 41, "lo')
    (run.path / "meta.json").write_text("{")
    (run.path / "predictions.parquet").write_bytes(b"PAR1")
    (run.path / "result.json").unlink()
    words = " ".join(damage(run))
    for part in (
        "meta.json cannot be read",
        "result.json is missing",
        "Line 41 of metrics.jsonl",
        "predictions.parquet cannot",
    ):
        assert part in words
    assert row_of(run).damaged == ("meta.json", "result.json")
    assert "⚠" in overview([row_of(run)])["name"][0]


def test_a_line_that_is_being_written_is_no_damage(tmp_path):
    run = write_run(tmp_path, state="x")
    run.update_status(state="running", **worker_identity(__import__("os").getpid()))
    with open(run.path / "metrics.jsonl", "ab") as handle:
        handle.write(b'{"step": 41, "lo')
    assert damage(run) == []


def test_folders_that_are_no_runs_are_named_with_the_reason(tmp_path):
    good = write_run(tmp_path)
    for number, text in enumerate(('{"rank":', '{"rank": -4}', None)):
        folder = tmp_path / f"2026010{number + 1}-000000-aaaa"
        folder.mkdir()
        if text is not None:
            (folder / "config.json").write_text(text)
    (tmp_path / "20260104-000000-aaaa").write_text("a file")
    found = dict(unreadable_runs(tmp_path))
    assert len(found) == 4 and good.id not in found
    assert "rank=-4" in found["20260102-000000-aaaa"] and "no config.json" in found["20260103-000000-aaaa"]
    assert not any(str(tmp_path) in why for why in found.values())
    assert run_folders(tmp_path)[0].name == good.id


def test_two_hundred_runs_are_listed_quickly(tmp_path):
    for number in range(200):
        Run.create(RunConfig(seed=number), tmp_path)
    began = time.perf_counter()
    rows = [row_of(Run(path)) for path in run_folders(tmp_path)]
    overview(sorted_rows(chosen_rows(rows, text="seed"), "score"))
    took = time.perf_counter() - began
    print(f"200 runs read and sorted in {1000 * took:.0f} ms")
    assert len(rows) == 200 and took < 10  # a stall, not a budget: the budget is in the benchmark


# -- labels, standing, log, files -------------------------------------------------------------------------------


def test_words_are_changed_one_by_one_and_tags_added(tmp_path):
    run = write_run(tmp_path, group="g")
    relabel(run, name="  neu  ", tags="a, b ,a,,")
    relabel(run, more_tags="c,a")
    assert (run.meta["name"], run.meta["tags"], run.meta["group"]) == ("neu", ["a", "b", "c"], "g")
    relabel(run)
    relabel(run, group="", tags="")
    assert (run.meta["group"], run.meta["tags"]) == ("", [])


def test_tags_that_are_added_at_the_same_moment_are_both_kept(tmp_path):
    run = write_run(tmp_path)
    threads = [threading.Thread(target=relabel, args=(run,), kwargs={"more_tags": f"tag {i}"}) for i in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(run.meta["tags"]) == sorted(f"tag {i}" for i in range(12))


def test_recordings_and_overlong_words_are_refused(tmp_path):
    with pytest.raises(LabError, match="recording"):
        relabel(write_run(tmp_path, recorded=True), name="x")
    run = write_run(tmp_path)
    for changes in (dict(name="x" * 201), dict(tags="y" * 51), dict(note="z" * 5001)):
        with pytest.raises(LabError, match="allowed: up to"):
            relabel(run, **changes)


def test_a_run_stands_where_its_files_say(tmp_path):
    run = write_run(tmp_path, state="x")
    run.update_status(
        state="running",
        step=10,
        total=40,
        eta_seconds=12.5,
        phase="search",
        **worker_identity(__import__("os").getpid()),
    )
    standing = standing_of(run)
    assert (standing.state, standing.share, standing.left, standing.phase) == ("running", 0.25, 12.5, "search")
    assert standing.elapsed >= 0
    run.update_status(state="stopped")
    assert standing_of(run).left is None and standing_of(run).elapsed == pytest.approx(16.0)
    assert not has_checkpoint(run.path)
    (run.checkpoints_dir / "train" / "checkpoint-4").mkdir(parents=True)
    (run.checkpoints_dir / "train" / "checkpoint-4" / "complete").touch()
    assert has_checkpoint(run.path)


def test_lines_of_a_log_have_a_level():
    text = "train 1/4\nFutureWarning: old\nTraceback (most recent call last):\n  File x\n\nValueError: no\ntrain 2/4\nKilled"
    assert [level for level, _ in log_lines(text)] == ["info", "warning", *["error"] * 4, "info", "error"]
    assert log_lines("") == []


def test_files_are_listed_and_nothing_else_is_opened(tmp_path):
    run = write_run(tmp_path)
    (tmp_path / "secret").write_text("s")
    (run.path / "link.txt").symlink_to(tmp_path / "secret")
    (run.path / ".hidden").write_text("")
    paths = [each.path for each in files_of(run.path)]
    assert "config.json" in paths and "dynamics.parquet/0-00000040.parquet" in paths
    assert not {"link.txt", ".hidden", ".lock"} & set(paths)
    assert file_in(run.path, "config.json") == run.path / "config.json"
    for name in ("link.txt", "../secret", "/etc/passwd", "", ".hidden", "config.json/../../secret"):
        with pytest.raises(LabError, match="no file"):
            file_in(run.path, name)


def test_an_adapter_is_packed_with_its_folder_and_a_missing_one_is_told(tmp_path):
    import zipfile

    run = write_run(tmp_path)
    with pytest.raises(LabError, match="no adapter yet"):
        write_adapter(run.path, tmp_path / "a.zip")
    run.adapter_dir.mkdir()
    (run.adapter_dir / "adapter_config.json").write_text("{}")
    write_adapter(run.path, tmp_path / "a.zip")
    assert zipfile.ZipFile(tmp_path / "a.zip").namelist() == [f"{run.id}-adapter/adapter_config.json"]


# -- one run ----------------------------------------------------------------------------------------------------


def test_settings_are_parted_into_changed_and_default():
    changed, same = settings_of(RunConfig(rank=4, seed=1))
    assert list(changed["setting"]) == ["rank (r)", "seed"] and list(changed["default"]) == ["8", "0"]
    assert len(changed) + len(same) == len(RunConfig().to_dict()) - 1


PREDICTIONS = pandas.DataFrame(
    dict(
        id=list("abcd"),
        input=["one", "two", "three", "four"],
        target=["x", "x", "y", "y"],
        prediction=["x", "y", "y", "x"],
        probability=[0.6, 0.9, 0.8, 0.7],
        correct=[True, False, True, False],
    )
)


def test_the_worst_are_wrong_and_sure_the_best_right_and_sure():
    assert list(examples_of(PREDICTIONS, "worst")["id"]) == ["b", "d"]
    assert list(examples_of(PREDICTIONS, "best")["id"]) == ["c", "a"]
    assert sorted(examples_of(PREDICTIONS, "random")["id"]) == list("abcd")
    assert len(examples_of(PREDICTIONS, "random", count=2)) == 2
    assert list(examples_of(PREDICTIONS, "random")["id"]) == list(examples_of(PREDICTIONS, "random")["id"])


def test_regression_goes_by_distance_and_several_labels_by_wrong_ones():
    numbers = pandas.DataFrame(dict(id=list("abc"), target=[1.0, 2.0, 3.0], prediction=[1.1, 4.0, 3.0]))
    assert list(examples_of(numbers, "worst", count=2)["id"]) == ["b", "a"]
    assert list(examples_of(numbers, "best", count=1)["id"]) == ["c"]
    several = pandas.DataFrame(dict(id=list("abc"), target=["x, y", "x", ""], prediction=["x, y", "y, z", ""]))
    assert examples_of(several, "worst", kind="multilabel", count=1)["wrong_labels"].tolist() == [3]


def test_inputs_may_be_missing_and_tables_empty():
    assert has_inputs(PREDICTIONS) and not has_inputs(PREDICTIONS.drop(columns="input"))
    assert not has_inputs(PREDICTIONS.assign(input=""))
    assert "input" not in examples_of(PREDICTIONS.drop(columns="input"))
    assert examples_of(pandas.DataFrame()).empty
    assert examples_of(PREDICTIONS.drop(columns="target")).empty
