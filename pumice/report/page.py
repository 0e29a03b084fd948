"""One or several runs as one HTML file that opens offline."""

from collections.abc import Sequence
from pathlib import Path

from pumice.errors import BadInput
from pumice.files import write_text
from pumice.report import dense, listings, mistakes, narrowing, scaling, search, sections
from pumice.report.comparison import comparison
from pumice.report.confusion import confusion_figure, is_square
from pumice.report.curves import rungs_figure, training_figure
from pumice.report.document import Figures, document, keep_plot, section
from pumice.report.fields import number
from pumice.report.html import esc
from pumice.report.layers import layers_figure
from pumice.report.narrowing import is_narrowing, read_narrowing
from pumice.report.plots import candidates_figure
from pumice.report.reading import read_run
from pumice.report.records import RunRecords
from pumice.report.scaling import is_scaling
from pumice.report.search_records import is_search, read_search
from pumice.report.theme import plotly
from pumice.report.verdict import verdict

MOST_CLASSES = 150  # of a confusion matrix that is drawn


def write_page(runs: Sequence[str | Path], out: str | Path) -> Path:
    """Write the report of run folders, or of those of searches, to one file; equal records give equal bytes.

    Raises:
        BadInput: no run was given, a folder is no run, a record cannot be read, or plotly is not installed.
    """
    if not runs:
        raise BadInput("a report needs at least one run folder")
    plotly()
    searches = [is_search(folder) for folder in runs]
    if all(map(is_scaling, runs)):
        write_text(out, _scaled(runs))
    elif any(map(is_scaling, runs)):
        raise BadInput("a report is of runs or of one kind of search; give the folders of one sort")
    elif all(map(is_narrowing, runs)):
        write_text(out, _narrowed(runs))
    elif all(searches):
        write_text(out, search.render([read_search(folder) for folder in runs]))
    elif any(searches):
        raise BadInput("a report is of runs or of searches; give the folders of one sort")
    else:
        write_text(out, render([read_run(folder) for folder in runs]))
    return Path(out)


def render(records: Sequence[RunRecords]) -> str:
    """The page as text."""
    named = list(zip(_names(records), records, strict=True))
    figures: Figures = {}
    body = "".join(_run(name, run, f"run{i}", figures, alone=len(named) == 1) for i, (name, run) in enumerate(named))
    title = f"{sections.heading(records[0])}, {named[0][0]}" if len(named) == 1 else f"{len(named)} runs compared"
    if len(named) > 1:
        body = comparison(named, figures) + body
    return document(title, body, figures, source="the records of the run")


def _narrowed(folders: Sequence[str | Path]) -> str:
    """NetAdapt's searches; each is followed by the run of the net that it found, once there is one."""
    figures: Figures = {}
    found, body = [read_narrowing(folder) for folder in folders], ""
    for i, (folder, one) in enumerate(zip(folders, found, strict=True)):
        body += narrowing.article(one, f"search{i}", figures, alone=len(found) == 1)
        if one.final and (Path(folder) / "config.json").is_file():
            run = read_run(folder)
            body += _run(f"{run.name}, the net found", run, f"run{i}", figures, alone=False)
    title = narrowing.heading(found[0]) if len(found) == 1 else f"{len(found)} searches"
    return document(title, body, figures, source="the records of the search")


def _scaled(folders: Sequence[str | Path]) -> str:
    figures: Figures = {}
    alone = len(folders) == 1
    parts = [scaling.article(folder, f"search{i}", figures, alone=alone) for i, folder in enumerate(folders)]
    title = "Compound scaling" if alone else f"{len(folders)} searches of compound scaling"
    return document(title, "".join(parts), figures, source="the records of the search")


def _names(records: Sequence[RunRecords]) -> list[str]:
    """Folder names; a second folder of the same name gets a number."""
    names: list[str] = []
    for run in records:
        same = sum(1 for name in names if name == run.name or name.startswith(f"{run.name} ("))
        names.append(f"{run.name} ({same + 1})" if same else run.name)
    return names


def _run(name: str, run: RunRecords, prefix: str, figures: Figures, *, alone: bool) -> str:
    tag = "h1" if alone else "h2"
    brand = f"Pumice · {esc(name)}" if alone else esc(name)
    title = f'<{tag} class="title">{esc(sections.heading(run))}</{tag}>'
    said = (sections.unfinished("This run", run), sections.condensed(run))
    notes = "".join(f'<p class="warn">{esc(note)}</p>' for note in said if note)
    summary = (
        f'<header class="top" id="{prefix}"><p class="brand">{brand}</p>{title}{sections.asked(run)}</header>'
        f"{verdict(run)}{sections.tiles(run)}{notes}"
    )
    parts = [
        ("Load it", sections.loading(run)),
        ("Candidates", _candidates(run, prefix, figures) + listings.candidates_table(run)),
        ("Training", _training(run, prefix, figures)),
        *(_dense(run, prefix, figures) if run.dense else _classified(run, prefix, figures)),
        ("What each layer costs", _layers(run, prefix, figures)),
        ("Verification of the file", sections.checks(run)),
        ("Inside the file", sections.inside(run)),
        ("Machine and settings", sections.machine(run)),
    ]
    return f'<article class="run">{summary}{"".join(section(part, html) for part, html in parts)}</article>'


def _classified(run: RunRecords, prefix: str, figures: Figures) -> list[tuple[str, str]]:
    return [
        ("Accuracy by class", _confusion(run, prefix, figures) + _classes(run)),
        ("Worst mistakes", mistakes.sheets(run)),
    ]


def _dense(run: RunRecords, prefix: str, figures: Figures) -> list[tuple[str, str]]:
    curves = dense.precision_recall(run, prefix, figures)
    return [
        ("Predictions beside the truth", dense.pictures(run)),
        ("Scores", dense.scores_table(run) + curves + _confusion(run, prefix, figures) + dense.classes_table(run)),
    ]


def _candidates(run: RunRecords, prefix: str, figures: Figures) -> str:
    figure = candidates_figure(run)
    unmeasured = sum(1 for c in run.candidates if number(c, "p50_ms") is None)
    caption = "Up and to the left is better. Hover for a candidate's figures."
    if unmeasured and unmeasured < len(run.candidates):
        were = "candidate was" if unmeasured == 1 else "candidates were"
        caption += f" {unmeasured} {were} not measured: see the table."
    return keep_plot(figures, f"{prefix}-candidates", figure, caption)


def _training(run: RunRecords, prefix: str, figures: Figures) -> str:
    final = "The final training." if run.rungs else "Waiting: share of the time without images to train on."
    return keep_plot(
        figures,
        f"{prefix}-rungs",
        rungs_figure(run),
        "Every candidate that was trained: each rung keeps the better ones.",
    ) + keep_plot(figures, f"{prefix}-training", training_figure(run), final)


def _confusion(run: RunRecords, prefix: str, figures: Figures) -> str:
    matrix = run.scores.get("confusion") or ()
    if not is_square(matrix):
        return ""
    if len(matrix) > MOST_CLASSES:
        return f'<p class="lead">A matrix of {len(matrix)} classes is too large to draw; the tables have it all.</p>'
    caption = (
        "Rows are the true classes. Teal: recognised; orange: taken for another class (drawn strongly, to be seen)."
    )
    if run.dense:  # pixels, too many to be written into cells
        matrix = [[round(100 * n / (sum(row) or 1), 1) for n in row] for row in matrix]
        caption += " Numbers: percent of the pixels of the true class."
    figure = confusion_figure(matrix, run.classes)
    # Cells stay square-ish and labels legible: a small matrix is not stretched, a large one scrolls on a phone.
    width = figure.layout.height - figure.layout.margin.b + figure.layout.margin.l
    css = "narrow" if width < 760 else ""
    return keep_plot(
        figures, f"{prefix}-confusion", figure, caption, css=css, least=min(int(width), 900) if len(matrix) > 8 else 0
    )


def _classes(run: RunRecords) -> str:
    tables = [one for one in (listings.by_class(run), listings.confusions(run)) if one]
    return f'<div class="beside">{"".join(f"<div>{one}</div>" for one in tables)}</div>' if tables else ""


def _layers(run: RunRecords, prefix: str, figures: Figures) -> str:
    figure = layers_figure(run.profile)
    caption = "Layers in order. Bars: share of the multiply-adds; ticks: share of the elements read and written."
    extra = number(run.profile, "extra_madds")
    if extra:
        caption += f" {extra:,.0f} extra multiply-adds (generated weights, dynamic activations) are not in the bars."
    return keep_plot(figures, f"{prefix}-layers", figure, caption, css="tall")
