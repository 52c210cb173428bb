"""Notebook 09: solutions pass, every misconception is named, the made-up table can be read, a plan becomes runs."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest
from run_folders import write_comparison

from bidora.analysis import paired_differences
from bidora.config import differences
from bidora.errors import LabError
from bidora.exercises import check
from bidora.exercises.checking import solution_code
from bidora.exercises.nb09 import EXERCISES
from bidora.exercises.own_question import DEFAULT_ARMS, ROWS, own_table, plan_of, scores_of
from bidora.own_data import look
from bidora.tasks import prepare

SHARED = dict(task="csv", data="x.csv", model="esm2")
LORA, DORA = {"method": "lora"}, {"method": "dora"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return write_comparison(tmp_path_factory.mktemp("runs"), methods="lora dora")


@pytest.fixture
def names(runs):
    return {"check": check, "shared": SHARED, "runs": runs, "paired_differences": paired_differences}


@pytest.mark.parametrize("key", [exercise.key for exercise in EXERCISES])
def test_the_solution_passes(key, names, capsys, monkeypatch):
    monkeypatch.setenv("BIDORA_EXERCISES", "strict")
    exec(solution_code(key), names)
    assert f"✓ {key}" in capsys.readouterr().out


def test_what_was_not_tried_is_told_kindly(runs, capsys):
    check("09-column", ...)
    check("09-arms", SHARED, ..., [0, 1])
    check("09-choosing", ...)
    check("09-sentence", runs, "")
    assert capsys.readouterr().out.count("not tried yet") == 4


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("name", "begin with B"),
        ("binds", "the label itself"),
        ("affinity", "does not have it yet"),
        ("plate", "where a peptide was measured"),
        ("Sequence length", "no column"),
    ],
)
def test_columns_that_leak(answer, words, capsys):
    check("09-column", answer)
    out = capsys.readouterr().out
    assert out.startswith("✗") and words in out


@pytest.mark.parametrize(
    ("arms", "seeds", "words"),
    [
        ([LORA], [0, 1], "nothing to be compared with"),
        ([LORA, LORA], [0, 1], "same settings"),
        ([LORA, {"method": "dora", "learning_rate": 1e-4}], [0, 1], "2 things differ"),
        ([LORA | {"seed": 0}, DORA | {"seed": 1}], [0, 1], "the seed is no arm"),
        ([{"examples_per_class": 8}, {"examples_per_class": 64}], [0, 1], "cannot be paired"),
        ([LORA, DORA], [0], "one seed"),
        ([LORA, DORA], [0, 0], "no second witness"),
        (["lora", "dora"], [0, 1], "a list of dicts"),
        ([LORA, {"methodd": "dora"}], [0, 1], "did you mean 'method'"),
    ],
)
def test_arms_that_answer_nothing(arms, seeds, words, capsys):
    check("09-arms", SHARED, arms, seeds)
    out = capsys.readouterr().out
    assert out.startswith("✗") and words in out


def test_other_questions_are_taken(capsys):
    check("09-arms", SHARED, [{"rank": 2}, {"rank": 8}], range(6))
    out = capsys.readouterr().out
    assert out.startswith("✓") and "differ in rank alone, 12 runs." in out


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("test", "no longer a test"),
        ("train", "memorises"),
        ("lower", "lower split trains"),
        ("upper", "trains the magnitude"),
        ("validation", "has no part of this name"),
        ("all", "one of"),
    ],
)
def test_data_that_nothing_may_be_chosen_on(answer, words, capsys):
    check("09-choosing", answer)
    out = capsys.readouterr().out
    assert out.startswith("✗") and words in out


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("DoRA is better than LoRA in all of the 3 seeds.", "claims more"),
        ("DoRA is not shown to be better than LoRA in 3 seeds.", "even with a “not”"),
        ("DoRA is higher than LoRA, by 0 to 1.6 points, here.", "how many seeds"),
        ("DoRA is higher than LoRA in most seeds, by 0 to 1.6 points.", "name that number"),
        ("DoRA is higher than LoRA in two of three seeds here.", "with their range"),
        ("DoRA is higher by 0 to 1.6 points in three seeds.", "lora is not mentioned"),
    ],
)
def test_sentences_that_say_too_much_or_too_little(runs, sentence, words, capsys):
    check("09-sentence", runs, sentence)
    out = capsys.readouterr().out
    assert out.startswith("✗") and words in out


def test_where_seeds_disagree_the_sentence_says_so(tmp_path, capsys):
    from run_folders import write_run

    scores = {"lora": (0.9, 0.9), "dora": (0.91, 0.88)}
    runs = [write_run(tmp_path, method, seed, each[seed]) for method, each in scores.items() for seed in (0, 1)]
    check("09-sentence", runs, "DoRA came out above LoRA over two seeds, by −2.0 to 1.0 points.")
    assert "disagree in sign" in capsys.readouterr().out
    check("09-sentence", runs, "No direction between DoRA and LoRA: −2.0 to 1.0 points in two seeds.")
    assert "✓" in capsys.readouterr().out


def test_the_made_up_table_is_written_once_and_can_be_learnt_from(tmp_path, monkeypatch):
    monkeypatch.setenv("BIDORA_RUNS", str(tmp_path))
    path = own_table()
    before = path.read_bytes()
    assert own_table() == path and path.read_bytes() == before
    assert look(path).rows == ROWS
    config = plan_of(
        dict(task="csv", data=str(path), input_column="sequence", label_column="binds", model="esm2"), [LORA], [0]
    )[0]
    prepared = prepare(config)
    assert (prepared.kind, prepared.labels, len(prepared.test)) == ("classification", ("no", "yes"), 48)
    share = prepared.train.targets.mean()
    assert 0.3 < share < 0.7
    names = [line.split(",") for line in before.decode().splitlines()[1:]]
    assert all((row[0][0] == "B") == (row[2] == "yes") for row in names)  # the trap of 09-column


def test_affinity_makes_it_a_regression(tmp_path, monkeypatch):
    monkeypatch.setenv("BIDORA_RUNS", str(tmp_path))
    shared = dict(task="csv", data=str(own_table()), input_column="sequence", label_column="affinity", model="esm2")
    assert prepare(plan_of(shared, [LORA], [0])[0]).kind == "regression"


def test_ones_own_path_is_taken_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("BIDORA_RUNS", str(tmp_path / "runs"))
    assert own_table(str(tmp_path / "mine.csv")) == tmp_path / "mine.csv"
    assert not (tmp_path / "runs").exists()
    with pytest.raises(LabError, match="mine.csv"):
        look(tmp_path / "mine.csv")


def test_without_an_answer_lora_and_dora_are_planned(capsys):
    configs = plan_of(SHARED, ..., ...)
    assert "No arms yet" in capsys.readouterr().out
    assert [config.method for config in configs] == ["lora", "dora", "lora", "dora"]
    assert set(differences(configs)) == {"method", "seed"} and len(DEFAULT_ARMS) == 2


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_scores_are_a_figure(runs, metric):
    assert isinstance(scores_of(runs, metric), go.Figure)
