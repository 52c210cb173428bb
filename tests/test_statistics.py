"""Fits, intervals and paired comparisons against scipy, hand computation and brute force."""

import math
import subprocess
import sys

import numpy as np
import pandas
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from bidora.errors import LabError
from bidora.statistics import (
    bootstrap_interval,
    corrected,
    fit_dynamics,
    mean_interval,
    multiplicities,
    paired_difference,
    proportion_interval,
    weighted_correlation,
    weighted_ranks,
    wilcoxon,
)

# GLUE table 1 as printed (MNLI SST-2 MRPC CoLA QNLI QQP RTE STS-B), base, large, DeBERTa-XXL: DoRA and BiDoRA.
PRINTED_DORA = [86.8, 94.2, 89.2, 60.5, 92.9, 89.6, 73.2, 90.2]
PRINTED_DORA += [90.6, 96.4, 89.8, 65.8, 94.7, 91.2, 86.6, 92.0]
PRINTED_DORA += [91.2, 96.3, 92.3, 71.1, 95.3, 91.6, 91.8, 90.8]
PRINTED_BIDORA = [87.1, 94.4, 89.4, 61.3, 92.7, 90.6, 76.0, 90.1]
PRINTED_BIDORA += [90.6, 96.1, 90.1, 67.0, 94.6, 91.7, 86.9, 92.0]
PRINTED_BIDORA += [91.7, 96.3, 92.6, 72.3, 95.2, 92.0, 92.3, 90.8]


def dynamics(layers: int = 6, checkpoints: int = 4, seed: int = 0, slope: float = -3.0) -> pandas.DataFrame:
    draw = np.random.default_rng(seed)
    rows = []
    for layer in range(layers):
        for module in ("query", "value"):
            offset = draw.normal(scale=0.01)
            for _ in range(checkpoints):
                x = draw.uniform(0.001, 0.02)
                rows.append(
                    dict(
                        layer=layer,
                        module=module,
                        delta_d=x,
                        delta_m=0.5 + slope * x + offset + draw.normal(scale=0.01),
                    )
                )
    return pandas.DataFrame(rows)


def test_the_line_is_scipys():
    table = dynamics()
    fit = fit_dynamics(table)
    line = scipy.stats.linregress(table.delta_d, table.delta_m)
    assert fit.slope == pytest.approx(line.slope, rel=1e-12)
    assert fit.intercept == pytest.approx(line.intercept, rel=1e-12)
    assert fit.pearson == pytest.approx(line.rvalue, rel=1e-12)
    assert fit.spearman == pytest.approx(scipy.stats.spearmanr(table.delta_d, table.delta_m).statistic, rel=1e-12)
    assert (fit.points, fit.clusters) == (48, 12)


def test_leaving_out_equals_refitting():
    table = dynamics()
    fit = fit_dynamics(table)

    def refit(kept):
        line = scipy.stats.linregress(kept.delta_d, kept.delta_m)
        return line.slope, line.rvalue

    by_point = np.array([refit(table.drop(index)) for index in table.index])
    by_layer = np.array([refit(table[table.layer != layer]) for layer in table.layer.unique()])
    np.testing.assert_allclose(fit.slope_without_a_point, [by_point[:, 0].min(), by_point[:, 0].max()], rtol=1e-10)
    np.testing.assert_allclose(fit.pearson_without_a_point, [by_point[:, 1].min(), by_point[:, 1].max()], rtol=1e-10)
    np.testing.assert_allclose(fit.slope_without_a_layer, [by_layer[:, 0].min(), by_layer[:, 0].max()], rtol=1e-10)
    np.testing.assert_allclose(fit.pearson_without_a_layer, [by_layer[:, 1].min(), by_layer[:, 1].max()], rtol=1e-10)


def test_the_bootstrap_draws_whole_clusters():
    """The same draws, done slowly: tables put together from whole (layer, module) groups and fitted one by one."""
    table = dynamics(layers=3)
    fit = fit_dynamics(table, resamples=40, seed=3)
    groups = [part for _, part in table.groupby(["layer", "module"], sort=False)]
    slopes, pearsons, spearmans = [], [], []
    for counts in multiplicities(len(groups), 40, seed=3).astype(int):
        drawn = pandas.concat([part for part, times in zip(groups, counts) for _ in range(times)])
        line = scipy.stats.linregress(drawn.delta_d, drawn.delta_m)
        slopes.append(line.slope)
        pearsons.append(line.rvalue)
        spearmans.append(scipy.stats.spearmanr(drawn.delta_d, drawn.delta_m).statistic)
    np.testing.assert_allclose(fit.lines[:, 1], slopes, rtol=1e-9)
    np.testing.assert_allclose(fit.slope_interval, np.quantile(slopes, [0.025, 0.975]), rtol=1e-9)
    np.testing.assert_allclose(fit.pearson_interval, np.quantile(pearsons, [0.025, 0.975]), rtol=1e-9)
    np.testing.assert_allclose(fit.spearman_interval, np.quantile(spearmans, [0.025, 0.975]), rtol=1e-9)


def test_clustered_intervals_are_wider_where_checkpoints_repeat_each_other():
    table = dynamics(layers=5, checkpoints=1)
    repeated = pandas.concat([table] * 8, ignore_index=True)
    separate = repeated.drop(columns=["layer", "module"])
    wide, narrow = fit_dynamics(repeated).slope_interval, fit_dynamics(separate).slope_interval
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])
    assert fit_dynamics(table).slope_interval == pytest.approx(wide, rel=1e-9)


def test_intervals_hold_the_true_slope_about_as_often_as_they_say():
    held = [low < -3.0 < high for low, high in (fit_dynamics(dynamics(seed=seed)).slope_interval for seed in range(60))]
    assert 0.8 <= np.mean(held) <= 1.0


def test_a_single_point_that_decides_is_named():
    """The shape of the published figure: a cloud without direction, and one point that carries the slope."""
    draw = np.random.default_rng(1)
    x = np.append(draw.uniform(0, 0.01, 40), 0.1)
    y = np.append(0.5 + 2 * x[:40] + draw.normal(scale=0.01, size=40), 0.1)
    table = pandas.DataFrame({"delta_d": x, "delta_m": y, "layer": np.arange(41)})
    fit = fit_dynamics(table)
    assert fit.slope < -3
    assert fit.slope_without_a_point[1] > 0
    assert "one point decides the sign" in fit.note
    assert fit_dynamics(dynamics()).note == ""


def test_tiny_direction_changes_are_counted():
    table = dynamics()
    table.loc[table.index[:36], "delta_d"] = np.linspace(0, 9e-5, 36)
    fit = fit_dynamics(table)
    assert fit.tiny_share == 0.75
    assert "75 % of the points have ΔD below 0.0001" in fit.note


def test_a_magnitude_that_rests_between_checkpoints_is_named():
    """As in BiDoRA's retraining phase, where m is fixed: the slope then compares layers only."""
    table = dynamics(checkpoints=3)
    table["delta_m"] = table.groupby(["layer", "module"]).delta_m.transform("first") * (1 + 1e-9 * table.delta_d)
    assert "ΔM does not move between the checkpoints" in fit_dynamics(table).note
    two_runs = pandas.concat([table.assign(run="a"), table.assign(run="b", delta_m=table.delta_m * 2)])
    assert "does not move" in fit_dynamics(two_runs).note
    assert "does not move" not in fit_dynamics(dynamics(checkpoints=1)).note


def test_the_band_holds_the_line():
    fit = fit_dynamics(dynamics())
    x = np.linspace(0.001, 0.02, 7)
    low, high = fit.band(x)
    assert (low < fit.intercept + fit.slope * x).all()
    assert (fit.intercept + fit.slope * x < high).all()


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        ([], [], "0 points"),
        ([0.1, 0.2], [1, 2], "2 points"),
        ([0.1] * 5, [1, 2, 3, 4, 5], "ΔD is the same"),
        ([0.1, 0.2, 0.3, math.nan, math.nan], [math.inf, math.nan, 3, 4, 5], "4 without a number"),
    ],
)
def test_where_there_is_no_line_the_note_says_why(x, y, words):
    fit = fit_dynamics(pandas.DataFrame({"delta_d": x, "delta_m": y, "layer": range(len(x))}, dtype=float))
    assert math.isnan(fit.slope)
    assert words in fit.note
    assert len(fit.band(np.ones(2))[0]) == 0


def test_constant_magnitude_gives_slope_zero_and_no_correlation():
    fit = fit_dynamics(pandas.DataFrame({"delta_d": [0.1, 0.2, 0.3, 0.4], "delta_m": [2.0] * 4, "layer": range(4)}))
    assert fit.slope == 0
    assert math.isnan(fit.pearson)
    assert "no correlation" in fit.note


def test_one_layer_has_no_interval():
    table = dynamics(layers=1)
    fit = fit_dynamics(table[table.module == "query"])
    assert math.isfinite(fit.slope)
    assert math.isnan(fit.slope_interval[0])
    assert "one layer only" in fit.note


def test_a_table_without_the_columns_is_refused():
    with pytest.raises(LabError, match="delta_m"):
        fit_dynamics(pandas.DataFrame({"delta_d": [1.0]}))


def test_a_fit_is_one_flat_row():
    row = fit_dynamics(dynamics()).as_row()
    assert row["slope_interval_low"] < row["slope"] < row["slope_interval_high"]
    assert not any(isinstance(value, (tuple, np.ndarray)) for value in row.values())


def test_weighted_ranks_and_correlations_equal_scipys_on_the_written_out_samples():
    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 5, 12).astype(float), draw.normal(size=12)
    weights = multiplicities(12, 20, seed=1)
    ranks = weighted_ranks(x, weights)
    pearsons = weighted_correlation(x, y, weights)
    for row, counts in enumerate(weights.astype(int)):
        items = np.repeat(np.arange(12), counts)
        np.testing.assert_array_equal(ranks[row][items], scipy.stats.rankdata(x[items]))
        assert pearsons[row] == pytest.approx(scipy.stats.pearsonr(x[items], y[items]).statistic, rel=1e-10)


def test_a_constant_sample_has_no_correlation():
    weights = np.array([[3.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    found = weighted_correlation(np.array([0.1, 0.2, 0.4]), np.array([1.0, 2.0, 4.0]), weights)
    assert math.isnan(found[0])
    assert found[1] == pytest.approx(1)


def test_wilson_by_hand():
    low, high, how = proportion_interval(81, 100)
    z = scipy.stats.norm.ppf(0.975)
    centre = (0.81 + z * z / 200) / (1 + z * z / 100)
    half = z * math.sqrt(0.81 * 0.19 / 100 + z * z / 40000) / (1 + z * z / 100)
    assert low == pytest.approx(centre - half, rel=1e-12)
    assert high == pytest.approx(centre + half, rel=1e-12)
    assert how == "Wilson"
    assert proportion_interval(10, 10).low == pytest.approx(10 / (10 + z * z), rel=1e-9)


@pytest.mark.parametrize(("successes", "total"), [(1, 0), (-1, 5), (6, 5)])
def test_impossible_shares_are_refused(successes, total):
    with pytest.raises(LabError):
        proportion_interval(successes, total)


def test_interval_of_a_mean_by_hand():
    low, high, how = mean_interval([1.0, 2.0, 3.0])
    half = 4.302652729911275 / math.sqrt(3)  # t quantile for 2 degrees of freedom; standard deviation 1
    assert (low, high) == pytest.approx((2 - half, 2 + half), rel=1e-9)
    assert how == "t over 3"
    assert math.isnan(mean_interval([1.0]).low)
    assert mean_interval([]).how == "none: 0 values"


def test_bootstrap_interval_is_repeatable_and_close_to_the_normal_one():
    values = np.random.default_rng(0).normal(size=200)
    interval = bootstrap_interval(values)
    assert interval == bootstrap_interval(values)
    half = 1.96 * values.std(ddof=1) / math.sqrt(200)
    assert interval[:2] == pytest.approx((values.mean() - half, values.mean() + half), abs=0.2 * half)
    assert math.isnan(bootstrap_interval([1.0]).low)
    assert bootstrap_interval(values, np.median).low < np.median(values)


def test_wilcoxon_of_the_printed_table():
    """method.md: the printed pairs give 3.5e-4 … 1.5e-3 depending on the variant of the test."""
    differences = np.array(PRINTED_BIDORA) - np.array(PRINTED_DORA)
    found = wilcoxon(differences)
    assert found.statistic == 20
    assert found.p == pytest.approx(6.5804e-4, rel=1e-4)  # exact, two-sided, with ties
    assert found.smallest_p == 2 * 0.5**20  # four of the 24 pairs are equal and dropped


def test_wilcoxon_is_exact_for_few_pairs():
    # Of the 2³ equally likely sign patterns the two unanimous ones are as extreme: p = 1/4.
    assert wilcoxon([0.4, 1.0, 2.1]).p == 0.25
    assert wilcoxon([0.4, 1.0, 2.1]).smallest_p == 0.25
    assert wilcoxon([1.0, 2.0, -3.0, 4.0]).p == pytest.approx(2 * 5 / 16)  # 5 subsets of {1, 2, 3, 4} add up to ≤ 3
    assert wilcoxon([1.0, 1.0, 1.0, 1.0]).p == pytest.approx(2 / 16)
    assert wilcoxon([0.0, 0.0]).p == 1.0


def test_equal_printed_differences_are_ties_despite_rounding():
    assert wilcoxon(np.array([0.3 + 0.1, 0.4, -0.4]) - 0) == wilcoxon([0.4, 0.4, -0.4])


def test_the_sentence_when_all_seeds_agree():
    found = paired_difference([0.884, 0.90, 0.921], [0.88, 0.89, 0.90], pairs=[0, 1, 2])
    assert found.mean == pytest.approx(0.035 / 3)
    assert (found.higher, found.lower) == (3, 0)
    # three seeds that agree: a bootstrap never leaves their range, Student's t holds its 95 %
    assert found.interval.low < 0 < found.bootstrap.low
    wanted = scipy.stats.ttest_1samp(found.differences, 0).confidence_interval()
    assert (found.interval.low, found.interval.high) == pytest.approx((wanted.low, wanted.high))
    assert found.sentence("BiDoRA", "DoRA") == (
        "Not shown beyond chance: BiDoRA higher than DoRA in 3 of 3 seeds, difference 0.4 to 2.1 points; "
        "chance alone makes 3 of 3 agree in 25 % of cases"
    )


@pytest.mark.parametrize(("seeds", "shown"), [(3, False), (5, False), (6, True), (10, True)])
def test_seeds_that_agree_show_something_only_where_chance_alone_seldom_makes_them(seeds, shown):
    found = paired_difference([0.9] * seeds, [0.8] * seeds)
    assert (found.by_chance <= 0.05) == shown
    assert found.sentence("LoRA", "DoRA").startswith("LoRA higher" if shown else "Not shown beyond chance: LoRA higher")


def test_the_sentence_when_they_do_not():
    found = paired_difference([0.88, 0.90, 0.90, 0.90], [0.89, 0.89, 0.90, 0.88])
    words = found.sentence("BiDoRA", "DoRA")
    assert words == (
        "BiDoRA higher than DoRA in 2 of 4 seeds, lower in 1, equal in 1, "
        "difference -1.0 to 2.0 points: no clear direction"
    )


def test_a_lower_result_is_said_the_same_way():
    words = paired_difference([1.0, 2.0], [1.5, 2.25]).sentence("BiDoRA", "DoRA", scale=1, unit="kcal/mol", digits=2)
    assert words.startswith("BiDoRA lower than DoRA in 2 of 2 seeds, difference -0.50 to -0.25 kcal/mol")


def test_one_seed_allows_no_conclusion():
    found = paired_difference([0.9], [0.8], pairs=[0])
    assert found.test is None
    assert found.sentence("BiDoRA", "DoRA") == "BiDoRA against DoRA: +10.0 points in one seed: no conclusion"
    assert "no comparison" in paired_difference([], []).sentence("BiDoRA", "DoRA")
    assert "are equal in 2 of 2" in paired_difference([1, 1], [1, 1]).sentence("BiDoRA", "DoRA")


def test_pairs_that_do_not_match_are_refused():
    with pytest.raises(LabError, match="2 and 1 scores"):
        paired_difference([1.0, 2.0], [1.0])
    with pytest.raises(LabError, match="the pairs 7"):
        paired_difference([1.0, math.nan], [1.0, 1.0], pairs=[3, 7])


def test_statistics_imports_no_torch_and_no_scipy_until_needed():
    code = "import sys, bidora.statistics; print([m for m in ('torch', 'scipy', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("count", range(1, 14))
def test_the_exact_signed_rank_test_is_scipys_with_and_without_ties(count):
    draw = np.random.default_rng(count)
    for values in (draw.normal(size=count), draw.integers(1, 4, size=count) * draw.choice([-1.0, 1.0], size=count)):
        theirs = scipy.stats.wilcoxon(values, method="auto")
        ours = wilcoxon(values)
        assert (ours.statistic, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-12)


@pytest.mark.parametrize("count", [14, 15, 16])
def test_the_exact_test_counts_every_way_of_signs_with_ties(count):
    """Against all 2ⁿ ways, one by one."""
    draw = np.random.default_rng(count)
    values = draw.integers(1, 5, size=count) * draw.choice([-1.0, 1.0], size=count)
    ranks = scipy.stats.rankdata(np.abs(values))
    signs = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    sums, found = signs @ ranks, ranks[values > 0].sum()
    assert wilcoxon(values).p == pytest.approx(
        min(1.0, 2 * min(np.mean(sums <= found), np.mean(sums >= found))), rel=1e-12
    )


def test_many_pairs_use_the_normal_approximation():
    values = np.random.default_rng(0).normal(0.3, 1, size=80)
    assert wilcoxon(values).p == pytest.approx(scipy.stats.wilcoxon(values, method="approx").pvalue)


def test_effect_size_is_the_mean_over_the_spread():
    found = paired_difference([1.0, 2.0, 4.0], [0.0, 0.0, 0.0])
    assert found.effect_size == pytest.approx((7 / 3) / np.std([1, 2, 4], ddof=1))
    assert paired_difference([0.0, 0.0], [1.0, 1.0]).effect_size == -math.inf
    assert math.isnan(paired_difference([1.0], [0.0]).effect_size)
    assert math.isnan(paired_difference([1.0, 2.0], [1.0, 2.0]).effect_size)


def test_the_rank_biserial_correlation_is_the_balance_of_the_ranks():
    found = paired_difference([3.0, -1.0, 2.0, 0.0], [0.0] * 4)
    assert found.rank_biserial == pytest.approx((3 + 2 - 1) / 6)  # the zero is dropped
    assert paired_difference([1.0, 1.0], [0.0, 0.0]).rank_biserial == 1.0
    assert math.isnan(paired_difference([1.0], [1.0]).rank_biserial)


def test_corrections_are_those_of_other_libraries():
    p = np.array([0.01, 0.04, 0.03, np.nan, 0.005])
    assert corrected(p)[[0, 1, 2, 4]].tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    known = p[np.isfinite(p)]
    assert corrected(p, "bh")[np.isfinite(p)] == pytest.approx(scipy.stats.false_discovery_control(known))
    assert math.isnan(corrected(p)[3]) and math.isnan(corrected(p, "bh")[3])
    assert corrected(p, "none")[[0, 1]].tolist() == [0.01, 0.04]
    assert corrected([0.6, 0.9]).tolist() == [1.0, 1.0]
    assert corrected([], "bh").tolist() == []
    with pytest.raises(LabError, match="correction='bonferoni' is not one of holm, bh, none"):
        corrected([0.1], "bonferoni")
    with pytest.raises(LabError, match="outside 0 <= p <= 1"):
        corrected([1.2])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_a_p_and_keeps_their_order(p):
    found = corrected(p)
    assert (found >= np.array(p) - 1e-15).all() and (found <= 1).all()
    assert (found[np.argsort(p, kind="stable")][:-1] <= found[np.argsort(p, kind="stable")][1:]).all()


def test_the_bootstrap_of_one_sample_is_scipys():
    values = np.random.default_rng(3).normal(size=7)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=500, method="percentile", rng=np.random.default_rng(5)
    ).confidence_interval
    ours = bootstrap_interval(values, resamples=500, seed=5)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-12)


def test_intervals_and_pairs_do_without_the_slow_import():
    code = """
import sys
from bidora.statistics import mean_interval, paired_difference
mean_interval([1.0, 2.0, 3.0]), paired_difference([1.0, 2.0, 3.0], [0.5, 1.0, 1.5]).sentence("a", "b")
assert "scipy.stats" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
