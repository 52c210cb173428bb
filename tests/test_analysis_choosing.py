"""What is compared, what may be said of it, in what it differs, in words: the parts behind Start and Compare."""

from __future__ import annotations

import math
import subprocess
import sys

import pandas
import pytest
from run_folders import write_comparison, write_run

from bidora.analysis import (
    baseline_of,
    cell,
    choices,
    comparison,
    dynamics_fits,
    dynamics_table,
    fairness_findings,
    fits_of_runs,
    headline,
    measured,
    named_runs,
    not_beaten,
    paired_differences,
    readable_comparison,
    readable_differences,
    readable_fits,
    scored_metrics,
    settings_table,
    suggested,
)
from bidora.grid import MOST_RUNS
from bidora.statistics import fit_dynamics


def test_choices_are_groups_with_their_seeds_states_and_source(tmp_path):
    runs = write_comparison(tmp_path, methods="dora bidora", seeds=(0, 2))
    runs.append(write_run(tmp_path, "dora", 3, state="failed"))
    found = choices(runs, recorded=frozenset(run.id for run in runs if run.config.method == "bidora"))
    assert [each.title for each in found] == [
        "reuters r8 · DoRA · seeds 0, 2, 3 · 1 failed",
        "reuters r8 · BiDoRA · seeds 0, 2 · recordings",
    ]
    assert found[1].ids == tuple(run.id for run in runs[2:4])


def test_the_title_tells_what_sets_groups_apart(tmp_path):
    runs = [write_run(tmp_path, "lora", rank=rank, examples_per_class=4) for rank in (4, 8)]
    assert [each.title for each in choices(runs)] == [
        "reuters r8, 4 per class · LoRA r=4 · seed 0",
        "reuters r8, 4 per class · LoRA r=8 · seed 0",
    ]


def test_named_runs_says_what_is_not_there_and_repeats_nothing_hostile(tmp_path):
    runs = write_comparison(tmp_path, methods="dora", seeds=(0, 1))
    found, remarks = named_runs(runs, ids=f"{runs[1].id}, {runs[1].id},20000101-000000-0000,<b>x</b>,../..")
    assert found == [runs[1]]
    assert remarks == [
        "Not here, perhaps deleted or on another machine: 20000101-000000-0000, (no run's id), (no run's id)."
    ]
    assert named_runs(runs, group="demo") == (runs, [])
    assert named_runs(runs, group="<b>")[1] == ["There are no runs of the group of that name."]
    assert "more than 200" in named_runs(runs, ids=",".join(map(str, range(900))))[1][0]


def test_a_link_may_name_as_many_runs_as_the_form_starts_at_once(tmp_path):
    ids = ",".join(f"20000101-000000-{number:04x}" for number in range(MOST_RUNS))
    (remark,) = named_runs([], ids=ids)[1]
    assert remark.startswith("Not here")


def test_suggested_takes_the_task_with_most_methods_on_shared_seeds(tmp_path):
    many = write_comparison(tmp_path, methods="dora bidora", seeds=(0, 1))
    write_run(tmp_path, "lora", task="peptides")
    write_run(tmp_path, "bidora", task="stability", state="running")
    assert {run.id for run in suggested([*many, *suggested([])])} == {run.id for run in many}
    assert suggested([]) == []


def test_the_headline_compares_with_dora_and_says_n_seeds_and_split(tmp_path):
    found = headline(write_comparison(tmp_path, methods="lora dora bidora"))
    assert found.reference == "DoRA"
    assert [(row.first, row.second) for row in found.differences.itertuples()] == [("LoRA", "DoRA"), ("BiDoRA", "DoRA")]
    assert found.sentences[0].startswith("No difference is shown: ")
    assert found.sentences[1].startswith(
        "Not shown beyond chance: BiDoRA higher than DoRA in 3 of 3 seeds, difference 1.5 to 1.5 points"
    )
    assert ("2,189 test examples · 128 training examples · 9 runs, seeds 0, 1, 2") in found.terms
    assert headline([]) is None


def test_the_headline_of_one_method_says_that_there_is_nothing_to_compare(tmp_path):
    found = headline([write_run(tmp_path, "lora")])
    assert found.reference == "" and found.sentences == ("Only LoRA: there is nothing to compare it with yet",)
    assert found.scores["label"].tolist() == ["LoRA"]


def test_differences_to_a_reference_are_the_same_numbers_turned_round(tmp_path):
    runs = write_comparison(tmp_path, methods="lora dora")
    forward, back = paired_differences(runs), paired_differences(runs, reference="DoRA")
    assert forward["first"].tolist() == ["DoRA"] and back["first"].tolist() == ["LoRA"]
    assert back["mean"][0] == pytest.approx(-forward["mean"][0])
    assert back["differences"][0] == pytest.approx([-each for each in forward["differences"][0]])
    assert "−" in back["verdict"][0] and " -" not in back["verdict"][0]
    assert paired_differences(runs, reference="no such").empty


def test_verdicts_claim_no_more_than_seeds_allow(tmp_path):
    one = [write_run(tmp_path / "one", method) for method in ("dora", "bidora")]
    assert paired_differences(one)["verdict"][0].endswith("in one seed: no conclusion")
    two = write_comparison(tmp_path / "two", methods="dora bidora", seeds=(0, 1))
    assert paired_differences(two)["verdict"][0].startswith("Too few seeds for a conclusion: ")
    apart = [write_run(tmp_path / "apart", "dora", 0), write_run(tmp_path / "apart", "bidora", 1)]
    assert "share no seed" in paired_differences(apart)["verdict"][0]


def test_a_conclusion_is_barred_by_one_seed_other_data_or_no_shared_seed_only(tmp_path):
    def barred(runs):
        return [each.topic for each in fairness_findings(runs) if each.barred]

    runs = write_comparison(tmp_path / "fair", methods="dora bidora")
    assert barred(runs) == []  # unequal compute and time are said, but bar nothing by themselves
    assert barred(runs[2:4]) == ["seeds"]
    assert barred([runs[0], runs[3]]) == ["seeds"]
    runs[0].update_meta(data={"train": {"sha256": "other"}, "test": {"sha256": "reuters test"}})
    assert barred(runs) == ["data"]
    runs[0].update_meta(data={"test": {"sha256": "other"}})
    assert barred(runs) == ["data"]


def test_settings_list_differences_only_and_what_a_method_does_not_use(tmp_path):
    runs = [write_run(tmp_path, "dora", seed) for seed in (0, 1)] + [write_run(tmp_path, "bidora", unroll_scale="0")]
    table = settings_table(runs).set_index("setting")
    assert table.columns.tolist() == ["DoRA", "BiDoRA", "meaning"]
    assert table.loc["method"].tolist()[:2] == ["dora", "bidora"]
    assert table.loc["unroll_scale (ξ)"].tolist()[:2] == ["not used", "0"]
    assert table.loc["norm (‖V‖)"].tolist()[:2] == ["detached", "attached"]
    assert table.loc["seed"].tolist()[:2] == ["0, 1", "0"]
    assert "rank (r)" not in table.index and "machine" not in table.index
    assert "rank (r)" in settings_table(runs, only_differences=False)["setting"].tolist()
    assert settings_table([]).empty


def test_columns_of_settings_name_the_task_where_there_are_several(tmp_path):
    runs = [write_run(tmp_path, "lora", task=task) for task in ("reuters", "peptides")]
    assert settings_table(runs).columns.tolist()[1:3] == ["peptides amp: LoRA", "reuters r8: LoRA"]


def test_tables_in_words_have_intervals_units_and_no_nan(tmp_path):
    runs = write_comparison(tmp_path, methods="dora bidora")
    shown = readable_comparison(comparison(runs))
    assert shown["accuracy (%)"][0].startswith("90.4 [") and shown["peak memory (MB)"][0] == "500"
    pairs = readable_differences(paired_differences(runs))
    assert pairs["difference"].tolist() == ["BiDoRA − DoRA"] and pairs["higher in"].tolist() == ["3 of 3"]
    assert pairs["mean [95 %] (points)"][0].startswith("+1.50 [")
    _, lines = fits_of_runs(runs)
    fits = readable_fits(lines)
    assert {"n (points)", "Pearson [95 %]", "slope without one point", "slope without one layer"} <= set(fits.columns)
    bare = comparison([write_run(tmp_path / "one", "lora")]).assign(delta_m=math.nan, peak_memory_bytes=math.nan)
    assert "nan" not in " ".join(map(str, readable_comparison(bare).to_numpy().ravel()))
    none = readable_fits(
        dynamics_fits(pandas.DataFrame({"label": ["a"], "run": ["r"], "delta_d": [1.0], "delta_m": [1.0]}))
    )
    assert "nan" not in " ".join(map(str, none.to_numpy().ravel()))


def test_fits_of_runs_are_those_of_fit_dynamics(tmp_path):
    runs = write_comparison(tmp_path, methods="dora bidora", seeds=(0,))
    fits, table = fits_of_runs(runs)
    points = dynamics_table(runs)
    assert fits["DoRA"] == fit_dynamics(points[points["label"] == "DoRA"])
    assert table["label"].tolist() == ["DoRA", "BiDoRA"] and table["runs"].tolist() == [1, 1]
    assert fits_of_runs([])[0] == {}


def test_not_beaten_is_the_pareto_front():
    table = pandas.DataFrame(
        [("a", 0.9, 10.0), ("b", 0.95, 20.0), ("c", 0.9, 20.0), ("d", 0.99, math.nan), ("e", 0.9, 10.0)],
        columns=["label", "accuracy", "seconds_training"],
    )
    assert not_beaten(table, "accuracy") == ["a", "b", "e"]
    assert not_beaten(table.rename(columns={"accuracy": "rmse"}), "rmse") == ["a", "e"]


def test_what_curves_mean_is_read_from_finished_and_unfinished_runs(tmp_path):
    done = measured([write_run(tmp_path, "lora", evaluation_examples=64)])
    assert (done.metric, done.loss_unit, done.examples, done.baseline) == ("accuracy", "nats", 64, 0.5)
    running = write_run(tmp_path, "lora", state="stopped")
    running.update_meta(kind="regression")
    found = measured([running])
    assert (found.metric, found.loss_unit, found.baseline) == ("spearman", "squared standardised error", None)
    assert measured([]).metric == "accuracy" and baseline_of([], metric="accuracy") is None
    assert scored_metrics(comparison([write_run(tmp_path, "dora")])) == ["accuracy", "macro_f1"]
    assert scored_metrics(comparison([])) == []


def test_a_cell_finds_its_runs_from_any_folder(tmp_path):
    runs = write_comparison(tmp_path / "runs of 'mine'", methods="lora", seeds=(0, 1))
    code = cell(runs).draw("len(runs)") + "\nassert {run.id for run in runs} == set(wanted), runs"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=_with_the_lab())


def _with_the_lab() -> dict[str, str]:
    import os
    from pathlib import Path

    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
