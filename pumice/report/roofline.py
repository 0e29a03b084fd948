"""Plotly figure of the roofline: what each layer reaches, under what the machine could do at best."""

import math
from collections.abc import Sequence
from typing import Any

from pumice.report.fields import Record, number, objects
from pumice.report.layers import KINDS, kind
from pumice.report.theme import GREY, axis, log_ticks, new_figure, plotly, safe
from pumice.report.units import count, milliseconds, percent, plain, significant, size

SMALLEST, LARGEST = 6, 34
"""Diameters of dots, pixels; their area is the share of time."""


def roofline_figure(layers: Sequence[Record], ceilings: Record, times: Sequence[Record | None]) -> Any:
    """Multiply-adds per byte against multiply-adds per second, a dot for each layer that multiplies.

    layers, ceilings: of the record of `pumice.cost.record`.
    times: `ms` and `share` of each layer, None for one that was not run.
    Returns None when there is no layer or no ceiling to draw.
    """
    peak = number(ceilings, "madds_per_s")
    levels = [level for level in objects(ceilings.get("levels")) if number(level, "bytes_per_s")]
    dots = [
        (layer, time, layer["madds"] / time["ms"] * 1e3)
        for layer, time in zip(layers, times, strict=True)
        if time and number(layer, "madds") and number(layer, "intensity") and number(time, "ms")
    ]
    if not peak or not levels or not dots:
        return None
    across = [layer["intensity"] for layer, _, _ in dots]
    left, right = min(across) / 2, max(*across, 2 * peak / levels[-1]["bytes_per_s"]) * 2
    figure = new_figure(560, hovermode="closest")
    for name, colour in KINDS.items():
        members = [dot for dot in dots if kind(dot[0]) == name]
        if members:
            figure.add_trace(_dots(name, colour, members))
    for level in levels:
        _slope(figure, level, peak, left, right)
    figure.add_trace(_roof([left, right], [peak, peak], f"arithmetic, {count(peak)}MAdds/s"))
    low = min(min(speed for _, _, speed in dots), left * levels[-1]["bytes_per_s"])
    figure.add_annotation(
        x=math.log10(right),
        y=math.log10(peak),
        text=f"{count(peak)}MAdds/s",
        xanchor="right",
        yanchor="bottom",
        showarrow=False,
    )
    figure.update_layout(
        xaxis=axis(
            "multiply-adds per byte (log scale)",
            type="log",
            range=[math.log10(left), math.log10(right)],
            **log_ticks(across),
        ),
        yaxis=axis(
            "multiply-adds per second (log scale)",
            type="log",
            range=[math.log10(low) - 0.1, math.log10(peak) + 0.35],
            **log_ticks([low, peak]),
        ),
        margin={"l": 80, "t": 44},
    )
    return figure


def _dots(name: str, colour: str, members: Sequence[tuple[Record, Record, float]]) -> Any:
    return plotly().Scatter(
        x=[layer["intensity"] for layer, _, _ in members],
        y=[speed for _, _, speed in members],
        mode="markers",
        name=name,
        marker={
            "color": colour,
            "opacity": 0.72,
            "size": [max(SMALLEST, LARGEST * math.sqrt(number(time, "share") or 0) * 2) for _, time, _ in members],
            "line": {"width": 1, "color": "white"},
        },
        text=[_hover(*member) for member in members],
        hovertemplate="%{text}<extra></extra>",
    )


def _hover(layer: Record, time: Record, speed: float) -> str:
    over = number(time, "over_floor")
    lines = [
        f"<b>{safe(layer.get('name') or layer.get('op') or '?')}</b>",
        safe(kind(layer)),
        f"{milliseconds(time['ms'])}, {percent(number(time, 'share'))} of the time",
        f"{count(layer['madds'])} multiply-adds, {size(number(layer, 'memory_bytes'))}, "
        f"{plain(round(layer['intensity'], 3))} a byte",
        f"{count(speed)}MAdds/s" + (f", {significant(over)} times its floor" if over else ""),
        f"{layer['bound']}-bound" if layer.get("bound") else "",
    ]
    return "<br>".join(line for line in lines if line)


def _slope(figure: Any, level: Record, peak: float, left: float, right: float) -> None:
    speed = level["bytes_per_s"]
    end = min(peak / speed, right)
    label = f"{level.get('name')} {size(speed)}/s"
    figure.add_trace(_roof([left, end], [left * speed, end * speed], label))
    figure.add_annotation(
        x=math.log10(left),
        y=math.log10(left * speed),
        text=safe(label),
        xanchor="left",
        showarrow=False,
        bgcolor="white",  # page.css gives it the colour of the card, so that the line does not cross the words
    )


def _roof(x: Sequence[float], y: Sequence[float], label: str) -> Any:
    return plotly().Scatter(
        x=list(x),
        y=list(y),
        mode="lines",
        line={"color": GREY, "width": 1.5},
        name=safe(label),
        showlegend=False,
        hoverinfo="name",
    )
