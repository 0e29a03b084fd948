"""Plotly figure of where the time of a net goes, as ShuffleNetV2's figure 2 shows it."""

from collections.abc import Mapping
from typing import Any

from pumice.report.fields import Record, mapping, number
from pumice.report.theme import BLUE, GREY, ORANGE, PURPLE, TEAL, axis, new_figure, plotly, safe
from pumice.report.units import milliseconds, percent

COLOURS = {"convolution": BLUE, "element-wise": TEAL, "data": PURPLE, "shuffle": ORANGE, "other": GREY}
NAMES = {"data": "data movement", "shuffle": "channel shuffle"}
WIDE_ENOUGH = 0.06
"""Share of the longest bar from which a part has room for its figure."""


def breakdown_figure(measured: Mapping[str, Any]) -> Any:
    """A bar for each runtime, its parts end to end; a mark where the whole net's own latency lies.

    measured: by runtime, as `pumice.cost.record` makes it.  Returns None when nothing was measured.
    """
    runtimes = [name for name, one in measured.items() if number(mapping(one), "sum_ms")]
    if not runtimes:
        return None
    longest = max(number(measured[name], "sum_ms") or 0 for name in runtimes)
    figure = new_figure(120 + 62 * len(runtimes), barmode="stack", hovermode="closest")
    for part, colour in COLOURS.items():
        spent = [number(mapping(measured[name].get("breakdown")), part) or 0.0 for name in runtimes]
        if not any(spent):
            continue
        shares = [ms / measured[name]["sum_ms"] for ms, name in zip(spent, runtimes, strict=True)]
        title = NAMES.get(part, part)
        figure.add_trace(
            plotly().Bar(
                orientation="h",
                y=[safe(name) for name in runtimes],
                x=spent,
                name=title,
                width=0.62,
                marker={"color": colour},
                text=[
                    f"{share:.0%}" if ms > WIDE_ENOUGH * longest else ""
                    for ms, share in zip(spent, shares, strict=True)
                ],
                textposition="inside",
                insidetextanchor="middle",
                textfont={"color": "white"},
                customdata=[
                    f"<b>{title}</b><br>{milliseconds(ms)}, {percent(share)} of the layers' sum"
                    for ms, share in zip(spent, shares, strict=True)
                ],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    figure.add_trace(_nets(measured, runtimes))
    figure.update_layout(
        xaxis=axis("ms per image", rangemode="tozero"),
        yaxis=axis(autorange="reversed", showgrid=False),
        margin={"l": 110, "t": 44},
        legend={"traceorder": "normal"},
    )
    return figure


def _nets(measured: Mapping[str, Any], runtimes: list[str]) -> Any:
    timed: dict[str, Record] = {name: measured[name] for name in runtimes if number(measured[name], "net_ms")}
    return plotly().Scatter(
        y=[safe(name) for name in timed],
        x=[one["net_ms"] for one in timed.values()],
        mode="markers",
        name="the whole net, not looked into",
        marker={"symbol": "line-ns", "size": 44, "line": {"width": 3, "color": "#cf4b4b"}},
        customdata=[f"<b>{safe(name)}</b><br>{milliseconds(one['net_ms'])} as a whole" for name, one in timed.items()],
        hovertemplate="%{customdata}<extra></extra>",
    )
