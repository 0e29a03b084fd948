"""The part of the page that holds several runs against each other."""

from collections.abc import Callable, Sequence

from pumice.report import dense, mistakes
from pumice.report.confusion import confusion_figure, difference_figure, is_square
from pumice.report.curves import runs_training_figure
from pumice.report.document import Figures, keep_plot, section
from pumice.report.fields import first_number, number, text
from pumice.report.html import Cell, esc, figure_cell, table, words
from pumice.report.listings import said_predicted
from pumice.report.plots import runs_figure
from pumice.report.records import RunRecords
from pumice.report.sections import unfinished
from pumice.report.settings import differing
from pumice.report.units import NOTHING, count, milliseconds, percent, plain, seconds, side, size

Named = Sequence[tuple[str, RunRecords]]
MOST_MATRICES = 4  # side by side
MOST_CLASSES = 60  # of a matrix that is compared


def comparison(named: Named, figures: Figures) -> str:
    """Table, curves, confusion and mistakes of several runs."""
    notes = "".join(f'<p class="warn">{esc(said)}</p>' for name, run in named if (said := unfinished(name, run)))
    fitted = any(run.candidates for _, run in named)
    cost = "Stars: what each run ships. Faint dots: its other trained candidates." if fitted else "Accuracy at a cost."
    curves = (
        "Training loss, validation loss and top-1 by epoch. Runs that differ in their seed alone are one line, their "
        "mean, in a band from the least to the greatest. Dashed: not finished."
    )
    peers, others = same_classes(named)
    said = ""
    if others:
        does = "has other classes; its" if len(others) == 1 else "have other classes; their"
        said = f'<p class="lead">{esc(", ".join(others))} {does} confusion and mistakes are below.</p>'
    parts = [
        ("Side by side", runs_table(named) + notes + keep_plot(figures, "runs-cost", runs_figure(named), cost)),
        ("Training", keep_plot(figures, "runs-training", runs_training_figure(named), curves)),
        ("Confusion", said + _confusion(peers, figures) if len(peers) > 1 else said),
        ("Mistakes", mistakes.compared(peers) if len(peers) > 1 else ""),
    ]
    head = f'<header class="top"><p class="brand">Pumice · report</p><h1>{len(named)} runs compared</h1></header>'
    return head + "".join(section(title, html) for title, html in parts)


def runs_table(named: Named) -> str:
    """A row each; columns of which no run knows anything are left out, settings come in where they differ."""
    runs = [run for _, run in named]
    columns: list[tuple[str, bool, Callable[[RunRecords], Cell]]] = [
        ("model", False, lambda r: words(r.model)),
        ("input", True, lambda r: Cell(esc(side(r.input_size)), (r.input_size or [None])[-1], numeric=True)),
        ("recipe", False, lambda r: words(text(r.config, "recipe"))),
        ("data", False, _data),
        ("epochs", True, _epochs),
        ("seed", True, lambda r: _plain(number(r.config, "seed"))),
        ("runtime", False, lambda r: words(r.runtime)),
        ("within budget", False, _within),
        ("top-1", True, lambda r: figure_cell(percent(r.top1), r.top1)),
        ("score", True, _score),
        ("at epoch", True, lambda r: _plain(None if r.candidates else r.best_epoch)),
        ("balanced", True, lambda r: _percent(number(r.scores, "balanced_accuracy"))),
        ("final val loss", True, _final_loss),
        ("p50", True, _p50),
        ("95 % bound", True, lambda r: figure_cell(milliseconds(r.bound[0]), r.bound[0])),
        ("MAdds", True, lambda r: figure_cell(count(r.madds), r.madds)),
        ("params", True, lambda r: figure_cell(count(r.params), r.params)),
        ("file", True, lambda r: figure_cell(size(r.file_bytes), r.file_bytes)),
        ("trained", True, _seconds),
    ]
    head, cells = [("run", False)], [[_name(name, place)] for place, (name, _) in enumerate(named)]
    for title, numeric, cell_of in columns:
        column = [cell_of(run) for run in runs]
        if any(cell.sort is not None for cell in column):
            head.append((title, numeric))
            for row, cell in zip(cells, column, strict=True):
                row.append(cell)
    for setting, values in differing(runs):
        head.append((setting, False))
        for row, value in zip(cells, values, strict=True):
            row.append(words(value))
    return table(head, cells, css="runs", label="runs")


def same_classes(named: Named) -> tuple[Named, list[str]]:
    """The runs of the class list that most of them have, and the names of those with another."""
    known = [(name, run) for name, run in named if run.classes]
    lists = [run.classes for _, run in known]
    if not lists:
        return [], []
    most = max(lists, key=lists.count)
    return [pair for pair in known if pair[1].classes == most], [n for n, run in known if run.classes != most]


def _confusion(peers: Named, figures: Figures) -> str:
    """The difference of two matrices; several side by side."""
    drawn = [(name, run, run.scores.get("confusion") or ()) for name, run in peers]
    drawn = [one for one in drawn if is_square(one[2])]
    if len(drawn) < 2:
        return ""
    classes = drawn[0][1].classes
    if len(classes) > MOST_CLASSES or len(drawn) > MOST_MATRICES:
        return '<p class="lead">Too many to draw beside each other: every run has its own below.</p>'
    if len(drawn) == 2:
        (one, _, a), (other, _, b) = drawn
        figure = difference_figure(a, b, classes, (one, other))
        caption = (
            f"Rows are the true classes. Blue: {one} says so more often; orange: {other} does. "
            "Numbers: difference in percent of the row. On the diagonal more is better, elsewhere less."
        )
        return keep_plot(figures, "runs-confusion", figure, caption, css="narrow" if len(classes) < 20 else "")
    plots = [
        keep_plot(figures, f"runs-confusion-{i}", confusion_figure(matrix, classes, pixels=400), name)
        for i, (name, _, matrix) in enumerate(drawn)
    ]
    return f'<div class="beside">{"".join(plots)}</div>'


def _name(name: str, place: int) -> Cell:
    return Cell(f'<a href="#run{place}"><b>{esc(name)}</b></a>', name)


def _score(run: RunRecords) -> Cell:
    """The main figure of a dense task."""
    name, value = dense.best_of(run) if run.dense else ("", None)
    return Cell(esc(f"{name} {percent(value)}" if name else NOTHING), value, numeric=True)


def _data(run: RunRecords) -> Cell:
    """The last part of a path; the whole of it is further below."""
    return words(None if run.data is None else run.data.rstrip("/").rpartition("/")[2] or run.data)


def _plain(value: float | None) -> Cell:
    return figure_cell(NOTHING if value is None else plain(value), value)


def _percent(value: float | None) -> Cell:
    return figure_cell(percent(value), value)


def _seconds(run: RunRecords) -> Cell:
    value = first_number("seconds", run.metrics, run.epochs[-1] if run.epochs else {})
    return figure_cell(seconds(value), value)


def _epochs(run: RunRecords) -> Cell:
    done = max((e["epoch"] for e in run.epochs if "epoch" in e), default=None)
    asked = None if run.candidates else number(run.config, "epochs")
    short = done is not None and asked is not None and done < asked
    shown = NOTHING if done is None else f"{done:g} of {asked:g}" if short else f"{done:g}"
    return figure_cell(shown, done)


def _within(run: RunRecords) -> Cell:
    if run.within_budget is None:
        return Cell(NOTHING)
    answer = "yes" if run.within_budget else "no"
    return Cell(f'<span class="chip answer-{answer}">{answer}</span>', answer)


def _p50(run: RunRecords) -> Cell:
    value = first_number("p50_ms", run.benchmark, run.shipped)
    return Cell(esc(milliseconds(value)) + said_predicted(run.benchmark), value, numeric=True)


def _final_loss(run: RunRecords) -> Cell:
    value = next((e["val_loss"] for e in reversed(run.epochs) if "val_loss" in e), None)
    return figure_cell(NOTHING if value is None else f"{value:.3f}", value)
