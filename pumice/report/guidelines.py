"""The page of `pumice guidelines`: what a paper measured beside what this machine shows, and the verdicts."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pumice.files import write_text
from pumice.report.document import Figures, document, keep_plot, section
from pumice.report.fields import Record
from pumice.report.html import Cell, esc, facts, table, words
from pumice.report.theme import BLUE, GREY, OLIVE, ORANGE, TEAL, axis, new_figure, plotly, safe
from pumice.report.units import NOTHING, count, seconds, significant

OURS, PUBLISHED = (BLUE, ORANGE, TEAL, OLIVE), (GREY, "#bcc5d2")
WIDTHS = {
    "arm": "those of the paper's phone",
    "gpu": "those of the paper's GPU",
    "aligned": "those of the paper's phone, rounded to multiples of 4 channels a group",
}
CHIPS = {"holds": "answer-yes", "does not hold": "answer-no"}


def write_guidelines(record: Record, out: str | Path) -> Path:
    """Write what `pumice.cost.guidelines.measure.run` returned as one HTML file.

    Raises:
        BadInput: plotly is not installed, or the folder cannot be made.
    """
    plotly()
    write_text(out, render(record))
    return Path(out)


def render(record: Record) -> str:
    """The page as text."""
    figures: Figures = {}
    body = (
        '<header class="top"><p class="brand">Pumice · guidelines</p><h1>Do the papers’ rules of speed hold here?</h1>'
        f'<p class="asked">{esc(record["machine"])}</p></header>{_verdicts(record)}'
    )
    body += "".join(_experiment(one, record, figures) for one in record["experiments"])
    body += section("Conditions", _conditions(record))
    return document("Guidelines", body, figures, source="measurements of this machine")


def rows(one: Record, runtimes: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """The table of an experiment as text: its head, and a row a case; a column's title stands on its first row.

    A time is in ms with half its 95 % interval in percent: the median of wall time, or CPU time on a busy machine.
    """
    devices: dict[str, str] = one["paper"]
    rates = "ms" not in devices.values()
    head = [
        "column",
        "case",
        "setting",
        "MAdds",
        *(f"{name}, {'images/s (ms)' if rates else 'ms'}" for name in runtimes),
    ]
    head += [f"paper's {device}, {unit}" for device, unit in devices.items()]
    body = []
    for column in one["columns"]:
        for i, case in enumerate(column["cases"]):
            row = ["" if i else column["title"], case["label"], case["setting"], count(case["madds"])]
            for name in runtimes:
                time = case["measured"][name]["time"]
                row.append(f"{significant(time['images_per_s'])} ({_spread(time)})" if rates else _spread(time))
            row += [f"{case['paper'][device]:g}" if device in case["paper"] else NOTHING for device in devices]
            body.append(row)
    return head, body


def pairs(one: Record, runtimes: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """How many times as long the slow case of each claim takes as the fast one, over the columns: head and rows.

    Published ratios are of the printed rates; ours are per multiply-add where the claim is.
    """
    found: dict[tuple[str, str], list[Record]] = {}
    for column in one["columns"]:
        for claim in column["claims"]:
            unit = ", per MAdd" if claim["per_madd"] else ""
            factor = f" (claimed above {1 / claim['factor']:.2g})" if claim["factor"] != 1 else ""
            found.setdefault((f"{claim['slow']} over {claim['fast']}{unit}", factor), []).append(claim)
    head = ["times as long", *runtimes, *(f"paper's {device}" for device in one["paper"])]
    body = []
    for (pair, factor), claims in found.items():
        row = [pair + factor]
        for name in runtimes:
            here = [claim["here"][name] for claim in claims]
            held = sum(judged["verdict"] == "holds" for judged in here)
            row.append(f"{_span([judged['ratio'] for judged in here])}, {held} of {len(here)}")
        row += [_span([claim["paper"][device] for claim in claims]) for device in one["paper"]]
        body.append(row)
    return head, body


def differences(one: Record) -> list[str]:
    """Lines about the claims of which the difference itself was published."""
    lines = []
    for column in one["columns"]:
        for claim in column["claims"]:
            if claim["published_saved_ms"] is None:
                continue
            here = ", ".join(f"{judged['saved_ms']:.3f} ms in {name}" for name, judged in claim["here"].items())
            lines.append(
                f"{claim['fast']} saves {claim['saved_madds'] / 1e6:.1f} M MAdds and {here}; published: "
                f"{claim['published_saved_madds'] / 1e6:g} M and {claim['published_saved_ms']:g} ms on a phone."
            )
    return lines


def relative_speed_figure(one: Record, runtimes: Sequence[str]) -> Any:
    """Bars: speed of every case against the first of its column, here by runtime and as published by device.

    Ours is a speed per multiply-add in the columns whose claims are.
    """
    places = [(column, case) for column in one["columns"] for case in column["cases"]]
    x = [[_folded(column["title"]) for column, _ in places], [_folded(case["label"]) for _, case in places]]
    figure = new_figure(400, barmode="group", bargap=0.22, bargroupgap=0.04)
    for name, colour in zip(runtimes, OURS, strict=False):
        speeds = [_speed(column, case, name) for column, case in places]
        middle = [speed for speed, _, _ in speeds]
        ups, downs = [high - speed for speed, _, high in speeds], [speed - low for speed, low, _ in speeds]
        spread = {"type": "data", "array": ups, "arrayminus": downs, "thickness": 1, "width": 2, "color": GREY}
        figure.add_trace(_bars(x, middle, name, colour, error_y=spread))
    for device, colour in zip(one["paper"], PUBLISHED, strict=False):
        published = [_published(one, column, case, device) for column, case in places]
        figure.add_trace(_bars(x, published, f"paper, {device}", colour))
    figure.update_layout(
        xaxis=axis("", showgrid=False, tickfont={"size": 11}, tickangle=0),
        yaxis=axis("speed against the first case", rangemode="tozero"),
        margin={"b": 76},
    )
    return figure


def _speed(column: Record, case: Record, runtime: str) -> tuple[float, float, float]:
    """Against the first case of the column: by the times, and by the ends of the case's own interval."""
    first, time = column["cases"][0], case["measured"][runtime]["time"]
    work = case["madds"] / first["madds"] if all(claim["per_madd"] for claim in column["claims"]) else 1.0
    target = work * first["measured"][runtime]["time"]["ms"]
    return target / time["ms"], target / time["high"], target / time["low"]


def _lines(label: str) -> list[str]:
    """A label, broken where it has a place to break."""
    for mark in (",", " and", " in", " +"):
        label = label.replace(f"{mark} ", f"{mark}\n")
    return re.sub(r"(?<=[a-z])(?=Net)", "\n", label).split("\n")


def _folded(label: str) -> str:
    return "<br>".join(map(safe, _lines(label)))


def _least_width(one: Record) -> int:
    """Pixels at which the labels of neighbouring cases do not touch."""
    labels = [case["label"] for column in one["columns"] for case in column["cases"]]
    return round(len(labels) * (6.6 * max(len(line) for label in labels for line in _lines(label)) + 6)) + 90


def _bars(x: Any, y: Sequence[float | None], name: str, colour: str, **more: Any) -> Any:
    return plotly().Bar(
        x=x, y=list(y), name=name, marker={"color": colour}, hovertemplate="%{y:.3f}<extra>" + safe(name) + "</extra>",
        **more,
    )  # fmt: skip


def _published(one: Record, column: Record, case: Record, device: str) -> float | None:
    first, value = column["cases"][0]["paper"].get(device), case["paper"].get(device)
    if first is None or value is None:
        return None
    return float(first / value if one["paper"][device] == "ms" else value / first)


def _span(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def _spread(time: Record) -> str:
    """1.234, 1.222, 1.246 -> '1.23 ±1.0 %'."""
    half = 50 * (time["high"] - time["low"]) / time["ms"]
    return f"{significant(time['ms'])} ±{half:.1f} %" + (" CPU" if time["clock"] == "cpu" else "")


def _verdicts(record: Record) -> str:
    head = [("", False), ("statement", False), *((name, False) for name in record["runtimes"])]
    body = [
        [words(one["name"]), Cell(esc(one["statement"]), css="why"), *(_chip(verdict) for verdict in one["verdicts"])]
        for one in record["experiments"]
    ]
    busy = any(verdict["clock"] == "cpu" for one in record["experiments"] for verdict in one["verdicts"])
    said = '<p class="warn">The machine was busy during some columns: those are judged by CPU time.</p>' if busy else ""
    return section("Verdicts", table(head, body, label="verdicts") + said)


def _chip(verdict: Record) -> Cell:
    word = verdict["verdict"]
    return Cell(f'<span class="chip {CHIPS.get(word, "")}">{esc(word)}</span>', word)


def _experiment(one: Record, record: Record, figures: Figures) -> str:
    head, body = rows(one, record["runtimes"])
    cells = [[Cell(esc(text), numeric=i > 2) for i, text in enumerate(row)] for row in body]
    compared, ratios = pairs(one, record["runtimes"])
    sentences = (*(f"It {verdict['sentence']}." for verdict in one["verdicts"]), *differences(one))
    lines = "".join(f"<p>{esc(line)}</p>" for line in sentences)
    drawn = keep_plot(
        figures,
        f"{one['name']}-speed",
        relative_speed_figure(one, record["runtimes"]),
        "Above 1: faster than the first case of its column. Whiskers: 95 % interval of the time. "
        "Where multiply-adds should be equal, ours are divided by them: whole channels do not make them quite equal.",
        least=_least_width(one),
    )
    spans = table(
        [(title, i > 0) for i, title in enumerate(compared)],
        [[Cell(esc(text), numeric=i > 0) for i, text in enumerate(row)] for row in ratios],
        label=f"{one['name']}, claims",
    )
    listed = table([(title, i > 2) for i, title in enumerate(head)], cells, label=one["name"])
    lead = f'<p class="lead">{esc(one["statement"])} Source: {esc(one["source"])}.</p>'
    return section(f"{one['name']}: {one['title']}", lead + drawn + spans + listed + lines)


def _conditions(record: Record) -> str:
    versions = ", ".join(f"{name} {version or ''}".strip() for name, version in record["runtime_versions"].items())
    return facts(
        [
            ("machine", esc(record["machine"])),
            ("runtimes", esc(versions)),
            ("threads, batch", f"{record['threads']}, {record['batch']}"),
            ("device, data type", f"{esc(record['device'])}, float32"),
            ("widths", f"{esc(WIDTHS[record['widths']])}, where they differ"),
            ("weights", f"random, seed {record['seed']}; every case ends in a global average pool"),
            ("took", esc(seconds(record["seconds"]))),
        ]
    )
