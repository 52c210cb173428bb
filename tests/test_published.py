"""The published tables: as printed, consistent in themselves, in test items, and beside our runs."""

from __future__ import annotations

import math

import pytest
from run_folders import write_run
from test_statistics import PRINTED_BIDORA, PRINTED_DORA

from bidora.cli import main
from bidora.errors import LabError
from bidora.methods import METHODS
from bidora.published import (
    CLAIMS,
    TABLES,
    beside,
    differences,
    differences_table,
    get_table,
    printed,
    signed_rank_of_table_1,
    signed_rank_sentence,
)
from bidora.runs import read_json, write_json
from bidora.tasks import TASKS


def test_printed_averages_are_the_means_of_the_printed_columns():
    for table in TABLES:
        for row in table.rows:
            assert len(row.scores) == len(table.columns)
            if row.average is not None:
                digits = 2 if table.number == "Table 2" else 1
                mean = sum(row.scores) / len(row.scores)
                assert abs(mean - row.average) <= 0.5 * 10**-digits + 1e-9, (table.key, row.name)


def test_table_1_is_what_the_statistics_are_tested_on():
    ones = [table for table in TABLES if table.number == "Table 1"]
    assert [each for table in ones for each in table.scores["DoRA"]] == PRINTED_DORA
    assert [each for table in ones for each in table.scores["BiDoRA"]] == PRINTED_BIDORA


def test_tasks_and_methods_are_those_of_the_lab():
    assert {column.task for table in TABLES for column in table.columns} <= set(TASKS)
    methods = {row.method for table in TABLES for row in table.rows}
    assert methods - {"adapter"} <= set(METHODS)


def test_a_table_reads_as_printed():
    shown = printed(get_table("2")).set_index("method")
    assert shown.loc["BiDoRA r16", "CoLA, MCC"] == "66.7" and shown.loc["BiDoRA r16", "average"] == "86.55"
    proteins = printed(get_table("4")).set_index("method")
    assert proteins.loc["DoRA", "MIC, MSE"] == "0.2918" and "average" not in proteins
    with pytest.raises(LabError, match="no published table '9'"):
        get_table("9")


def found(key, task, metric="accuracy"):
    return next(each for each in differences(get_table(key)) if each.column[:2] == (task, metric))


def test_differences_in_test_items():
    rte = found("1-base", "rte")
    assert rte.value == pytest.approx(2.8) and rte.items == pytest.approx(0.028 * 277)
    assert rte.items_in_words == "+8 of 277"
    assert found("1-base", "mnli").items_in_words == "+29 of 9,815 (± 10)"
    assert found("1-large", "sst2").items_in_words == "−3 of 872 (± 1)"
    assert found("1-large", "mnli").items_in_words.startswith("0 of 9,815")
    assert round(found("4", "bbp").items) == 1 and round(found("4", "thermostability").items) == 2
    for column in (found("1-base", "cola", "mcc"), found("1-base", "stsb", "pearson"), found("4", "mic", "mse")):
        assert math.isnan(column.items) and column.items_in_words.startswith("no count of answers")
    assert math.isnan(found("4", "bbp", "weighted_f1").items)


def test_equal_ranks_are_compared_and_inferred_sizes_are_called_so():
    assert {(each.first, each.second) for each in differences(get_table("2"))} == {
        ("BiDoRA r8", "DoRA r8"),
        ("BiDoRA r16", "DoRA r16"),
    }
    assert {each.second for each in differences(get_table("2"), second="LoRA")} == {"LoRA"}
    assert differences(get_table("1-xxl"), second="LoRA") == []
    shown = differences_table(get_table("4"))
    assert set(shown[shown["score"] == "accuracy"]["size of the test set"]) == {"inferred"}
    assert shown.iloc[-1]["points"] == "−0.0100 (lower is better)"
    assert "inferred" in differences_table(get_table("1-base")).iloc[0]["size of the test set"]


def test_the_signed_rank_test_from_the_printed_pairs_does_not_give_the_published_p():
    variants = signed_rank_of_table_1()
    assert variants["normal approximation, two-sided"] == pytest.approx(1.46e-3, rel=1e-2)
    assert variants["exact, two-sided"] == pytest.approx(6.58e-4, rel=1e-2)
    assert min(variants.values()) > CLAIMS["wilcoxon_p"] == 2.4e-4
    words = signed_rank_sentence()
    assert "published p = 2.4e-4" in words and "24 printed pairs" in words and "equal in 4" in words


def of_task(root, task, metric, value, **settings):
    run = write_run(root, "bidora", 0, 0.9, task=task, **settings)
    result = read_json(run.path / "result.json")
    result["primary"], result["scores"] = metric, {metric: {"value": value, "low": value - 0.02, "high": value + 0.02}}
    write_json(run.path / "result.json", result)
    return run


def test_our_runs_stand_beside_the_published_scores(tmp_path):
    runs = [
        of_task(tmp_path, "cola", "mcc", 0.5, model="roberta-base"),
        of_task(tmp_path, "bbp", "accuracy", 0.9, model="/home/somebody/models/esm2"),
        of_task(tmp_path, "mic", "mse", 0.3),
        write_run(tmp_path, "lora", 0, task="peptides"),
        write_run(tmp_path, "lora", 0, task="rte", state="running"),
    ]
    shown = beside(runs)
    cola = shown[shown["task"] == "CoLA"]
    assert len(cola) == 5  # Table 1 three times, Table 2 with two ranks
    assert cola["published"].tolist() == ["61.3", "67.0", "72.3", "65.8", "66.7"]
    assert set(cola["ours"]) == {"50.0 [48.0, 52.0]"}
    assert cola["same model"].tolist() == ["yes", "no", "no", "yes", "yes"]
    bbp = shown[shown["task"] == "BBP"]
    assert set(bbp["score"]) == {"accuracy", "weighted recall"} and set(bbp["model"]) == {"esm2"}
    assert shown[shown["task"] == "MIC"]["ours"].tolist() == ["0.3000 [0.2800, 0.3200]"]
    assert set(shown["task"]) == {"CoLA", "BBP", "MIC"}
    assert beside([]).empty


def test_the_command_shows_all_of_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BIDORA_RUNS", str(tmp_path))
    assert main(["published"]) == 0
    out = capsys.readouterr().out
    assert out.count("(published;") == len(TABLES)
    assert "+8 of 277" in out and "published p = 2.4e-4" in out and "inferred" in out
    assert "no finished run of ours" in out
    of_task(tmp_path, "cola", "mcc", 0.5)
    assert main(["published", "--task", "cola", "--minus", "lora"]) == 0
    out = capsys.readouterr().out
    assert "BiDoRA − LoRA" in out and "Proteins" not in out and "50.0 [48.0, 52.0]" in out
    assert "signed-rank" not in out
    assert main(["published", "--task", "peptides"]) == 2
    assert main(["published", "--minus", "BiDoRA"]) == 2
