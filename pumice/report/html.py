"""Escaping, tables and the other pieces of HTML that the sections are made of.

A record's text reaches the page through `esc` alone, and a figure's JSON through `script_json`: a class named
`<script>` is shown, never run.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

DATA_URI = re.compile(r"data:image/(?:png|jpeg|webp);base64,[A-Za-z0-9+/]+=*")


def esc(words: object) -> str:
    """Text, safe between tags and inside quoted attributes."""
    return escape(str(words), quote=True)


def script_json(value: Any) -> str:
    """JSON that is safe inside a script element: no `<`, `>`, `&` or line separators of JavaScript appear in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


@dataclass(frozen=True)
class Cell:
    """A cell of a table: what it shows, and the value that it sorts by (None sorts last)."""

    html: str
    sort: float | str | None = None
    numeric: bool = False
    css: str = ""


def words(value: object) -> Cell:
    """A cell of text."""
    return Cell(esc(value if value is not None else ""), None if value is None else str(value))


def figure_cell(shown: str, value: float | None) -> Cell:
    """A cell of a number, aligned right; the exact value is its tooltip."""
    return Cell(esc(shown), value, numeric=True)


def table(head: Sequence[tuple[str, bool]], rows: Sequence[Sequence[Cell]], *, css: str = "", label: str = "") -> str:
    """A table whose columns sort on a click of their heads.  head: (title, numeric) of each column."""
    heads = "".join(
        f'<th scope="col"{_class("num" if numeric else "")}><button type="button">{esc(title)}</button></th>'
        for title, numeric in head
    )
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    caption = f' aria-label="{esc(label)}"' if label else ""
    return (
        f'<div class="scroll"{caption} tabindex="0"><table class="sortable {css}"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(cell: Cell) -> str:
    sort = "" if cell.sort is None else f' data-v="{esc(cell.sort)}"'
    exact = f' title="{esc(f"{cell.sort:,.10g}")}"' if isinstance(cell.sort, int | float) else ""
    return f"<td{_class(f'{cell.css} num' if cell.numeric else cell.css)}{sort}{exact}>{cell.html}</td>"


def _class(names: str) -> str:
    return f' class="{names.strip()}"' if names.strip() else ""


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """A two-column list; the second of each pair is HTML already."""
    return '<dl class="facts">' + "".join(f"<dt>{esc(k)}</dt><dd>{v}</dd>" for k, v in pairs if v) + "</dl>"


def tile(title: str, value: str, note: str = "", css: str = "") -> str:
    """A figure to be seen from across the room."""
    small = f'<p class="note">{esc(note)}</p>' if note else ""
    return (
        f'<div{_class(f"tile {css}")}><p class="label">{esc(title)}</p><p class="value">{esc(value)}</p>{small}</div>'
    )


def code(title: str, text: str) -> str:
    """A block of code with its title."""
    return f'<figure class="code"><figcaption>{esc(title)}</figcaption><pre><code>{esc(text)}</code></pre></figure>'


def plot(div: str, height: int, caption: str, *, css: str = "", least: int = 0) -> str:
    """The place of a plot.  least: pixels of width below which it scrolls sideways instead of shrinking."""
    width = f"min-width:{least}px;" if least else ""
    return (
        f'<figure class="plotframe {css}"><div class="plotscroll"><div class="plot" id="{esc(div)}" '
        f'style="{width}height:{height}px"></div></div><figcaption>{esc(caption)}</figcaption></figure>'
    )


def thumbnail(uri: object, description: str) -> str:
    """An image from its data URI; anything else than an embedded PNG, JPEG or WebP is not shown."""
    if not isinstance(uri, str) or not DATA_URI.fullmatch(uri):
        return '<span class="blank" role="img" aria-label="no image"></span>'
    return f'<img src="{uri}" alt="{esc(description)}">'


def flatten(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested records as (dotted name, text) pairs; lists on one line, empty values left out."""
    if isinstance(value, dict):
        return [pair for key, one in value.items() for pair in flatten(one, f"{prefix}.{key}" if prefix else str(key))]
    if isinstance(value, list):
        return [(prefix, ", ".join(v if isinstance(v, str) else json.dumps(v) for v in value))]
    if value is None or value == "":
        return []
    return [(prefix, value if isinstance(value, str) else json.dumps(value))]
