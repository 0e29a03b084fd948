"""Colours, fonts and safe text that all plots share.

Backgrounds are transparent and every colour is of middle lightness, so that one figure serves the light and the dark
page; page.css sets the colour of text and grid lines.
"""

import math
from collections.abc import Sequence
from html import escape
from types import ModuleType
from typing import Any

from pumice.errors import BadInput
from pumice.report.units import count

BLUE, TEAL, ORANGE, RED, GREY, PURPLE = "#3d7fd0", "#159a86", "#dd7f26", "#cf4b4b", "#8b95a5", "#8d68c9"
PINK, OLIVE = "#c75d94", "#8a9a2b"
SERIES = (BLUE, ORANGE, TEAL, PURPLE, RED, OLIVE, PINK, GREY)
RUNG_COLOURS = ("#a9b4c4", "#8fb4df", BLUE, PURPLE)
SHIPS = "ships"
"""Name of the shipped candidate in legends."""
GRID = "rgba(128,140,160,0.25)"
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'


def plotly() -> ModuleType:
    """plotly.graph_objects.

    Raises:
        BadInput: plotly is not installed.
    """
    try:
        from plotly import graph_objects
    except ImportError as error:
        raise BadInput("a report needs plotly; install it with `pip install 'pumice[report]'`") from error
    return graph_objects


def new_figure(height: int, **layout: Any) -> Any:
    """An empty figure in the page's style; `height` in pixels, the width is the page's."""
    go = plotly()
    figure = go.Figure(layout={"template": "none"})
    figure.update_layout(
        height=height,
        margin={"l": 68, "r": 18, "t": 12, "b": 46},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 12.5, "color": GREY},
        hoverlabel={"bgcolor": "#1d2430", "bordercolor": "#1d2430", "font": {"color": "#f4f6fa"}, "align": "left"},
        legend={
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "xanchor": "left",
            "yanchor": "bottom",
            "itemsizing": "constant",
        },
        **layout,
    )
    return figure


def axis(title: str = "", **options: Any) -> dict[str, Any]:
    """An axis with quiet grid lines."""
    return {
        "title": {"text": title, "standoff": 8},
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": GRID,
        "ticks": "",
        **options,
    }


def log_ticks(values: Sequence[float]) -> dict[str, Any]:
    """Ticks at 1, 2, 5 of each decade, written out; plotly's own abbreviate the 2 and the 5."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    steps = (1, 2, 5) if high - low <= 3 else (1,)
    ticks = [step * 10.0**power for power in range(low - 1, high + 1) for step in steps]
    return {"tickvals": ticks, "ticktext": [f"{tick:g}" if tick < 1e4 else count(tick) for tick in ticks]}


def safe(words: object) -> str:
    """Text for a plot.  Plotly reads a little HTML in labels, so a class named `<b>` is escaped."""
    return escape(str(words), quote=False)


def short(words: object, length: int = 20) -> str:
    """Safe text of at most `length` characters, cut in its last third: names differ at their ends."""
    whole = str(words)
    if len(whole) > length:
        tail = length // 3
        whole = f"{whole[: length - 1 - tail]}…{whole[-tail:]}"
    return safe(whole)
