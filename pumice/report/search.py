"""The page of a search: every trial by accuracy and cost, the best so far, the front in words; of several, compared."""

import math
from collections.abc import Sequence
from typing import Any

from pumice.report.document import Figures, document, keep_plot, section
from pumice.report.fields import mapping
from pumice.report.html import Cell, esc, facts, figure_cell, flatten, table, tile, words
from pumice.report.plots import pareto
from pumice.report.search_records import SearchRecords, SearchTrial
from pumice.report.theme import BLUE, GREY, ORANGE, SERIES, TEAL, axis, log_ticks, new_figure, plotly, safe
from pumice.report.units import NOTHING, count, milliseconds, percent, seconds

MOST = 500  # lines of the table of trials
HOVER = 6  # positions on a line


def render(searches: Sequence[SearchRecords]) -> str:
    """The page as text."""
    figures: Figures = {}
    alone = len(searches) == 1
    body = "" if alone else _compared(searches, figures)
    body += "".join(_search(one, f"search{i}", figures, alone) for i, one in enumerate(searches))
    title = _heading(searches[0]) if alone else f"{len(searches)} searches compared"
    return document(title, body, figures, source="the records of the search")


def _heading(one: SearchRecords) -> str:
    return f"{one.method} in the space {one.config.get('space')}"


def _cost(one: SearchRecords, value: float | None) -> str:
    return NOTHING if value is None else milliseconds(value) if one.unit == "ms" else count(value)


def _size(size: int) -> str:
    """6561 -> 6,561; 9.85e20 -> 10^20.99."""
    return f"{size:,}" if size < 10**9 else f"10^{math.log10(size):.1f}"


def _asked(one: SearchRecords) -> str:
    size = one.about.get("size")
    judged = one.config.get("table") or mapping(one.config.get("training")).get("data") or NOTHING
    parts = [f"{len(one.trials)} networks" + (f" of {_size(size)}" if isinstance(size, int) else "")]
    parts += [f"judged on {judged}"]
    parts += [f"at most {_cost(one, one.target)} {'' if one.unit == 'ms' else one.unit}".strip()] if one.target else []
    return f'<p class="asked">{esc(", ".join(parts))}.</p>'


def _search(one: SearchRecords, prefix: str, figures: Figures, alone: bool) -> str:
    tag = "h1" if alone else "h2"
    brand = f"Pumice · {esc(one.name)}" if alone else esc(one.name)
    head = (
        f'<header class="top" id="{prefix}"><p class="brand">{brand}</p>'
        f'<{tag} class="title">{esc(_heading(one))}</{tag}>{_asked(one)}</header>'
    )
    if not one.trials:
        return f'<article class="run">{head}<p class="warn">No trial is finished yet.</p></article>'
    failed = sum(1 for t in one.trials if t.failed)
    said = f" {failed} that could not be trained are left out." if failed else ""
    caption = "Up and to the left is better. Hover for a network's choice." + said
    parts = [
        ("Accuracy and cost", keep_plot(figures, f"{prefix}-pareto", pareto_figure(one), caption)),
        ("Best so far", keep_plot(figures, f"{prefix}-best", so_far_figure([one]), SO_FAR)),
        ("The front in words", _front(one)),
        ("All trials", _all(one)),
        ("Settings", facts([(k, esc(v)) for k, v in flatten(dict(one.config))])),
    ]
    return f'<article class="run">{head}{_tiles(one)}{"".join(section(*part) for part in parts)}</article>'


SO_FAR = "The line is the best accuracy within the target up to a trial; dots are the trials."


def _tiles(one: SearchRecords) -> str:
    best, workers = one.best, {t.worker for t in one.trials}
    shown = [tile("best accuracy", percent(best.accuracy), f"trial {best.number}") if best else ""]
    shown += [tile(f"its {one.unit or 'cost'}", _cost(one, best.cost))] if best and best.cost is not None else []
    if not best:
        shown = [tile("best accuracy", NOTHING, "no trial keeps the target", "bad")]
    stopped = sum(1 for t in one.trials if t.stopped is not None)
    shown += [tile("trials", str(len(one.trials)), f"{stopped} stopped early" if stopped else "")]
    took = sum(t.seconds for t in one.trials)
    if took >= 1:  # what a table says took no time
        shown += [tile("judging took", seconds(took), f"{len(workers)} workers" if len(workers) > 1 else "")]
    return f'<div class="tiles">{"".join(shown)}</div>'


def pareto_figure(one: SearchRecords) -> Any:
    """Every trial by cost and accuracy, the front as a line, the target as a line; None without costs."""
    placed = [t for t in one.trials if t.cost is not None and t.cost > 0 and not t.failed]
    if not placed:
        return None
    figure, best = new_figure(520), one.best
    kinds = [
        (
            "within the target" if one.target else "trials",
            BLUE,
            "circle",
            [t for t in placed if t.within and t.stopped is None],
        ),
        ("over the target", GREY, "circle", [t for t in placed if not t.within and t.stopped is None]),
        ("stopped early", GREY, "circle-open", [t for t in placed if t.stopped is not None]),
    ]
    for name, colour, symbol, members in kinds:
        _dots(figure, one, members, name, {"color": colour, "symbol": symbol, "size": 9, "opacity": 0.8})
    line = pareto([(t.cost or 0.0, t.accuracy) for t in placed])
    if len(line) > 1:
        x, y = zip(*line, strict=True)
        style = {"color": TEAL, "width": 1.5, "dash": "dot", "shape": "hv"}
        figure.add_trace(plotly().Scatter(x=x, y=y, mode="lines", name="Pareto front", line=style, hoverinfo="skip"))
    on_front = {*one.front}
    ring = {"color": "rgba(0,0,0,0)", "size": 13, "line": {"color": TEAL, "width": 2}}
    _dots(figure, one, [t for t in placed if t.number in on_front], "on the front", ring)
    if best is not None and best.cost:
        _dots(
            figure,
            one,
            [best],
            "best",
            {"symbol": "star", "size": 18, "color": TEAL, "line": {"width": 1, "color": "white"}},
        )
    values = [t.cost for t in placed if t.cost] + ([one.target] if one.target else [])
    wide = max(values) > 10 * min(values)
    if one.target:
        target_line(
            figure, math.log10(one.target) if wide else one.target, f"target {_cost(one, one.target)}", one.target
        )
    scale = {"type": "log", **log_ticks(values)} if wide else {"tickformat": ".3s" if max(values) > 1e4 else ""}
    title = "latency, ms" if one.unit == "ms" else one.unit
    figure.update_layout(
        xaxis=axis(f"{title} (log scale)" if wide else title, **scale), yaxis=axis("accuracy", tickformat=".1%")
    )
    return figure


def target_line(figure: Any, place: float, label: str, x: float) -> None:
    """place: x as an annotation takes it, on a logarithmic axis its logarithm."""
    line = {"color": ORANGE, "width": 2, "dash": "dash"}
    figure.add_shape(type="line", xref="x", yref="paper", x0=x, x1=x, y0=0, y1=1, line=line)
    figure.add_annotation(
        **{"x": place, "y": 0, "xref": "x", "yref": "paper", "text": label, "showarrow": False},
        **{"xanchor": "right", "yanchor": "bottom", "xshift": -5, "font": {"color": ORANGE, "size": 12.5}},
    )


def so_far_figure(searches: Sequence[SearchRecords]) -> Any:
    """The best accuracy within the target over the trials, of one search with its trials as dots."""
    figure = new_figure(380)
    for place, one in enumerate(searches):
        colour, trials = SERIES[place % len(SERIES)], [t for t in one.trials if not t.failed]
        if len(searches) == 1:
            for name, members, shade in (
                ("within the target" if one.target else "trials", [t for t in trials if t.within], BLUE),
                ("over the target", [t for t in trials if not t.within], GREY),
            ):
                _dots(figure, one, members, name, {"size": 6, "color": shade, "opacity": 0.5}, by_number=True)
        x, y, best = [], [], 0.0
        for trial in trials:
            best = max(best, trial.accuracy) if trial.within else best
            if best:
                x.append(trial.number + 1)
                y.append(best)
        style = {"color": TEAL if len(searches) == 1 else colour, "width": 2.5, "shape": "hv"}
        name = "best so far" if len(searches) == 1 else safe(f"{one.name}: {one.method}")
        figure.add_trace(plotly().Scatter(x=x, y=y, mode="lines", name=name, line=style))
    figure.update_layout(xaxis=axis("trials"), yaxis=axis("accuracy", tickformat=".1%"))
    return figure


def _dots(
    figure: Any,
    one: SearchRecords,
    trials: Sequence[SearchTrial],
    name: str,
    marker: dict[str, Any],
    by_number: bool = False,
) -> None:
    if trials:
        figure.add_trace(
            plotly().Scatter(
                x=[t.number + 1 if by_number else t.cost for t in trials],
                y=[t.accuracy for t in trials],
                mode="markers",
                name=name,
                marker=marker,
                text=[_hover(one, t) for t in trials],
                hovertemplate="%{text}<extra></extra>",
            )
        )


def _hover(one: SearchRecords, trial: SearchTrial) -> str:
    said = [safe(f"{name} {option}") for name, option in one.words(trial.choice)]
    lines = [f"<b>trial {trial.number}</b>", f"accuracy {percent(trial.accuracy)}"]
    lines += (
        [f"{_cost(one, trial.cost)} {'' if one.unit == 'ms' else safe(one.unit)}"] if trial.cost is not None else []
    )
    lines += [f"stopped at epoch {trial.stopped}"] if trial.stopped is not None else []
    return "<br>".join([*lines, *(", ".join(said[i : i + HOVER]) for i in range(0, len(said), HOVER))])


def _front(one: SearchRecords) -> str:
    """A line per network of the front; positions that never differ on it are said once above."""
    by_number = {t.number: t for t in one.trials}
    front = [by_number[n] for n in one.front]
    if not front:
        return ""
    described = [dict(one.words(t.choice)) for t in front]
    names = list(described[0])
    differing = [name for name in names if len({d.get(name) for d in described}) > 1]
    same = ", ".join(f"{name} {described[0][name]}" for name in names if name not in differing)
    note = f'<p class="lead">In all of them: {esc(same)}.</p>' if same and len(front) > 1 else ""
    head = [("trial", True), ("accuracy", True), (one.unit or "cost", True), *((n, False) for n in differing)]
    rows = [[*_figures(one, t), *(words(d[n]) for n in differing)] for t, d in zip(front, described, strict=True)]
    return note + table(head, rows, label="Pareto front")


def _figures(one: SearchRecords, trial: SearchTrial) -> list[Cell]:
    return [
        figure_cell(str(trial.number), trial.number),
        figure_cell(percent(trial.accuracy), trial.accuracy),
        figure_cell(_cost(one, trial.cost), trial.cost),
    ]


def _all(one: SearchRecords) -> str:
    head = [("trial", True), ("accuracy", True), (one.unit or "cost", True), ("seconds", True)]
    head += [("choice", False), ("worker", False), ("remark", False)]
    rows = [
        [
            *_figures(one, t),
            figure_cell(f"{t.seconds:,.1f}", t.seconds),
            words(t.choice),
            words(t.worker),
            words(_remark(t)),
        ]
        for t in one.trials[:MOST]
    ]
    left = len(one.trials) - len(rows)
    note = f'<p class="lead">The first {MOST}; trials.csv has {left} more.</p>' if left else ""
    return note + table(head, rows, label="trials")


def _remark(trial: SearchTrial) -> str:
    if trial.failed:
        return f"failed: {trial.failed}"
    if trial.stopped is not None:
        return f"stopped at epoch {trial.stopped}"
    return "" if trial.within else "over the target"


def _compared(searches: Sequence[SearchRecords], figures: Figures) -> str:
    head = [("search", False), ("method", False), ("space", False), ("target", True), ("trials", True)]
    head += [("best accuracy", True), ("its cost", True), ("found at trial", True)]
    rows = []
    for one in searches:
        best = one.best
        rows.append(
            [
                words(one.name),
                words(one.method),
                words(one.config.get("space")),
                figure_cell(f"{_cost(one, one.target)} {one.unit}" if one.target else NOTHING, one.target),
                figure_cell(str(len(one.trials)), len(one.trials)),
                figure_cell(percent(best.accuracy if best else None), best.accuracy if best else None),
                figure_cell(_cost(one, best.cost if best else None), best.cost if best else None),
                figure_cell(str(best.number) if best else NOTHING, best.number if best else None),
            ]
        )
    head_line = '<header class="top"><p class="brand">Pumice</p><h1 class="title">Searches compared</h1></header>'
    curves = keep_plot(figures, "compared", so_far_figure(searches), "The best accuracy within the target so far.")
    return head_line + table(head, rows, label="searches") + section("Best so far", curves)
