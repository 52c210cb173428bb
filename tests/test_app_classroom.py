"""The classroom view: lessons, notes, projector, links, votes of several browsers, replay."""

from __future__ import annotations

import time
from urllib.parse import parse_qs

import pytest
from run_folders import write_comparison, write_run
from test_replay import recorded

from bidora.lessons import LESSONS, LessonLink
from bidora.lessons.ballots import tally
from bidora.lessons.controls import SANDBOXES
from bidora.lessons.replay import Clock
from bidora.lessons.votes import open_vote, read_vote
from bidora.runs import runs_root

TEACHER, STUDENT = "a" * 32, "b" * 32


def opened(app, view="classroom", **query):
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    return app.switch_page(f"views/{view}.py").run()


@pytest.fixture
def browser(monkeypatch):
    """Which browser the next page is opened in."""

    def become(mark: str) -> None:
        monkeypatch.setattr("app.teaching.voting.browser", lambda: mark)
        monkeypatch.setattr("app.teaching.lessons.browser", lambda: mark)

    become(TEACHER)
    return become


@pytest.fixture
def recordings(tmp_path):
    runs = [recorded(tmp_path / "recordings", method) for method in ("lora", "dora", "bidora")]
    for run in runs:
        run.update_meta(recording={"command": "bidora run", "machine": "two cores"})
    return runs


def text(app) -> str:
    return " ".join(
        each.value for kind in (app.title, app.header, app.subheader, app.markdown, app.caption) for each in kind
    )


def button(app, label):
    return next(each for each in app.button if each.label == label)


# -- lessons and projector ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda each: each.key)
def test_a_lesson_opens_with_its_prediction_and_hides_the_notes(app, lesson):
    opened(app, lesson=lesson.key)
    assert not app.exception
    assert app.title[0].value == "Classroom" and lesson.title in app.header[0].value
    assert app.radio[0].label == lesson.prediction.question and app.radio[0].value is None
    assert lesson.steps[1].say not in text(app)
    app.toggle(key="lesson-notes").set_value(True).run()
    assert not app.exception
    assert lesson.steps[1].say in text(app) and lesson.steps[1].see in text(app)


def test_a_prediction_is_answered_with_the_misconception(app):
    opened(app, lesson="1")
    prediction = LESSONS[0].prediction
    app.radio[0].set_value(0).run()
    assert any(each.value == prediction.reply(0) for each in app.markdown)
    app.radio[0].set_value(prediction.right).run()
    assert any(each.value.startswith("**Yes.**") for each in app.markdown)


@pytest.mark.parametrize("number", ["2", "4", "5"])
def test_a_lesson_compares_recordings_whatever_the_visitor_trained_or_compared(app, recordings, number):
    write_comparison(runs_root(), methods="lora dora bidora")
    app.session_state["compared-last"] = [write_run(runs_root()).id]
    opened(app, lesson=number)
    (link,) = (each for each in app.get("page_link") if each.label == "Open the comparison")
    query = parse_qs(link.query_string)
    assert sorted(query["runs"][0].split(",")) == sorted(run.id for run in recordings)
    assert set(query) <= {"part", "question", "runs"}


def test_numbers_come_from_recordings(app, recordings):
    from app.teaching import numbers

    numbers._sentences.clear()
    opened(app, lesson="two-levels", project="1", slide="7")
    assert not app.exception
    assert "102 in the lower split and 26 in the upper split" in text(app)


def test_the_projector_shows_one_slide_and_moves(app, recordings):
    opened(app, lesson="slope-and-correlation", project="1")
    assert not app.exception
    assert app.title[0].value == LESSONS[3].title
    assert button(app, "Back").disabled and not button(app, "Next").disabled
    button(app, "Next").click().run()
    assert LESSONS[3].prediction.question in text(app)
    assert app.query_params["slide"] in ("2", ["2"])
    assert LESSONS[3].steps[0].say not in text(app)
    button(app, "Back").click().run()
    assert app.title[0].value == LESSONS[3].title


@pytest.mark.slow
def test_every_slide_of_every_lesson_opens(app, recordings):
    for lesson in LESSONS:
        opened(app, lesson=lesson.key, project="1")
        while not button(app, "Next").disabled:
            button(app, "Next").click().run()
            assert not app.exception, (lesson.key, app.query_params)
        assert lesson.answer in text(app)


@pytest.mark.parametrize(
    "query", [{"lesson": "../x"}, {"lesson": "99", "project": "1"}, {"tab": "<b>"}, {"replay": "../../etc"}]
)
def test_odd_addresses_open_the_classroom(app, query):
    opened(app, **query)
    assert not app.exception
    assert app.title[0].value == "Classroom"


# -- lesson links -----------------------------------------------------------------------------------------------------


def test_the_builder_makes_a_link_that_says_what_it_does(app):
    opened(app, tab="links")
    app.selectbox(key="link-view").set_value("two_levels").run()
    app.multiselect(key="link-set-two_levels").set_value(["xi"]).run()
    app.text_input(key="link-two_levels-xi").set_value("0.3").run()
    app.multiselect(key="link-hide-two_levels").set_value(["outer_rate"]).run()
    app.text_input(key="link-question").set_value("Where does m rest?").run()
    assert not app.exception
    assert any(
        "two_levels?xi=0.3&hide=outer_rate&question=Where%20does%20m%20rest%3F" in each.value for each in app.code
    )
    assert "Hidden: Outer rate (of m)" in text(app)


def test_the_builder_names_the_value_of_every_locked_control(app):
    opened(app, tab="links")
    app.selectbox(key="link-view").set_value("two_levels").run()
    app.multiselect(key="link-set-two_levels").set_value(["xi"]).run()
    app.text_input(key="link-two_levels-xi").set_value("0.5").run()
    app.multiselect(key="link-lock-two_levels").set_value(["xi", "upper_steps"]).run()
    assert not app.exception
    assert any(each.value.endswith("two_levels?xi=0.5&upper_steps=0&lock=xi,upper_steps") for each in app.code)


@pytest.mark.parametrize(
    ("view", "query", "said", "gone"),
    [
        ("decompose", {"lock": "length"}, "Length of W: 2.6", ("length",)),
        ("decompose", {"lock": "length", "length": "9"}, "Length of W: 2.6", ("length",)),
        (
            "two_levels",
            {"lock": "xi,upper_steps", "xi": "0.5"},
            "ξ: 0.5; Upper steps taken: 0",
            ("xi", "upper_steps", "play", "pause", "one", "reset"),
        ),
    ],
)
def test_a_locked_control_stands_as_text_whether_the_link_sets_it_or_not(app, view, query, said, gone):
    opened(app, view, **query)
    assert f"Fixed for this lesson: {said}" in text(app).replace("\\", "")
    (style,) = (each.proto.body for each in app.get("html") if "display: none" in each.proto.body)
    assert style.count(".st-key-") == len(gone) and all(f".st-key-{name}" in style for name in gone)


def test_what_a_link_says_of_controls_is_true_of_the_page(app):
    opened(app, "decompose")
    part = app.segmented_control(key="part")
    found = {"part": part.value}
    for name in part.options:
        part.set_value(name).run()
        found |= {each.key: each for kind in (app.slider, app.radio) for each in kind}
        part = app.segmented_control(key="part")
    opened(app, "two_levels")
    found |= {each.key: each for kind in (app.slider, app.button) for each in kind}
    for control in (*SANDBOXES["decompose"], *SANDBOXES["two_levels"]):
        widget = found[control.name]
        assert str(getattr(widget, "value", widget)) == control.start, control.name
        if not control.options:
            assert (widget.min, widget.max) == (control.low, control.high), control.name
        assert {*control.buttons} <= {*found, "pause"}, "the button to pause is there while it plays"


def test_the_builder_leaves_out_what_is_not_allowed(app):
    opened(app, tab="links")
    app.selectbox(key="link-view").set_value("new_run").run()
    app.multiselect(key="link-set-new_run").set_value(["rank", "method"]).run()
    app.text_input(key="link-new_run-rank").set_value("-4").run()
    app.multiselect(key="link-new_run-method").set_value(["lora", "dora"]).run()
    assert not app.exception
    assert "left out" in app.warning[0].value
    assert any(each.value.endswith("new_run?method=lora,dora") for each in app.code)


@pytest.mark.parametrize(
    ("view", "link"),
    [
        ("two_levels", LessonLink("two_levels", {"xi": "0.3"}, hide=("outer_rate",), question="Does *m* rest?")),
        ("decompose", LessonLink("decompose", {"turn": "40"}, lock=("turn",), question="How far?")),
        ("compare", LessonLink("compare", question="Which conclusion is allowed?")),
    ],
)
def test_a_link_shows_its_question_above_the_view(app, view, link):
    opened(app, view, **link.query())
    assert not app.exception
    assert ":material/school:" in app.markdown[0].value
    if link.lock:
        assert "Fixed for this lesson" in text(app)


def test_an_ordinary_address_has_no_banner(app):
    opened(app, "two_levels", hide="../x", question="\u202e")
    assert not app.exception
    assert ":material/school:" not in text(app)


# -- votes ------------------------------------------------------------------------------------------------------------


def test_a_teacher_opens_students_vote_and_the_result_waits_for_the_teacher(app, browser):
    opened(app, tab="votes")
    app.text_area[0].set_value("Which turns less?")
    app.text_area[1].set_value("LoRA\nDoRA")
    button(app, "Open the vote").click().run()
    assert not app.exception
    code = app.query_params["vote"][0] if isinstance(app.query_params["vote"], list) else app.query_params["vote"]
    vote = read_vote(code, runs_root())
    assert app.title[0].value == "Which turns less?"
    assert app.metric[0].value == "0"

    browser(STUDENT)
    opened(app, vote=code)
    assert not app.exception and not any(each.label == "Reveal the result" for each in app.button)
    app.radio[0].set_value(1).run()
    button(app, "Vote").click().run()
    assert "Your vote is in" in app.success[0].value and "DoRA" in app.success[0].value
    assert tally(vote, runs_root()) == (0, 1)

    browser(TEACHER)
    opened(app, vote=code)
    assert app.metric[0].value == "1" and not app.get("plotly_chart")
    button(app, "Reveal the result").click().run()
    assert not app.exception and app.get("plotly_chart")
    button(app, "Close the vote").click().run()
    assert not read_vote(code, runs_root()).open

    browser(STUDENT)
    opened(app, vote=code)
    assert not app.radio and app.get("plotly_chart"), "closed, and revealed to all"
    assert "- **A**  LoRA\n- **B**  DoRA" in text(app), "the chart has letters only"


def test_a_revealed_vote_on_the_wall_says_what_its_letters_mean(app, browser):
    vote = open_vote("Which turns less?", ["LoRA", "DoRA"], browser=TEACHER, root=runs_root())
    opened(app, vote=vote.code, project="1")
    button(app, "Reveal the result").click().run()
    assert not app.exception and app.get("plotly_chart")
    assert "- **A**  LoRA\n- **B**  DoRA" in text(app)


def test_a_vote_is_deleted_and_taken_back(app, browser):
    vote = open_vote("Q?", ["a", "b"], browser=TEACHER, root=runs_root())
    opened(app, vote=vote.code)
    button(app, "Delete the vote").click().run()
    assert "was deleted" in text(app)
    button(app, "Undo").click().run()
    assert not app.exception
    assert read_vote(vote.code, runs_root()).question == "Q?"


def test_a_lesson_opens_its_vote_and_the_answer_shows_after_closing(app, browser):
    opened(app, lesson="5", notes="1")
    button(app, "Let the class vote").click().run()
    assert not app.exception
    assert app.title[0].value == LESSONS[4].prediction.question.replace("*", r"\*")


@pytest.mark.parametrize("code", ["ZZZZ", "../../x", "<script>", "", "A" * 9999])
def test_a_code_that_is_none_says_so(app, browser, code):
    opened(app, vote=code)
    assert not app.exception
    assert "no vote of that code" in app.error[0].value and len(app.error[0].value) < 200


def test_what_students_write_is_shown_as_it_is(app, browser):
    vote = open_vote("**bold** <b>x</b> $y$", ["[a](http://b)", ":red[c]"], browser=TEACHER, root=runs_root())
    opened(app, vote=vote.code)
    assert not app.exception
    assert app.title[0].value.startswith(r"\*\*bold")
    assert r"\[a\]" in text(app)


# -- replay -----------------------------------------------------------------------------------------------------------


def test_without_runs_the_replay_says_what_to_do(app):
    opened(app, tab="replay")
    assert not app.exception
    assert "no finished run" in app.info[0].value


def test_a_recording_is_played_paused_and_stepped(app, recordings):
    opened(app, replay=recordings[2].id, speed="20")
    assert not app.exception
    assert app.multiselect(key="replay-runs").value == [recordings[2].id]
    assert app.slider[0].max == 40.0 and app.slider[0].value == 0.0
    assert app.session_state["replay-clock"].speed == 20.0
    button(app, "Step").click().run()
    assert app.session_state["replay-clock"].position == 5.0
    assert "After 5.0 seconds" in text(app)
    button(app, "Step back").click().run()
    assert app.session_state["replay-clock"].position == 0.0
    app.slider[0].set_value(12.0).run()
    assert app.session_state["replay-clock"].position == 12.0
    button(app, "Play").click().run()
    assert app.session_state["replay-clock"].playing and not app.slider
    button(app, "Pause").click().run()
    clock = app.session_state["replay-clock"]
    assert not clock.playing and clock.position > 12.0
    assert not app.exception


def test_a_replay_ends_at_the_end(app, recordings):
    opened(app, replay=recordings[0].id)
    app.session_state["replay-clock"] = Clock(position=19.9, speed=20.0, since=time.monotonic() - 5)
    app.run()
    assert not app.exception
    assert not app.session_state["replay-clock"].playing
    assert app.slider[0].value == 20.0


def test_runs_of_one_day_with_one_name_are_told_apart(app):
    runs = [write_run(runs_root()) for _ in range(2)]
    for run in runs:
        run.update_meta(name="peptides LoRA, seed 0")
    opened(app, tab="replay")
    shown = app.multiselect(key="replay-runs").options
    opened(app, tab="links")
    app.selectbox(key="link-view").set_value("compare").run()
    assert not app.exception
    offered = app.multiselect(key="link-runs-compare").options
    assert set(shown) == set(offered) == {f"peptides LoRA, seed 0 · {run.id}" for run in runs}


def test_several_runs_share_a_clock(app, recordings):
    opened(app, replay=",".join(run.id for run in recordings) + ",../../x,20990101-000000-ffff")
    assert not app.exception
    assert app.multiselect(key="replay-runs").value == [run.id for run in recordings]
    assert all(name in text(app) for name in ("LoRA", "DoRA", "BiDoRA"))
