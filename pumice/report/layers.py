"""Plot of a net: what each layer costs."""

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
