"""A page that needs nothing but itself: escaped text, tables, and plotly figures that open without a network."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; img-src data: blob:"
"""What the page may load: nothing from anywhere. Plotly's WebGL writes functions of its own, hence unsafe-eval."""

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; color: #1a1a1a; background: #fff;
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; } h2 { margin-top: 2.5rem; border-top: 2px solid #ddd; padding-top: 1rem; }
h1, h2, h3, p, li, dd, td, code, figcaption { overflow-wrap: anywhere; }
a { color: #00508a; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
th { background: #f3f3f3; } td { overflow-wrap: normal; }
caption { text-align: left; padding: .3rem 0; color: #444; }
figure { margin: 1.2rem 0; } figcaption, .small { color: #444; font-size: .9rem; }
pre { background: #f3f3f3; padding: .7rem; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }
.box { border-left: .3rem solid #00508a; background: #f1f6fa; padding: .3rem 1rem; }
.barred { border-left-color: #a40000; background: #fbf1f1; }
summary { cursor: pointer; padding: .3rem 0; }
@media print { details > * { display: block; } .scroll { overflow: visible; } h2 { break-after: avoid; } }
"""

_BAR = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}


def escaped(text: object) -> str:
    """Text as it is: nothing in it is read as HTML."""
    return html.escape(str(text))


def paragraph(text: object, *, kind: str = "") -> str:
    """A paragraph; empty lines begin a new one."""
    parts = [part.strip() for part in str(text).split("\n\n") if part.strip()]
    return "".join(f"<p{_class(kind)}>{escaped(part)}</p>\n" for part in parts)


def bullets(lines: Iterable[object]) -> str:
    """A list of sentences; nothing where there are none."""
    items = "".join(f"<li>{escaped(line)}</li>\n" for line in lines)
    return f"<ul>\n{items}</ul>\n" if items else ""


def box(content: str, *, kind: str = "") -> str:
    """A frame around HTML that is made already."""
    return f'<div class="{" ".join(filter(None, ["box", kind]))}">\n{content}</div>\n'


def code(text: object) -> str:
    """Text in a fixed width, as for a terminal."""
    return f"<pre><code>{escaped(text)}</code></pre>\n"


def folded(title: str, content: str) -> str:
    """HTML that is made already, behind a line that opens it."""
    return f"<details>\n<summary>{escaped(title)}</summary>\n{content}</details>\n"


def table(frame: pandas.DataFrame, *, caption: str) -> str:
    """A data frame as a table, every cell escaped; wide ones scroll sideways. Nothing where it has no rows."""
    if frame.empty:
        return ""
    head = "".join(f'<th scope="col">{escaped(name)}</th>' for name in frame.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escaped(cell)}</td>' for cell in row)}</tr>\n"
        for row in frame.itertuples(index=False, name=None)
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escaped(caption)}">\n<table>\n'
        f"<caption>{escaped(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n"
        "</table>\n</div>\n"
    )


def literal(frame: pandas.DataFrame) -> pandas.DataFrame:
    """The same table for a figure: plotly reads tags in its texts, so that names must come to it escaped."""
    changed = {
        name: [html.escape(cell, quote=False) if isinstance(cell, str) else cell for cell in frame[name]]
        for name in frame.columns
        if frame[name].map(lambda cell: isinstance(cell, str)).any()
    }
    return frame.assign(**changed)


def figure(drawn: go.Figure, *, level: int = 3) -> str:
    """A figure of `bidora.figures` with its title, its convention and its description as text of the page.

    Args:
        drawn: from tables that went through `literal`.
        level: of its heading.
    """
    from bidora.figures import without_words

    meta: dict[str, Any] = drawn.layout.meta or {}
    title = html.unescape(str(drawn.layout.title.text or "Figure"))
    chart = without_words(drawn).to_html(full_html=False, include_plotlyjs=False, config=_BAR)
    lines = [str(meta.get("convention") or ""), *map(str, meta.get("notes") or ())]
    below = "".join(f"<p>{escaped(html.unescape(line))}</p>\n" for line in lines if line)
    words = escaped(html.unescape(str(meta.get("alt") or title)))
    return (
        f"<h{level}>{escaped(title)}</h{level}>\n<figure>\n"
        f'<div class="scroll" role="img" aria-label="{escaped(title)} Described in words below.">\n{chart}\n</div>\n'
        f"<figcaption>\n{below}<p><strong>In words:</strong> {words}</p>\n</figcaption>\n</figure>\n"
    )


def whole_page(title: str, parts: Sequence[str]) -> str:
    """The page with its style and plotly's own code (about 5 MB) inside; the browser may load nothing else."""
    from plotly.offline import get_plotlyjs

    return (
        '<!DOCTYPE html>\n<html lang="en-GB">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{STYLE}</style>\n<script>{get_plotlyjs()}</script>\n</head>\n"
        f"<body>\n<main>\n{''.join(parts)}</main>\n"
        "<noscript><p>The charts need JavaScript; what they show stands below each of them in words.</p></noscript>\n"
        "</body>\n</html>\n"
    )


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
