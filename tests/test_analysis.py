"""Tables, comparisons and fairness sentences from run folders that the tests write themselves."""

import json
import math
import subprocess
import sys

import numpy as np
import pandas
import pytest
import scipy.stats

from bidora.analysis import (
    comparison,
    curves,
    dynamics_fits,
    dynamics_table,
    fairness,
    fairness_findings,
    groups_of,
    paired_differences,
    runs_table,
)
from bidora.analysis.grouping import relevant_settings
from bidora.config import RunConfig
from bidora.runs import Run, write_json
from bidora.statistics import fit_dynamics

EVALUATIONS = {"lora": 100, "dora": 100, "full": 100, "bidora": 400}


def make_run(root, method="lora", seed=0, accuracy=0.9, *, metric="accuracy", cost=None, meta=None, **settings) -> Run:
    """A finished run whose numbers are given."""
    run = Run.create(RunConfig(task="reuters", method=method, seed=seed, steps=40, **settings), root)
    write_json(
        run.path / "result.json",
        {
            "kind": "classification",
            "primary": metric,
            "n_train": 128,
            "n_lower": 102 if method == "bidora" else 128,
            "n_upper": 26 if method == "bidora" else 0,
            "n_test": 2189,
            "scores": {
                metric: {"value": accuracy, "low": accuracy - 0.01, "high": accuracy + 0.01},
                "macro_f1": {"value": accuracy - 0.1, "low": accuracy - 0.12, "high": accuracy - 0.08},
            },
            "train_scores": {metric: 1.0},
            "baseline": {metric: 0.5},
            "cost": {
                "seconds_training": 10.0 * EVALUATIONS[method] / 100,
                "seconds_total": 60.0,
                "peak_memory_bytes": 500_000_000,
                "gradient_evaluations": EVALUATIONS[method],
                "examples_seen": 640,
                "trainable_parameters": 100_000,
                "total_parameters": 22_000_000,
                **(cost or {}),
            },
            "dynamics": {
                "delta_m": 0.02,
                "delta_d": 0.001,
                "slope": 1.5,
                "pearson": 0.9,
                "spearman": 0.8,
                "points": 48,
            },
        },
    )
    run.update_status(state="finished")
    run.update_meta(
        data={"train": {"sha256": f"train {seed}"}, "test": {"sha256": "test"}},
        device={"type": "cpu", "name": "x86_64", "threads": 2},
        model={"sha256": "weights"},
        **(meta or {}),
    )
    return run


def write_dynamics(run: Run, *, steps=(0, 10, 20, 30, 40), phases=(0,)) -> None:
    draw = np.random.default_rng(run.config.seed)
    (run.path / "dynamics.parquet").mkdir(exist_ok=True)
    for phase in phases:
        for step in steps:
            rows = [
                dict(
                    phase=("search", "retrain")[phase],
                    phase_index=phase,
                    step=step,
                    layer=layer,
                    module=module,
                    name=f"layer.{layer}.{module}",
                    delta_m=0.001 * step * (1 + draw.uniform()),
                    delta_d=0.0001 * step * (1 + draw.uniform()),
                    delta_m_signed_percent=-1.0,
                    angle_degrees=0.5,
                )
                for layer in range(3)
                for module in ("query", "value")
            ]
            pandas.DataFrame(rows).to_parquet(run.path / "dynamics.parquet" / f"{phase}-{step:08d}.parquet")


@pytest.fixture
def study(tmp_path) -> list[Run]:
    """Three methods, three seeds."""
    scores = {"lora": (0.90, 0.91, 0.92), "dora": (0.905, 0.90, 0.93), "bidora": (0.91, 0.92, 0.95)}
    return [make_run(tmp_path, m, seed, scores[m][seed]) for m in ("bidora", "dora", "lora") for seed in range(3)]


def test_one_row_per_run(tmp_path):
    finished = make_run(tmp_path, "bidora", 3, 0.87, rank=4)
    queued = Run.create(RunConfig(task="peptides"), tmp_path, name="waiting", group="later")
    table = runs_table([finished, queued]).set_index("id")
    row = table.loc[finished.id]
    assert (row.state, row.task, row.method, row.seed, row["rank"]) == ("finished", "reuters", "bidora", 3, 4)
    assert (row.accuracy, row.accuracy_low, row.accuracy_high) == pytest.approx((0.87, 0.86, 0.88))
    assert (row.baseline_accuracy, row.train_accuracy, row.n_upper) == (0.5, 1.0, 26)
    assert (row.gradient_evaluations, row.delta_m, row.dynamics_slope, row.dynamics_points) == (400, 0.02, 1.5, 48)
    waiting = table.loc[queued.id]
    assert (waiting.state, waiting["name"], waiting.group, waiting.primary) == ("queued", "waiting", "later", "")
    assert math.isnan(waiting.accuracy) and math.isnan(waiting.seconds_training)
    assert runs_table([]).empty


def test_groups_are_repetitions_and_are_named_by_what_differs(tmp_path):
    runs = [make_run(tmp_path, "bidora", seed, unroll_scale=scale) for seed in (1, 0) for scale in ("0", "lr")]
    runs += [make_run(tmp_path, "lora", 0), make_run(tmp_path, "full", 0)]
    groups = groups_of(runs)
    assert [group.label for group in groups] == ["LoRA", "BiDoRA ξ=0", "BiDoRA ξ=lr", "full fine-tuning"]
    assert groups[1].seeds == (0, 1)


def test_what_is_left_to_the_task_equals_what_names_it(tmp_path):
    named = dict(variant="r8", model="sentence-transformers/all-MiniLM-L6-v2", max_length=128)
    runs = [make_run(tmp_path, "dora", 0), make_run(tmp_path, "dora", 1, **named)]
    runs += [make_run(tmp_path, "bidora", seed, variant="r8", model="minilm") for seed in (0, 1)]
    groups = groups_of(runs)
    assert [(group.label, group.seeds) for group in groups] == [("DoRA", (0, 1)), ("BiDoRA", (0, 1))]
    assert {group.block for group in groups} == {("reuters", "r8", 0)}
    assert relevant_settings(RunConfig(method="bidora"))["retrain_learning_rate"] == RunConfig().learning_rate
    assert "retrain_learning_rate" not in relevant_settings(RunConfig(method="lora"))


def test_settings_that_a_method_does_not_use_make_no_difference(tmp_path):
    runs = [
        make_run(tmp_path, "lora", 0, unroll_scale="0", upper_fraction=0.5, threads=1),
        make_run(tmp_path, "lora", 1, unroll_scale="lr", threads=2),
        make_run(tmp_path, "dora", 0, norm="detached"),
        make_run(tmp_path, "dora", 1),
        make_run(tmp_path, "bidora", 0, norm="attached", retrain_steps=40),
        make_run(tmp_path, "bidora", 1),
        make_run(tmp_path, "full", 0, rank=2),
        make_run(tmp_path, "full", 1),
    ]
    assert [(group.label, len(group.members)) for group in groups_of(runs)] == [
        ("LoRA", 2),
        ("DoRA", 2),
        ("BiDoRA", 2),
        ("full fine-tuning", 2),
    ]


def test_several_seeds_are_compared_by_students_t(study):
    table = comparison(study)
    assert table.label.tolist() == ["LoRA", "DoRA", "BiDoRA"]
    assert table.runs.tolist() == [3, 3, 3]
    assert table.interval.tolist() == ["t over 3 seeds"] * 3
    bidora = table.iloc[2]
    expected = scipy.stats.ttest_1samp([0.91, 0.92, 0.95], 0).confidence_interval(0.95)
    assert bidora.accuracy == pytest.approx(0.92666667)
    assert (bidora.accuracy_low, bidora.accuracy_high) == pytest.approx((expected.low, min(expected.high, 1.0)))
    assert (bidora.seconds_training, bidora.gradient_evaluations, bidora.delta_m) == (40, 400, 0.02)
    assert (bidora.seeds, bidora.n_test, bidora.primary) == ("0, 1, 2", 2189, "accuracy")


def test_one_seed_keeps_the_interval_of_the_test_set(tmp_path):
    row = comparison([make_run(tmp_path, "lora", 0, 0.9)]).iloc[0]
    assert (row.accuracy_low, row.accuracy_high) == pytest.approx((0.89, 0.91))
    assert row.interval == "test set, one seed"


def test_an_interval_over_seeds_stays_within_the_metrics_range(tmp_path):
    row = comparison([make_run(tmp_path, "lora", seed, score) for seed, score in enumerate((0.9, 1.0))]).iloc[0]
    assert row.accuracy_high == 1.0
    assert row.accuracy_low == pytest.approx(0.95 - 12.706204736 * 0.05)  # t quantile for 1 degree of freedom
    errors = [make_run(tmp_path, "dora", seed, score, metric="rmse") for seed, score in enumerate((0.1, 1.5))]
    row = comparison(errors).iloc[0]
    assert row.rmse_low == 0.0 and row.rmse_high > 1.5


def test_tasks_and_sizes_are_kept_apart(tmp_path):
    runs = [make_run(tmp_path, m, 0, examples_per_class=n) for m in ("lora", "dora") for n in (16, 64)]
    assert comparison(runs)[["examples_per_class", "label"]].values.tolist() == [
        [16, "LoRA"],
        [16, "DoRA"],
        [64, "LoRA"],
        [64, "DoRA"],
    ]
    assert len(paired_differences(runs)) == 2


def test_of_a_repeated_seed_the_newest_counts(tmp_path):
    old, new = make_run(tmp_path, "lora", 0, 0.8), make_run(tmp_path, "lora", 0, 0.9)
    (tmp_path / old.id).rename(tmp_path / "20200101-000000-aaaa")
    old = Run(tmp_path / "20200101-000000-aaaa")
    row = comparison([new, old]).iloc[0]
    assert (row.runs, row.accuracy, row.ids) == (1, 0.9, (new.id,))
    assert any("seed was run again later: 20200101-000000-aaaa" in sentence for sentence in fairness([new, old]))


def test_differences_are_paired_by_seed(study):
    table = paired_differences(study).set_index(["first", "second"])
    row = table.loc["BiDoRA", "DoRA"]
    assert (row.pairs, row.higher, row.lower, row.seeds) == (3, 3, 0, "0, 1, 2")
    assert row["mean"] == pytest.approx((0.005 + 0.02 + 0.02) / 3)
    assert row.p == 0.25
    assert row.sentence.startswith(
        "Not shown beyond chance: BiDoRA higher than DoRA in 3 of 3 seeds, difference 0.5 to 2.0 points"
    )
    assert "no clear direction" in table.loc["DoRA", "LoRA"].sentence
    other = paired_differences(study, "macro_f1")
    assert set(other.metric) == {"macro_f1"}


def test_pairs_need_the_same_seed_and_the_same_test_data(tmp_path):
    runs = [make_run(tmp_path, "lora", 0), make_run(tmp_path, "lora", 1), make_run(tmp_path, "dora", 1, 0.95)]
    row = paired_differences(runs).iloc[0]
    assert (row.pairs, row.seeds) == (1, "1")
    assert row.sentence == "DoRA against LoRA: +5.0 points in one seed: no conclusion"
    runs[2].update_meta(data={"test": {"sha256": "another"}})
    assert "no comparison" in paired_differences(runs).iloc[0].sentence


def test_errors_are_said_to_be_better_when_lower(tmp_path):
    runs = [
        make_run(tmp_path, m, s, value, metric="rmse") for m, value in (("lora", 1.0), ("dora", 0.5)) for s in range(2)
    ]
    sentence = paired_differences(runs).iloc[0].sentence
    assert sentence.startswith("DoRA lower than LoRA in 2 of 2 seeds, difference -0.500 to -0.500")
    assert sentence.endswith("(lower is better)")


# -- fairness ---------------------------------------------------------------------------------------------------


def verdicts(runs) -> dict[str, tuple[bool | None, str]]:
    return {finding.topic: (finding.fair, finding.sentence) for finding in fairness_findings(runs)}


def test_a_fair_study_is_said_to_be_so_except_for_what_is_not(study):
    found = verdicts(study)
    assert found["data"][0] is True
    assert "the same 128 training examples" in found["data"][1]
    assert "BiDoRA kept 26 of them for the magnitude" in found["data"][1]
    assert found["compute"] == (
        False,
        "Compute: not equal. Gradient evaluations: LoRA 100, DoRA 100, BiDoRA 400; the most is 4.0 times the least. "
        "For equal compute give the others more steps.",
    )
    assert found["time"][0] is False
    assert found["settings"] == (True, "Settings: everything but the method is equal.")
    assert found["tuning"][0] is None
    assert found["seeds"] == (True, "Seeds: the same 3 for all (0, 1, 2).")
    assert found["norm"][0] is True and "DoRA detached, BiDoRA attached" in found["norm"][1]
    assert fairness(study) == [sentence for _, sentence in found.values()]


def test_equal_compute_and_time_are_said(tmp_path):
    equal = {"gradient_evaluations": 400, "seconds_training": 40.0}
    found = verdicts([make_run(tmp_path, m, 0, cost=equal) for m in ("lora", "bidora")])
    assert found["compute"][0] is True and found["time"][0] is True
    assert found["seeds"][0] is False and "no conclusion" in found["seeds"][1]


def test_unequal_data_settings_seeds_and_machines_are_found(tmp_path):
    lora, dora = make_run(tmp_path, "lora", 0), make_run(tmp_path, "dora", 0, learning_rate=1e-3, rank=4)
    full = make_run(tmp_path, "full", 1)
    dora.update_meta(
        data={"train": {"sha256": "others"}, "test": {"sha256": "test"}}, device={"type": "cuda", "name": "GPU"}
    )
    found = verdicts([lora, dora, full])
    assert found["data"] == (False, "Data: not all methods had the same training examples (seed 0).")
    assert found["settings"][0] is False
    assert (
        "rank LoRA 8, DoRA 4" in found["settings"][1] and "learning_rate LoRA 0.003, DoRA 0.001" in found["settings"][1]
    )
    assert found["seeds"][0] is False
    assert found["time"][0] is None and "machines differ" in found["time"][1]
    full.update_meta(data={"test": {"sha256": "third"}})
    assert "test sets differ" in verdicts([lora, full])["data"][1]
    full.update_meta(model={"sha256": "other"}, data={})
    assert "pretrained weights differ" in verdicts([lora, full])["settings"][1]


def test_bidora_without_retraining_or_on_the_same_data_is_described(tmp_path):
    lora = make_run(tmp_path, "lora", 0)
    fair, sentence = verdicts([lora, make_run(tmp_path, "bidora", 0, retrain="none")])["data"]
    assert fair is False and "never trained A, B and head on them" in sentence
    fair, sentence = verdicts([lora, make_run(tmp_path, "bidora", 0, upper_data="same")])["data"]
    assert fair is True and "both levels on all" in sentence


def test_one_method_and_unfinished_runs_are_said(tmp_path):
    waiting = Run.create(RunConfig(method="dora"), tmp_path)
    sentences = fairness([make_run(tmp_path), waiting])
    assert sentences == [
        "Only LoRA: there is nothing to compare it with.",
        f"Left out, without final scores: {waiting.id} (queued).",
    ]
    assert fairness([]) == []


def test_several_tasks_are_told_apart(tmp_path):
    runs = [make_run(tmp_path, m, 0, variant=v, examples_per_class=16) for m in ("lora", "dora") for v in ("r8", "r52")]
    assert any(sentence.startswith("reuters r52 16 per class: Compute:") for sentence in fairness(runs))


# -- curves and dynamics ----------------------------------------------------------------------------------------


def test_curves_are_long_and_count_steps_over_phases(tmp_path):
    run = make_run(tmp_path, "bidora", 2)
    run.append_metrics(
        {"phase": "search", "phase_index": 0, "step": 20, "seconds": 1.5, "loss": 2.0, "upper_loss": 2.5}
    )
    run.append_metrics({"phase": "search", "phase_index": 0, "step": 40, "seconds": 3.0, "loss": math.nan, "note": "x"})
    run.append_metrics({"phase": "retrain", "phase_index": 1, "step": 10, "examples_seen": 99, "test_accuracy": 0.5})
    with open(run.path / "metrics.jsonl", "a") as handle:
        handle.write('{"phase": "retrain", "st')
    table = curves([run])
    assert table[["quantity", "value", "step", "global_step"]].values.tolist() == [
        ["loss", 2.0, 20, 20],
        ["upper_loss", 2.5, 20, 20],
        ["test_accuracy", 0.5, 10, 50],
    ]
    assert set(table.label) == {"BiDoRA"} and set(table.seed) == {2}
    assert table.iloc[2].examples_seen == 99
    assert curves([]).columns.tolist() == table.columns.tolist()


def test_curves_and_points_come_in_the_order_of_methods_and_seeds(study):
    for run in study:
        run.append_metrics({"phase": "train", "phase_index": 0, "step": 10, "loss": 2.0})
        write_dynamics(run)
    expected = [(label, seed) for label in ("LoRA", "DoRA", "BiDoRA") for seed in range(3)]
    for table in (curves(study[::-1]), dynamics_table(study)):
        assert list(table[["label", "seed"]].drop_duplicates().itertuples(index=False, name=None)) == expected


def test_points_are_four_checkpoints_of_the_last_phase(tmp_path):
    run = make_run(tmp_path, "bidora", 0)
    write_dynamics(run, steps=tuple(range(41)), phases=(0, 1))
    table = dynamics_table([run])
    assert sorted(table.step.unique()) == [10, 20, 30, 40]
    assert set(table.phase) == {"retrain"} and len(table) == 4 * 6
    assert table.columns.tolist()[:5] == ["run", "label", "task", "method", "seed"]
    assert len(dynamics_table([run], checkpoints=0)) == 41 * 6
    assert len(dynamics_table([run], checkpoints=2, every_phase=True)) == 2 * 2 * 6
    assert dynamics_table([make_run(tmp_path)]).empty


def test_a_line_is_fitted_for_each_method(tmp_path):
    runs = [make_run(tmp_path, m, seed) for m in ("lora", "dora") for seed in (0, 1)]
    for run in runs:
        write_dynamics(run)
    points = dynamics_table(runs)
    fits = dynamics_fits(points).set_index("label")
    assert fits.runs.to_dict() == {"LoRA": 2, "DoRA": 2}
    expected = fit_dynamics(points[points.method == "lora"])
    assert fits.loc["LoRA", "slope"] == expected.slope
    assert fits.loc["LoRA", "slope_interval_low"] == expected.slope_interval[0]
    assert fits.loc["LoRA", "clusters"] == 6


# -- what is broken ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("result.json", "{"),
        ("result.json", '{"scores": [1], "cost": 3, "dynamics": null}'),
        ("result.json", '{"scores": {"accuracy": 0.9, "bad": true}, "cost": {"seconds_training": "long"}}'),
        ("result.json", '{"scores": {"accuracy": {"value": null, "low": "x", "high": 1e999}}}'),
        ("meta.json", '{"data": 3, "device": [], "model": "x"}'),
        ("meta.json", "[]"),
        ("status.json", "\x00"),
        ("config.json", "nothing"),
        (
            "metrics.jsonl",
            '[1]\n{"step": "x", "loss": 1}\n{"phase_index": null, "loss": 2}\n{"phase_index": 1e999, "loss": 3}\n',
        ),
    ],
)
def test_corrupt_files_spoil_nothing(tmp_path, file, content):
    broken, whole = make_run(tmp_path, "dora", 0), make_run(tmp_path, "lora", 0)
    (broken.path / file).write_text(content)
    (broken.path / "dynamics.parquet").mkdir()
    (broken.path / "dynamics.parquet" / "0-1.parquet").write_bytes(b"PAR1")
    runs = [broken, whole]
    assert whole.id in runs_table(runs).id.tolist()
    assert "LoRA" in comparison(runs).label.tolist()
    assert fairness(runs)
    paired_differences(runs)
    curves(runs)
    assert dynamics_table(runs).empty


def test_missing_numbers_are_nan_and_not_zero(tmp_path):
    run = make_run(tmp_path, "lora", 0)
    result = json.loads((run.path / "result.json").read_text())
    del result["cost"]["peak_memory_bytes"], result["dynamics"]
    write_json(run.path / "result.json", result)
    row = comparison([run]).iloc[0]
    assert math.isnan(row.peak_memory_bytes) and math.isnan(row.delta_m)
    assert row.seconds_training == 10


def test_analysis_imports_no_torch():
    code = "import sys, bidora.analysis as a; a.runs_table([]); a.comparison([]); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
