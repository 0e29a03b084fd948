"""The page of a NetAdapt search: cost and accuracy step by step, what each step narrowed, what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pumice.files import read_json
from pumice.report.document import Figures, keep_plot, section
from pumice.report.fields import Record, mapping, number, objects, text
from pumice.report.html import Cell, esc, facts, figure_cell, flatten, table, tile, words
from pumice.report.search import target_line
from pumice.report.theme import BLUE, GREY, TEAL, axis, new_figure, plotly, safe
from pumice.report.units import NOTHING, count, milliseconds, percent, seconds

FILE = "netadapt.json"
SEED = 0


@dataclass(frozen=True)
class Narrowing:
    """What `netadapt.json` of a folder says; a search may be young or stopped.

    steps: by number.  path: numbers of those that lead from the seed to the net found, or to the last so far.
    """

    name: str
    record: Record
    steps: tuple[Record, ...]
    path: tuple[int, ...]

    @property
    def asked(self) -> Record:
        """The arguments of the search."""
        return mapping(self.record.get("asked"))

    @property
    def final(self) -> Record:
        """What is known of the found net; empty until the search is finished."""
        return mapping(self.record.get("final"))

    @property
    def unit(self) -> str:
        """Of the costs."""
        return text(self.record, "unit") or "cost"

    @property
    def measured(self) -> tuple[Record, ...]:
        """In order, the seed first."""
        return objects(self.record.get("measured"))

    @property
    def goal(self) -> float | None:
        """What a net may cost by the prices, as it was corrected last."""
        if self.measured:
            return number(self.measured[-1], "goal")
        target = number(self.final, "target") or number(self.asked, "target_madds") or number(self.asked, "target_ms")
        return target if target is None or target >= 1 or self.unit == "ms" else None


def is_narrowing(folder: str | Path) -> bool:
    """Whether a folder holds a NetAdapt search."""
    return (Path(folder) / FILE).is_file()


def read_narrowing(folder: str | Path) -> Narrowing:
    """Read what the folder of a search says.

    Raises:
        BadInput: the record cannot be read.
    """
    record = mapping(read_json(Path(folder) / FILE))
    steps = objects(record.get("steps"))
    numbers = {step.get("number"): step for step in steps}
    last = record.get("best") if record.get("best") in numbers else (steps[-1].get("number") if steps else None)
    path: list[int] = []
    while isinstance(last, int) and last in numbers and last not in path:
        path.append(last)
        last = numbers[last].get("parent")
    return Narrowing(Path(folder).resolve().name, record, steps, tuple(reversed(path)))


def heading(one: Narrowing) -> str:
    """What was narrowed."""
    source = text(one.asked, "source") or "a network"
    return f"{Path(source).name} narrowed by NetAdapt"


def article(one: Narrowing, prefix: str, figures: Figures, *, alone: bool) -> str:
    """The part of the page that is about one search."""
    tag = "h1" if alone else "h2"
    head = (
        f'<header class="top" id="{prefix}"><p class="brand">Pumice · {esc(one.name)}</p>'
        f'<{tag} class="title">{esc(heading(one))}</{tag}>{_asked(one)}</header>'
    )
    if not one.steps:
        return f'<article class="run">{head}<p class="warn">No step is finished yet.</p></article>'
    notes = [] if one.final else ["The search is not finished."]
    notes += ["The net found does not keep the target."] if one.final.get("within") is False else []
    warnings = "".join(f'<p class="warn">{esc(note)}</p>' for note in notes)
    caption = "Each step takes the best of its proposals; to the left is cheaper. Accuracy is of held-out images."
    parts = [
        ("Step by step", keep_plot(figures, f"{prefix}-steps", steps_figure(one), caption)),
        ("What was narrowed", _narrowed(one)),
        ("All steps", _all(one)),
        ("Measured beside the seed", _measured(one)),
        ("Settings", facts([(k, esc(v)) for k, v in flatten(dict(one.asked))])),
    ]
    return f'<article class="run">{head}{_tiles(one)}{warnings}{"".join(section(*part) for part in parts)}</article>'


def _cost(one: Narrowing, value: float | None) -> str:
    return milliseconds(value) if one.unit == "ms" else count(value)


def _asked(one: Narrowing) -> str:
    ms, madds = number(one.asked, "target_ms"), number(one.asked, "target_madds")
    if ms is not None:
        target = milliseconds(ms)
    else:
        target = percent(madds) + " of its multiply-adds" if madds and madds < 1 else f"{count(madds)} {one.unit}"
    data = text(one.asked, "data") or NOTHING
    return f'<p class="asked">{esc(f"At most {target}, on {data}")}.</p>'


def _on_path(one: Narrowing) -> list[Record]:
    known = {step.get("number"): step for step in one.steps}
    return [known[place] for place in one.path]


def _tiles(one: Narrowing) -> str:
    path = _on_path(one)
    first, last = path[0], path[-1]

    def pair(key: str, said: Any) -> tuple[str, str]:
        return said(number(last, key)), f"from {said(number(first, key))}"

    shown = [
        tile("held-out accuracy", *pair("accuracy", percent)),
        tile(one.unit, *pair("cost", lambda value: _cost(one, value))),
    ]
    if one.unit != "multiply-adds":
        shown += [tile("multiply-adds", *pair("madds", count))]
    shown += [tile("parameters", *pair("params", count))]
    found = [row for row in one.measured if row.get("number") == last.get("number")]
    if found and one.measured:
        shown += [
            tile("measured", milliseconds(number(found[-1], "scaled_ms")), f"from {_ms(one.measured[0], 'scaled_ms')}")
        ]
    if number(one.final, "top1") is not None:
        how = "trained from scratch" if "retrained" in one.final else "tuned" if "tuned" in one.final else "as cut"
        shown += [tile("top-1", percent(number(one.final, "top1")), f"validation, {how}")]
    took = sum(number(step, "seconds") or 0 for step in one.steps)
    shown += [tile("steps", str(len(path) - 1), f"in {seconds(took)}")]
    return f'<div class="tiles">{"".join(shown)}</div>'


def steps_figure(one: Narrowing) -> Any:
    """Cost against accuracy: the way from the seed, proposals that were not taken, steps that were given up."""
    figure = new_figure(460)
    offers = [(step, offer) for step in one.steps for offer in objects(step.get("proposals"))]
    _dots(figure, one, [(o, _hover_offer(one, s, o)) for s, o in offers], "proposals", {"color": GREY, "opacity": 0.35})
    aside = [step for step in one.steps if step.get("number") not in one.path]
    style = {"color": GREY, "size": 9, "symbol": "circle-open"}
    _dots(figure, one, [(step, _hover(one, step)) for step in aside], "given up", style)
    way = [(step, _hover(one, step)) for step in _on_path(one)]
    _dots(figure, one, way, "steps", {"color": BLUE, "size": 8}, mode="lines+markers")
    star = {"symbol": "star", "size": 18, "color": TEAL, "line": {"width": 1, "color": "white"}}
    _dots(figure, one, way[-1:], "found" if one.final else "so far", star)
    if one.goal:
        target_line(figure, one.goal, f"goal {_cost(one, one.goal)}", one.goal)
    title = "latency, ms (predicted)" if one.unit == "ms" else one.unit
    least = {"tickformat": ".3s"} if max(number(step, "cost") or 0 for step in one.steps) > 1e4 else {}
    figure.update_layout(xaxis=axis(title, **least), yaxis=axis("held-out accuracy", tickformat=".1%"))
    return figure


def _dots(
    figure: Any,
    one: Narrowing,
    points: Sequence[tuple[Record, str]],
    name: str,
    marker: Mapping[str, Any],
    mode: str = "markers",
) -> None:
    kept = [(p, said) for p, said in points if number(p, "cost") is not None and number(p, "accuracy") is not None]
    if kept:
        figure.add_trace(
            plotly().Scatter(
                x=[p["cost"] for p, _ in kept],
                y=[p["accuracy"] for p, _ in kept],
                mode=mode,
                name=name,
                marker=dict(marker),
                text=[said for _, said in kept],
                hovertemplate="%{text}<extra></extra>",
            )
        )


def _hover(one: Narrowing, step: Record) -> str:
    head = "the seed" if step.get("number") == SEED else f"step {step.get('number')}"
    return _said(one, head, step)


def _hover_offer(one: Narrowing, step: Record, offer: Record) -> str:
    return _said(one, f"proposed at step {step.get('number')}", offer)


def _said(one: Narrowing, head: str, row: Record) -> str:
    lines = [f"<b>{safe(head)}</b>"]
    lines += [f"{safe(row['group'])}: {row.get('before')} → {row.get('width')}"] if row.get("group") else []
    lines += [f"accuracy {percent(number(row, 'accuracy'))}"]
    return "<br>".join([*lines, _cost(one, number(row, "cost")) + ("" if one.unit == "ms" else f" {safe(one.unit)}")])


def _narrowed(one: Narrowing) -> str:
    """Each group of the found net that is narrower than the seed's."""
    ends: dict[str, tuple[Any, Any, Any, int]] = {}
    for step in _on_path(one)[1:]:
        group = str(step.get("group"))
        _, before, _, times = ends.get(group, (None, step.get("before"), None, 0))
        ends[group] = (step.get("kind"), before, step.get("width"), times + 1)
    rows = [
        [words(group), words(kind), *(figure_cell(str(n), n) for n in (before, width, times))]
        for group, (kind, before, width, times) in ends.items()
    ]
    head = [("channel group", False), ("kind", False), ("channels before", True), ("now", True), ("steps", True)]
    return table(head, rows, label="narrowed groups") if rows else ""


def _all(one: Narrowing) -> str:
    turned = any(step.get("parent") != place - 1 for place, step in enumerate(one.steps) if place > 1)
    head = [
        ("step", True),
        *([("from", True)] if turned else []),
        ("group", False),
        ("channels", False),
        (one.unit, True),
        ("limit", True),
    ]
    head += [("accuracy", True), ("multiply-adds", True), ("parameters", True), ("proposals", True), ("seconds", True)]
    head += [("remark", False)]
    return table(head, [_row(one, step, turned) for step in one.steps], label="steps")


def _row(one: Narrowing, step: Record, turned: bool) -> list[Cell]:
    """turned: whether some step goes on from another than the one before it."""
    place, offers = step.get("number"), objects(step.get("proposals"))
    is_seed = place == SEED
    remark = "" if place in one.path else "given up"
    if place == one.record.get("best"):
        remark = "found"
    return [
        figure_cell(str(place), number(step, "number")),
        *([figure_cell(NOTHING if is_seed else str(step.get("parent")), number(step, "parent"))] if turned else []),
        words("the seed" if is_seed else step.get("group")),
        words("" if is_seed else f"{step.get('before')} → {step.get('width')}"),
        figure_cell(_cost(one, number(step, "cost")), number(step, "cost")),
        figure_cell(_cost(one, number(step, "limit")), number(step, "limit")),
        figure_cell(percent(number(step, "accuracy")), number(step, "accuracy")),
        figure_cell(count(number(step, "madds")), number(step, "madds")),
        figure_cell(count(number(step, "params")), number(step, "params")),
        figure_cell(str(len(offers)), len(offers)),
        figure_cell(f"{number(step, 'seconds') or 0:,.1f}", number(step, "seconds")),
        words(remark),
    ]


def _ms(row: Record, key: str) -> str:
    return milliseconds(number(row, key))


def _measured(one: Narrowing) -> str:
    if not one.measured:
        return ""
    head = [("step", True), ("measured", True), ("the seed then", True), ("at the seed's first pace", True)]
    head += [("next goal", True), ("remark", False)]
    rows = [
        [
            figure_cell(str(row.get("number")).replace("-1", "narrowest"), number(row, "number")),
            *(figure_cell(_ms(row, key), number(row, key)) for key in ("ms", "seed_ms", "scaled_ms")),
            figure_cell(_cost(one, number(row, "goal")), number(row, "goal")),
            words("the machine was busy" if row.get("busy") else ""),
        ]
        for row in one.measured
    ]
    return table(head, rows, label="measurements")
