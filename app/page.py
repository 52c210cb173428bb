"""What all views share: the list of views, where runs are, links between views, and how an error is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import streamlit as st

from app.charts import plain
from bidora.errors import LabError
from bidora.models import cache_folder
from bidora.recordings import recordings
from bidora.runs import Run, find_run, list_runs, runs_root


class View(NamedTuple):
    """One page: its file in app/views and its address, its title and its icon."""

    name: str
    title: str
    icon: str


START = View("start", "Start", "home")
VIEWS: dict[str, tuple[View, ...]] = {
    "": (START,),
    "Learn": (View("decompose", "Decompose", "north_east"), View("two_levels", "Two levels", "stacks")),
    "Lab": (
        View("new_run", "New run", "play_arrow"),
        View("runs", "Runs", "list"),
        View("compare", "Compare", "balance"),
        View("analyse", "Analyse an adapter", "query_stats"),
    ),
    "Teach": (View("classroom", "Classroom", "school"),),
    "Help": (View("glossary", "Glossary", "menu_book"), View("published", "Published results", "table_chart")),
}
"""Section → its views, in the order of the menu."""

_OPEN = "view that is open"

_BY_NAME = {view.name: view for views in VIEWS.values() for view in views}


def page_of(view: View) -> st.Page:
    """The page of a view; its address is its name."""
    file = Path(__file__).parent / "views" / f"{view.name}.py"
    icon = f":material/{view.icon}:"
    return st.Page(file, title=view.title, icon=icon, url_path=view.name, default=view == START)


_ROOM = (
    ".stMainBlockContainer {padding-top: 4rem; padding-bottom: 4rem;} "
    '[data-testid="stSidebarNavLink"]:focus-visible, [data-testid="stPageLink-NavLink"]:focus-visible '
    "{outline: 2px solid currentColor; outline-offset: 1px;} "
    '[data-testid="stPageLink-NavLink"] {height: auto;} [data-testid="stPageLink-NavLink"] * {white-space: normal;} '
    ".katex-display {overflow-x: auto; overflow-y: hidden; padding: 0.3rem 0;}"
)
"""Less empty room than streamlit leaves, a ring around the link that the keyboard is on, links of several lines and formulas
that scroll where a page is narrow."""


def begin(view: str, *, icon: str) -> None:
    """Name the browser's tab after the view, and leave less room above it than streamlit does."""
    st.session_state[_OPEN] = view or START.name
    title = _BY_NAME.get(view, START).title
    st.set_page_config(page_title=tab_title(title), page_icon=icon, layout="wide")
    st.html(f"<style>{_ROOM}</style>")


def tab_title(title: str) -> str:
    """What the browser's tab says."""
    return "BiDoRA Lab" if title == START.title else f"{title} · BiDoRA Lab"


def link(name: str, label: str, *, icon: str = "", **query: str) -> None:
    """Link to a view, with a query string such as run="20260101-120000-abcd".

    To the view that is already open it is a button: a link of Streamlit's would show the new query and leave the old one in
    the address, to which the next click on anything would lead back.
    """
    if st.session_state.get(_OPEN) == name:
        if st.button(label, icon=icon or None, type="tertiary", key=f"link {name} {label} {sorted(query.items())}"):
            go(name, **query)
        return
    st.page_link(page_of(_BY_NAME[name]), label=label, icon=icon or None, query_params=query or None)


def go(name: str, **query: str) -> None:
    """Switch to a view at once, with a query string."""
    st.switch_page(page_of(_BY_NAME[name]), query_params=query)


def root() -> Path:
    """Where runs are kept."""
    return runs_root()


def theme() -> str:
    """The visitor's page, "light" or "dark"; figures take it as their template."""
    return st.context.theme.type or "light"


def all_runs() -> list[Run]:
    """The visitor's own runs, newest first, then the recordings that come with the lab."""
    return [*list_runs(root()), *recordings()]


def known_run(name: str) -> Run:
    """The run or recording of that id, and nothing outside these folders.

    Raises:
        LabError: there is none.
    """
    if "/" in name or "\\" in name or ".." in name:
        raise LabError(f"{name!r} is no run's id", hint="choose a run from the list", kind="run")
    for recording in recordings():
        if recording.id == name:
            return recording
    try:
        return find_run(name, root())
    except LabError as error:  # where runs are kept on this machine is nobody's business
        words = error.message.replace(f" in {root()}", "").replace(f"{root()}/", "")
        hint = "choose one from the list of all runs" if "bidora list" in error.hint else error.hint
        raise LabError(words, hint=hint, kind=error.kind) from None


def is_recording(run: Run) -> bool:
    """Whether a run came with the lab: it may be looked at, not changed."""
    return "recording" in run.meta


@contextmanager
def explained() -> Iterator[None]:
    """Show a problem that the visitor can solve as a box with the next step, and go on with the page."""
    try:
        yield
    except LabError as error:
        show_error(error)
    except OSError as error:  # a disk that is full or may only be read, a folder that somebody removed meanwhile
        show_error(on_disk(error))


def on_disk(error: OSError) -> LabError:
    """What the system says about a file, as a problem that the visitor can solve."""
    said = error.strerror or type(error).__name__
    return LabError(
        f"nothing could be written or read: {said}", hint="free some space, or reload the page", kind="disk"
    )


def show_error(error: LabError) -> None:
    """Show a problem with its next step; names from outside in it are shown as they are."""
    message = _placeless(error.message)
    hint = f"\n\n**What to do:** {worded(begun(error.hint))}." if error.hint else ""
    st.error(f"{worded(begun(message))}.{hint}", icon=":material/error:")


def _placeless(text: str) -> str:
    """Without the folders of runs and of what was fetched before names in it: where they lie here is nobody's business."""
    folders = {str(place) for each in (root(), cache_folder()) for place in (each.absolute(), each)}
    places = "|".join(re.escape(folder) for folder in sorted(folders, key=len, reverse=True))
    return re.sub(rf"(?<![\w/.-])(?:{places})/", "", text)


def begun(sentence: str) -> str:
    """A sentence of ours with a capital letter, without its full stop; a setting's or file's name stays as it is."""
    first = sentence.split(" ", 1)[0]
    named = not first.replace("-", "").isalpha()
    return (sentence if named else sentence[:1].upper() + sentence[1:]).rstrip(".")


def worded(text: str) -> str:
    """A sentence of ours that may hold names from outside: `commands` look like code, all else stays plain text."""
    if "``" in text or text.count("`") % 2:
        return plain(text)
    return "`".join(
        part if place % 2 and "\n" not in part else plain(part) for place, part in enumerate(text.split("`"))
    )
