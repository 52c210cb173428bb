"""Run folders from elsewhere: whatever their files hold, reading ends, in bounded memory, with values of the usual types."""

from __future__ import annotations

import json
import os
import signal

import pandas
import pytest
from run_folders import write_run

from bidora import analysis, figures
from bidora.errors import LabError
from bidora.runs import Run, files, list_runs, read_json
from bidora.runs.folder import LONGEST_LINE, LONGEST_TAIL
from bidora.runs.health import damage, unreadable_runs
from bidora.runs.shapes import META, RESULT, STATUS
from bidora.runs.standing import standing_of

NAN, INF = float("nan"), float("inf")
STRANGE = [True, -1, 10**400, float("nan"), float("inf"), "\ud800<b>", [], ["x"], [[[]]], {}, {"a": {"b": 1}}]


@pytest.fixture
def run(tmp_path) -> Run:
    return write_run(tmp_path / "runs", "lora")


@pytest.fixture
def in_time():
    """Reading a pipe that nobody writes to would go on for ever."""

    def late(*_: object) -> None:
        raise AssertionError("reading did not end")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def rewrite(run: Run, file: str, /, **changes: object) -> None:
    path = run.path / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def read_all(run: Run) -> None:
    """What the list and the page of a run read."""
    from bidora.analysis.described import environment_table
    from bidora.analysis.overview import overview, row_of
    from bidora.remedies import failure_of
    from bidora.verdict import prediction_verdict, result_verdict

    overview([row_of(run)]).to_csv()
    standing_of(run)
    words = [*damage(run), str(failure_of(run)), str(result_verdict(run)), str(prediction_verdict(run))]
    "".join(words).encode()
    environment_table(run.meta).to_csv()
    analysis.measured([run])
    analysis.curves([run]).to_csv()
    analysis.runs_table([run]).to_csv()
    analysis.comparison([run]).to_csv()


@pytest.mark.parametrize("place", range(len(STRANGE)))
def test_entries_of_a_wrong_type_count_as_missing(run, place):
    value = STRANGE[place]
    for name, shapes in (("meta.json", META), ("status.json", STATUS), ("result.json", RESULT)):
        rewrite(run, name, **dict.fromkeys(shapes, value))
    rewrite(run, "status.json", state="failed")
    read_all(run)


def test_numbers_and_words_that_nothing_can_hold_are_tamed(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"a": NaN, "b": [1e309, -Infinity], "c": 1' + "0" * 40 + ', "d": "\\ud800", "e": 12, "f": "é🧬"}')
    assert read_json(path) == {"a": None, "b": [None, None], "c": 1e40, "d": "?", "e": 12, "f": "é🧬"}
    path.write_text('{"a": ' + "[" * 500 + "]" * 500 + "}")
    assert len(json.dumps(read_json(path))) < 200
    path.write_text("[" * 100_000)
    with pytest.raises(LabError):
        read_json(path)


def test_a_json_file_without_end_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MOST_BYTES_OF_JSON", 100)
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"a": "b" * 200}))
    assert read_json(path, missing_ok=True) == {}
    with pytest.raises(LabError, match="bytes"):
        read_json(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("name", ["config.json", "meta.json", "status.json", "result.json", "metrics.jsonl", "log.txt"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(run, name, in_time):
    (run.path / name).unlink(missing_ok=True)
    os.mkfifo(run.path / name)
    if name == "config.json":
        assert list_runs(run.path.parent) == []
        assert unreadable_runs(run.path.parent)
    else:
        assert [each.id for each in list_runs(run.path.parent)] == [run.id]
        read_all(run)
        assert run.log_tail() == ""


@pytest.mark.parametrize(
    "name", ["meta.json", "status.json", "result.json", "metrics.jsonl", "predictions.parquet", "log.txt"]
)
def test_a_folder_in_place_of_a_file_counts_as_missing(run, name):
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).mkdir()
    read_all(run)
    assert run.predictions().empty or name != "predictions.parquet"


def test_lines_without_end_are_no_records_and_the_tail_of_a_log_is_its_end(run):
    good = json.dumps({"step": 1, "loss": 0.5})
    (run.path / "metrics.jsonl").write_text(f'{good}\n{{"step": "{"x" * 3 * LONGEST_LINE}"}}\n{good}\n')
    assert list(run.records()) == [{"step": 1, "loss": 0.5}] * 2
    (run.path / "log.txt").write_text("x" * 5 * LONGEST_TAIL + "\nlast")
    assert run.log_tail(1) == "last" and len(run.log_tail()) <= LONGEST_TAIL


def test_a_log_that_is_a_link_to_another_file_is_not_shown(run, tmp_path):
    (tmp_path / "elsewhere.txt").write_text("secret")
    (run.path / "log.txt").unlink(missing_ok=True)
    try:
        (run.path / "log.txt").symlink_to(tmp_path / "elsewhere.txt")
    except OSError:
        pytest.skip("no links here")
    assert run.log_tail() == ""


def test_wild_numbers_in_records_are_tamed(run):
    lines = [
        '{"step": 1, "loss": NaN}',
        '{"step": 1' + "0" * 400 + "}",
        '{"step": 2, "loss": 1e999, "phase": "\\udc00"}',
    ]
    (run.path / "metrics.jsonl").write_text("\n".join(lines))
    assert list(run.records()) == [{"step": 1, "loss": None}, {"step": None}, {"step": 2, "loss": None, "phase": "?"}]


def test_of_very_many_records_a_few_are_drawn_with_the_scores_and_the_end(run, monkeypatch):
    lines = [
        json.dumps({"step": step, "loss": 0.5} | ({"test_accuracy": 0.9} if step % 97 == 0 else {}))
        for step in range(1, 2000)
    ]
    (run.path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    found = list(run.records(most=50))
    assert 40 <= len([each for each in found if "test_accuracy" not in each]) <= 120
    assert sum("test_accuracy" in each for each in found) == 20
    assert (found[0]["step"], found[-1]["step"]) == (1, 1999)
    assert len(list(run.records())) == 1999 and len(list(run.records(most=5000))) == 1999
    monkeypatch.setattr("bidora.analysis.tables.MOST_RECORDS", 50)
    assert analysis.curves([run])["step"].max() == 1999
    (run.path / "metrics.jsonl").write_text("\n".join(json.dumps({"test_a": step}) for step in range(2000)))
    assert len(list(run.records(most=50))) < 150
    (run.path / "metrics.jsonl").write_text("")
    assert list(run.records(most=50)) == []


def test_a_record_with_endless_quantities_is_cut(run):
    (run.path / "metrics.jsonl").write_text(json.dumps({"step": 1, **{f"q{place}": 1 for place in range(10_000)}}))
    assert analysis.curves([run])["quantity"].nunique() <= 64


@pytest.mark.parametrize("strange", ["words", "numbers", "few columns", "columns of the run"])
def test_tables_with_wrong_columns_and_types_can_be_drawn(run, strange):
    tables = {
        "words": {
            "step": ["a", "1"],
            "layer": [[1], [2]],
            "module": [1, None],
            "delta_m": ["x", "y"],
            "delta_d": [None, "z"],
        },
        "numbers": {
            "step": [NAN, 1e300, -1],
            "layer": [NAN, 0.0, 0.0],
            "delta_m": [NAN, 1e308, 1],
            "delta_d": [INF, 1, 1],
        },
        "few columns": {"step": [1, 2], "delta_m": [0.1, 0.2], "delta_d": [0.1, 0.2]},
        "columns of the run": {
            "step": [1],
            "delta_m": [0.1],
            "delta_d": [0.1],
            "run": [1],
            "label": ["a"],
            "seed": ["x"],
        },
    }
    for part in (run.path / "dynamics.parquet").iterdir():
        part.unlink()
    pandas.DataFrame(tables[strange]).to_parquet(run.path / "dynamics.parquet" / "0-1.parquet")
    points = analysis.dynamics_table([run], checkpoints=0, every_phase=True)
    for draw in (figures.magnitude_drift, figures.direction_drift, figures.magnitude_vs_direction):
        draw(points).to_json()


@pytest.mark.parametrize(
    "columns",
    [
        {"a": [1, 2]},
        {"target": [[1], [2]], "prediction": [{"a": 1}, {"a": 2}], "probability": ["x", "y"], "correct": ["x", None]},
        {"target": [None, "<b>"], "prediction": ["=1", None], "probability": [NAN, INF], "input": ["\0", None]},
        {"target": ["a", "b"], "prediction": [1.0, 2.0]},
    ],
)
@pytest.mark.parametrize("kind", ["", "regression", "multilabel", "classification"])
def test_predictions_with_wrong_columns_and_types_can_be_drawn(run, columns, kind):
    from bidora.analysis.examples import CHOICES, examples_of

    pandas.DataFrame(columns).to_parquet(run.path / "predictions.parquet")
    figures.samples(run.predictions(), kind=kind).to_json()
    for which in CHOICES:
        examples_of(run.predictions(), which, kind=kind).to_csv()


@pytest.mark.parametrize("name", ["units", "predictions", "spectrum"])
def test_a_table_that_would_fill_the_memory_is_left_out_and_named(run, name, monkeypatch):
    from bidora.runs import health, tables

    for module in (health, tables):
        monkeypatch.setattr(module, "MOST_BYTES", 1_000_000)
    assert not damage(run)
    pandas.DataFrame({"name": ["word " * 10_000] * 1000, "m": 1.0}).to_parquet(run.path / f"{name}.parquet")
    assert (run.path / f"{name}.parquet").stat().st_size < 100_000
    assert getattr(run, name)().empty
    assert damage(run) == [f"{name}.parquet would fill the memory and is left out."]


def test_what_a_table_takes_is_counted_for_every_kind_of_column(tmp_path):
    from bidora.parquet_size import unpacked_size

    path = tmp_path / "a.parquet"
    tables = [
        pandas.DataFrame({"a": ["xy", None] * 50, "b": range(100)}),
        pandas.DataFrame({"a": [[1, 2], [3]] * 50}),
        pandas.DataFrame({"a": [{"b": "xy"}, None] * 50}),
        pandas.DataFrame({"a": [b"xy", b""] * 50}),
    ]
    for table in tables:
        table.to_parquet(path)
        assert 100 <= unpacked_size(path, limit=10**6) <= 5000
    pandas.DataFrame().to_parquet(path)
    assert unpacked_size(path, limit=10**6) == 0
