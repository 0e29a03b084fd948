"""The page of `papers.py`: a plot and a table for every table of a paper, published beside measured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paper_agreement import Found, Pair, agreements, pairs
from paper_runs import Record, wrong
from paper_tables import Table

from pumice.files import write_text
from pumice.report.document import Figures, document, keep_plot, section
from pumice.report.html import Cell, esc, figure_cell, table, words
from pumice.report.theme import SERIES, axis, log_ticks, new_figure, plotly, safe
from pumice.report.units import count, milliseconds


def write_page(tables: Sequence[tuple[Table, Found]], out: Path) -> None:
    """tables: each with its records by (net, runtime)."""
    plotly()
    write_text(out, render(tables))


def render(tables: Sequence[tuple[Table, Found]]) -> str:
    """The page as text."""
    figures: Figures = {}
    machines = sorted({record["machine"] for _, found in tables for record in found.values()})
    head = (
        '<header class="top"><p class="brand">Pumice · the papers\' tables</p><h1>Published beside measured</h1>'
        f'<p class="asked">Measured on {esc("; ".join(machines) or "nothing yet")}. p50: median of one image. Images '
        "and batches a second: by the mean of 100 runs, as the papers report.</p></header>"
    )
    parts = []
    for paper, found in tables:
        lead = f'<p class="lead">Printed: {esc(paper.source)}. Their speeds: {esc(paper.measured_on)}.</p>'
        caption = f"The paper's {paper.columns[paper.speed]} as milliseconds against ours. {agreement(paper, found)}"
        plot = keep_plot(figures, paper.name, speed_figure(paper, found), caption)
        parts.append(section(paper.title, lead + plot + listing(paper, found)))
    return document("The papers' tables", head + "".join(parts), figures, source="published tables and measurements")


def speed_figure(paper: Table, found: Found) -> Any:
    """The paper's ms against ours, both log, a colour a runtime; None when nothing was measured."""
    placed = pairs(paper, found)
    if not placed:
        return None
    figure = new_figure(460)
    for place, (runtime, members) in enumerate(placed.items()):
        figure.add_trace(
            plotly().Scatter(
                x=[pair.paper_ms for pair in members],
                y=[pair.record["figure_ms"] for pair in members],
                mode="markers",
                name=safe(runtime),
                marker={"size": 9, "color": SERIES[place % len(SERIES)], "line": {"width": 1, "color": "white"}},
                text=[_hover(pair) for pair in members],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    theirs = [pair.paper_ms for members in placed.values() for pair in members]
    ours = [pair.record["figure_ms"] for members in placed.values() for pair in members]
    figure.update_layout(
        xaxis=axis("the paper, ms per image (log scale)", type="log", **log_ticks(theirs)),
        yaxis=axis("here, p50 ms (log scale)", type="log", **log_ticks(ours)),
    )
    return figure


def agreement(paper: Table, found: Found) -> str:
    """The rank correlations as a sentence, "" where there is nothing to rank."""
    said = [f"{a.runtime} {a.paper:.2f} (multiply-adds {a.madds:.2f}, {a.nets} nets)" for a in agreements(paper, found)]
    return f"Rank correlation (Spearman) with our p50: {'; '.join(said)}." if said else ""


def listing(paper: Table, found: Found) -> str:
    """Every row of the paper's table."""
    runtimes = list(dict.fromkeys(runtime for _, runtime in found))
    batched = any(row.gpu_batch > 1 for row in paper.rows)
    head = [("net", False), *((title, True) for title in paper.columns.values()), ("our MAdds, M", True)]
    for runtime in runtimes:
        head += [(f"{runtime} p50, ms", True), ("95 % interval", True), ("images/s", True)]
        head += [("batches/s", True)] if batched else []
    rows = []
    for row in paper.rows:
        measured = [found.get((row.net, runtime)) for runtime in runtimes]
        madds = next((r["madds"] / 1e6 for r in measured if r), None)
        line = [words(row.net)]
        line += [_printed(row.printed[key]) for key in paper.columns]
        line.append(figure_cell("" if madds is None else f"{madds:.1f}", madds))
        for record in measured:
            line += _cells(record, batched)
        rows.append(line)
    return table(head, rows, label=paper.title)


def _hover(pair: Pair) -> str:
    record = pair.record
    here = f"here {milliseconds(record['figure_ms'])}, {count(record['madds'])} multiply-adds"
    return f"<b>{safe(pair.net)}</b><br>paper {milliseconds(pair.paper_ms)}<br>{here}"


def _printed(text: str) -> Cell:
    return figure_cell(text, float(text) if text else None)


def _cells(record: Record | None, batched: bool) -> list[Cell]:
    if record is None or wrong(record):
        return [figure_cell("" if record is None else "wrong answer", None), *[figure_cell("", None)] * (2 + batched)]
    low, high = record["figure_ci"]
    busy = ' <span class="busy" title="measured on a busy machine">busy</span>' if record["busy"] else ""
    cells = [Cell(f"{record['figure_ms']:.2f}{busy}", record["figure_ms"], numeric=True)]
    cells.append(Cell(f"{low:.2f} to {high:.2f}", low, numeric=True))
    cells.append(figure_cell(f"{record['images_per_s']:.1f}", record["images_per_s"]))
    return [*cells, figure_cell(f"{record['batches_per_s']:.2f}", record["batches_per_s"])] if batched else cells
