"""Streamlit's empty page with the finished comparison in it, which goes away once the lab itself is there."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from string import Template

from app.charts import still_picture
from app.first_view.stored import THEMES, FirstView, pictures_of
from app.page import VIEWS
from app.starting.doors import DOORS
from app.starting.opening import ADVICE, INTRODUCTION, TITLE

ROOT = '<div id="root"></div>'
"""Where Streamlit's code will draw."""

_TEMPLATE = Template((Path(__file__).parent / "page.html").read_text(encoding="utf-8"))


def with_view(page: str, view: FirstView) -> str:
    """The page with the comparison; as it is where Streamlit's page is not as we know it.

    Args:
        page: HTML.
        view: what to show until the lab is there.
    """
    if page.count(ROOT) != 1:
        return page
    return page.replace(ROOT, _font(page) + ROOT + _filled(view)).replace("<title>Streamlit<", f"<title>{TITLE}<")


def _font(page: str) -> str:
    """The page's own type, by the address from which Streamlit will load it."""
    found = re.search(r'href="([^"]+\.woff2)"', page)
    source = f"url({found[1]}) format('woff2')" if found else "local('Source Sans')"
    return f"<style>@font-face {{font-family: 'Source Sans'; font-weight: 200 900; src: {source};}}</style>"


def _filled(view: FirstView) -> str:
    pictures = {theme: still_picture(pictures_of(view, theme), alt="") for theme in THEMES}
    return _TEMPLATE.substitute(
        menu="".join(
            f"<b>{name}</b>" + "".join(f"<span>{each.title}</span>" for each in views) for name, views in VIEWS.items()
        ),
        title=TITLE,
        introduction=f"{_strong(INTRODUCTION)}<br>{_strong(ADVICE)}",
        doors="".join(_door(title, sentence, [label for _, label in links]) for title, _, sentence, links in DOORS),
        task=escape(view.task),
        reference=escape(view.reference),
        sentences="".join(f"<li>{escape(sentence)}.</li>" for sentence in view.sentences),
        question=escape(view.title),
        captions="".join(f"<small>{escape(words)}</small>" for words in (view.convention, *view.notes, view.terms)),
        **pictures,
    )


def _door(title: str, sentence: str, links: list[str]) -> str:
    return f'<div class="door"><h2>{title}</h2><p>{sentence}</p>{"".join(f"<span>{label}</span>" for label in links)}</div>'


def _strong(text: str) -> str:
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(text))
