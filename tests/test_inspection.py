"""The analysis as a process: same numbers as in this one, progress, cancel, time limit, results by content."""

import ast
import shlex
import shutil
import time
from dataclasses import replace

import pytest
from test_sources import write_adapter, write_base

from bidora import sources
from bidora.errors import LabError
from bidora.inspection import Inspection, command, key_of, notebook_cell, process, statistics_table, what_can_be_said
from bidora.inspection.result import Result
from bidora.statistics import fit_dynamics


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch):
    monkeypatch.setattr(process, "_RESULTS", type(process._RESULTS)())


@pytest.fixture
def pair(tmp_path):
    return tuple(
        sources.of_path(str(make(tmp_path / name))) for make, name in ((write_base, "base"), (write_adapter, "adapter"))
    )


def finished(inspection: Inspection, seconds: float = 120) -> Inspection:
    assert inspection.wait(seconds), inspection.progress()
    return inspection


@pytest.mark.slow
def test_the_process_gives_what_dynamics_of_gives(pair, tmp_path, monkeypatch):
    from bidora.weights import dynamics_of

    monkeypatch.setattr(process.tempfile, "tempdir", str(tmp_path))  # where no other test leaves anything
    before, after = pair
    inspection = finished(Inspection(before, after))
    assert inspection.error is None
    for axis in ("output", "input"):
        expected = dynamics_of(before.argument, after.argument, axis=axis)
        found = inspection.result.points(axis)
        for column in ("delta_m", "delta_d", "layer", "module"):
            assert found[column].tolist() == expected[column].tolist()
    assert inspection.progress()[0] == 1.0
    assert finished(Inspection(before, after), 0).result is not None, "the second time it is remembered"
    assert not list(tmp_path.glob("bidora-inspection-*/out.txt"))


@pytest.mark.slow
def test_an_error_of_the_process_names_the_title_and_not_the_place(tmp_path):
    before = sources.of_path(str(write_base(tmp_path / "secret-place" / "base", layers=2)))
    after = sources.of_path(str(write_adapter(tmp_path / "secret-place" / "adapter", layers=3)))
    before, after = replace(before, title="my base"), replace(after, title="my adapter")
    inspection = finished(Inspection(before, after))
    assert inspection.result is None
    assert "is missing in my base" in inspection.error.message
    assert inspection.error.hint
    assert "secret-place" not in str(inspection.error)


SLEEPER = "import sys, time; print('output axis: one', file=sys.stderr, flush=True); time.sleep(60)"


@pytest.fixture
def sleeping(monkeypatch):
    """The child only sleeps."""
    real = process.subprocess.Popen
    started = []

    def start(words, **options):
        started.append(real([words[0], "-c", SLEEPER], **options))
        return started[-1]

    monkeypatch.setattr(process.subprocess, "Popen", start)
    yield started
    for child in started:
        child.kill()


def test_cancelling_ends_the_process(pair, sleeping):
    inspection = Inspection(*pair)
    while inspection.progress()[0] == 0:
        time.sleep(0.02)
    share, words = inspection.progress()
    assert share == pytest.approx(1 / 8)
    assert "s left" in words
    inspection.cancel()
    assert "cancelled" in finished(inspection, 10).error.message
    assert sleeping[0].poll() is not None


def test_it_ends_by_itself_after_a_while(pair, sleeping):
    inspection = finished(Inspection(*pair, time_limit=0.5), 20)
    assert "longer than 0 s" in inspection.error.message or "longer than 1 s" in inspection.error.message
    assert sleeping[0].poll() is not None


def test_only_a_few_run_at_once_and_who_waits_can_leave(pair, sleeping):
    all_of_them = [Inspection(*pair) for _ in range(process.AT_ONCE + 1)]
    while len(sleeping) < process.AT_ONCE:
        time.sleep(0.02)
    time.sleep(0.3)
    assert len(sleeping) == process.AT_ONCE
    waiting = [each for each in all_of_them if "waiting" in each.progress()[1]]
    assert len(waiting) == 1
    waiting[0].cancel()
    assert "cancelled" in finished(waiting[0], 10).error.message
    for each in all_of_them:
        each.cancel()
        finished(each, 10)


def test_a_process_that_dies_is_reported(pair, monkeypatch):
    real = process.subprocess.Popen
    monkeypatch.setattr(
        process.subprocess, "Popen", lambda words, **options: real([words[0], "-c", "raise SystemExit(3)"], **options)
    )
    assert "ended without a result" in finished(Inspection(*pair), 20).error.message


def test_results_go_by_content_and_not_by_place(tmp_path, pair):
    before, after = pair
    shutil.copytree(after.argument, tmp_path / "copy")
    assert key_of(before, sources.of_path(str(tmp_path / "copy"))) == key_of(before, after)
    other = sources.of_path(str(write_base(tmp_path / "other", seed=5)))
    assert key_of(other, after) != key_of(before, after)


def rows(count: int) -> list[dict]:
    return [
        {"layer": n, "module": "query", "name": f"l.{n}", "delta_m": 0.1 * n, "delta_d": 0.01 * n * n}
        for n in range(count)
    ]


def test_filters_and_a_failed_axis():
    result = Result("a", "b", "dora", {"output": rows(6), "input": LabError("a column is zero")})
    assert result.layers() == [0, 1, 2, 3, 4, 5]
    assert result.points("output", layers=(1, 2))["layer"].tolist() == [1, 2]
    assert not len(result.points("output", modules=("value",)))
    assert set(result.points("output")["method"]) == {"dora"}
    with pytest.raises(LabError, match="column is zero"):
        result.points("input")


def test_what_is_said_depends_on_what_is_known():
    result = Result("a", "b", "dora", {"output": rows(6)}, left_out={"output": ["3 are equal."], "input": ["none"]})
    fit = fit_dynamics(result.points("output"))
    can, cannot = what_can_be_said(result, fit)
    assert can[-1] == "3 are equal." and "none" not in can
    assert any("one moment" in each for each in cannot)
    assert any("DoRA or BiDoRA" in each for each in cannot)
    assert any("6 points are few" in each for each in cannot)
    told = Result("a", "b", "dora", {"output": rows(20)}, told=True)
    _, cannot = what_can_be_said(told, fit_dynamics(told.points("output")))
    assert not any("DoRA or BiDoRA" in each or "are few" in each for each in cannot)
    table = statistics_table(fit)
    assert table["value"].str.match(r"[+-][\d.e-]+").all()
    assert table.iloc[2]["without any one point"] == "–"
    assert (statistics_table(fit_dynamics(result.points("output", layers=(1,))))["value"] == "–").all()


def test_command_and_cell_quote_what_came_from_outside(pair):
    before, after = pair
    nasty = replace(after, title="a'; import os; os.remove('x') #\"$(rm -rf ~)")
    words = shlex.split(command(before, nasty, uploaded=(after.argument,), axis="input"))
    assert words[:3] == ["bidora", "analyse", nasty.title]
    assert words[-4:] == ["--axis", "input", "--csv", "table.csv"]
    cell = notebook_cell(before, nasty, layers=(1,), modules=("query",), uploaded=(after.argument,))
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Call)}
    assert calls == {"dynamics_of", "fit_dynamics", "print", "points.assign", "magnitude_vs_direction"} | {
        each for each in calls if each.endswith(".isin")
    }


def test_the_cell_runs(pair):
    names: dict = {}
    exec(notebook_cell(*pair, layers=(0, 1, 2)), names)
    assert names["points"]["layer"].tolist() == [0, 1, 2]
