"""Notebook 08: solutions pass, every misconception is named, figures are figures, numbers of the text hold."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from bidora.errors import LabError
from bidora.exercises import check, proteins
from bidora.exercises.checking import solution_code
from bidora.exercises.leaving_out import recorded
from bidora.exercises.nb08 import EXERCISES, RIGHT_METRIC
from bidora.metrics import score
from bidora.tasks.sequences import nearest_outside, shared_words, similar_pairs, with_neighbour

KEYS = [exercise.key for exercise in EXERCISES]


@pytest.mark.parametrize("key", KEYS)
def test_the_solution_passes(key, capsys, monkeypatch):
    monkeypatch.setenv("BIDORA_EXERCISES", "strict")
    exec(solution_code(key), {"check": check, "np": np})
    assert f"✓ {key}" in capsys.readouterr().out


@pytest.mark.parametrize("key", [key for key in KEYS if key != "08-metric"])
def test_an_empty_function_is_not_tried_yet(key, capsys):
    check(key, lambda *_: None)
    assert "not tried yet" in capsys.readouterr().out


def test_an_empty_choice_is_not_tried_yet(capsys):
    check("08-metric", {"a": ..., "b": ...})
    assert "not tried yet" in capsys.readouterr().out


def words(text, k=3):
    return [text[i : i + k] for i in range(len(text) - k + 1)]


def sets(one, other, k=3):
    return set(words(one, k)), set(words(other, k))


def both(function):
    return lambda one, other, k=3: function(*sets(one, other, k))


def counted(t, p, c):
    t, p = np.array(t), np.array(p)
    return np.mean(t[p == c] == c), np.mean(p[t == c] == c)


def f1s(t, p):
    return [2 * a * b / (a + b) for a, b in (counted(t, p, c) for c in (0, 1))]


def means(t, p):
    return np.mean([counted(t, p, c) for c in (0, 1)], axis=0)


def crossing(test, first, second):
    return test[first] != test[second]


def only_partners(n, first, second):
    family = list(range(n))
    for a, b in zip(first, second):
        family[b] = a
    return family


RULE = [0, 1]

WRONG = [
    ("08-jaccard", both(lambda a, b: len(a & b)), "this is a count"),
    ("08-jaccard", both(lambda a, b: len(a & b) / min(len(a), len(b))), "smaller set"),
    ("08-jaccard", both(lambda a, b: 2 * len(a & b) / (len(a) + len(b))), "Dice"),
    ("08-jaccard", both(lambda a, b: len(a & b) / (len(a) + len(b))), "counts shared words twice"),
    ("08-jaccard", lambda a, b, k=3: len(set(a) & set(b)) / len(set(a) | set(b)), "single letters"),
    (
        "08-jaccard",
        lambda a, b, k=3: (
            len(set(words(a)) & set(words(b))) / (len(words(a)) + len(words(b)) - len(set(words(a)) & set(words(b))))
        ),
        "you counted lists",
    ),
    ("08-jaccard", both(lambda a, b: len(a & b) / max(len(a), len(b))), "larger set"),
    (
        "08-jaccard",
        lambda a, b, k=3: len(set(words(a)) & set(words(b))) / len(set(words(a)) | set(words(b))),
        "not used",
    ),
    ("08-jaccard", both(lambda a, b: 0.9), "it should be"),
    ("08-leak", lambda t, a, b: int(crossing(t, a, b).sum()), "these are pairs"),
    ("08-leak", lambda t, a, b: len(a), "all pairs"),
    (
        "08-leak",
        lambda t, a, b: len({*a.tolist(), *b.tolist()} & set(np.flatnonzero(t).tolist())),
        "both in the test set",
    ),
    ("08-leak", lambda t, a, b: len(set(np.where(t[a], b, a)[crossing(t, a, b)].tolist())), "training peptides"),
    ("08-leak", lambda t, a, b: len(set(a[t[a] & ~t[b]].tolist())), "either side"),
    ("08-families", only_partners, "relatives of relatives"),
    ("08-families", lambda n, a, b: [0] * n, "family of its own"),
    ("08-families", lambda n, a, b: [0, 0, 0, 1, 2, 2, 3, 4], "belong together"),
    ("08-families", lambda n, a, b: [0, 1], "one family number for each"),
    ("08-shortcut", lambda s, t: np.mean([(1 if x[0] == "M" else 0) == y for x, y in zip(s, t)]), "turned round"),
    ("08-shortcut", lambda s, t: np.mean([y == 0 for x, y in zip(s, t) if x[0] == "M"]), "right with an M"),
    ("08-shortcut", lambda s, t: np.mean([x[0] == "M" for x, y in zip(s, t) if y == 0]), "counts both classes"),
    ("08-shortcut", lambda s, t: np.mean([(0 if "M" in x else 1) == y for x, y in zip(s, t)]), "M somewhere"),
    ("08-shortcut", lambda s, t: np.mean([x[0] == "M" for x in s]), "how many begin with M"),
    ("08-shortcut", lambda s, t: 0.99, "it should be"),
    ("08-macro-f1", lambda t, p: np.mean(np.array(t) == np.array(p)), "this is accuracy"),
    ("08-macro-f1", lambda t, p: (4 * f1s(t, p)[0] + 8 * f1s(t, p)[1]) / 12, "weighted by class size"),
    ("08-macro-f1", lambda t, p: f1s(t, p)[1], "class 1 alone"),
    ("08-macro-f1", lambda t, p: f1s(t, p)[0], "class 0 alone"),
    ("08-macro-f1", lambda t, p: 2 * np.prod(means(t, p)) / sum(means(t, p)), "mean precision and the mean recall"),
    ("08-macro-f1", lambda t, p: means(t, p)[1], "balanced accuracy"),
    ("08-macro-f1", lambda t, p: means(t, p)[0], "mean precision; F1"),
    ("08-macro-f1", lambda t, p: np.mean(means(t, p)), "harmonic mean"),
    ("08-macro-f1", lambda t, p: 0.11, "it should be"),
    ("08-macro-f1", lambda t, p: np.mean(f1s(t, p)) if 0 in p else 6 / 7, "gives 3/7"),
    ("08-metric", RIGHT_METRIC | {"a": "accuracy"}, "accuracy of 95 %"),
    ("08-metric", RIGHT_METRIC | {"a": "macro_f1"}, "0.49"),
    ("08-metric", RIGHT_METRIC | {"b": "rmse"}, "only the order"),
    ("08-metric", RIGHT_METRIC | {"c": "spearman"}, "ranks do not see"),
    ("08-metric", RIGHT_METRIC | {"d": "mcc"}, "nobody can count"),
    ("08-metric", RIGHT_METRIC | {"a": "rmse"}, "is for numbers"),
    ("08-metric", RIGHT_METRIC | {"b": "mcc"}, "is for classes"),
    ("08-metric", {"a": "mcc"}, "so far there is a"),
    ("08-metric", {"a": "luck"}, "none of"),
    ("08-spearman", lambda g, t: np.corrcoef(g, t)[0, 1], "Pearson on the values"),
    ("08-spearman", lambda g, t: np.corrcoef(np.argsort(g), np.argsort(t))[0, 1], "not their ranks"),
    ("08-spearman", lambda g, t: np.corrcoef(g.argsort().argsort(), t.argsort().argsort())[0, 1], "mean rank"),
    ("08-spearman", lambda g, t: 0.5, "it should be"),
]


@pytest.mark.parametrize(("key", "answer", "said"), WRONG)
def test_the_misconception_is_named(key, answer, said, capsys):
    check(key, answer)
    out = capsys.readouterr().out
    assert out.startswith(f"✗ {key}") and said in out, out


def test_the_nearest_training_sequence_is_found():
    sequences = ("KLAKLAK", "KLAKLAG", "MSTNPKP", "MSTNPKQ", "WWWWW")
    test = np.array([True, False, True, False, True])
    similarity, places = nearest_outside(shared_words(sequences), test)
    assert similarity.tolist() == [pytest.approx(3 / 4), pytest.approx(4 / 6), 0]
    assert places.tolist() == [1, 3, -1]
    first, second = similar_pairs(sequences, threshold=0.7)
    assert (first.tolist(), second.tolist()) == ([0], [1])


@pytest.fixture
def made_up(monkeypatch):
    def refuse(*_):
        raise LabError("no network", kind="download")

    class Absent:
        load = staticmethod(refuse)

    monkeypatch.setattr(proteins, "get_task", lambda name: Absent)
    return proteins.peptides()


def test_made_up_peptides_stand_in_without_a_network(made_up):
    assert made_up.made_up and len(made_up.sequences) == len(made_up.targets)
    pairs = similar_pairs(made_up.sequences)
    leak = {name: with_neighbour(test, *pairs) for name, test in made_up.test.items()}
    assert leak[proteins.FAMILIES] == 0 < leak[proteins.RANDOM]
    with pytest.raises(LabError, match="no network"):
        proteins.site_mean_table()


def test_other_problems_are_not_hidden(monkeypatch):
    def refuse(*_):
        raise LabError("unreadable", kind="data")

    monkeypatch.setattr(proteins, "get_task", lambda name: type("Broken", (), {"load": staticmethod(refuse)}))
    with pytest.raises(LabError, match="unreadable"):
        proteins.peptides()


@pytest.mark.parametrize(("threshold", "k"), [(0.3, 3), (0.7, 2)])
def test_relatives_are_a_figure(made_up, threshold, k):
    figure = proteins.relatives(made_up, threshold, k)
    assert isinstance(figure, go.Figure) and "random fifth" in figure.layout.meta["alt"]


def test_memory_is_better_with_relatives(made_up):
    table = proteins.memory_table(proteins.nearest_of(made_up)).set_index("cut")
    assert table.loc[proteins.RANDOM, "accuracy (%)"] > table.loc[proteins.FAMILIES, "accuracy (%)"]
    assert table.loc[proteins.FAMILIES, "with a relative"] == 0


@pytest.mark.parametrize("percent", [1, 50, 99])
def test_metrics_are_a_figure(percent):
    assert isinstance(proteins.metrics(percent, 0.8, 0.7), go.Figure)


def test_expected_scores_are_those_of_counted_ones():
    """100 positives of 400, sensitivity 0.8, specificity 0.7, counted out."""
    targets = np.repeat([1, 0], [100, 300])
    predicted = np.concatenate([np.repeat([1, 0], [80, 20]), np.repeat([0, 1], [210, 90])])
    counted_out = score("classification", np.eye(2)[predicted], targets, ("0", "1"))
    assert proteins.scores_of_shares(0.25, 0.8, 0.7) == pytest.approx(counted_out)
    assert proteins.scores_of_shares(0.05, 0.0, 1.0)["mcc"] == 0.0


def test_the_recorded_runs_fall_where_the_rule_is_wrong():
    table = proteins.shortcut_table(recorded("recorded-peptides"))
    assert table["n"].sum() == 924 and table["the rule is"].tolist() == ["right", "wrong", "wrong", "right"]
    assert (table.loc[0, ["LoRA", "DoRA", "BiDoRA"]] > table.loc[1, ["LoRA", "DoRA", "BiDoRA"]] + 20).all()


@pytest.mark.real
def test_the_numbers_of_the_text_are_those_of_the_packaged_data():
    from bidora.tasks import task_is_fetched

    if not (task_is_fetched("peptides") and task_is_fetched("stability")):
        pytest.skip("peptides and stability are not here: `bidora fetch peptides stability`")
    found = proteins.peptides()
    table = proteins.memory_table(proteins.nearest_of(found)).set_index("cut")
    assert table["with a relative"].to_dict() == {proteins.RANDOM: 482, proteins.FAMILIES: 0}
    assert table["accuracy (%)"].to_dict() == {proteins.RANDOM: 84.4, proteins.FAMILIES: 77.5}
    test = found.test[proteins.FAMILIES]
    starts = np.array([sequence.startswith("M") for sequence in found.sequences])
    assert round(100 * np.mean((starts == (found.targets == 0))[test]), 1) == 76.4
    sites = proteins.site_mean_table()
    assert sites["Spearman"].tolist() == ["0.56", "undefined"]
