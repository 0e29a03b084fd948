"""Plots of the search: candidates by latency and accuracy, of one run and of several."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pumice.report.fields import Record, number
from pumice.report.records import RunRecords, candidate_bound, candidate_key
from pumice.report.theme import (
    BLUE,
    GREY,
    ORANGE,
    RED,
    RUNG_COLOURS,
    SERIES,
    SHIPS,
    TEAL,
    axis,
    log_ticks,
    new_figure,
    plotly,
    safe,
    short,
)
from pumice.report.units import count, image_size, milliseconds, percent


@dataclass(frozen=True)
class Cost:
    """The figure on the x axis: latency where anything was measured, else multiply-adds."""

    key: str
    limit: str
    title: str

    def text(self, value: float | None) -> str:
        """The figure as people read it."""
        return milliseconds(value) if self.key == "p50_ms" else count(value)


LATENCY = Cost("p50_ms", "max_latency_ms", "latency, ms per image (p50, log scale)")
PREDICTED = replace(LATENCY, title="latency, ms per image (predicted, not measured; log scale)")
MADDS = Cost("madds", "max_madds", "multiply-adds (log scale)")


def cost_of(candidates: Sequence[Record]) -> Cost:
    """Latency if that of any of the candidates is known."""
    known = [c for c in candidates if number(c, "p50_ms")]
    if not known:
        return MADDS
    return PREDICTED if all(c.get("predicted") for c in known) else LATENCY


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points (cost, accuracy) that no other point beats in both, by rising cost."""
    best = -math.inf
    front = []
    for cost, accuracy in sorted(points, key=lambda p: (p[0], -p[1])):
        if accuracy > best:
            front.append((cost, accuracy))
            best = accuracy
    return front


def candidates_figure(run: RunRecords) -> Any:
    """Cost against accuracy: trained candidates above, the others in a strip below, the budget as a line.

    Returns None when no candidate has a figure to place it by.
    """
    cost = cost_of(run.candidates)
    placed = [c for c in run.candidates if (number(c, cost.key) or 0) > 0]
    if not placed:
        return None
    trained = [c for c in placed if number(c, "val_top1") is not None]
    others = [c for c in placed if number(c, "val_top1") is None]
    figure = new_figure(500 if trained else 260)
    rungs = {curve.key: curve.rung for curve in run.curves}
    shipped = [c for c in trained if c.get("status") == "shipped"]
    _accuracy_points(figure, [c for c in trained if c not in shipped], cost, rungs)
    _front(figure, [(c[cost.key], c["val_top1"]) for c in trained])
    _points(
        figure,
        shipped,
        cost,
        SHIPS,
        {"symbol": "star", "size": 19, "color": TEAL, "line": {"width": 1.5, "color": "white"}},
    )
    lanes = _strip(figure, others, cost, "y2" if trained else "y")
    _axes(figure, cost, placed, run, [c["val_top1"] for c in trained], lanes)
    limit = run.budget.get(cost.limit)
    middle = math.sqrt(min(c[cost.key] for c in placed) * max(c[cost.key] for c in placed))
    if limit:
        _vertical(figure, limit, f"budget {cost.text(limit)}", 0.2 if trained and lanes else 0, left=limit > middle)
    if shipped:
        _name(figure, shipped[0], cost, left=shipped[0][cost.key] > 0.8 * middle)
    return figure


def _hover(candidate: Record) -> str:
    lines = [
        f"<b>{safe(candidate.get('model', '?'))}</b>  {image_size(candidate.get('input_size'))}",
        safe(candidate.get("runtime") or ""),
        f"latency {milliseconds(number(candidate, 'p50_ms'))}, 95 % bound {milliseconds(candidate_bound(candidate))}"
        + (" (busy machine)" if candidate.get("busy") else "")
        + (" (predicted, not measured)" if candidate.get("predicted") else ""),
        f"{count(number(candidate, 'params'))} parameters, {count(number(candidate, 'madds'))} multiply-adds",
        f"top-1 {percent(number(candidate, 'val_top1'))}" if number(candidate, "val_top1") is not None else "",
        safe(candidate.get("reason") or candidate.get("status") or ""),
    ]
    return "<br>".join(line for line in lines if line)


def _points(
    figure: Any, candidates: Sequence[Record], cost: Cost, name: str, marker: dict[str, Any], **more: Any
) -> None:
    if candidates:
        figure.add_trace(
            plotly().Scatter(
                x=[c[cost.key] for c in candidates],
                y=more.pop("y", None) or [c["val_top1"] for c in candidates],
                mode="markers",
                name=name,
                marker=marker,
                text=[_hover(c) for c in candidates],
                hovertemplate="%{text}<extra></extra>",
                **more,
            )
        )


def _accuracy_points(figure: Any, candidates: Sequence[Record], cost: Cost, rungs: dict[tuple[Any, ...], int]) -> None:
    """One series per rung reached: accuracies of different rungs come from trainings of different length."""
    reached = [rungs.get(candidate_key(c), 0) for c in candidates]
    last = max([*reached, *rungs.values()], default=0)
    for rung in sorted(set(reached)):
        name = (
            "trained" if not last else f"stopped after rung {rung + 1}" if rung < last else "trained to the last rung"
        )
        colour = BLUE if rung == last else RUNG_COLOURS[min(rung, 1)]
        marker = {"size": 9 + 3 * (rung == last), "color": colour, "line": {"width": 1, "color": "white"}}
        _points(figure, [c for c, r in zip(candidates, reached, strict=True) if r == rung], cost, name, marker)


def _front(figure: Any, points: Sequence[tuple[float, float]]) -> None:
    front = pareto(points)
    if len(front) > 1:
        x, y = zip(*front, strict=True)
        line = {"color": TEAL, "width": 1.5, "dash": "dot", "shape": "hv"}
        figure.add_trace(plotly().Scatter(x=x, y=y, mode="lines", name="Pareto front", line=line, hoverinfo="skip"))


def _strip(figure: Any, candidates: Sequence[Record], cost: Cost, yaxis: str) -> list[str]:
    """Candidates without an accuracy: one lane per status, neighbours at three heights so that they stay apart.

    Returns the names of the lanes, from the lowest.
    """
    over = [c for c in candidates if c.get("status") == "over budget"]
    rest = [c for c in candidates if c.get("status") != "over budget"]
    lanes = [lane for lane in (("over budget", RED, over), ("not trained", GREY, rest)) if lane[2]]
    for height, (name, colour, members) in enumerate(lanes):
        ordered = sorted(members, key=lambda c: (c[cost.key], str(candidate_key(c))))
        heights = [height + 0.24 * (place % 3 - 1) for place in range(len(ordered))]
        marker = {"symbol": "circle-open", "size": 8, "color": colour, "opacity": 0.75, "line": {"width": 1.4}}
        _points(figure, ordered, cost, name, marker, y=heights, yaxis=yaxis)
    return [name for name, _, _ in lanes]


def _axes(
    figure: Any,
    cost: Cost,
    placed: Sequence[Record],
    run: RunRecords,
    accuracies: Sequence[float],
    lanes: Sequence[str],
) -> None:
    values = [c[cost.key] for c in placed] + [v for v in (run.budget.get(cost.limit),) if v]
    low, high = math.log10(min(values)), math.log10(max(values))
    pad = max(0.06 * (high - low), 0.05)
    ticks = {"tickvals": list(range(len(lanes))), "ticktext": list(lanes), "showgrid": False}
    strip = axis("", range=[-0.6, len(lanes) - 0.4], **ticks)
    figure.update_layout(xaxis=axis(cost.title, type="log", range=[low - pad, high + pad], **log_ticks(values)))
    if lanes:
        figure.update_layout(margin={"l": 92})
    if not accuracies:
        figure.update_layout(yaxis=strip)
        return
    # Room above the best point for the name of the one that ships.
    least, most = min(accuracies), max(accuracies)
    spread = max(most - least, 0.02)
    domain, span = [0.29 if lanes else 0, 1], [least - 0.07 * spread, most + 0.24 * spread]
    figure.update_layout(yaxis=axis("validation top-1", tickformat=".0%", domain=domain, range=span))
    if lanes:
        figure.update_layout(yaxis2=strip | {"domain": [0, 0.18]}, xaxis={"anchor": "free", "position": 0})


def _vertical(figure: Any, x: float, label: str, y: float, left: bool) -> None:
    figure.add_shape(type="line", xref="x", yref="paper", x0=x, x1=x, y0=0, y1=1, line={"color": ORANGE, "width": 2})
    figure.add_annotation(
        x=math.log10(x),
        y=y,
        xref="x",
        yref="paper",
        text=label,
        showarrow=False,
        xanchor="right" if left else "left",
        yanchor="bottom",
        xshift=-5 if left else 5,
        font={"color": ORANGE, "size": 12.5, "weight": 600},
    )


def _name(figure: Any, candidate: Record, cost: Cost, left: bool) -> None:
    figures = f"{percent(candidate['val_top1'])}, {cost.text(candidate[cost.key])}"
    figure.add_annotation(
        x=math.log10(candidate[cost.key]),
        y=candidate["val_top1"],
        text=f"<b>{short(candidate.get('model', '?'), 32)}</b><br>{figures}",
        ax=-14 if left else 14,
        ay=-22,
        xanchor="right" if left else "left",
        yanchor="bottom",
        align="right" if left else "left",
        arrowcolor=TEAL,
        arrowwidth=1.5,
        arrowhead=0,
        standoff=9,
        # page.css gives it the colour of the card, so that the budget's line does not cross the name.
        bgcolor="white",
        borderpad=3,
    )


def runs_figure(runs: Sequence[tuple[str, RunRecords]]) -> Any:
    """What several runs ship, by cost and accuracy, each over its own faint candidates; None with nothing to place."""
    everything = [c for _, run in runs for c in run.candidates]
    cost = cost_of([*everything, *(run.benchmark for _, run in runs)])
    figure = new_figure(420)
    placed: list[float] = []
    for place, (name, run) in enumerate(runs):
        colour = SERIES[place % len(SERIES)]
        trained = [c for c in run.candidates if number(c, "val_top1") is not None and (number(c, cost.key) or 0) > 0]
        trained = [c for c in trained if c.get("status") != "shipped"]
        marker = {"size": 7, "color": colour, "opacity": 0.35}
        _points(figure, trained, cost, safe(name), marker, legendgroup=name, showlegend=False)
        x = number(run.benchmark, "p50_ms") or number(run.shipped, "p50_ms") if cost.key == "p50_ms" else run.madds
        placed += [c[cost.key] for c in trained] + ([x] if x and run.top1 is not None else [])
        if x and run.top1 is not None:
            said = " (predicted)" if run.predicted and cost.key == "p50_ms" else ""
            hover = f"<b>{safe(name)}</b><br>{safe(run.model)}<br>{cost.text(x)}{said}, top-1 {percent(run.top1)}"
            figure.add_trace(
                plotly().Scatter(
                    x=[x],
                    y=[run.top1],
                    mode="markers",
                    name=short(name, 32) + said,
                    legendgroup=name,
                    marker={"symbol": "star", "size": 18, "color": colour, "line": {"width": 1, "color": "white"}},
                    text=[hover],
                    hovertemplate="%{text}<extra></extra>",
                )
            )
    if not placed:
        return None
    figure.update_layout(
        xaxis=axis(cost.title, type="log", **log_ticks(placed)), yaxis=axis("validation top-1", tickformat=".0%")
    )
    return figure
