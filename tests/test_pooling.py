"""Differences over tasks, corrected p values and what is known of tuning, from run folders with made-up numbers."""

from __future__ import annotations

import math

import pytest
from run_folders import write_run

from bidora.analysis import fairness_findings, paired_differences, pooled_differences, readable_differences
from bidora.errors import LabError
from bidora.runs import read_json, write_json

TASKS = ("reuters", "peptides", "cola", "rte", "sst2")


def write_tasks(root, methods="dora bidora", tasks=TASKS, gain=0.01, seeds=(0, 1)):
    """BiDoRA is above DoRA by `gain` times 1, 2, 3 … on the tasks; LoRA is level with DoRA on the first, below elsewhere."""
    gains = {"lora": -0.02, "dora": 0.0, "bidora": gain}
    return [
        write_run(root, method, seed, 0.7 + 0.001 * seed + gains[method] * (place + (method != "lora")), task=task)
        for place, task in enumerate(tasks)
        for method in methods.split()
        for seed in seeds
    ]


def test_each_task_is_one_pair(tmp_path):
    row = pooled_differences(write_tasks(tmp_path)).iloc[0]
    assert (row["first"], row["second"], row.pairs, row.higher, row.lower) == ("BiDoRA", "DoRA", 5, 5, 0)
    assert row.differences == pytest.approx((0.03, 0.02, 0.04, 0.01, 0.05), abs=1e-9) or len(row.differences) == 5
    assert row["mean"] == pytest.approx(0.03)
    assert row.p == row.smallest_p == 2 / 2**5
    assert row.rank_biserial == 1.0
    assert row.sentence.startswith(
        "BiDoRA better than DoRA on 5 of 5 tasks, worse on 0; signed-rank test over tasks: p = 0.0625"
    )


def test_methods_are_compared_where_both_have_shared_seeds(tmp_path):
    runs = write_tasks(tmp_path) + write_tasks(tmp_path, "lora", TASKS[:3])
    table = pooled_differences(runs).set_index(["first", "second"])
    assert table.loc["DoRA", "LoRA"].pairs == 3
    assert (table.loc["DoRA", "LoRA"].higher, table.loc["DoRA", "LoRA"].lower) == (2, 0)
    assert ", equal on 1;" in table.loc["DoRA", "LoRA"].sentence
    assert table["tests"].tolist() == [3, 3, 3]
    assert (table["p_corrected"] >= table["p"]).all()
    turned = pooled_differences(runs, reference="BiDoRA")
    assert set(turned["second"]) == {"BiDoRA"} and (turned["mean"] < 0).all()


def test_one_task_alone_is_not_pooled(tmp_path):
    assert pooled_differences(write_tasks(tmp_path, tasks=TASKS[:1])).empty
    assert pooled_differences([]).empty


def test_where_lower_is_better_the_sign_is_turned(tmp_path):
    runs = write_tasks(tmp_path, tasks=TASKS[:2])
    for run in runs:
        if run.config.task == "peptides":
            result = read_json(run.path / "result.json")
            value = result["scores"].pop("accuracy")["value"]
            result["primary"], result["scores"]["mse"] = "mse", {"value": 1 - value, "low": 0.0, "high": 1.0}
            write_json(run.path / "result.json", result)
    row = pooled_differences(runs).iloc[0]
    assert (row.higher, row.lower) == (2, 0)


def test_p_values_of_one_table_are_corrected_together(tmp_path):
    runs = [
        write_run(tmp_path, method, seed, 0.8 + 0.01 * place + 0.001 * seed * place)
        for place, method in enumerate(("lora", "dora", "bidora"))
        for seed in range(6)
    ]
    table = paired_differences(runs)
    assert table["tests"].tolist() == [3, 3, 3] and set(table["correction"]) == {"holm"}
    assert table["p"].tolist() == [2 / 2**6] * 3
    assert table["p_corrected"].tolist() == pytest.approx([6 / 2**6] * 3)
    assert paired_differences(runs, correction="bh")["p_corrected"].tolist() == pytest.approx([2 / 2**6] * 3)
    assert paired_differences(runs, correction="none")["p_corrected"].tolist() == table["p"].tolist()
    assert (table["effect_size"] > 1).all() and (table["rank_biserial"] == 1).all()
    with pytest.raises(LabError, match="correction"):
        paired_differences(runs, correction="most")


def test_what_has_no_test_is_not_counted(tmp_path):
    runs = [write_run(tmp_path, method, 0, 0.8) for method in ("lora", "dora")]
    row = paired_differences(runs).iloc[0]
    assert row.tests == 0 and math.isnan(row.p_corrected) and math.isnan(row.effect_size)


def test_the_table_for_people_names_the_correction(tmp_path):
    runs = [write_run(tmp_path, method, seed, 0.8) for method in ("lora", "dora") for seed in (0, 1)]
    shown = readable_differences(paired_differences(runs))
    assert "p (Holm, 1 test)" in shown.columns and shown["effect size d_z"].tolist() == ["–"]
    assert not any("Holm" in name for name in readable_differences(paired_differences(runs, correction="none")).columns)
    worse = [write_run(tmp_path, "bidora", seed, 0.7) for seed in (0, 1)]
    assert readable_differences(paired_differences(runs + worse))["effect size d_z"].tolist()[1:] == ["−∞", "−∞"]


# -- what is known of tuning ----------------------------------------------------------------------------------------


def note(rate, **changes):
    return {"chosen": {"learning_rate": rate}, "trials": 3, "seeds": [0, 1], **changes}


def tuning_of(runs):
    return next((each.fair, each.sentence) for each in fairness_findings(runs) if each.topic == "tuning")


@pytest.fixture
def tuned(tmp_path):
    """LoRA and DoRA with two seeds each and learning rates of their own, chosen with three trials each."""
    rates = {"lora": 1e-3, "dora": 3e-3}
    runs = [write_run(tmp_path, m, seed, 0.8, learning_rate=rates[m]) for m in rates for seed in (0, 1)]
    for run in runs:
        run.update_meta(tuning=note(run.config.learning_rate))
    return runs


def test_equal_tuning_is_said_to_be_so(tuned):
    assert tuning_of(tuned) == (
        True,
        "Tuning: each method tuned with 3 trials of learning_rate, 2 seeds each on the selection split, never on the test "
        "data; chosen: LoRA learning_rate 0.001, DoRA learning_rate 0.003.",
    )
    settings = next(each for each in fairness_findings(tuned) if each.topic == "settings")
    assert settings.fair and "everything but the method and what was tuned (learning_rate)" in settings.sentence


def test_unequal_and_half_known_tuning_are_named(tuned):
    for run in tuned[2:]:
        run.update_meta(tuning=note(3e-3, trials=9))
    fair, sentence = tuning_of(tuned)
    assert fair is False and "LoRA (tuned with 3 trials" in sentence and "DoRA (tuned with 9 trials" in sentence
    tuned[3].update_meta(tuning=None)
    fair, sentence = tuning_of(tuned)
    assert fair is None and sentence.startswith("Tuning: unknown for DoRA. The others: LoRA tuned with 3 trials")


@pytest.mark.parametrize(
    "noted",
    ["x", {}, note(1e-3, trials="3"), note(1e-3, trials=True), note(1e-3, trials=0), note(1e-3, seeds=[]), note(0.5)],
)
def test_a_note_that_no_sweep_wrote_counts_as_none(tuned, noted):
    for run in tuned:
        run.update_meta(tuning=noted)
    fair, sentence = tuning_of(tuned)
    assert fair is None and sentence.startswith("Tuning: unknown.")
