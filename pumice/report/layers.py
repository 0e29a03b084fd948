"""Plots of the shipped net: what each layer costs, and which classes it confuses."""

import math
from collections.abc import Sequence
from typing import Any

from pumice.report.fields import Record, mapping, number
from pumice.report.theme import (
    BLUE,
    GREY,
    OLIVE,
    ORANGE,
    PINK,
    PURPLE,
    RED,
    TEAL,
    axis,
    new_figure,
    plotly,
    safe,
    short,
)
from pumice.report.units import count, image_size

KINDS = {
    "pointwise convolution": BLUE,
    "depthwise convolution": ORANGE,
    "convolution": TEAL,
    "linear": PURPLE,
    "matrix product": OLIVE,
    "other": GREY,
}
TEXT_IN_CELLS = 16
# From -1, always mistaken, over 0, never, to 1, always right; a jump beside 0 keeps rare mistakes in sight.
COLOURS = (
    (0.0, "rgba(221,127,38,1)"),
    (0.4999, "rgba(221,127,38,0.08)"),
    (0.5, "rgba(128,140,160,0.07)"),
    (0.5001, "rgba(21,154,134,0.08)"),
    (1.0, "rgba(21,154,134,0.95)"),
)


def kind(layer: Record) -> str:
    """What people call a layer."""
    op, kernel, groups = str(layer.get("op", "")), layer.get("kernel") or (), layer.get("groups") or 1
    if op == "conv":
        if groups > 1 and groups == _channels(layer):
            return "depthwise convolution"
        return "pointwise convolution" if kernel and all(side == 1 for side in kernel) else "convolution"
    return {"conv_transpose": "convolution", "linear": "linear", "matmul": "matrix product"}.get(op, "other")


def layers_figure(profile: Record) -> Any:
    """Bars of each layer's share of the multiply-adds in layer order, a tick at its share of memory access.

    Where times were measured, a ring for each runtime stands at the layer's share of the time.  Layers without
    multiply-adds (norms, activations) are left out.  Returns None when no layer was recorded.
    """
    recorded = [one for one in profile.get("layers") or () if isinstance(one, dict)]
    layers = [one for one in recorded if number(one, "madds")]
    if not layers:
        return None
    total = sum(number(one, "madds") or 0 for one in layers) or 1
    memory = sum(number(one, "memory_access") or 0 for one in layers) or 1
    figure = new_figure(110 + 17 * len(layers), barmode="overlay", hovermode="closest")
    for name, colour in KINDS.items():
        members = [(place, one) for place, one in enumerate(layers) if kind(one) == name]
        if members:
            figure.add_trace(
                plotly().Bar(
                    orientation="h",
                    y=[place for place, _ in members],
                    x=[(number(one, "madds") or 0) / total for _, one in members],
                    name=name,
                    width=0.78,
                    marker={"color": colour},
                    text=[_hover(one, total, memory) for _, one in members],
                    textposition="none",
                    hovertemplate="%{text}<extra></extra>",
                )
            )
    figure.add_trace(
        plotly().Scatter(
            y=list(range(len(layers))),
            x=[(number(one, "memory_access") or 0) / memory for one in layers],
            mode="markers",
            name="share of memory access",
            marker={"symbol": "line-ns", "size": 9, "line": {"width": 2, "color": GREY}},
            hoverinfo="skip",
        )
    )
    for colour, (runtime, times) in zip((RED, PINK, GREY), _times(profile).items(), strict=False):
        shares = [
            number(mapping(time), "share") for one, time in zip(recorded, times, strict=False) if number(one, "madds")
        ]
        figure.add_trace(
            plotly().Scatter(
                y=list(range(len(layers))),
                x=shares,
                mode="markers",
                name=f"share of time, {safe(runtime)}",
                marker={"symbol": "circle-open", "size": 8, "color": colour, "line": {"width": 2}},
                hoverinfo="skip",
            )
        )
    labels = [_label(str(one.get("name") or one.get("op") or "?")) for one in layers]
    figure.update_layout(
        xaxis=axis("share of the net", tickformat=".0%", rangemode="tozero", side="top"),
        yaxis=axis(
            range=[len(layers) - 0.4, -0.6],
            tickvals=list(range(len(layers))),
            ticktext=labels,
            showgrid=False,
            tickfont={"size": 11},
        ),
        margin={"l": 210, "t": 92 + 18 * len(_times(profile)), "b": 10},
        # The legend stands above the axis, at a distance in pixels whatever the number of layers.
        legend={"y": 1, "yref": "container", "yanchor": "top"},
    )
    return figure


def _times(profile: Record) -> dict[str, list[Any]]:
    """The measured time of every layer, by runtime."""
    return {name: list(one.get("layers") or ()) for name, one in mapping(profile.get("measured")).items()}


def _channels(layer: Record) -> int:
    shapes = layer.get("input_shapes") or ()
    return int(shapes[0][1]) if shapes and len(shapes[0]) > 1 else 0


def _label(name: str) -> str:
    return safe(name if len(name) <= 31 else "…" + name[-30:])


def _hover(layer: Record, madds: float, memory: float) -> str:
    kernel = "×".join(str(side) for side in layer.get("kernel") or ())
    groups = layer.get("groups") or 1
    shapes = layer.get("input_shapes") or ()
    share, moved = (number(layer, "madds") or 0) / madds, (number(layer, "memory_access") or 0) / memory
    what = f"{kernel} {kind(layer)}".strip() + (f", {groups} groups" if groups > 1 else "")
    return (
        f"<b>{safe(layer.get('name') or layer.get('op') or '?')}</b><br>{what}<br>"
        f"{image_size(shapes[0][1:] if shapes else None)} → {image_size((layer.get('output_shape') or (0,))[1:])}<br>"
        f"{count(number(layer, 'madds'))} multiply-adds ({share:.1%})<br>"
        f"{count(number(layer, 'params'))} parameters<br>"
        f"{count(number(layer, 'memory_access'))} elements read and written ({moved:.1%})"
    )


def confusion_figure(confusion: Sequence[Sequence[float]], classes: Sequence[str]) -> Any:
    """Rows are true classes, columns predictions: correct in teal, confused in orange, by share of the row.

    Errors are drawn by the square root of their share: a class mistaken once in fifty times must be seen.
    """
    size = len(confusion)
    names = [classes[i] if i < len(classes) else str(i) for i in range(size)]
    shares = [[cell / (sum(row) or 1) for cell in row] for row in confusion]
    colour = [[s if i == j else -math.sqrt(s) for j, s in enumerate(row)] for i, row in enumerate(shares)]
    hover = [
        [
            f"{safe(names[i])} → {safe(names[j])}<br>{confusion[i][j]:g} of {sum(confusion[i]):g} ({shares[i][j]:.1%})"
            for j in range(size)
        ]
        for i in range(size)
    ]
    cell = 34 if size <= TEXT_IN_CELLS else max(10, 700 // size)
    tick = {"size": 12 if size <= 20 else 10.5 if size <= 50 else 8.5}
    longest = max(len(short(name)) for name in names)
    label = round(tick["size"] * 0.56 * longest) + 10
    figure = new_figure(max(cell * size, 120) + label + 60)
    heat: dict[str, Any] = {}
    if size <= TEXT_IN_CELLS:
        heat = {
            "text": [[f"{c:g}" if c else "" for c in row] for row in confusion],
            "texttemplate": "%{text}",
            "textfont": {"size": 11},
        }
    figure.add_trace(
        plotly().Heatmap(
            z=colour,
            customdata=hover,
            hovertemplate="%{customdata}<extra></extra>",
            zmin=-1,
            zmax=1,
            colorscale=COLOURS,
            showscale=False,
            xgap=1 if size <= 50 else 0,
            ygap=1 if size <= 50 else 0,
            **heat,
        )
    )
    ticks = {
        "tickvals": list(range(size)),
        "ticktext": [short(name) for name in names],
        "tickfont": tick,
        "showgrid": False,
    }
    figure.update_layout(
        xaxis=axis("predicted", side="bottom", tickangle=0 if size <= 12 and longest <= 4 else -90, **ticks),
        yaxis=axis("true", autorange="reversed", **ticks),
        margin={"l": label + 26, "b": label + 30, "t": 8},
    )
    return figure
