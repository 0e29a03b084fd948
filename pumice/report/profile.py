"""A profile as one HTML file: what each layer costs, how fast it could be and how fast it is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pumice.files import write_text
from pumice.report.breakdown import breakdown_figure
from pumice.report.document import Figures, document, keep_plot, section
from pumice.report.fields import Record, mapping, number, objects, text
from pumice.report.html import Cell, esc, figure_cell, table, tile, words
from pumice.report.layers import kind, layers_figure
from pumice.report.roofline import roofline_figure
from pumice.report.theme import plotly
from pumice.report.units import count, image_size, milliseconds, percent, significant, size

TIME_CAPTION = (
    "ms of the layers, each charged with what the runtime fused into it. The red mark is the whole net, timed without "
    "looking at its layers: looking takes time, and what passes between the layers belongs to none."
)
ROOF_CAPTION = (
    "A dot for each layer, its area the share of time. The lines are this machine's measured ceilings: no layer lies "
    "above the arithmetic, and none whose data comes from a level of memory lies above that level's line."
)
AT_BEST = "Nothing was measured yet: each layer lies where it could be at best. Add --measure to see where it is."


def write_profile(record: Record, out: str | Path) -> Path:
    """Write the page of one record of `pumice.cost.record`; equal records give equal bytes.

    Raises:
        BadInput: plotly is not installed.
    """
    plotly()
    write_text(out, render(record))
    return Path(out)


def render(record: Record) -> str:
    """The page as text."""
    figures: Figures = {}
    name, measured = text(record, "name") or "network", mapping(record.get("measured"))
    title = f"{name} at {image_size(record.get('input_size'))}"
    head = (
        f'<header class="top"><p class="brand">Pumice · profile</p><h1>{esc(title)}</h1>'
        f'<p class="asked">{esc(_conditions(record))}</p></header>{_tiles(record)}{_busy(record)}'
    )
    time = keep_plot(figures, "time", breakdown_figure(measured), TIME_CAPTION)
    roofs = _roofs(record, figures)
    bars = keep_plot(
        figures,
        "layers",
        layers_figure(record),
        "Layers that multiply, in order. Bars: share of the multiply-adds; ticks: share of the memory access"
        + ("; rings: share of the measured time." if measured else "."),
        css="tall",
    )
    parts = [
        ("Where the time goes", time),
        *roofs,
        ("What each layer costs", bars + layers_table(record)),
    ]
    body = head + "".join(section(part, html) for part, html in parts)
    return document(title, body, figures, source="a profile of the network")


def layers_table(record: Record) -> str:
    """Every layer that does work: counts, floor, and time in each runtime."""
    layers, measured = objects(record.get("layers")), mapping(record.get("measured"))
    columns = [(name, list(one.get("layers") or ())) for name, one in measured.items()]
    head = [("layer", False), ("kind", False), ("output", False), ("MAdds", True)]
    for name, _ in columns:
        head += [(f"{name} ms", True), ("share", True), ("× floor", True)]
    head += [("floor ms", True), ("bound", False)]
    head += [(title, True) for title in ("MAdds/B", "memory", "params", "groups")]
    rows = []
    for place, layer in enumerate(layers):
        times = [mapping(found[place]) if place < len(found) else {} for _, found in columns]
        if number(layer, "madds") or number(layer, "extra_madds") or any(times):
            rows.append(_row(layer, times))
    return table(head, rows, label="layers")


def _row(layer: Record, times: Sequence[Record]) -> list[Cell]:
    madds, groups, floor = number(layer, "madds"), number(layer, "groups"), number(layer, "floor_ms")
    what = kind(layer) if madds else str(layer.get("function") or layer.get("op") or "")
    intensity = number(layer, "intensity")
    cells = [
        words(layer.get("name") or "(forward)"),
        words(what.replace("_", " ")),
        words(image_size((layer.get("output_shape") or (0,))[1:])),
        figure_cell(count(madds) if madds else "", madds),
    ]
    for time in times:
        ms, share, over = number(time, "ms"), number(time, "share"), number(time, "over_floor")
        cells += [
            figure_cell("" if ms is None else f"{ms:.4f}", ms),
            figure_cell("" if share is None else percent(share), share),
            figure_cell("" if over is None else significant(over), over),
        ]
    return [
        *cells,
        figure_cell("" if floor is None else f"{floor:.4f}", floor),
        words(layer.get("bound")),
        figure_cell(significant(intensity) if madds and intensity else "", intensity),
        figure_cell(size(number(layer, "memory_bytes")), number(layer, "memory_bytes")),
        figure_cell(count(number(layer, "params")) if layer.get("params") else "", number(layer, "params")),
        figure_cell(f"{groups:g}" if groups and groups > 1 else "", groups),
    ]


def _tiles(record: Record) -> str:
    floor, measured = number(record, "floor_ms"), mapping(record.get("measured"))
    extra = number(record, "extra_madds")
    shown = [
        tile("multiply-adds", count(number(record, "madds")), f"and {count(extra)} apart" if extra else "per image"),
        tile("parameters", count(number(record, "params"))),
        tile("memory access", size(number(record, "memory_bytes")), "of the layers that multiply"),
        tile("peak activations", size(number(record, "peak_activation_bytes"))),
        tile("floor", milliseconds(floor), "at best on this machine") if floor is not None else "",
    ]
    for name, one in measured.items():
        over = number(one, "over_floor")
        shown.append(
            tile(name, milliseconds(number(one, "net_ms")), f"{significant(over)} times the floor" if over else "")
        )
    return f'<div class="tiles">{"".join(shown)}</div>'


def _roofs(record: Record, figures: Figures) -> list[tuple[str, str]]:
    """A roofline for each runtime; without any, one of what could be at best."""
    layers, ceilings = objects(record.get("layers")), mapping(record.get("ceilings"))
    measured = mapping(record.get("measured"))
    if not measured:
        total = number(record, "floor_ms") or 1
        best: list[Any] = [
            {"ms": floor, "share": floor / total} if (floor := number(layer, "floor_ms")) else None for layer in layers
        ]
        return [("Roofline", keep_plot(figures, "roof", roofline_figure(layers, ceilings, best), AT_BEST))]
    return [
        (
            f"Roofline: {name}",
            keep_plot(figures, f"roof{i}", roofline_figure(layers, ceilings, one.get("layers") or ()), ROOF_CAPTION),
        )
        for i, (name, one) in enumerate(measured.items())
    ]


def _conditions(record: Record) -> str:
    ceilings, measured = mapping(record.get("ceilings")), mapping(record.get("measured"))
    nets = [mapping(one.get("net")) for one in measured.values()]
    machine = next((text(one, "machine") for one in (*nets, ceilings) if text(one, "machine")), None)
    threads = next((number(one, "threads") for one in (*nets, ceilings) if number(one, "threads")), None)
    said = [f"{threads:g} thread{'s' * (threads != 1)}, one image" if threads else "counted, not measured", machine]
    return "; ".join(one for one in said if one)


def _busy(record: Record) -> str:
    """A warning when the machine did other work during any of the measurements."""
    nets = [mapping(one.get("net")) for one in mapping(record.get("measured")).values()]
    why = next((text(net, "busy_why") for net in nets if net.get("busy")), None)
    why = why or text(mapping(record.get("ceilings")), "busy")
    return f'<p class="warn">The machine was busy ({esc(why)}): these times are too long.</p>' if why else ""
