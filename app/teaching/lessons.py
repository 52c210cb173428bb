"""The five lessons: what students see, and, on request, the teacher's notes."""

from __future__ import annotations

import streamlit as st

from app.charts import plain
from app.comparing.reading import of_runs
from app.page import explained, go, link, root
from app.teaching.numbers import material, show_evidence
from app.teaching.visitor import base, browser, only_here
from bidora.analysis import suggested
from bidora.glossary import entry_of
from bidora.lessons import LESSONS, Lesson, LessonLink, Prediction, Step, lesson
from bidora.lessons.evidence import replay_runs
from bidora.lessons.votes import open_vote


def lessons_part() -> None:
    """Choose a lesson and go through it."""
    asked = lesson(st.query_params.get("lesson", ""))
    keys = [each.key for each in LESSONS]
    chosen = st.selectbox(
        "Lesson",
        keys,
        index=keys.index(asked.key) if asked else 0,
        key="lesson-chosen",
        format_func=lambda key: f"{lesson(key).number}. {lesson(key).title}",
        on_change=_remember,
        help="Fifteen minutes each; any one can be taken alone.",
    )
    notes = st.toggle(
        "Teacher's notes",
        key="lesson-notes",
        value=st.query_params.get("notes") == "1",
        help="What to say, what students should see, wrong ideas to expect. Never shown on the projector.",
    )
    show_lesson(lesson(chosen), notes=notes)


def _remember() -> None:
    st.query_params["lesson"] = st.session_state["lesson-chosen"]


def show_lesson(shown: Lesson, *, notes: bool) -> None:
    """One lesson, with or without the teacher's notes."""
    st.header(f"{shown.number}. {shown.title}", anchor=False)
    st.markdown(f"**Goal.** {shown.goal}  \n:material/timer: {shown.minutes} minutes in {len(shown.steps)} steps")
    _actions(shown, notes=notes)
    _prediction(shown.prediction, key=shown.key, notes=notes)
    for number, step in enumerate(shown.steps, start=1):
        if number > 1:
            _step(step, number, key=f"{shown.key}-{number}", notes=notes)
        elif notes:
            _notes(step)
    with st.container(border=True):
        st.subheader("Closing question", anchor=False)
        st.markdown(shown.closing)
        with st.expander("An answer"):
            st.markdown(shown.answer)
    st.markdown("**Terms of this lesson**")
    with st.container(horizontal=True):
        for term in shown.terms:
            link("glossary", entry_of(term).term, icon=":material/menu_book:", term=term)


def _actions(shown: Lesson, *, notes: bool) -> None:
    with st.container(horizontal=True):
        link("classroom", "Projector", icon=":material/cast:", lesson=shown.key, project="1")
        if notes and st.button("Let the class vote", key=f"vote-{shown.key}", icon=":material/how_to_vote:"):
            with explained():
                options = [option.text for option in shown.prediction.options]
                answer = shown.prediction.right
                vote = open_vote(shown.prediction.question, options, browser=browser(), answer=answer, root=root())
                go("classroom", vote=vote.code)
    if notes:
        with st.expander("Link for students", icon=":material/link:"):
            st.code(f"{base()}classroom?lesson={shown.key}", language=None, wrap_lines=True)
            only_here(base())


def _prediction(prediction: Prediction, *, key: str, notes: bool) -> None:
    with st.container(border=True):
        st.subheader("1. First a prediction", anchor=False)
        chosen = st.radio(
            prediction.question,
            range(len(prediction.options)),
            index=None,
            key=f"prediction-{key}",
            format_func=lambda place: prediction.options[place].text,
        )
        if chosen is not None:
            st.markdown(prediction.reply(chosen))
        if notes:
            st.markdown("**What stands behind each answer**")
            for place, option in enumerate(prediction.options):
                mark = ":material/check: right:" if place == prediction.right else "wrong: whoever chooses it"
                st.markdown(f"- “{option.text}”, {mark} {option.why}")


def _step(step: Step, number: int, *, key: str, notes: bool) -> None:
    with st.container(border=True):
        st.subheader(f"{number}. {step.title}", anchor=False)
        st.caption(f":material/timer: {step.minutes} minute{'s' * (step.minutes > 1)}")
        st.markdown(step.task)
        for label, target in step.links:
            _link(label, target)
        if step.evidence:
            folded = st.expander(
                "Numbers from recorded runs", icon=":material/monitoring:", key=f"numbers-{key}", on_change="rerun"
            )
            if folded.open:  # computed only when somebody wants to see them
                with folded:
                    show_evidence(step.evidence, place=key, level=4)
        if notes:
            _notes(step)


def _link(label: str, target: LessonLink) -> None:
    """A link into a view; links to recordings are filled with those that are there."""
    query = target.query()
    if target.view == "compare" and not target.runs:  # else the page would show what this visitor last compared
        query["runs"] = ",".join(run.id for run in of_runs(suggested, material()))
    elif target.view == "classroom":
        query["replay"] = ",".join(run.id for run in replay_runs(material()))
        if not query["replay"]:
            st.caption("There is no recording to replay yet; any finished run of your own will do.")
            return
    link(target.view, label, icon=":material/arrow_forward:", **query)


def _notes(step: Step) -> None:
    with st.container(border=True):
        st.markdown(f":material/record_voice_over: **Say.** {step.say}")
        st.markdown(f":material/visibility: **Students should see.** {step.see}")
        for idea in step.wrong_ideas:
            st.markdown(f":material/psychology_alt: **Wrong idea.** {plain(idea)}")
