"""What all tutorials share: check, hint, solution, predict, reveal, explore, show."""

import plotly.graph_objects as go
import pytest
from exercise_answers import said

from bidora.errors import LabError
from bidora.exercises import exploring, predict, predicting, reveal
from bidora.exercises.checking import hint, solution
from bidora.exercises.exploring import explore, show


def test_check_never_stops_a_notebook():
    def broken(weight):
        raise KeyError("mine")

    words = said("01-length", broken)
    assert "your code stopped with KeyError" in words and 'hint("01-length")' in words


def test_check_stops_where_solutions_are_tested(monkeypatch):
    monkeypatch.setenv("BIDORA_EXERCISES", "strict")
    with pytest.raises(AssertionError, match="not tried yet"):
        said("01-length", None)


@pytest.mark.parametrize("key", ["01-nothing", "77-length", "../x", ""])
def test_an_exercise_that_is_not_there(key):
    with pytest.raises(LabError, match="there is no exercise"):
        hint(key)


def test_hints_lead_on(capsys):
    hint("01-length")
    hint("01-length", 3)
    words = capsys.readouterr().out
    assert 'hint("01-length", 2)' in words and 'solution("01-length")' in words
    with pytest.raises(LabError, match="level=4"):
        hint("01-length", 4)
    solution("01-length")
    assert "dim=1" in capsys.readouterr().out


def test_a_prediction_comes_back_with_the_answer(capsys, monkeypatch):
    monkeypatch.setattr(predicting, "_CHOICES", {})
    predict("t", "Which one? " * 20, ["this", "that"])
    predicting.remember("t", None)
    reveal("t", "that", "because")
    assert "You predicted" not in capsys.readouterr().out
    predicting.remember("t", "this")
    reveal("t", "that", "because " * 30)
    words = capsys.readouterr().out
    assert words.startswith("You predicted: this\nWhat holds: that\n")
    assert max(map(len, words.splitlines())) <= 100


def test_explore_draws_the_start_and_names_its_sliders(capsys, monkeypatch):
    drawn = []
    monkeypatch.setattr(exploring, "show", drawn.append)
    explore(lambda size, kind: (size, kind), size=(2.0, 1.0, 3.0, 0.1), kind=["a", "b"])
    assert drawn == [(2.0, "a")]
    assert "size, kind" in capsys.readouterr().out
    with pytest.raises(TypeError, match="colour"):
        explore(lambda size: size, colour=["red"])


def test_sliders_fit_what_they_choose():
    assert exploring._widget("steps", (3, 1, 9, 1)).value == 3
    assert exploring._widget("xi", (0.5, 0.0, 1.0, 0.1)).value == 0.5
    assert exploring._widget("task_name", ["a", "b"]).description == "task name"


def test_a_figure_is_shown_with_its_words(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *what, **how: shown.append(what[0]))
    monkeypatch.setattr(exploring, "_picture", lambda figure, words: None)  # no browser here
    show(go.Figure(layout=dict(meta={"alt": "a line that rises"})))
    assert "application/vnd.plotly.v1+json" in shown[0]
    assert "a line that rises" in shown[1].data
