"""The tables of the page: candidates, accuracy by class, confused classes."""

from pumice.report.fields import Record, first_number, number
from pumice.report.html import Cell, esc, figure_cell, table, words
from pumice.report.records import RunRecords, candidate_bound
from pumice.report.units import count, milliseconds, percent, side

STATUS_ORDER = ("shipped", "trained", "measured", "predicted", "over budget", "not measured")


def candidates_table(run: RunRecords) -> str:
    """Every candidate, the shipped one first; columns sort on a click."""
    if not run.candidates:
        return ""
    latency = run.budget.get("max_latency_ms")
    head = [
        ("model", False), ("input", True), ("runtime", False), ("status", False), ("top-1", True), ("p50", True),
        ("95 % bound", True), ("MAdds", True), ("params", True), ("why", False),
    ]  # fmt: skip
    order = {name: place for place, name in enumerate(STATUS_ORDER)}
    ranked = sorted(
        run.candidates,
        key=lambda c: (
            order.get(str(c.get("status")), len(order)),
            -(first_number("val_top1", c) or 0),
            first_number("p50_ms", c) or 0,
            str(c.get("model")),
        ),
    )
    return table(head, [_candidate_row(c, latency) for c in ranked], css="candidates", label="candidates")


def _candidate_row(candidate: Record, limit: float | None) -> list[Cell]:
    status = str(candidate.get("status") or "")
    place = STATUS_ORDER.index(status) if status in STATUS_ORDER else len(STATUS_ORDER)
    css = status.replace(" ", "-") if status in STATUS_ORDER else "other"
    bound, sides = candidate_bound(candidate), candidate.get("input_size") or ()
    over = "over" if bound is not None and limit is not None and bound > limit else ""
    top1, p50 = number(candidate, "val_top1"), number(candidate, "p50_ms")
    busy = ' <span class="busy" title="measured on a busy machine">busy</span>' if candidate.get("busy") else ""
    return [
        Cell(f"<b>{esc(candidate.get('model', '?'))}</b>", str(candidate.get("model", "?"))),
        Cell(esc(side(sides)), sides[-1] if sides else None, numeric=True),
        words(candidate.get("runtime")),
        Cell(f'<span class="chip {css}">{esc(status)}</span>', str(place)),
        figure_cell(percent(top1), top1),
        Cell(esc(milliseconds(p50)) + busy + said_predicted(candidate), p50, numeric=True),
        Cell(esc(milliseconds(bound)), bound, numeric=True, css=over),
        figure_cell(count(number(candidate, "madds")), number(candidate, "madds")),
        figure_cell(count(number(candidate, "params")), number(candidate, "params")),
        Cell(esc(candidate.get("reason") or ""), str(candidate.get("reason") or ""), css="why"),
    ]  # fmt: skip


def said_predicted(timing: Record) -> str:
    """A mark behind a latency that nobody measured."""
    said = ' <span class="busy" title="by a lookup table, not measured">predicted</span>'
    return said if timing.get("predicted") else ""


def confusions(run: RunRecords, most: int = 12) -> str:
    """The pairs of classes confused most often."""
    matrix = run.scores.get("confusion") or ()
    names = dict(enumerate(run.classes))
    pairs = [(n, i, j, sum(row)) for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j and n]
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    if not pairs:
        return ""
    rows = [
        [
            words(names.get(i, i)),
            words(names.get(j, j)),
            figure_cell(f"{n:g} of {total:g}", n),
            figure_cell(percent(n / total), n / total),
        ]
        for n, i, j, total in pairs[:most]
    ]
    head = [("true", False), ("taken for", False), ("images", True), ("share", True)]
    return "<h3>Most confused</h3>" + table(head, rows, css="small", label="most confused classes")


def by_class(run: RunRecords) -> str:
    """Every class with its precision, recall and images."""
    recorded = [one for one in run.scores.get("per_class") or () if isinstance(one, dict)]
    if not recorded:
        return ""
    trained = run.trained_on
    head = [("class", False), ("recall", True), ("precision", True), ("validated on", True)]
    head += [("trained on", True)] if trained else []
    rows = []
    for one in recorded:
        name, support = str(one.get("name", "")), number(one, "support")
        row = [words(name), *(figure_cell(percent(v), v) for v in (number(one, "recall"), number(one, "precision")))]
        row.append(figure_cell(f"{support or 0:,.0f}", support))
        if trained:
            row.append(figure_cell(f"{trained.get(name, 0):,.0f}", trained.get(name)))
        rows.append(row)
    return "<h3>By class</h3>" + table(head, rows, css="small", label="accuracy by class")
