"""Prediction votes: open one, vote, watch, reveal, close, export, delete and take back."""

from __future__ import annotations

import streamlit as st

from app import charts
from app.charts import plain
from app.page import explained, go, link, root, show_error, theme
from app.teaching.projector import big_type
from app.teaching.visitor import base, browser, only_here
from bidora import figures
from bidora.errors import LabError
from bidora.lessons import LESSONS
from bidora.lessons.ballots import as_csv, cast, choice_of, tally
from bidora.lessons.votes import (
    OPTION_LENGTH,
    QUESTION_LENGTH,
    Vote,
    change,
    delete,
    open_vote,
    own_votes,
    read_vote,
    restore,
)

LOOK = 2.0
"""Seconds between two looks at an open vote."""


def votes_part() -> None:
    """Join a vote, open one, and the votes that this browser opened."""
    _deleted()
    with st.form("join", border=True, enter_to_submit=True):
        code = st.text_input("Code of a vote", max_chars=8, help="The four letters or digits on the wall.")
        if st.form_submit_button("Join", icon=":material/login:") and code.strip():
            with explained():
                go("classroom", vote=read_vote(code, root()).code)
    _open()
    votes = own_votes(browser(), root())
    st.header("Votes opened in this browser", anchor=False)
    if not votes:
        st.caption("None yet. A vote belongs to the browser that opens it; only there it can be revealed and closed.")
    for vote in votes:
        with st.container(horizontal=True, vertical_alignment="center"):
            link("classroom", vote.code, icon=":material/how_to_vote:", vote=vote.code)
            st.caption(
                f"{'open' if vote.open else 'closed'} · {sum(tally(vote, root()))} votes · {plain(vote.question)}"
            )


def _open() -> None:
    st.header("Open a vote", anchor=False)
    titles = {each.key: f"Prediction of lesson {each.number}: {each.title}" for each in LESSONS}
    chosen = st.selectbox("Begin with", ["", *titles], format_func=lambda key: titles.get(key, "An empty question"))
    taken = next((each.prediction for each in LESSONS if each.key == chosen), None)
    with st.form(f"open-vote-{chosen}"):
        question = st.text_area("Question", value=taken.question if taken else "", max_chars=QUESTION_LENGTH)
        options = st.text_area(
            "Options, one a line",
            value="\n".join(option.text for option in taken.options) if taken else "",
            height=150,
            help=f"Two to six, up to {OPTION_LENGTH} characters each.",
        )
        if st.form_submit_button("Open the vote", type="primary", icon=":material/how_to_vote:"):
            with explained():
                same = taken is not None and options.splitlines() == [option.text for option in taken.options]
                answer = taken.right if same else -1
                vote = open_vote(question, options.splitlines(), browser=browser(), answer=answer, root=root())
                go("classroom", vote=vote.code)


def vote_part(code: str) -> None:
    """One vote: for the browser that opened it the result and its buttons, for others the ballot."""
    try:
        vote = read_vote(code, root())
    except LabError as error:
        st.title("Vote")
        show_error(error)
        link("classroom", "Enter another code", icon=":material/arrow_back:", tab="votes")
        return
    if vote.owned_by(browser()):
        _watch(vote)
    else:
        _ballot(vote)


def _ballot(vote: Vote) -> None:
    """What a student sees."""
    st.title(plain(vote.question), anchor=False)
    before = choice_of(vote, browser(), root())
    if vote.open:
        option = st.radio(
            "Your answer", range(len(vote.options)), index=before, format_func=lambda place: _named(vote, place)
        )
        if st.button("Vote", type="primary", disabled=option is None, icon=":material/how_to_vote:"):
            with explained():
                cast(vote.code, option, browser=browser(), root=root())
                before = option
    if before is not None:
        until = " You can change it until the vote is closed." if vote.open else ""
        st.success(f"Your vote is in: {_named(vote, before)}.{until}")
    elif not vote.open:
        st.info("This vote is closed.")
    if not vote.open:
        _options(vote)
    st.caption("Nobody sees who chose what: only your choice is kept, under a mark that fits this vote alone.")
    st.fragment(_result_for_all, run_every=LOOK if vote.open else None)(vote)
    if not (vote.open or vote.revealed):
        st.button("Look again", icon=":material/refresh:", help="The result is shown once it is revealed.")


def _result_for_all(known: Vote) -> None:
    vote = _fresh(known)
    if vote.open != known.open:
        st.rerun()
    if vote.revealed:
        _bars(vote, large=False)


def _watch(vote: Vote) -> None:
    """What the teacher and the wall see."""
    projected = st.query_params.get("project") == "1"
    if projected:
        big_type()
    with st.container(key="projector" if projected else None):
        st.title(plain(vote.question), anchor=False)
        beside = projected and vote.revealed  # one below the other, options and result leave the wall
        words, result = st.columns(2, gap="large") if beside else (st.container(), None)
        with words:
            _options(vote)
            st.markdown(f"Vote with the code **{vote.code}**" + ("" if vote.open else " (closed)"))
            if vote.open or not projected:
                st.code(f"{base()}classroom?vote={vote.code}", language=None, wrap_lines=True)
    with st.container(horizontal=True, key="projector-buttons", vertical_alignment="center"):
        _button("Hide the result" if vote.revealed else "Reveal the result", vote, revealed=not vote.revealed)
        _button("Open again" if not vote.open else "Close the vote", vote, open=not vote.open)
        if projected:
            link("classroom", "Leave", icon=":material/close:", vote=vote.code)
        else:
            link("classroom", "Projector", icon=":material/cast:", vote=vote.code, project="1")
    with result or st.container():
        st.fragment(_count, run_every=LOOK if vote.open else None)(vote, large=projected)
    if not projected:
        _more(vote)


def _more(vote: Vote) -> None:
    only_here(base())
    with st.container(horizontal=True):
        name = f"vote-{vote.code}.csv"
        data = as_csv(vote, root())
        st.download_button("Download CSV", data, file_name=name, mime="text/csv", icon=":material/download:")
        if st.button("Delete the vote", icon=":material/delete:"):
            with explained():
                delete(vote, browser=browser(), root=root())
                st.session_state["deleted-vote"] = vote.code
                go("classroom", tab="votes")
    link("classroom", "All votes", icon=":material/arrow_back:", tab="votes")


def _deleted() -> None:
    """Undo of the last deletion."""
    code = st.session_state.get("deleted-vote")
    if not code:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(f"Vote {code} was deleted.")
        if st.button("Undo", key="undo-vote", icon=":material/undo:"):
            del st.session_state["deleted-vote"]
            with explained():
                go("classroom", vote=restore(code, root()).code)


def _button(label: str, vote: Vote, **changes: bool) -> None:
    if st.button(label):
        with explained():
            change(vote, browser=browser(), root=root(), **changes)
            st.rerun()


def _count(known: Vote, *, large: bool) -> None:
    """How many have voted; the result once it is revealed."""
    vote = _fresh(known)
    if vote.open != known.open:
        st.rerun()
    total = sum(tally(vote, root()))
    if vote.revealed:
        _bars(vote, large=large)
    else:
        st.metric("votes", total, help="The result stays hidden until you reveal it.")


def _bars(vote: Vote, *, large: bool) -> None:
    right = vote.answer if not vote.open else -1  # the answer would sway those who have not voted
    figure = figures.vote_result(vote.options, tally(vote, root()), right=right, template=theme(), large=large)
    charts.show(figure, key=f"result-{vote.code}", projected=large)


def _options(vote: Vote) -> None:
    """All options with their letters: the chart has room for letters only."""
    st.markdown("\n".join(f"- {_named(vote, place)}" for place in range(len(vote.options))))


def _named(vote: Vote, place: int) -> str:
    """An option with its letter, which the chart shows, too."""
    return f"**{'ABCDEF'[place]}**  {plain(vote.options[place])}"


def _fresh(known: Vote) -> Vote:
    """The vote as it is on file now; as it was known where it is gone."""
    try:
        return read_vote(known.code, root())
    except LabError:
        return known
