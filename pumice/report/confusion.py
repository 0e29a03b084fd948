"""Plots of which classes a net takes for which: of one run, and the difference of two."""

import math
from collections.abc import Sequence
from typing import Any

from pumice.report.theme import axis, new_figure, plotly, safe, short

Matrix = Sequence[Sequence[float]]

TEXT_IN_CELLS = 16
# From -1, always mistaken, over 0, never, to 1, always right; a jump beside 0 keeps rare mistakes in sight.
COLOURS = (
    (0.0, "rgba(221,127,38,1)"),
    (0.4999, "rgba(221,127,38,0.08)"),
    (0.5, "rgba(128,140,160,0.07)"),
    (0.5001, "rgba(21,154,134,0.08)"),
    (1.0, "rgba(21,154,134,0.95)"),
)
MORE_OR_LESS = (
    (0.0, "rgba(221,127,38,1)"),
    (0.4999, "rgba(221,127,38,0.1)"),
    (0.5, "rgba(128,140,160,0.07)"),
    (0.5001, "rgba(61,127,208,0.1)"),
    (1.0, "rgba(61,127,208,1)"),
)


def is_square(matrix: Matrix) -> bool:
    """Whether a record holds a confusion matrix worth drawing: two classes or more."""
    return len(matrix) > 1 and all(len(row) == len(matrix) for row in matrix)


def confusion_figure(confusion: Matrix, classes: Sequence[str], *, pixels: int = 700) -> Any:
    """Rows are true classes, columns predictions: correct in teal, confused in orange, by share of the row.

    Errors are drawn by the square root of their share: a class mistaken once in fifty times must be seen.

    pixels: at most, for all the cells of a column.
    """
    shares, names = _shares(confusion), _names(confusion, classes)
    colour = [[s if i == j else -math.sqrt(s) for j, s in enumerate(row)] for i, row in enumerate(shares)]
    hover = [
        [
            f"{safe(names[i])} → {safe(names[j])}<br>{confusion[i][j]:g} of {sum(confusion[i]):g} ({shares[i][j]:.1%})"
            for j in range(len(names))
        ]
        for i in range(len(names))
    ]
    written = [[f"{c:g}" if c else "" for c in row] for row in confusion]
    return _squares(colour, names, hover, written, COLOURS, pixels)


def difference_figure(one: Matrix, other: Matrix, classes: Sequence[str], runs: tuple[str, str]) -> Any:
    """Share of each row in the first matrix less that in the second: blue where the first has more, orange the second.

    Differences are drawn by their square root.
    """
    first, second, names = _shares(one), _shares(other), _names(one, classes)
    size = range(len(names))
    less = [[first[i][j] - second[i][j] for j in size] for i in size]
    hover = [
        [
            f"{safe(names[i])} → {safe(names[j])}<br>{safe(runs[0])}: {one[i][j]:g} ({first[i][j]:.1%})"
            f"<br>{safe(runs[1])}: {other[i][j]:g} ({second[i][j]:.1%})"
            for j in size
        ]
        for i in size
    ]
    colour = [[math.copysign(math.sqrt(abs(d)), d) for d in row] for row in less]
    written = [[f"{round(100 * d):+d}" if round(100 * d) else "" for d in row] for row in less]
    return _squares(colour, names, hover, written, MORE_OR_LESS, 700)


def _shares(confusion: Matrix) -> list[list[float]]:
    return [[cell / (sum(row) or 1) for cell in row] for row in confusion]


def _names(confusion: Matrix, classes: Sequence[str]) -> list[str]:
    return [classes[i] if i < len(classes) else str(i) for i in range(len(confusion))]


def _squares(
    colour: Matrix,
    names: Sequence[str],
    hover: Sequence[Sequence[str]],
    written: Sequence[Sequence[str]],
    scale: Sequence[tuple[float, str]],
    pixels: int,
) -> Any:
    """A heat map of values in [-1, 1], true classes downwards; the words in the cells where there is room."""
    size = len(names)
    cell = min(34, max(pixels // size, 10 if pixels >= 700 else 5))
    tick = {"size": 12 if cell >= 30 else 10.5 if cell >= 14 else 8.5}
    longest = max(len(short(name)) for name in names)
    label = round(tick["size"] * 0.56 * longest) + 10
    figure = new_figure(max(cell * size, 120) + label + 60)
    words: dict[str, Any] = {}
    if size <= TEXT_IN_CELLS and cell >= 24:
        words = {"text": written, "texttemplate": "%{text}", "textfont": {"size": 11}}
    figure.add_trace(
        plotly().Heatmap(
            z=colour,
            customdata=hover,
            hovertemplate="%{customdata}<extra></extra>",
            zmin=-1,
            zmax=1,
            colorscale=scale,
            showscale=False,
            xgap=1 if size <= 50 else 0,
            ygap=1 if size <= 50 else 0,
            **words,
        )
    )
    # Names that would lie on each other are left to the pointer.
    step = 1 if cell >= 9 else math.ceil(9 / cell)
    ticks = {
        "tickvals": list(range(0, size, step)),
        "ticktext": [short(name) for name in names[::step]],
        "tickfont": tick,
        "showgrid": False,
    }
    figure.update_layout(
        xaxis=axis("predicted", side="bottom", tickangle=0 if size <= 12 and longest <= 4 else -90, **ticks),
        yaxis=axis("true", autorange="reversed", **ticks),
        margin={"l": label + 26, "b": label + 30, "t": 8},
    )
    return figure
