"""Is this comparison fair? One plain sentence each on data, compute, time, settings, seeds and norm.

Nothing here decides which method is better; it says which conclusions the runs allow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from bidora.analysis.grouping import Facts, Group, facts_of, grouped, in_words, norm_of, relevant_settings
from bidora.analysis.tuned import tuning_of
from bidora.config import is_bilevel
from bidora.methods import get_method
from bidora.runs import Run

_BESIDES = {"method", "seed", "norm", "examples_per_class", "task", "variant"}


class Finding(NamedTuple):
    """One answer: topic, whether the methods are on equal terms (None: cannot be told), and the sentence.

    `barred` says that no conclusion about the methods may be drawn, however the scores look.
    """

    topic: str
    fair: bool | None
    sentence: str
    barred: bool = False


def fairness(runs: Iterable[Run]) -> list[str]:
    """Plain sentences on whether the methods were compared on equal terms; one task after the other."""
    return [finding.sentence for finding in fairness_findings(runs)]


def fairness_findings(runs: Iterable[Run]) -> list[Finding]:
    """As `fairness`, with topic and verdict: data, compute, time, settings, tuning, seeds, norm, left out.

    Where several tasks are compared each sentence begins with the task's name.
    """
    facts = facts_of(runs)
    groups = grouped(each for each in facts if each.scores)
    blocks = [(block, list(members)) for block, members in groupby(groups, key=lambda group: group.block)]
    findings = []
    for (task, variant, examples), members in blocks:
        title = " ".join(filter(None, [task, variant, f"{examples} per class" if examples else ""]))
        for finding in _of_block(members):
            named = f"{title}: {finding.sentence}" if len(blocks) > 1 else finding.sentence
            findings.append(finding._replace(sentence=named))
    return findings + _left_out(facts, groups)


def _of_block(groups: list[Group]) -> list[Finding]:
    if len(groups) < 2:
        return [Finding("methods", None, f"Only {groups[0].label}: there is nothing to compare it with.")]
    checks = (_same_data, _same_compute, _same_time, _same_settings, _same_tuning, _same_seeds, _same_norm)
    return [check(groups) for check in checks]


def _same_data(groups: list[Group]) -> Finding:
    tests = {each.digest("test") or str(each.at("n_test")) for group in groups for each in group.members}
    if len(tests) > 1:
        return Finding("data", False, "Data: the test sets differ, so the scores cannot be compared.", barred=True)
    different = _different_training_data(groups)
    if different:
        unlike = f"Data: not all methods had the same training examples ({different})."
        return Finding("data", False, unlike, barred=True)
    count = groups[0].mean("n_train")
    known = f"the same {count:,.0f} training examples" if math.isfinite(count) else "the same training examples"
    words = [f"Data: all methods had {known} of each seed." if _several(groups) else f"Data: all methods had {known}."]
    fair: bool | None = True
    if not all(each.digest("train") for group in groups for each in group.members):
        fair, words = None, ["Data: it was not recorded whether the training examples are the same."]
    for group in groups:
        config, upper = group.members[0].config, group.mean("n_upper")
        if not is_bilevel(config):
            continue
        what = get_method(config.method).upper_title
        part = f"{upper:,.0f} of them" if math.isfinite(upper) and upper else "a part of them"
        if config.upper_data == "same":
            words.append(f"{group.label} trains both levels on all of them.")
        elif config.retrain == "none":
            fair = False
            words.append(f"{group.label} used {part} for {what} only and never trained A, B and head on them.")
        else:
            words.append(f"{group.label} kept {part} for {what} while searching, and retrained on all.")
    return Finding("data", fair, " ".join(words))


def _different_training_data(groups: list[Group]) -> str:
    """Seeds at which hashes of the training data differ, or differing counts; empty where all is equal or unknown."""
    hashes: dict[int, set[str]] = {}
    for group in groups:
        for each in group.members:
            hashes.setdefault(each.config.seed, set()).add(each.digest("train"))
    seeds = [str(seed) for seed, found in sorted(hashes.items()) if len(found - {""}) > 1]
    if seeds:
        return f"seed {', '.join(seeds)}"
    counts = {group.label: group.mean("n_train") for group in groups}
    known = {value for value in counts.values() if math.isfinite(value)}
    return _listed(counts, "{:,.0f}".format) if len(known) > 1 else ""


def _same_compute(groups: list[Group]) -> Finding:
    counts = {group.label: group.mean("cost", "gradient_evaluations") for group in groups}
    ratio = _ratio(counts.values())
    if not math.isfinite(ratio):
        return Finding("compute", None, "Compute: gradient evaluations were not recorded for all.")
    listed = _listed(counts, "{:,.0f}".format)
    if ratio < 1.01:
        return Finding("compute", True, f"Compute: equal gradient evaluations ({listed}).")
    return Finding(
        "compute",
        False,
        f"Compute: not equal. Gradient evaluations: {listed}; the most is {ratio:.1f} times the least. "
        "For equal compute give the others more steps.",
    )


def _same_time(groups: list[Group]) -> Finding:
    seconds = {group.label: group.mean("cost", "seconds_training") for group in groups}
    ratio = _ratio(seconds.values())
    machines = {each.machine for group in groups for each in group.members}
    if not math.isfinite(ratio):
        return Finding("time", None, "Time: seconds were not recorded for all.")
    listed = _listed(seconds, "{:,.1f} s".format)
    if len(machines) > 1:
        return Finding("time", None, f"Time: the machines differ, so seconds cannot be compared ({listed}).")
    if ratio < 1.1:
        return Finding("time", True, f"Time: training took about as long ({listed}).")
    return Finding(
        "time", False, f"Time: not equal. Training took {listed}; the longest {ratio:.1f} times the shortest."
    )


def _same_settings(groups: list[Group]) -> Finding:
    used = {group.label: relevant_settings(group.members[0].config) for group in groups}
    tuned = set.intersection(*(set(each.settings) if each else set() for each in map(tuning_of, groups)))
    found = {}
    for name in dict.fromkeys(name for settings in used.values() for name in settings):
        values = {label: settings[name] for label, settings in used.items() if name in settings}
        if name not in _BESIDES | tuned and len(set(values.values())) > 1:
            found[name] = values
    if len({each.weights for group in groups for each in group.members} - {""}) > 1:
        words = "Settings: the pretrained weights differ, so the scores cannot be compared."
        return Finding("settings", False, words, barred=True)
    if not found:
        besides = f"the method and what was tuned ({', '.join(sorted(tuned))})" if tuned else "the method"
        return Finding("settings", True, f"Settings: everything but {besides} is equal.")
    listed = "; ".join(f"{name} {_listed(values, in_words)}" for name, values in found.items())
    return Finding("settings", False, f"Settings: besides the method these differ: {listed}.")


def _same_tuning(groups: list[Group]) -> Finding:
    budgets = {group.label: tuning_of(group) for group in groups}
    known = {label: found for label, found in budgets.items() if found is not None}
    if not known:
        rates = {group.label: group.members[0].config.learning_rate for group in groups}
        return Finding(
            "tuning",
            None,
            "Tuning: unknown. Run folders do not say how many settings were tried for each method "
            f"(learning rate: {_listed(rates, '{:g}'.format)}).",
        )
    if len(known) < len(budgets):
        listed = ", ".join(label for label, found in budgets.items() if found is None)
        told = "; ".join(f"{label} {found.in_words}" for label, found in known.items())
        return Finding("tuning", None, f"Tuning: unknown for {listed}. The others: {told}.")
    terms = {(each.trials, each.seeds, each.settings) for each in known.values()}
    chosen = _listed({label: each.chosen for label, each in known.items()}, str)
    where = "on the selection split, never on the test data; chosen: " + chosen
    if len(terms) > 1:
        listed = _listed({label: each.in_words for label, each in known.items()}, "({})".format)
        return Finding("tuning", False, f"Tuning: not equal: {listed}, {where}.")
    return Finding("tuning", True, f"Tuning: each method {next(iter(known.values())).in_words} {where}.")


def _same_seeds(groups: list[Group]) -> Finding:
    seeds = {group.label: group.seeds for group in groups}
    if len(set(seeds.values())) > 1:
        listed = _listed(seeds, lambda each: "/".join(map(str, each)))
        shared = set(groups[0].seeds).intersection(*(group.seeds for group in groups))
        words = f"Seeds: not the same ({listed}); only shared seeds can be paired."
        return Finding("seeds", False, words, barred=not shared)
    first = groups[0].seeds
    if len(first) == 1:
        words = f"Seeds: one seed ({first[0]}), so no conclusion about the methods is allowed."
        return Finding("seeds", False, words, barred=True)
    return Finding("seeds", True, f"Seeds: the same {len(first)} for all ({', '.join(map(str, first))}).")


def _same_norm(groups: list[Group]) -> Finding:
    norms = {group.label: norm_of(group.members[0].config) for group in groups}
    known = {label: norm for label, norm in norms.items() if norm}
    axis = "Norm: one magnitude per output unit in all (PEFT's axis)"
    if len(set(known.values())) < 2:
        only = f"; gradients through the norm: {next(iter(known.values()))}" if known else ""
        return Finding("norm", True, f"{axis}{only}.")
    return Finding("norm", True, f"{axis}; gradients through the norm are treated differently: {_listed(known, str)}.")


def _left_out(facts: list[Facts], groups: list[Group]) -> list[Finding]:
    unfinished = [f"{each.id} ({each.state})" for each in facts if not each.scores]
    repeated = [run_id for group in groups for run_id in group.repeated]
    findings = []
    if unfinished:
        findings.append(Finding("left out", None, f"Left out, without final scores: {', '.join(unfinished)}."))
    if repeated:
        findings.append(Finding("left out", None, f"Left out, as the seed was run again later: {', '.join(repeated)}."))
    return findings


def _several(groups: list[Group]) -> bool:
    return any(len(group.members) > 1 for group in groups)


def _ratio(values: Iterable[float]) -> float:
    known = list(values)
    if not known or not all(map(math.isfinite, known)) or min(known) <= 0:
        return float("nan")
    return max(known) / min(known)


def _listed(values: Mapping[str, Any], form: Callable[[Any], str]) -> str:
    return ", ".join(f"{label} {form(value)}" for label, value in values.items())
