"""Methods side by side: means with intervals, and differences seed by seed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from itertools import combinations
from typing import TYPE_CHECKING, Any

from bidora.analysis.grouping import Facts, Group, groups_of
from bidora.analysis.tables import COSTS, COUNTS
from bidora.metrics import LOWER_IS_BETTER, SHARES, UNBOUNDED
from bidora.runs import Run
from bidora.statistics import PairedDifference, corrected, mean_interval, paired_difference

if TYPE_CHECKING:
    import pandas

NAN = float("nan")


def comparison(runs: Iterable[Run]) -> pandas.DataFrame:
    """One row per task, variant, examples per class, method, and settings that differ; only runs with final scores.

    Columns: task, variant, examples_per_class, method, settings (that differ, in words), label, runs, seeds (in words),
    ids, primary, interval (what the intervals mean, see below); for each metric its mean and `_low`, `_high`; means of
    seconds_training, seconds_total, peak_memory_bytes, gradient_evaluations, examples_seen, trainable_parameters,
    total_parameters, n_train, n_lower, n_upper, n_test, delta_m, delta_d, dynamics_slope.

    With one seed the interval is that of the test set (another test set, same model); with several it is Student's t
    over seeds (another seed, same test set), kept within the metric's range. These are different questions, so the
    column `interval` says which one is answered. Of a seed that was run twice the newest counts.
    """
    import pandas

    return pandas.DataFrame([_group_row(group) for group in groups_of(runs)])


def _group_row(group: Group) -> dict[str, Any]:
    members = group.members
    row: dict[str, Any] = {
        "task": group.task,
        "variant": group.variant,
        "examples_per_class": group.examples_per_class,
        "method": group.method,
        "settings": group.settings,
        "label": group.label,
        "runs": len(members),
        "seeds": ", ".join(str(seed) for seed in group.seeds),
        "ids": tuple(each.id for each in members),
        "primary": members[0].primary,
        "interval": "test set, one seed" if len(members) == 1 else f"t over {len(members)} seeds",
    }
    for metric in _metrics(members):
        value, low, high = _score(members, metric)
        row |= {metric: value, f"{metric}_low": low, f"{metric}_high": high}
    row |= {name: group.mean("cost", name) for name in COSTS}
    row |= {name: group.mean(name) for name in COUNTS}
    row |= {name: group.mean("dynamics", name) for name in ("delta_m", "delta_d")}
    return row | {"dynamics_slope": group.mean("dynamics", "slope")}


def _metrics(members: tuple[Facts, ...]) -> list[str]:
    return list(dict.fromkeys(metric for each in members for metric in each.scores))


def _score(members: tuple[Facts, ...], metric: str) -> tuple[float, float, float]:
    if len(members) == 1:
        return members[0].scores[metric]
    known = [each.scores[metric][0] for each in members if metric in each.scores]
    known = [value for value in known if math.isfinite(value)]
    if not known:
        return NAN, NAN, NAN
    low, high, _ = mean_interval(known)
    least = 0.0 if metric in SHARES | UNBOUNDED else -1.0
    most = math.inf if metric in UNBOUNDED else 1.0
    return sum(known) / len(known), max(low, least), min(high, most)  # NaN stays NaN: it is the first argument


def paired_differences(
    runs: Iterable[Run], metric: str = "", *, reference: str = "", correction: str = "holm"
) -> pandas.DataFrame:
    """Differences between every two methods of a task on the same seeds and the same test data.

    Args:
        runs: any runs; only those with final scores count.
        metric: by default each task's primary one.
        reference: label of the method that all others are compared with (others − reference); by default every two
            are compared.
        correction: of p for several tests: holm, bh (Benjamini–Hochberg) or none. The family is every test of this table,
            all tasks together.

    Returns:
        task, variant, examples_per_class, metric, first, second (labels; first comes later in LoRA, DoRA, BiDoRA,
        full), pairs (how many), seeds (in words), mean, low, high (of first − second; 95 % t-interval), bootstrap_low,
        bootstrap_high (95 % bootstrap over pairs),
        higher and lower (in how many pairs), p (Wilcoxon's signed-rank test), smallest_p (that so many pairs allow),
        p_corrected, correction, tests (how many the correction counts), effect_size (d_z, Cohen's d for pairs),
        rank_biserial, sentence (what was found), verdict (what may be concluded), first_method, second_method,
        differences (tuple, in the order of seeds).

    Raises:
        LabError: the correction is unknown.
    """
    import pandas

    groups = groups_of(runs)
    pairs = [(second, first) for second, first in combinations(groups, 2) if first.block == second.block]
    if reference:
        pairs = [pair if pair[0].label == reference else pair[::-1] for pair in pairs]
        pairs = [pair for pair in pairs if pair[0].label == reference]
    rows = [_pair_row(second, first, metric) for second, first in pairs]
    columns = "task variant examples_per_class metric first second pairs seeds mean low high bootstrap_low bootstrap_high higher"
    columns += " lower p smallest_p"
    columns += " p_corrected correction tests effect_size rank_biserial"
    columns += " sentence verdict first_method second_method differences"
    p = corrected([row["p"] for row in rows], correction)
    family = int(sum(map(math.isfinite, p)))
    for row, value in zip(rows, p):
        row |= {"p_corrected": float(value), "correction": correction, "tests": family}
    return pandas.DataFrame(rows, columns=columns.split())


def shared_scores(first: Group, second: Group, metric: str = "") -> list[tuple[int, float, float]]:
    """Seed and both scores, for every seed that both have on the same test data.

    Args:
        first: runs of one method.
        second: runs of another one, of the same task.
        metric: by default the first's primary one.
    """
    metric = metric or first.members[0].primary
    there = {each.config.seed: each for each in second.members}
    pairs = []
    for one in first.members:
        other = there.get(one.config.seed)
        if other is None or one.digest("test") != other.digest("test"):
            continue
        ours, theirs = (each.scores.get(metric, (NAN,))[0] for each in (one, other))
        if math.isfinite(ours) and math.isfinite(theirs):
            pairs.append((one.config.seed, ours, theirs))
    return pairs


def _pair_row(second: Group, first: Group, metric: str) -> dict[str, Any]:
    metric = metric or first.members[0].primary
    pairs = shared_scores(first, second, metric)
    found = paired_difference([p[1] for p in pairs], [p[2] for p in pairs], [p[0] for p in pairs])
    share = metric in SHARES
    sentence = found.sentence(
        first.label,
        second.label,
        scale=100.0 if share else 1.0,
        unit="points" if share else "",
        digits=1 if share else 3,
    )
    return {
        "task": first.task,
        "variant": first.variant,
        "examples_per_class": first.examples_per_class,
        "metric": metric,
        "first": first.label,
        "second": second.label,
        "pairs": len(found.pairs),
        "seeds": ", ".join(map(str, found.pairs)),
        "mean": found.mean,
        "low": found.interval.low,
        "high": found.interval.high,
        "bootstrap_low": found.bootstrap.low,
        "bootstrap_high": found.bootstrap.high,
        "higher": found.higher,
        "lower": found.lower,
        "p": found.test.p if found.test else NAN,
        "smallest_p": found.test.smallest_p if found.test else NAN,
        "effect_size": found.effect_size,
        "rank_biserial": found.rank_biserial,
        "sentence": sentence + (" (lower is better)" if metric in LOWER_IS_BETTER else ""),
        "verdict": _verdict(found, sentence) + (" (lower is better)" if metric in LOWER_IS_BETTER else ""),
        "first_method": first.method,
        "second_method": second.method,
        "differences": found.differences,
    }


def _verdict(found: PairedDifference, sentence: str) -> str:
    """The sentence, after what it allows: nothing where seeds disagree, little where they are two."""
    sentence = re.sub(r"(?<!\S)-(?=\d)", "−", sentence)
    total = len(found.differences)
    if total < 2:
        return sentence
    if total not in (found.higher, found.lower):
        return f"No difference is shown: {sentence.removesuffix(': no clear direction')}"
    return f"Too few seeds for a conclusion: {sentence}" if total == 2 else sentence
