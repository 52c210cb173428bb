"""Glossary: every number shown on any screen, the conventions, and the references."""

from __future__ import annotations

import streamlit as st

from bidora.glossary import CONVENTIONS, REFERENCES, TOPICS, Entry, entry_of, find, link_to


def card(entry: Entry) -> None:
    """One entry: meaning, formula, unit, convention, source, where it is shown."""
    with st.container(border=True, key=f"entry-{entry.key}"):
        st.header(entry.term, anchor=entry.key)
        st.markdown(entry.meaning)
        if entry.formula:
            st.latex(entry.formula, width="stretch")
        st.markdown(entry.details())
        with st.popover("Link to this entry", icon=":material/link:"):
            st.code(link_to(entry.key), language=None, wrap_lines=True)


def conventions() -> None:
    """The table of conventions, as text, so that it wraps on a narrow page."""
    st.header("Conventions", anchor="conventions", divider="gray")
    st.caption("What has to be known before numbers of two programs are compared.")
    for each in CONVENTIONS:
        with st.container(border=True):
            st.markdown(f"**{each.what}** · [entry](?term={each.term})")
            here, there = st.columns(2)
            here.markdown(f"*In this lab:* {each.here}")
            there.markdown(f"*Elsewhere:* {each.elsewhere}")


def references() -> None:
    """The works that entries refer to."""
    st.header("References", anchor="references", divider="gray")
    for each in REFERENCES.values():
        note = f"  \n*{each.note}*" if each.note else ""
        st.markdown(f"- **{each.short}.** {each.full} [{each.address}]({each.address}){note}")


def asked() -> Entry | None:
    """The entry named in the address, or a sentence that there is none."""
    if "term" not in st.query_params:
        return None
    entry = entry_of(st.query_params["term"])
    if entry is None:
        st.warning("There is no entry of that name. Search for a word of it below.")
    return entry


st.title("Glossary")
st.caption("Every number that a screen of this lab shows: what it means, its formula, unit, convention and source.")

named = asked()
if named is not None:
    card(named)
    st.divider()

words = st.text_input(
    "Search all entries",
    key="glossary-words",
    max_chars=80,
    placeholder="for example: slope, norm axis, upper split",
    help="Words are looked for in names, symbols, meanings, units, conventions and sources.",
    icon=":material/search:",
)
topic = st.pills(
    "Topic",
    list(TOPICS),
    key="glossary-topic",
    default=named.topic if named is not None else "weights",
    format_func=TOPICS.__getitem__,
    disabled=bool(words.strip()),
    help="While you search, all topics are searched.",
)

if words.strip():
    found = find(words)
    st.markdown(f"**{len(found)}** {'entry' if len(found) == 1 else 'entries'}")
    if not found:
        st.info("Nothing holds all these words. Try fewer of them, or choose a topic after emptying the search box.")
else:
    found = find("", topic=topic) if topic else []
    if not topic:
        st.info("Choose a topic, or search.")

for each in found:
    if each != named:
        card(each)

conventions()
references()
