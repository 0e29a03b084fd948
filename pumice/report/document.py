"""One HTML file that opens offline, from the HTML of its body and the figures in it.

The file holds everything: style, script, thumbnails and plotly.js (4.8 MB, embedded once).  A content security policy
inside it forbids every request, so that opening a report tells nobody anything.
"""

import json
from importlib.resources import files
from typing import Any

from pumice.report.html import esc, plot, script_json

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
Figures = dict[str, Any]


def document(title: str, body: str, figures: Figures, *, source: str) -> str:
    """The whole file as text.

    Args:
        title: of the window.
        body: HTML, its plots placed by `keep_plot`.
        figures: what `keep_plot` kept.
        source: what the page is made from, as the foot of the page says it.
    """
    from plotly.offline import get_plotlyjs

    here = files("pumice.report")
    style, script = (here.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="generator" content="pumice">'
        f'<title>{esc(title)} · Pumice</title><link rel="icon" href="data:,">'
        f"<style>{style}</style></head>\n<body>\n<main>"
        f"{body}</main>\n<footer>Made by Pumice from {esc(source)}. "
        "This file is complete: it loads nothing from anywhere.</footer>\n"
        '<noscript><p class="warn">The plots need JavaScript; the tables do not.</p></noscript>\n'
        f'<script type="application/json" id="figures">{script_json(figures)}</script>\n'
        f"<script>{get_plotlyjs()}</script>\n<script>{script}</script>\n</body></html>\n"
    )


def section(title: str, html: str) -> str:
    """A part of the page; nothing at all when it is empty."""
    return f"<section><h2>{esc(title)}</h2>{html}</section>" if html else ""


def keep_plot(figures: Figures, div: str, figure: Any, caption: str, *, css: str = "", least: int = 0) -> str:
    """Keep the figure's JSON for the script at the end of the page; give its place in the page."""
    if figure is None:
        return ""
    figures[div] = json.loads(figure.to_json())
    return plot(div, int(figure.layout.height), caption, css=css, least=least)
