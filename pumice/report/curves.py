"""Plots of training: of the candidates, of the final run, and of several runs."""

from collections.abc import Sequence
from typing import Any

from pumice.report.fields import number
from pumice.report.records import Curve, RunRecords, candidate_key
from pumice.report.theme import (
    BLUE,
    GREY,
    ORANGE,
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
    """Losses, validation top-1 and learning rate of the final training, by epoch; None without epochs."""
    panels = (
        ("loss", (("train_loss", "training loss", BLUE), ("val_loss", "validation loss", ORANGE))),
        ("top-1", (("val_top1", "validation top-1", TEAL),)),
        ("learning rate", (("lr", "learning rate", GREY),)),
    )
    shown = [(title, [s for s in series if any(s[0] in e for e in run.epochs)]) for title, series in panels]
    shown = [(title, series) for title, series in shown if series]
    if not shown:
        return None
    figure = new_figure(170 + 130 * len(shown))
    weights = [3 if title == "loss" else 2 if title == "top-1" else 1.2 for title, _ in shown]
    top, gap = 1.0, 0.06
    for place, ((title, series), weight) in enumerate(zip(shown, weights, strict=True), start=1):
        bottom = top - (1 - gap * (len(shown) - 1)) * weight / sum(weights)
        suffix = "" if place == 1 else str(place)
        options = {"tickformat": ".0%"} if title == "top-1" else {"nticks": 4} if title == "learning rate" else {}
        figure.update_layout({f"yaxis{suffix}": axis(title, domain=[max(bottom, 0), top], **options)})
        for key, name, colour in series:
            rows = [(e.get("epoch", float(i)), e[key]) for i, e in enumerate(run.epochs) if key in e]
            number_format = ".1%" if key == "val_top1" else ".4g"
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
    figure.update_layout(xaxis=axis("epoch", anchor=f"y{last}"), hovermode="x unified")
    return figure


def runs_training_figure(runs: Sequence[tuple[str, RunRecords]]) -> Any:
    """Validation top-1 by epoch of several runs; None when none has epochs."""
    figure = new_figure(340, xaxis=axis("epoch"), yaxis=axis("validation top-1", tickformat=".0%"))
    for place, (name, run) in enumerate(runs):
        rows = [(e.get("epoch", float(i)), e["val_top1"]) for i, e in enumerate(run.epochs) if "val_top1" in e]
        if rows:
            figure.add_trace(
                plotly().Scatter(
                    x=[x for x, _ in rows],
                    y=[y for _, y in rows],
                    name=short(name, 32),
                    mode="lines",
                    line={"color": SERIES[place % len(SERIES)], "width": 2.4},
                    hovertemplate="%{y:.1%}",
                )
            )
    figure.update_layout(hovermode="x unified", showlegend=True)
    return figure if figure.data else None
