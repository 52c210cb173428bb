"""Notebook 07: solutions pass, every misconception is named, figures are figures, sentences agree with the recordings."""

from __future__ import annotations

import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest
from scipy.stats import t

from bidora.analysis import comparison, fairness_findings, paired_differences
from bidora.config import gradient_evaluations
from bidora.errors import LabError
from bidora.exercises import check
from bidora.exercises.checking import solution_code
from bidora.exercises.equal_terms import AXES, FEWER, MORE, STEPS, configs_on, differences_of, progress_of, recorded_on
from bidora.exercises.nb07 import ALLOWED, EXERCISES, SENTENCES, topics_of

KEYS = [exercise.key for exercise in EXERCISES]


@pytest.fixture(scope="module")
def runs():
    return {terms: recorded_on(terms) for terms in (STEPS, FEWER)}


@pytest.mark.parametrize("key", KEYS)
def test_the_solution_passes(key, capsys, monkeypatch):
    monkeypatch.setenv("BIDORA_EXERCISES", "strict")
    exec(solution_code(key), {"check": check, "np": np})
    assert f"✓ {key}" in capsys.readouterr().out


@pytest.mark.parametrize("key", KEYS)
def test_what_was_not_tried_is_told_kindly(key, capsys):
    check(key, ...)
    assert "not tried yet" in capsys.readouterr().out


@pytest.mark.parametrize("key", ["07-constant", "07-interval", "07-paired", "07-evaluations"])
def test_an_empty_function_is_not_tried_yet(key, capsys):
    check(key, lambda *_: None)
    assert "not tried yet" in capsys.readouterr().out


def share(labels, topic):
    return labels.count(topic) / len(labels)


def half(scores, point, *, ddof=1, root=True):
    size = point * np.std(scores, ddof=ddof) / (np.sqrt(len(scores)) if root else 1)
    return np.mean(scores) - size, np.mean(scores) + size


WRONG = [
    ("07-constant", lambda train, test: share(test, max(sorted(set(test)), key=test.count)), "looking at the test set"),
    ("07-constant", lambda train, test: 1 / len(set(train)), "guessing at random"),
    ("07-constant", lambda train, test: share(train, "acq"), "share in the training topics"),
    ("07-constant", lambda train, test: share(test, "grain"), "alphabetical order"),
    ("07-constant", lambda train, test: 0.77, "it should be 0.3"),
    ("07-interval", lambda s: half(s, 1.96), "Student's t"),
    ("07-interval", lambda s: half(s, t.ppf(0.975, 3), root=False), "divide by √n"),
    ("07-interval", lambda s: half(s, t.ppf(0.975, 3), ddof=0), "takes ddof=1"),
    ("07-interval", lambda s: half(s, 1.96, root=False), "division by √n is missing"),
    ("07-interval", lambda s: half(s, 1.96, ddof=0), "twice too narrow"),
    ("07-interval", lambda s: half(s, 1.0), "standard error"),
    ("07-interval", lambda s: half(s, t.ppf(0.975, 4)), "n − 1"),
    ("07-interval", lambda s: half(s, t.ppf(0.95, 3)), "0.975"),
    ("07-interval", lambda s: (min(s) - 1, max(s)), "around the mean"),
    ("07-interval", lambda s: np.mean(s), "two numbers"),
    ("07-interval", lambda s: half([100 * each for each in s], t.ppf(0.975, 3)), "per cent"),
    ("07-interval", lambda s: (np.mean(s) - 0.5, np.mean(s) + 0.5), "for these four it should be"),
    ("07-paired", lambda a, b: [b[s] - a[s] for s in (0, 1, 2)], "sign is turned"),
    ("07-paired", lambda a, b: [x - y for x, y in zip(a.values(), b.values())], "not on the same seed"),
    ("07-paired", lambda a, b: np.mean(list(a.values())) - np.mean(list(b.values())), "one number"),
    ("07-paired", lambda a, b: [a[s] - b.get(s, 0) for s in a], "no partner"),
    ("07-paired", lambda a, b: [a[s] - b[q] for s in (0, 1, 2) for q in b], "every other one"),
    ("07-paired", lambda a, b: [abs(a[s] - b[s]) for s in (0, 1, 2)], "signs are lost"),
    ("07-paired", lambda a, b: [0, 0], "in the order of seeds"),
    ("07-evaluations", lambda s, r: s + r, "upper level computes gradients"),
    ("07-evaluations", lambda s, r: 2 * s + r, "first-order variant"),
    ("07-evaluations", lambda s, r: 4 * s + r, "central difference"),
    ("07-evaluations", lambda s, r: 3 * s, "retraining phase is missing"),
    ("07-evaluations", lambda s, r: 2 * s + 0 * r + 0, "retraining phase is missing, and"),
    ("07-evaluations", lambda s, r: 4 * s, "equally long"),
    ("07-evaluations", lambda s, r: s * r, "they cost"),
    ("07-equal", (75, 75), "not 150 evaluations"),
    ("07-equal", (50, 50), "cost 150 alone"),
    ("07-equal", (38, 0), "means as many"),
    ("07-equal", (38, 38), "make one phase a little shorter"),
    ("07-equal", (150, 150), "cost 600 evaluations"),
    ("07-equal", (48, 6), "equally long"),
    ("07-equal", 150, "two whole numbers"),
    ("07-seeds", 5, "6.25 %"),
    ("07-seeds", 3, "25 %"),
    ("07-seeds", 4, "12.5 %"),
    ("07-seeds", 20, "one in twenty"),
    ("07-seeds", 8, "so are fewer"),
    ("07-seeds", 2, "more than 5 %"),
    ("07-seeds", 5.3, "round up"),
    *(("07-sentences", {"a", letter}, f"{letter} ") for letter in "bcegh"),
    ("07-sentences", {"a", "d"}, "f is allowed"),
    ("07-sentences", {"z"}, "give the letters"),
]


@pytest.mark.parametrize(("key", "answer", "words"), WRONG)
def test_the_misconception_is_named(key, answer, words, capsys):
    check(key, answer)
    out = capsys.readouterr().out
    assert out.startswith(f"✗ {key}") and words in out


def test_other_right_answers_are_taken(capsys):
    check("07-equal", (37, 39))
    check("07-sentences", ["F", "A", "D"])
    check("07-paired", lambda a, b: {seed: a[seed] - b[seed] for seed in a if seed in b})
    assert capsys.readouterr().out.count("✓") == 3


def test_the_sentences_agree_with_the_recordings(runs):
    """Numbers in a, d, e, f are those of the recorded runs, and what is not allowed stays so."""
    assert set(SENTENCES) >= ALLOWED
    pairs = paired_differences(runs[STEPS])
    dora = pairs[(pairs["first"] == "DoRA") & (pairs["second"] == "LoRA")].iloc[0]
    assert (dora["higher"], dora["pairs"], round(dora["p"], 2)) == (3, 3, 0.25)
    assert [round(100 * each, 1) for each in sorted(dora["differences"])][::2] == [0.2, 0.5]
    bidora = pairs[(pairs["first"] == "BiDoRA") & (pairs["second"] == "DoRA")].iloc[0]
    assert (bidora["higher"], bidora["lower"]) == (1, 2)
    assert [round(100 * each, 1) for each in sorted(bidora["differences"])][::2] == [-0.9, 0.1]
    rows = comparison(runs[STEPS]).set_index("label")
    for label in ("LoRA", "DoRA"):
        low, high = (f"{100 * rows.loc[label, f'accuracy_{end}']:.1f}" for end in ("low", "high"))
        assert f"{label} ({low} to {high} %)" in SENTENCES["e"]
    assert rows["gradient_evaluations"].tolist() == [150, 150, 600]


def test_the_recorded_terms_are_what_they_are_called(runs):
    for terms in (STEPS, FEWER):
        findings = {finding.topic: finding for finding in fairness_findings(runs[terms])}
        assert findings["data"].fair and findings["seeds"].fair
        assert findings["compute"].fair is (terms == FEWER)


def test_fresh_runs_have_the_settings_of_the_recorded_ones(runs):
    def told(config):
        return config.replace(device="auto", threads=0).digest()

    for terms in (STEPS, FEWER):
        assert {told(config) for config in configs_on(terms)} == {told(run.config) for run in runs[terms]}
    assert {gradient_evaluations(config) for config in configs_on(MORE)} == {600}


def test_no_article_is_in_the_recordings(runs):
    for run in {run.id: run for found in runs.values() for run in found}.values():
        assert "input" not in run.predictions()
        assert not re.search(r"\binput\b", json.dumps(run.meta))


def test_topics_are_counted(runs):
    counts = topics_of(runs[STEPS][0].predictions())
    assert sum(counts.values()) == 2189 and next(iter(counts)) == "earn" and counts["grain"] == 10


@pytest.mark.parametrize("axis", AXES)
def test_progress_is_a_figure(runs, axis):
    assert isinstance(progress_of(runs[STEPS], axis), go.Figure)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "mcc"])
def test_differences_are_a_figure(runs, metric):
    figure = differences_of(runs[FEWER], metric, "LoRA")
    assert "LoRA" in figure.layout.meta["alt"]


def test_missing_recordings_are_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("BIDORA_RECORDINGS", str(tmp_path))
    with pytest.raises(LabError, match="no recording of recorded-reuters"):
        recorded_on(STEPS)
