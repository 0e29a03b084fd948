"""Measured latencies as one HTML page: a dot with its interval for each, the table, and the machine.

Dots instead of bars: an interval is what one looks at, and on a log scale, which nets of 1 to 100 ms need, a bar has no
beginning.  Cleveland, "The Elements of Graphing Data", 1985, 2.6.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pumice.cost.machine import describe, fingerprint
from pumice.cost.timing import Timing
from pumice.errors import BadInput
from pumice.files import write_text
from pumice.report.document import Figures, document, keep_plot, section
from pumice.report.html import Cell, esc, facts, figure_cell, flatten, table, words
from pumice.report.theme import SERIES, axis, log_ticks, new_figure, plotly, safe, short
from pumice.report.units import image_size, milliseconds, significant

CAPTION = (
    "Median wall time of a pass and its 95 % interval (log scale); where the machine was busy, hollow, the lower tenth "
    "of CPU time and its interval. Hover for the figures."
)


def write_timings_page(timings: Sequence[Timing], out: str | Path) -> Path:
    """Write measurements to one HTML file that opens offline.

    Raises:
        BadInput: there is nothing to show, or plotly is not installed.
    """
    if not timings:
        raise BadInput("a page of measurements needs at least one")
    plotly()
    here = timings[0].machine == describe()
    write_text(out, render(timings, fingerprint() if here else {}))
    return Path(out)


def render(timings: Sequence[Timing], machine: dict[str, Any]) -> str:
    """The page as text.  machine: of `pumice.cost.machine.fingerprint`, empty for another machine's measurements."""
    figures: Figures = {}
    several = "latency" if len(timings) == 1 else f"{len(timings)} latencies"
    first = timings[0]
    busy = [t for t in timings if t.busy]
    warned = f"The machine was busy: {busy[0].busy_why}. Compare these figures with each other only." if busy else ""
    warning = f'<p class="warn">{esc(warned)}</p>' if warned else ""
    body = (
        f'<header class="top"><p class="brand">Pumice · benchmark</p><h1>Measured {several}</h1>'
        f'<p class="asked">{esc(first.machine)}</p></header>{warning}'
        + section("Latency", keep_plot(figures, "timings", dots(timings), CAPTION))
        + section("Figures", listing(timings))
        + (section("Machine", facts([(name, esc(value)) for name, value in flatten(machine)])) if machine else "")
    )
    return document(f"{several} on {first.machine}", body, figures, source="measurements")


def dots(timings: Sequence[Timing]) -> Any:
    """The figure of every measurement with its interval, the fastest on top, a colour a runtime."""
    ordered = sorted(timings, key=lambda t: t.figure_ms)
    titles = _titles(ordered)
    figure = new_figure(110 + 26 * len(ordered))
    for colour, runtime in zip(_colours(ordered), dict.fromkeys(t.runtime for t in ordered), strict=True):
        rows = [(title, t) for title, t in zip(titles, ordered, strict=True) if t.runtime == runtime]
        figure.add_trace(
            plotly().Scatter(
                x=[t.figure_ms for _, t in rows],
                y=[title for title, _ in rows],
                mode="markers",
                name=safe(runtime),
                marker={
                    "size": 10,
                    "color": colour,
                    "symbol": ["circle-open" if t.busy else "circle" for _, t in rows],
                    "line": {"width": 2},
                },
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [t.figure_ci[1] - t.figure_ms for _, t in rows],
                    "arrayminus": [t.figure_ms - t.figure_ci[0] for _, t in rows],
                    "color": colour,
                    "thickness": 1.6,
                },
                text=[_hover(t) for _, t in rows],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    ends = [end for t in ordered for end in t.figure_ci]
    figure.update_layout(
        xaxis=axis("ms a pass (log scale)", type="log", **log_ticks(ends)),
        yaxis=axis(categoryorder="array", categoryarray=titles[::-1], automargin=True),
        margin={"l": 210},
        showlegend=True,
    )
    return figure


def listing(timings: Sequence[Timing]) -> str:
    """Everything that was measured, a line each."""
    head = [
        *(("model", False), ("runtime", False), ("input", False), ("threads", True), ("batch", True)),
        *(("p50 ms", True), ("95 % interval", False), ("mean ms", True), ("p90 ms", True), ("stream p90 ms", True)),
        *(("CPU p50 ms", True), ("CPU p10 ms", True), ("images/s", True), ("samples", True), ("busy", False)),
    ]
    return table(head, [_row(t) for t in timings], label="measurements")


def _row(t: Timing) -> list[Cell]:
    low, high = t.ci95
    return [
        words(t.name),
        words(t.runtime),
        words(image_size(t.input_size)),
        figure_cell(str(t.threads), t.threads),
        figure_cell(str(t.batch), t.batch),
        _number(t.p50_ms),
        Cell(f"{significant(low)} to {significant(high)}", low),
        _number(t.mean_ms),
        _number(t.p90_ms),
        _number(t.single_stream_p90_ms),
        _number(t.cpu_p50_ms),
        _number(t.cpu_p10_ms),
        _number(t.images_per_s),
        figure_cell(str(t.repeats), t.repeats),
        words("yes" if t.busy else "no"),
    ]


def _number(value: float | None) -> Cell:
    return figure_cell("–" if value is None else significant(value), value)


def _titles(timings: Sequence[Timing]) -> list[str]:
    """What tells the measurements apart, on the axis: the name, and whatever else differs among them."""
    fields = {
        "runtime": lambda t: t.runtime,
        "input": lambda t: image_size(t.input_size),
        "threads": lambda t: f"{t.threads} thread{'s' * (t.threads != 1)}",
        "batch": lambda t: f"batch {t.batch}",
    }
    differ = [say for say in fields.values() if len({say(t) for t in timings}) > 1]
    titles: list[str] = []
    for t in timings:
        title = ", ".join([short(Path(t.name).name or t.name, 34), *(safe(say(t)) for say in differ)])
        # One title is one line: a second measurement of the same thing gets a number.
        same = sum(1 for one in titles if one == title or one.startswith(f"{title} ("))
        titles.append(f"{title} ({same + 1})" if same else title)
    return titles


def _colours(timings: Sequence[Timing]) -> list[str]:
    return [SERIES[i % len(SERIES)] for i in range(len({t.runtime for t in timings}))]


def _hover(t: Timing) -> str:
    clock = "CPU time, lower tenth" if t.figure_clock == "cpu" else "wall time, p50"
    lines = [
        f"<b>{safe(t.name)}</b>  {image_size(t.input_size)}",
        f"{safe(t.runtime)}, {t.threads} thread(s), batch {t.batch}",
        f"{milliseconds(t.figure_ms)} ({clock}), 95 % interval {milliseconds(t.figure_ci[0])} to "
        f"{milliseconds(t.figure_ci[1])}",
        f"{t.repeats} samples" + (f"; {safe(t.busy_why)}" if t.busy else ""),
    ]
    return "<br>".join(lines)
