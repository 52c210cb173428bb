"""Lessons, lesson links and votes: texts hold against the lab, addresses round-trip, no vote is lost."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from test_analysis import make_run, write_dynamics

from bidora import sandbox
from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.glossary import entry_of
from bidora.lessons import LESSONS, LessonLink, evidence, lesson, read_link
from bidora.lessons.ballots import as_csv, cast, choice_of, tally
from bidora.lessons.browsers import browser_of, mark_of
from bidora.lessons.controls import LINKED, LOCAL, SANDBOXES, allowed, hideable, names_of
from bidora.lessons.evidence import EVIDENCE, NONE, replay_runs
from bidora.lessons.links import QUESTION_LENGTH, plain_question, run_ids
from bidora.lessons.slides import Numbers, place_of, slides_of
from bidora.lessons.votes import MOST_BALLOTS, change, delete, open_vote, own_votes, read_vote, restore

ROOT = Path(__file__).resolve().parents[1]
TEACHER, STUDENT = "a" * 32, "b" * 32


# -- lessons ------------------------------------------------------------------------------------------------------


def test_there_are_five_lessons_of_fifteen_minutes():
    assert [each.number for each in LESSONS] == [1, 2, 3, 4, 5]
    assert {each.minutes for each in LESSONS} == {15}
    assert lesson("two-levels") is lesson("3") is LESSONS[2]
    assert lesson("6") is None and lesson("") is None


@pytest.mark.parametrize("taught", LESSONS, ids=lambda each: each.key)
def test_a_lesson_is_complete(taught):
    options = taught.prediction.options
    assert 3 <= len(options) <= 6 and len({option.text for option in options}) == len(options)
    assert taught.prediction.reply(taught.prediction.right).startswith("**Yes.**")
    for place, option in enumerate(options):
        assert option.why.endswith("."), "each wrong option names what is behind it"
        if place != taught.prediction.right:
            assert options[taught.prediction.right].text in taught.prediction.reply(place)
    assert taught.closing.endswith("?") and taught.answer.endswith(".")
    assert any(step.links for step in taught.steps) and any(step.wrong_ideas for step in taught.steps)
    assert all(step.say and step.see and step.task and step.minutes > 0 for step in taught.steps)
    assert all(step.evidence in ("", *EVIDENCE) for step in taught.steps)
    assert all(entry_of(term) for term in taught.terms)


def test_every_prediction_fits_into_a_vote(tmp_path):
    for taught in LESSONS:
        options = [option.text for option in taught.prediction.options]
        vote = open_vote(
            taught.prediction.question, options, browser=TEACHER, answer=taught.prediction.right, root=tmp_path
        )
        assert vote.options == tuple(options) and vote.answer == taught.prediction.right


@pytest.mark.parametrize("taught", LESSONS, ids=lambda each: each.key)
def test_links_of_a_lesson_are_obeyed_in_full(taught):
    for step in taught.steps:
        for _, link in step.links:
            assert read_link(link.view, link.query()) == link


def test_the_angles_of_lesson_one():
    turn = lambda degrees: 1 - math.cos(math.radians(degrees))  # noqa: E731
    assert round(turn(10), 4) == 0.0152
    assert turn(60) == pytest.approx(0.5)
    assert round(math.radians(10), 2) == 0.17
    assert round(math.degrees(math.acos(1 - 0.02)), 1) == 11.5


def test_what_lesson_two_says_of_the_sandbox():
    """LoRA needs rank after rank for lengths, DoRA none; towards one vector DoRA of rank 1 leaves nothing."""

    def left(change, turning="own"):
        found = sandbox.reach_by_rank(sandbox.target_weight(change, percent=30, degrees=30, turning=turning))
        return [each.lora_left for each in found], [each.dora_left for each in found]

    lora, dora = left("lengths")
    assert dora[0] < 0.005 < lora[2] < lora[1] < lora[0]
    lora, dora = left("headings", "shared")
    assert dora[0] < 0.005 < lora[0]
    lora, dora = left("headings", "own")
    assert dora[0] > 0.5 and lora[1] < dora[0] < lora[0], "one further rank of LoRA lies below DoRA"


def test_what_lesson_three_says_of_the_toy():
    """ξ = 0 rests beside the solution; a larger ξ moves the resting point."""
    problem = sandbox.PROBLEM
    rests = [sandbox.settles(problem, xi=xi) for xi in (0.0, 0.3)]
    assert abs(rests[0] - problem.solution()) > 0.05
    assert rests[0] != pytest.approx(rests[1], abs=0.01)


def test_the_chance_of_lesson_five():
    from bidora.statistics import paired_difference

    found = paired_difference([1, 2, 3], [0, 1, 1])
    assert found.by_chance == 0.25
    assert found.test.smallest_p == 0.25


def test_published_numbers_are_those_that_were_read():
    """Nothing with a decimal in a text that is neither published, nor a sandbox's, nor arithmetic."""
    known = {"0.17", "0.015", "0.0152", "0.10", "0.02", "11.5", "0.5", "12.5"}  # arithmetic on angles and coins
    known |= {"8.042", "0.8042", "1.784", "0.62", "0.31", "0.83", "0.1", "0.2", "3.92", "1.30"}  # published
    known |= {"0.25", "1.6", "0.3"}  # Wilcoxon's smallest p for three seeds; an example of a sentence
    for path in (ROOT / "bidora" / "lessons" / "texts").glob("*.py"):
        text = re.sub(r"LessonLink\(.*?\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert set(re.findall(r"\d+\.\d+", text)) <= known, path.name


def test_slides_show_one_thing_each_and_no_notes():
    for taught in LESSONS:
        slides = slides_of(taught, {key: Numbers(["Sentence."], drawn=True) for key in EVIDENCE})
        text = " ".join(f"{slide.title} {slide.text} {' '.join(slide.points)}" for slide in slides)
        assert all(step.say not in text and step.see not in text for step in taught.steps)
        assert all(step.task in text for step in taught.steps[1:-1])
        assert slides[1].text == taught.prediction.question
        assert all(bool(slide.text) + bool(slide.numbers) + bool(slide.figure) == 1 for slide in slides)
        assert [slide.figure for slide in slides if slide.figure] == [
            step.evidence for step in taught.steps if step.evidence
        ]
        assert slides[-1].text == taught.answer


@pytest.mark.parametrize(
    ("lengths", "parts"),
    [
        ([50] * 6, [6]),
        ([147, 147, 148, 160], [2, 2]),
        ([118, 107, 117, 107, 117, 119], [3, 3]),
        ([146, 174, 133, 119, 164, 36, 141], [2, 2, 3]),
        ([20, 2000], [1, 1]),
        ([], []),
    ],
)
def test_sentences_are_spread_over_the_slides_that_they_need(lengths, parts):
    taught = LESSONS[0]
    key = next(step.evidence for step in taught.steps if step.evidence)
    sentences = ["x" * length for length in lengths]
    told = [slide for slide in slides_of(taught, {key: Numbers(sentences)}) if slide.numbers]
    assert [len(slide.numbers) for slide in told] == parts
    assert [each for slide in told for each in slide.numbers] == sentences
    assert all((" · " in slide.footer) == (len(parts) > 1) for slide in told)


@pytest.mark.parametrize(("text", "place"), [("", 1), ("3", 3), ("0", 1), ("99", 8), ("-1", 1), ("x", 1), ("9" * 9, 1)])
def test_a_slide_is_always_one_that_there_is(text, place):
    assert place_of(text, 8) == place


# -- numbers from recordings ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    root = tmp_path_factory.mktemp("recorded")
    runs = []
    for method in ("lora", "dora", "bidora"):
        for seed in (0, 1, 2):
            more = {"lora": 100_000, "dora": 101_536, "bidora": 101_536}[method]
            run = make_run(root, method, seed, accuracy=0.8 + 0.01 * seed, cost={"trainable_parameters": more})
            write_dynamics(run)
            phase = "search" if method == "bidora" else "train"
            for step in (10, 20, 30, 40):
                two = {"direct_norm": 2.0, "implicit_norm": 0.5} if method == "bidora" else {}
                line = {"phase": phase, "phase_index": 0, "step": step, "seconds": step / 2, "loss": 1 / step, **two}
                run.append_metrics(line)
            runs.append(run)
    return runs


@pytest.mark.parametrize("key", EVIDENCE)
def test_evidence_speaks_in_numbers_of_the_runs(key, recorded):
    sentences = evidence(key, recorded)
    assert sentences and NONE not in sentences
    assert all(sentence.endswith((".", ")")) or sentence[-1] == "." for sentence in sentences)
    assert "nan" not in " ".join(sentences)


def test_evidence_without_runs_says_what_to_do():
    assert evidence("fits", []) == [NONE]


def test_evidence_is_right(recorded):
    assert "DoRA has 1,536 more than LoRA (1.5 %)" in " ".join(evidence("parameters", recorded))
    levels = " ".join(evidence("levels", recorded))
    assert "102 in the lower split and 26 in the upper split" in levels
    assert "implicit over direct part 0.25" in levels
    assert "equal in 3 of 3 seeds" in " ".join(evidence("differences", recorded))


def test_a_lesson_replays_one_run_of_each_method(recorded):
    assert [(run.config.method, run.config.seed) for run in replay_runs(recorded)] == [
        ("lora", 0),
        ("dora", 0),
        ("bidora", 0),
    ]


# -- links ----------------------------------------------------------------------------------------------------------

LINKS = [
    LessonLink("new_run", {"method": "dora", "rank": "4", "seed": "3"}, preset="first-run", question="Why, at 50 %?"),
    LessonLink("new_run", {"unroll_scale": "adam"}, hide=("alpha", "dropout"), lock=("unroll_scale",)),
    LessonLink("decompose", {"part": "A vector", "length": "2.5", "turn": "-30"}, hide=("turn",)),
    LessonLink("two_levels", {"xi": "0.3", "upper_steps": "20"}, lock=("xi",), question="Does m rest at the star?"),
    LessonLink("compare", runs=("20260101-120000-abcd", "20260101-120001-abcd")),
    LessonLink("classroom", runs=("20260101-120000-abcd",), speed="20", question="ΔM ≠ ΔD & so on; a=b#c"),
    LessonLink("compare"),
]


@pytest.mark.parametrize("link", LINKS, ids=lambda each: each.view)
def test_a_link_survives_its_address(link):
    address = link.address("http://lab.local:8501/")
    assert address.startswith(f"http://lab.local:8501/{link.view}")
    assert len(address) < 250 and " " not in address
    assert read_link(link.view, dict(parse_qsl(address.partition("?")[2]))) == link
    assert link.in_words()


@pytest.mark.parametrize(
    ("view", "parameters"),
    [
        ("new_run", {"data": "/etc/passwd", "test_data": "../x", "model": "../../weights"}),
        ("new_run", {"rank": "-1", "method": "evil", "learning_rate": "nan", "seed": "1e99", "steps": "9" * 400}),
        ("new_run", {"preset": "../../x", "hide": "__class__,rank;drop", "lock": "," * 5000}),
        ("new_run", {"preset": "A" * 500, "target_modules": "<script>alert(1)</script>"}),
        ("decompose", {"turn": "inf", "length": "1e9", "part": "A planet", "axis": "", "W": "1,2,3"}),
        ("two_levels", {"xi": "__import__('os')", "lower_rate": "-1"}),
        ("compare", {"runs": "../../etc,20260101-120000-abcd/..,%2e%2e", "replay": "20260101-120000-abcd"}),
        ("classroom", {"replay": "a" * 10_000, "speed": "1000"}),
    ],
)
def test_hostile_addresses_ask_for_nothing(view, parameters):
    assert read_link(view, parameters) == LessonLink(view)


def test_other_views_take_no_lesson_link():
    assert read_link("runs", {"question": "x"}) is None
    assert read_link("", {}) is None


def test_a_question_is_one_plain_line():
    assert plain_question("a\n\tb \u202e c\x00\x1b[0m") == "a b c[0m"
    assert len(plain_question("x" * 10_000)) == QUESTION_LENGTH
    assert plain_question("\u200b\ufeff") == ""


def test_run_ids_are_ids():
    assert run_ids("20260101-120000-abcd, 20260101-120000-abcd,../x,,last\n") == ("20260101-120000-abcd",)


def test_a_link_can_set_every_setting_but_paths():
    assert set(names_of("new_run")) == set(RunConfig.__dataclass_fields__) - LOCAL | {"size"}
    for name in set(names_of("new_run")) - {"size"}:
        default = getattr(RunConfig(), name)
        text = ",".join(default) if isinstance(default, tuple) else str(default)
        assert allowed("new_run", name, text), name


def test_new_run_obeys_every_part_of_a_link():
    """The form reads the same names; it would say what it passed over."""
    from bidora.drafts import of_query
    from bidora.presets import PRESETS

    link = LessonLink(
        "new_run",
        {"size": "2 min", "method": "lora,dora", "rank": "4", "seed": "0,3", "target_modules": "query"},
        preset=next(iter(PRESETS)),
        hide=("advanced", "queue", "alpha"),
        lock=("rank", "method"),
        question="Which is higher?",
    )
    assert read_link("new_run", link.query()) == link
    draft, remarks = of_query(link.query())
    assert remarks == []
    assert draft.preset == link.preset and draft.values["rank"] == 4 and draft.seeds == "0,3"
    assert draft.methods == ("lora", "dora") and draft.question == link.question
    assert {"alpha", "queue", "dropout"} <= draft.hide and draft.lock == {"rank", "method"}
    for name in hideable("new_run"):
        assert of_query({"hide": name})[1] == [], name


@pytest.mark.parametrize("view", SANDBOXES)
def test_controls_of_links_are_widgets_of_the_views(view):
    """A lesson link names widgets by their keys, which are also their parameters in the address."""
    files = [ROOT / "app" / "views" / f"{view}.py"]
    source = "".join(path.read_text(encoding="utf-8") for path in files)
    for control in SANDBOXES[view]:
        assert f'key="{control.name}"' in source, f"{view} has no widget {control.name}"
        for option in control.options:
            assert f'"{option}"' in source, f"{view}: {control.name} has no option {option}"
    assert view in LINKED


# -- votes ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def vote(tmp_path):
    return open_vote(" Which turns less? ", ["LoRA", "DoRA", "", "BiDoRA "], browser=TEACHER, answer=1, root=tmp_path)


def test_a_vote_is_opened_cast_changed_and_counted(vote, tmp_path):
    assert vote.question == "Which turns less?" and vote.options == ("LoRA", "DoRA", "BiDoRA")
    assert vote.open and not vote.revealed
    cast(vote.code.lower(), 0, browser=STUDENT, root=tmp_path)
    cast(vote.code, 2, browser=STUDENT, root=tmp_path)
    cast(vote.code, 2, browser=TEACHER, root=tmp_path)
    assert tally(vote, tmp_path) == (0, 0, 2)
    assert choice_of(vote, STUDENT, tmp_path) == 2
    assert choice_of(vote, "c" * 32, tmp_path) is None


def test_only_the_browser_that_opened_it_rules_a_vote(vote, tmp_path):
    assert vote.owned_by(TEACHER) and not vote.owned_by(STUDENT) and not vote.owned_by("")
    with pytest.raises(LabError, match="another browser"):
        change(vote, browser=STUDENT, root=tmp_path, revealed=True)
    with pytest.raises(LabError, match="another browser"):
        delete(vote, browser=STUDENT, root=tmp_path)
    assert change(vote, browser=TEACHER, root=tmp_path, revealed=True).revealed
    assert [each.code for each in own_votes(TEACHER, tmp_path)] == [vote.code]
    assert own_votes(STUDENT, tmp_path) == []


def test_a_closed_vote_takes_no_ballot_until_it_is_opened_again(vote, tmp_path):
    cast(vote.code, 1, browser=STUDENT, root=tmp_path)
    closed = change(vote, browser=TEACHER, root=tmp_path, open=False)
    with pytest.raises(LabError, match="closed"):
        cast(vote.code, 0, browser=STUDENT, root=tmp_path)
    assert tally(closed, tmp_path) == (0, 1, 0)
    change(closed, browser=TEACHER, root=tmp_path, open=True)
    cast(vote.code, 0, browser=STUDENT, root=tmp_path)


def test_a_deleted_vote_comes_back_with_its_ballots(vote, tmp_path):
    cast(vote.code, 1, browser=STUDENT, root=tmp_path)
    delete(vote, browser=TEACHER, root=tmp_path)
    with pytest.raises(LabError, match="no vote"):
        read_vote(vote.code, tmp_path)
    assert tally(restore(vote.code, tmp_path), tmp_path) == (0, 1, 0)
    with pytest.raises(LabError, match="taken back"):
        restore(vote.code, tmp_path)


def test_no_names_are_kept(vote, tmp_path):
    """Neither the browser nor anything that two votes share is on file."""
    other = open_vote("Another?", ["yes", "no"], browser=TEACHER, root=tmp_path)
    cast(vote.code, 1, browser=STUDENT, root=tmp_path)
    cast(other.code, 1, browser=STUDENT, root=tmp_path)
    files = [path for path in (tmp_path / ".classroom").rglob("*") if path.is_file()]
    text = " ".join(f"{path} {path.read_text()}" for path in files)
    assert STUDENT not in text and TEACHER not in text
    ballots = [path for path in files if path.parent.name == "ballots"]
    assert len({path.name for path in ballots}) == 2
    assert all(set(json.loads(path.read_text())) == {"option"} for path in ballots)


def test_thirty_visitors_at_once_lose_no_vote(vote, tmp_path):
    start, problems = threading.Barrier(30), []

    def visit(number: int) -> None:
        try:
            start.wait(timeout=30)
            for option in (0, number % 3):
                cast(vote.code, option, browser=f"{number:032x}", root=tmp_path)
                tally(vote, tmp_path)
        except Exception as error:
            problems.append(error)

    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(30)]
    for each in visitors:
        each.start()
    for each in visitors:
        each.join()
    assert problems == []
    assert tally(vote, tmp_path) == (10, 10, 10)


def test_several_processes_at_once_lose_no_vote(vote, tmp_path):
    code = """
import sys
from bidora.lessons.ballots import cast
for number in range(8):
    cast(sys.argv[1], number % 3, browser=f"{int(sys.argv[3]):016x}{number:016x}", root=sys.argv[2])
"""
    words = [sys.executable, "-c", code, vote.code, str(tmp_path)]
    processes = [subprocess.Popen([*words, str(number)], cwd=ROOT) for number in range(3)]
    assert [each.wait(timeout=120) for each in processes] == [0, 0, 0]
    assert tally(vote, tmp_path) == (9, 9, 6)


@pytest.mark.parametrize(
    ("question", "options", "what"),
    [
        ("", ["a", "b"], "0 characters"),
        ("x" * 301, ["a", "b"], "301 characters"),
        ("Q?", ["a"], "1 different"),
        ("Q?", ["a", "a"], "1 different"),
        ("Q?", list("abcdefg"), "7 different"),
        ("Q?", ["a", "b" * 121], "121 characters"),
    ],
)
def test_what_is_no_vote_is_refused(question, options, what, tmp_path):
    with pytest.raises(LabError, match=what):
        open_vote(question, options, browser=TEACHER, root=tmp_path)


@pytest.mark.parametrize(
    "code", ["", "..", "../../x", "ABC", "ABCDE", "O0I1", "A/BC", "\x00\x00\x00\x00", "ABCD" * 999]
)
def test_codes_that_are_none_find_nothing(code, tmp_path):
    with pytest.raises(LabError, match="no vote"):
        read_vote(code, tmp_path)
    with pytest.raises(LabError):
        restore(code, tmp_path)


def test_ballots_are_bounded_and_options_checked(vote, tmp_path, monkeypatch):
    assert MOST_BALLOTS == 500
    monkeypatch.setattr("bidora.lessons.ballots.MOST_BALLOTS", 2)
    for number in range(2):
        cast(vote.code, 0, browser=f"{number:032x}", root=tmp_path)
    with pytest.raises(LabError, match="most it takes"):
        cast(vote.code, 0, browser=f"{7:032x}", root=tmp_path)
    cast(vote.code, 1, browser=f"{1:032x}", root=tmp_path)  # changing one's mind is no further ballot
    for option in (-1, 3):
        with pytest.raises(LabError, match="outside"):
            cast(vote.code, option, browser=f"{1:032x}", root=tmp_path)


def test_damaged_files_do_no_harm(vote, tmp_path):
    ballots = tmp_path / ".classroom" / "votes" / vote.code / "ballots"
    (ballots / "half.json").write_text('{"opt')
    (ballots / "odd.json").write_text('{"option": 77}')
    (ballots / "list.json").write_text("[1]")
    cast(vote.code, 1, browser=STUDENT, root=tmp_path)
    assert tally(vote, tmp_path) == (0, 1, 0)
    (ballots.parent / "vote.json").write_text("{")
    with pytest.raises(LabError, match="no vote"):
        read_vote(vote.code, tmp_path)
    assert own_votes(TEACHER, tmp_path) == []


def test_csv_has_shares_and_no_formulas(tmp_path):
    vote = open_vote("=cmd|' /C calc'!A0", ["@SUM(1)", "a, b"], browser=TEACHER, root=tmp_path)
    cast(vote.code, 1, browser=STUDENT, root=tmp_path)
    lines = as_csv(vote, tmp_path).splitlines()
    assert lines[0] == "code,question,option,votes,share"
    assert lines[1] == f"{vote.code},'=cmd|' /C calc'!A0,'@SUM(1),0,0.0000"
    assert lines[2].endswith('"a, b",1,1.0000')


def test_a_browser_is_known_again_under_another_mask():
    streamlit = pytest.importorskip("streamlit.web.server.starlette.starlette_app_utils")
    tokens = [bytes(range(16)), bytes(range(1, 17))]
    cookies = [[streamlit.generate_xsrf_token_string(token) for _ in range(3)] for token in tokens]
    marks = [{browser_of(cookie) for cookie in each} for each in cookies]
    assert [len(each) for each in marks] == [1, 1] and marks[0] != marks[1]
    assert mark_of(marks[0].pop(), "ABCD")


@pytest.mark.parametrize("cookie", ["", "x", "2|", "2|zz|00|1", "2|00000000|000|1", "2|" + "0" * 9999, "1|00|00|00"])
def test_what_is_no_cookie_is_no_browser(cookie):
    assert browser_of(cookie) == ""
    with pytest.raises(ValueError):
        mark_of(browser_of(cookie), "ABCD")


def test_nobody_takes_the_room_of_all_votes(tmp_path, monkeypatch):
    from bidora.lessons import votes

    monkeypatch.setattr(votes, "MOST_OF_ONE", 2)
    monkeypatch.setattr(votes, "MOST_VOTES", 3)
    for _ in range(2):
        votes.open_vote("q", ["a", "b"], browser="a" * 32, root=tmp_path)
    with pytest.raises(LabError, match="this browser"):
        votes.open_vote("q", ["a", "b"], browser="a" * 32, root=tmp_path)
    first = votes.open_vote("q", ["a", "b"], browser="b" * 32, root=tmp_path)
    with pytest.raises(LabError, match="3 votes"):
        votes.open_vote("q", ["a", "b"], browser="c" * 32, root=tmp_path)
    monkeypatch.setattr(votes, "LESSON", -1.0)  # as if a day had passed
    votes.open_vote("q", ["a", "b"], browser="c" * 32, root=tmp_path)
    assert len(list(votes.folder_of(tmp_path).iterdir())) == 3
    assert first.code in [path.name for path in votes.folder_of(tmp_path).iterdir()], "the oldest gave way"
