"""The page of compound scaling: every alpha, beta and gamma that was tried, and the network at each phi."""

from pathlib import Path
from typing import Any

from pumice.files import read_json
from pumice.report.document import Figures, keep_plot, section
from pumice.report.fields import Record, mapping, number, objects, text
from pumice.report.html import Cell, esc, facts, figure_cell, flatten, table, tile
from pumice.report.theme import BLUE, TEAL, axis, new_figure, plotly
from pumice.report.units import count, percent, plain, seconds

FILE = "scaling.json"
NAMES = ("alpha", "beta", "gamma")


def is_scaling(folder: str | Path) -> bool:
    """Whether a folder holds a search of compound scaling."""
    return (Path(folder) / FILE).is_file()


def heading(record: Record) -> str:
    """What was scaled."""
    return f"{text(mapping(record.get('settings')), 'model') or 'a network'} under compound scaling"


def article(folder: str | Path, prefix: str, figures: Figures, *, alone: bool) -> str:
    """The part of the page that is about one search; it may be young or stopped.

    Raises:
        BadInput: the record cannot be read.
    """
    record = mapping(read_json(Path(folder) / FILE))
    settings, trials, best = mapping(record.get("settings")), objects(record.get("trials")), mapping(record.get("best"))
    tag, tried = ("h1" if alone else "h2"), settings.get("grid")
    many = f"{len(trials)} of {len(tried)}" if isinstance(tried, list) else str(len(trials))
    data = text(mapping(settings.get("training")), "data") or "?"
    asked = f"Depth grows by alpha, width by beta, side by gamma; {many} settings tried on {data}."
    head = (
        f'<header class="top" id="{prefix}"><p class="brand">Pumice · {esc(Path(folder).resolve().name)}</p>'
        f'<{tag} class="title">{esc(heading(record))}</{tag}><p class="asked">{esc(asked)}</p></header>'
    )
    if not trials:
        return f'<article class="run">{head}<p class="warn">No training is finished yet.</p></article>'
    warning = "" if best else '<p class="warn">The search is not finished.</p>'
    scaled = objects(record.get("scaled"))
    caption = "Each dot is a setting at the same phi; up and to the left is better. Hover for its coefficients."
    parts = [
        ("The network at each phi", _rows(scaled, "scaled networks", trained=False) if scaled else ""),
        ("Settings tried", keep_plot(figures, f"{prefix}-grid", grid_figure(trials, best), caption)),
        ("All settings", _rows(trials, "settings tried", trained=True)),
        ("Settings", facts([(k, esc(v)) for k, v in flatten({k: v for k, v in settings.items() if k != "grid"})])),
    ]
    body = "".join(section(*part) for part in parts)
    return f'<article class="run">{head}{_tiles(trials, best)}{warning}{body}</article>'


def _is_best(row: Record, best: Record) -> bool:
    return bool(best) and all(row.get(name) == best.get(name) for name in NAMES)


def _tiles(trials: tuple[Record, ...], best: Record) -> str:
    shown = [tile(name, plain(value)) for name in NAMES if (value := number(best, name)) is not None]
    taken = next((row for row in trials if _is_best(row, best)), None)
    accuracy = number(taken, "accuracy") if taken is not None else None
    shown += [tile("its accuracy", percent(accuracy), "short training, held-out images")] if taken is not None else []
    shown += [tile("trainings", str(len(trials)), f"in {seconds(sum(number(row, 'seconds') or 0 for row in trials))}")]
    return f'<div class="tiles">{"".join(shown)}</div>'


def grid_figure(trials: tuple[Record, ...], best: Record) -> Any:
    """Multiply-adds against accuracy of every setting."""
    figure = new_figure(420)
    taken = [row for row in trials if _is_best(row, best)]
    star = {"symbol": "star", "size": 18, "color": TEAL, "line": {"width": 1, "color": "white"}}
    for name, rows, marker in (("settings", trials, {"size": 9, "color": BLUE, "opacity": 0.8}), ("best", taken, star)):
        placed = [row for row in rows if number(row, "madds") is not None and number(row, "accuracy") is not None]
        if placed:
            figure.add_trace(
                plotly().Scatter(
                    x=[row["madds"] for row in placed],
                    y=[row["accuracy"] for row in placed],
                    mode="markers",
                    name=name,
                    marker=marker,
                    text=[_hover(row) for row in placed],
                    hovertemplate="%{text}<extra></extra>",
                )
            )
    scale = {"tickformat": ".3s"}
    figure.update_layout(xaxis=axis("multiply-adds", **scale), yaxis=axis("accuracy", tickformat=".1%"))
    return figure


def _hover(row: Record) -> str:
    said = ", ".join(f"{name} {plain(number(row, name) or 0)}" for name in NAMES)
    cost = f"{count(number(row, 'madds'))} multiply-adds, side {row.get('side')}"
    return f"<b>{said}</b><br>accuracy {percent(number(row, 'accuracy'))}<br>{cost}"


def _rows(rows: tuple[Record, ...], label: str, *, trained: bool) -> str:
    first = NAMES if trained else ("phi",)
    head = [(name, True) for name in (*first, "depth", "width", "side", "rows", "multiply-adds", "growth", "asked")]
    head += [("parameters", True), ("accuracy", True), *([("seconds", True)] if trained else [])]
    return table(head, [_cells(row, first, trained) for row in rows], label=label)


def _cells(row: Record, first: tuple[str, ...], trained: bool) -> list[Cell]:
    def cell(key: str, said: Any) -> Cell:
        value = number(row, key)
        return figure_cell("–" if value is None else said(value), value)

    def short(value: float) -> str:
        return f"{value:.3g}"

    return [
        *(cell(name, plain) for name in first),
        *(cell(name, short) for name in ("depth", "width")),
        *(cell(name, plain) for name in ("side", "rows")),
        cell("madds", count),
        *(cell(name, lambda value: f"{value:.2f}") for name in ("growth", "asked")),
        cell("params", count),
        cell("accuracy", percent),
        *([cell("seconds", lambda value: f"{value:,.1f}")] if trained else []),
    ]
