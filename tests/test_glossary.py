"""No number is shown without an entry, and every entry can be drawn."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from test_analysis import make_run, write_dynamics

from bidora.analysis import comparison, curves, dynamics_fits, dynamics_table, paired_differences, runs_table
from bidora.benchmark_scores import ON_REQUEST
from bidora.config import RunConfig
from bidora.glossary import CONVENTIONS, ENTRIES, REFERENCES, TOPICS, entry_of, find, link_to
from bidora.metrics import METRICS, PRIMARY

RECORDED = (
    "loss upper_loss learning_rate upper_learning_rate gradient_norm direct_norm implicit_norm cosine gap seconds "
    "examples_seen gradient_evaluations phase phase_index step test_loss train_loss"
).split()
"""What recorder and trainer write into metrics.jsonl, besides scores."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three methods on two seeds, each kind of task, with weights and a curve."""
    root = tmp_path_factory.mktemp("runs")
    made = []
    for method in ("lora", "dora", "bidora"):
        for seed in (0, 1):
            run = make_run(root, method, seed)
            write_dynamics(run)
            run.append_metrics({"phase": "train", "phase_index": 0, "step": 1, "seconds": 0.1, "loss": 0.7})
            made.append(run)
    made.append(make_run(root, "lora", 0, metric="spearman", examples_per_class=5))
    made.append(make_run(root, "lora", 0, metric="micro_f1", examples_per_class=6))
    return made


def unexplained(names) -> list[str]:
    return [name for name in names if entry_of(str(name)) is None]


@pytest.mark.parametrize("table", [runs_table, comparison, paired_differences, dynamics_table, curves])
def test_every_column_of_the_analysis_has_an_entry(table, runs):
    columns = table(runs).columns
    assert len(columns) > 8
    assert unexplained(columns) == []


def test_every_column_of_the_fits_has_an_entry(runs):
    assert unexplained(dynamics_fits(dynamics_table(runs), resamples=10).columns) == []


def test_every_quantity_of_the_metrics_has_an_entry():
    known = [*METRICS.values(), *ON_REQUEST.values()]
    scores = {f"{split}_{name}" for names in known for name in names for split in ("test", "train")}
    assert unexplained([*RECORDED, *sorted(scores), *PRIMARY.values()]) == []


def test_what_recorder_and_trainer_write_is_what_is_checked_here():
    """Names in quotes in the lines that build a record; a new one has to be added above."""
    from pathlib import Path

    sources = "".join(
        Path(__file__).parents[1].joinpath("bidora", f"{m}.py").read_text()
        for m in ("recorder", "trainer", "upper_notes")
    )
    written = set(re.findall(r'"((?:\w+_)?(?:norm|loss|rate|gap|cosine|seen|evaluations|seconds))"', sources))
    written -= {"grad_norm", "seconds_training"}  # renamed before they are written
    assert {"upper_loss", "direct_norm", "upper_learning_rate"} <= written
    assert unexplained(written) == []


@pytest.mark.parametrize("name", [each.name for each in fields(RunConfig)])
def test_every_setting_has_an_entry_with_its_symbol(name):
    each = next(each for each in fields(RunConfig) if each.name == name)
    entry = entry_of(name)
    assert entry is not None and entry.key == name
    assert each.metadata["symbol"] in entry.term
    assert each.metadata["help"][1:] in entry.meaning


def test_keys_are_unique_and_fit_into_an_address():
    keys = [entry.key for entry in ENTRIES]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", key) for key in keys)
    assert link_to("delta_d") == "glossary?term=delta_d"
    assert link_to("test_accuracy_low") == "glossary?term=accuracy"
    assert link_to("nonsense") == "glossary"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.key)
def test_every_entry_is_complete(entry):
    assert entry.topic in TOPICS
    assert entry.meaning.endswith(".") and len(entry.meaning) > 10
    assert entry.source and all(key == "" or key in REFERENCES for key, _ in entry.source)
    assert entry.shown
    assert len(set(entry.shown)) == len(entry.shown)
    assert entry.formula.count("{") == entry.formula.count("}")
    assert len(re.findall(r"\\left(?![a-z])", entry.formula)) == len(re.findall(r"\\right(?![a-z])", entry.formula))
    assert "$" not in entry.formula
    if entry.formula and entry.topic in ("weights", "statistics", "scores", "cost"):
        assert entry.unit or entry.key in ("direction", "low_rank_update"), "a number needs a unit"


def test_a_number_of_the_paper_is_one_that_was_read_there():
    """−8.042 and −1.784 are slopes that the abstract calls correlations."""
    slope = entry_of("slope")
    assert "−8.042" in slope.meaning and "is a slope" in slope.meaning
    assert any("−1.784" in each.elsewhere for each in CONVENTIONS)


def test_conventions_point_at_entries_and_name_the_splits():
    assert all(entry_of(each.term) for each in CONVENTIONS)
    assert {"D_tr", "D_val", "Selection split", "Test"} <= {each.what for each in CONVENTIONS}
    assert "upper split" in next(each.here for each in CONVENTIONS if each.what == "D_val")


def test_search_finds_words_symbols_and_ignores_case_and_accents():
    assert find("DELTA D")[0].key == "delta_d"
    assert find("ΔD")[0].key == "delta_d"
    assert find("ξ")
    assert "n_upper" in [entry.key for entry in find("upper split")]
    assert find("  ") == list(ENTRIES)
    assert find("no such words at all") == []
    assert find("(((" * 100) == []
    assert {entry.topic for entry in find("", topic="cost")} == {"cost"}


def test_the_magnitude_entry_gives_the_axis_and_the_delta_entries_the_equations():
    assert "output unit" in entry_of("magnitude").convention
    assert ("dora", "eq. 3") in entry_of("delta_m").source
    assert ("dora", "eq. 4") in entry_of("delta_d").source
    assert "[DoRA](https://arxiv.org/abs/2402.09353), eq. 4" in entry_of("delta_d").details()
