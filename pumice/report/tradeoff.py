"""Accuracy against what a network costs: figure 1 of ShuffleNetV2, MobileNetV3 and MicroNet, drawn for every family.

Their first figures set published accuracy against multiply-adds, or against one phone's milliseconds.  Here both stand
on one page, with the milliseconds of the machine at hand, and with the rank correlation of the two costs: how well
multiply-adds alone would have sorted the networks by speed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pumice.cost.rank import kendall, overlapping, spearman
from pumice.errors import BadInput
from pumice.files import write_text
from pumice.report.document import Figures, document, keep_plot, section
from pumice.report.html import Cell, figure_cell, table, words
from pumice.report.plots import pareto
from pumice.report.theme import GREY, SERIES, axis, log_ticks, new_figure, plotly, safe
from pumice.report.units import count, milliseconds

MOBILE = 600e6
"""Multiply-adds below which ShuffleNetV1 and those after it speak of mobile networks."""
SYMBOLS = ("circle", "diamond", "square", "triangle-up")
DASHES = ("solid", "dot", "dash", "dashdot")
Looks = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Point:
    """One network, measured in one runtime or not measured.

    top1: published ImageNet accuracy, percent.  madds, params: counted.
    ms, ci95: median latency of one image and its 95 % interval, None where it was not measured; busy: the machine did
    other work meanwhile.
    """

    name: str
    family: str
    top1: float
    madds: int
    params: int
    runtime: str = ""
    ms: float | None = None
    ci95: tuple[float, float] | None = None
    busy: bool = False


@dataclass(frozen=True)
class Correlation:
    """How multiply-adds rank the networks of one runtime against measured time.

    max_madds: only networks below it; None is all.
    kendall_apart: tau-b without the `skipped` pairs whose intervals overlap, which have no measured order.
    """

    runtime: str
    max_madds: float | None
    nets: int
    spearman: float
    kendall: float
    kendall_apart: float
    skipped: int


def correlations(points: Sequence[Point]) -> list[Correlation]:
    """Of every runtime: over all networks measured in it, and over the mobile ones."""
    found = []
    for runtime in runtimes(points):
        for limit in (None, MOBILE):
            kept = [p for p in points if p.runtime == runtime and p.ms and p.madds < (limit or math.inf)]
            costs, times = [p.madds for p in kept], [p.ms or 0.0 for p in kept]
            unordered = overlapping([p.ci95 or (p.ms or 0.0, p.ms or 0.0) for p in kept])
            tau, apart = kendall(costs, times), kendall(costs, times, unordered)
            found.append(Correlation(runtime, limit, len(kept), spearman(costs, times), tau, apart, len(unordered)))
    return found


def runtimes(points: Sequence[Point]) -> list[str]:
    """The runtimes in which anything was measured, in order of appearance."""
    return list(dict.fromkeys(p.runtime for p in points if p.ms))


def write_tradeoff(points: Sequence[Point], out: str | Path, machine: str = "") -> Path:
    """Write the page; `machine` is the line that says where the times were measured.

    Raises:
        BadInput: there is nothing to draw, or plotly is not installed.
    """
    if not points:
        raise BadInput("a page of accuracy against cost needs at least one network with published accuracy")
    plotly()
    write_text(out, render(points, machine))
    return Path(out)


def render(points: Sequence[Point], machine: str = "") -> str:
    """The page as text."""
    figures: Figures = {}
    looks = family_looks(points)
    single = list({p.name: p for p in points}.values())
    families = len({p.family for p in points})
    head = (
        '<header class="top"><p class="brand">Pumice · accuracy and cost</p>'
        f"<h1>{len(single)} networks of {families} families</h1>"
        '<p class="asked">Published ImageNet top-1; multiply-adds counted, latency measured on this machine: one '
        f"thread, one image. {safe(machine)}</p></header>"
    )
    by_madds = tradeoff_figure(single, "madds", looks)
    parts = [section("Accuracy against multiply-adds", keep_plot(figures, "madds", by_madds, CAPTION))]
    for i, runtime in enumerate(runtimes(points)):
        measured = [p for p in points if p.runtime == runtime and p.ms]
        plots = keep_plot(figures, f"ms{i}", tradeoff_figure(measured, "ms", looks), CAPTION)
        plots += keep_plot(figures, f"rank{i}", cost_figure(measured, looks), RANK_CAPTION)
        parts.append(section(f"Accuracy against latency in {runtime}", plots))
    parts.append(section("Do multiply-adds tell the speed?", correlation_table(points)))
    parts.append(section("The networks", network_table(points)))
    return document("Accuracy and cost", head + "".join(parts), figures, source="published accuracy and measurements")


CAPTION = "Up and to the left is better. A line joins those of a family that no other of it beats. Hover for names."
RANK_CAPTION = (
    "Multiply-adds against latency. The dotted line is the median speed: above it a network takes longer than its "
    "multiply-adds promise."
)


def tradeoff_figure(points: Sequence[Point], cost: str, looks: Looks) -> Any:
    """Top-1 over "madds" or "ms", a colour and a line a family; None when there is nothing to place."""
    if not points:
        return None
    figure = new_figure(620)
    for name, members in _families(points):
        where = [(_cost(p, cost), p.top1) for p in members]
        front = pareto(where)
        if len(front) > 1:
            x, y = zip(*front, strict=True)
            figure.add_trace(
                plotly().Scatter(
                    x=x,
                    y=y,
                    mode="lines",
                    legendgroup=name,
                    showlegend=False,
                    hoverinfo="skip",
                    line=looks[name]["line"],
                )
            )
        _dots(figure, name, members, [x for x, _ in where], [y for _, y in where], looks[name])
    title = "multiply-adds (log scale)" if cost == "madds" else "latency, ms per image (p50, log scale)"
    values = [_cost(p, cost) for p in points]
    figure.update_layout(
        xaxis=axis(title, type="log", **_log_range(values)), yaxis=axis("published top-1, %"), **_legend_below()
    )
    return figure


def cost_figure(points: Sequence[Point], looks: Looks) -> Any:
    """Latency over multiply-adds, both log, with the line of the median speed; None when nothing was measured."""
    if not points:
        return None
    figure = new_figure(560)
    for name, members in _families(points):
        _dots(figure, name, members, [p.madds for p in members], [_cost(p, "ms") for p in members], looks[name])
    madds, times = [float(p.madds) for p in points], [_cost(p, "ms") for p in points]
    speeds = sorted(m / t for m, t in zip(madds, times, strict=True))
    middle = speeds[len(speeds) // 2]
    ends = [max(min(madds), min(times) * middle), min(max(madds), max(times) * middle)]
    line = {"color": GREY, "dash": "dot", "width": 1.5}
    figure.add_trace(
        plotly().Scatter(
            x=ends, y=[x / middle for x in ends], mode="lines", line=line, hoverinfo="skip", showlegend=False
        )
    )
    figure.update_layout(
        xaxis=axis("multiply-adds (log scale)", type="log", **_log_range(madds)),
        yaxis=axis("latency, ms (p50, log scale)", type="log", **_log_range(times)),
        **_legend_below(),
    )
    return figure


def correlation_table(points: Sequence[Point]) -> str:
    """Rank correlations of multiply-adds with measured time; "" when nothing was measured."""
    head = [("runtime", False), ("networks", False), ("number", True), ("Spearman", True), ("Kendall", True)]
    head += [("Kendall, pairs apart", True), ("pairs left out", True)]
    rows = [
        [
            words(c.runtime),
            words("all" if c.max_madds is None else f"below {count(c.max_madds)} multiply-adds"),
            figure_cell(str(c.nets), c.nets),
            *(_share(v) for v in (c.spearman, c.kendall, c.kendall_apart)),
            figure_cell(str(c.skipped), c.skipped),
        ]
        for c in correlations(points)
    ]
    note = (
        '<p class="lead">1: multiply-adds sort the networks exactly as measured time does; 0: they tell nothing. '
        "<i>Pairs apart</i> leaves out the pairs whose 95 % intervals overlap.</p>"
    )
    return note + table(head, rows, label="rank correlations") if rows else ""


def network_table(points: Sequence[Point]) -> str:
    """Every network in every runtime; columns sort on a click."""
    head = [("network", False), ("family", False), ("top-1, %", True), ("MAdds", True), ("params", True)]
    head += [("runtime", False), ("p50", True), ("95 % interval", True), ("MAdds per µs", True)]
    rows = []
    for p in points:
        low, high = p.ci95 or (None, None)
        between = "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
        shown = milliseconds(p.ms) + (" busy" if p.busy else "")
        speed = p.madds / p.ms / 1e3 if p.ms else None
        rows.append(
            [
                words(p.name),
                words(p.family),
                figure_cell(f"{p.top1:.1f}", p.top1),
                figure_cell(count(p.madds), p.madds),
                figure_cell(count(p.params), p.params),
                words(p.runtime),
                figure_cell(shown, p.ms),
                Cell(between, low, numeric=True),
                figure_cell("" if speed is None else f"{speed:,.0f}", speed),
            ]
        )
    return table(head, rows, label="networks")


def _share(value: float) -> Cell:
    return figure_cell("–", None) if math.isnan(value) else figure_cell(f"{value:.3f}", value)


def family_looks(points: Sequence[Point]) -> Looks:
    """A colour, a symbol and a line for every family of the page, so that it looks the same in every figure."""
    looks = {}
    for place, name in enumerate(sorted({p.family for p in points})):
        colour, lap = SERIES[place % len(SERIES)], place // len(SERIES) % len(SYMBOLS)
        marker = {"color": colour, "size": 9, "symbol": SYMBOLS[lap], "line": {"width": 1, "color": "white"}}
        looks[name] = {"marker": marker, "line": {"color": colour, "width": 1.5, "dash": DASHES[lap]}}
    return looks


def _families(points: Sequence[Point]) -> list[tuple[str, list[Point]]]:
    return [(name, [p for p in points if p.family == name]) for name in sorted({p.family for p in points})]


def _dots(
    figure: Any, name: str, members: Sequence[Point], x: Sequence[float], y: Sequence[float], look: dict[str, Any]
) -> None:
    figure.add_trace(
        plotly().Scatter(
            x=list(x),
            y=list(y),
            mode="markers",
            name=safe(name),
            legendgroup=name,
            marker=look["marker"],
            text=[_hover(p) for p in members],
            hovertemplate="%{text}<extra></extra>",
        )
    )


def _hover(point: Point) -> str:
    lines = [
        f"<b>{safe(point.name)}</b>",
        f"top-1 {point.top1:.1f} %",
        f"{count(point.madds)} multiply-adds, {count(point.params)} parameters",
    ]
    if point.ms:
        lines.append(f"{milliseconds(point.ms)} in {safe(point.runtime)}{' (busy machine)' if point.busy else ''}")
    return "<br>".join(lines)


def _cost(point: Point, cost: str) -> float:
    return float(point.madds) if cost == "madds" else point.ms or 0.0


def _log_range(values: Sequence[float]) -> dict[str, Any]:
    low, high = math.log10(min(values)), math.log10(max(values))
    pad = max(0.04 * (high - low), 0.05)
    return {"range": [low - pad, high + pad], **log_ticks(values)}


def _legend_below() -> dict[str, Any]:
    """A score of families do not fit in one line above the plot."""
    return {"legend": {"orientation": "h", "x": 0, "y": -0.14, "xanchor": "left", "yanchor": "top"}}
