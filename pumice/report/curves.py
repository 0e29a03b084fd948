"""Plots of training: of the candidates, of the final run, and of several runs."""

from collections.abc import Sequence
from typing import Any

from pumice.report.dense import score_columns
from pumice.report.fields import number
from pumice.report.records import Curve, RunRecords, candidate_key
from pumice.report.settings import alike
from pumice.report.theme import (
    BLUE,
    GREY,
    ORANGE,
    PURPLE,
    RUNG_COLOURS,
    SERIES,
    SHIPS,
    TEAL,
    axis,
    new_figure,
    plotly,
    safe,
    short,
)
from pumice.report.units import image_size

OPTIONS: dict[str, dict[str, Any]] = {
    "top-1": {"tickformat": ".0%"},
    "scores": {"tickformat": ".0%"},
    "learning rate": {"nticks": 4},
    "waiting": {"tickformat": ".0%", "range": [0, 1], "nticks": 3},
}


def rungs_figure(run: RunRecords) -> Any:
    """Validation top-1 of every candidate while it trained, coloured by rung, the shipped one strongest.

    Returns None when there are no curves.
    """
    curves = [curve for curve in run.curves if any(number(p, "val_top1") is not None for p in curve.points)]
    if not curves:
        return None
    over = "seconds" if all(number(p, "seconds") is not None for c in curves for p in c.points) else "epoch"
    figure = new_figure(
        400, xaxis=axis(f"{over} of training", rangemode="tozero"), yaxis=axis("validation top-1", tickformat=".0%")
    )
    shipped = candidate_key(run.shipped) if run.shipped else None
    last = max(curve.rung for curve in curves)
    named: set[str] = set()
    for curve in sorted(curves, key=lambda c: (c.key == shipped, c.rung)):
        name = SHIPS if curve.key == shipped else f"rung {curve.rung + 1}"
        width = (3.5 if curve.rung == last else 2.0) if curve.key == shipped else 1.5
        figure.add_trace(_curve(curve, over, name, name not in named, width))
        named.add(name)
    return figure


def _curve(curve: Curve, over: str, name: str, first: bool, width: float) -> Any:
    points = [p for p in curve.points if number(p, "val_top1") is not None]
    model, input_size, runtime = curve.key
    label = f"<b>{safe(model)}</b>  {image_size(input_size)}<br>{safe(runtime or '')}  rung {curve.rung + 1}"
    colour = TEAL if name == SHIPS else RUNG_COLOURS[min(curve.rung, len(RUNG_COLOURS) - 1)]
    return plotly().Scatter(
        x=[number(p, over) if number(p, over) is not None else place for place, p in enumerate(points)],
        y=[p["val_top1"] for p in points],
        mode="lines+markers",
        name=name,
        legendgroup=name,
        showlegend=first,
        line={"color": colour, "width": width},
        marker={"size": 2.5 + width},
        text=[label] * len(points),
        hovertemplate="%{text}<br>top-1 %{y:.1%} after %{x:.4g}"
        + (" s" if over == "seconds" else "")
        + "<extra></extra>",
    )


def training_figure(run: RunRecords) -> Any:
    """Losses, validation top-1, learning rate and the wait for images, by epoch; None without epochs."""
    panels = (
        ("loss", (("train_loss", "training loss", BLUE), ("val_loss", "validation loss", ORANGE))),
        ("top-1", (("val_top1", "validation top-1", TEAL),)),
        ("scores", tuple((key, name, SERIES[i]) for i, (key, name) in enumerate(score_columns([run])))),
        ("learning rate", (("lr", "learning rate", GREY),)),
        ("waiting", (("data_wait", "share of the time spent waiting for images", PURPLE),)),
    )
    shown = [(title, [s for s in series if any(s[0] in e for e in run.epochs)]) for title, series in panels]
    shown = [(title, series) for title, series in shown if series]
    if not shown:
        return None
    figure = new_figure(170 + 130 * len(shown))
    weights = [{"loss": 3, "top-1": 2, "scores": 3}.get(title, 1.2) for title, _ in shown]
    top, gap = 1.0, 0.06
    for place, ((title, series), weight) in enumerate(zip(shown, weights, strict=True), start=1):
        bottom = top - (1 - gap * (len(shown) - 1)) * weight / sum(weights)
        suffix = "" if place == 1 else str(place)
        options = OPTIONS.get(title, {})
        figure.update_layout({f"yaxis{suffix}": axis(title, domain=[max(bottom, 0), top], **options)})
        for key, name, colour in series:
            rows = [(e.get("epoch", float(i)), e[key]) for i, e in enumerate(run.epochs) if key in e]
            number_format = ".1%" if title in ("top-1", "scores", "waiting") else ".4g"
            figure.add_trace(
                plotly().Scatter(
                    x=[x for x, _ in rows],
                    y=[y for _, y in rows],
                    name=name,
                    yaxis=f"y{suffix}",
                    mode="lines+markers" if len(rows) <= 40 else "lines",
                    marker={"size": 4},
                    line={"color": colour, "width": 2.2},
                    hovertemplate=f"{name} %{{y:{number_format}}}<extra></extra>",
                )
            )
        top = bottom - gap
    last = "" if len(shown) == 1 else str(len(shown))
    figure.update_layout(xaxis=_epochs([run], f"y{last}"), hovermode="x unified")
    return figure


def _epochs(runs: Sequence[RunRecords], anchor: str) -> dict[str, Any]:
    """The axis below all panels; there is no half of an epoch."""
    most = max((e.get("epoch", 0.0) for run in runs for e in run.epochs), default=0.0)
    return axis("epoch", anchor=anchor, **({"dtick": 1} if most <= 15 else {}))


def runs_training_figure(named: Sequence[tuple[str, RunRecords]]) -> Any:
    """Training loss, validation loss and top-1 of several runs by epoch; None when none has epochs.

    Runs that differ in their seed alone are one line, the mean of them, in a band from the least to the greatest.
    """
    panels = [("train_loss", "training loss"), ("val_loss", "validation loss"), ("val_top1", "validation top-1")]
    panels += [(key, f"validation {name}") for key, name in score_columns([run for _, run in named])[:2]]
    panels = [panel for panel in panels if any(panel[0] in e for _, run in named for e in run.epochs)]
    if not panels:
        return None
    figure = new_figure(130 + 190 * len(panels), showlegend=True)
    gap = 0.05
    height = (1 - gap * (len(panels) - 1)) / len(panels)
    for place, (key, title) in enumerate(panels, start=1):
        suffix, top = "" if place == 1 else str(place), 1 - (place - 1) * (height + gap)
        options = {} if key.endswith("_loss") else {"tickformat": ".0%"}
        figure.update_layout({f"yaxis{suffix}": axis(title, domain=[max(top - height, 0), top], **options)})
        for colour, group in enumerate(alike(named)):
            for trace in _group(group, key, f"y{suffix}", SERIES[colour % len(SERIES)], first=place == 1):
                figure.add_trace(trace)
    last = "" if len(panels) == 1 else str(len(panels))
    figure.update_layout(xaxis=_epochs([run for _, run in named], f"y{last}"), hovermode="x unified")
    return figure


def _group(group: Sequence[tuple[str, RunRecords]], key: str, yaxis: str, colour: str, *, first: bool) -> list[Any]:
    """The line of one run, or the mean of several in its band."""
    values = [{e["epoch"]: e[key] for e in run.epochs if key in e and "epoch" in e} for _, run in group]
    x = sorted(set.intersection(*(set(one) for one in values)))
    if not x:
        return []
    y = [[one[epoch] for one in values] for epoch in x]
    names = [name for name, _ in group]
    label = short(names[0], 32)
    if len(names) > 1:
        label = f"{short(', '.join(names), 40)} (mean of {len(names)} seeds)"
    shared = {"yaxis": yaxis, "legendgroup": label, "x": x}
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    band = [
        plotly().Scatter(y=[min(one) for one in y], **shared, **edge),
        plotly().Scatter(y=[max(one) for one in y], fill="tonexty", fillcolor=_faint(colour), **shared, **edge),
    ]
    line = plotly().Scatter(
        y=[sum(one) / len(one) for one in y],
        name=label,
        mode="lines+markers" if len(x) <= 40 else "lines",
        marker={"size": 4},
        line={"color": colour, "width": 2.2, "dash": "solid" if group[0][1].finished else "dash"},
        showlegend=first,
        hovertemplate=f"{label} %{{y:{'.4g' if key.endswith('_loss') else '.1%'}}}<extra></extra>",
        **shared,
    )
    return [*(band if len(group) > 1 else ()), line]


def _faint(colour: str) -> str:
    """#rrggbb, nearly transparent."""
    return f"rgba({int(colour[1:3], 16)},{int(colour[3:5], 16)},{int(colour[5:7], 16)},0.18)"
