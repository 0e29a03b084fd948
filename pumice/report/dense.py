"""What a page says of a run of a dense task: its figures, its classes, its pictures."""

from collections.abc import Sequence
from typing import Any

from pumice.report.document import Figures, keep_plot
from pumice.report.fields import Record, number, objects
from pumice.report.html import esc, figure_cell, table, thumbnail, tile, words
from pumice.report.records import RunRecords
from pumice.report.theme import SERIES, axis, new_figure, plotly, safe, short
from pumice.report.units import NOTHING, percent

WORDS = {
    "ap": "AP",
    "ap50": "AP at 0.5",
    "ap75": "AP at 0.75",
    "ap_small": "AP, small",
    "ap_medium": "AP, medium",
    "ap_large": "AP, large",
    "ar": "AR",
    "ar1": "AR, 1 an image",
    "ar10": "AR, 10 an image",
    "ar100": "AR, 100 an image",
    "voc07": "VOC AP, 11 points",
    "voc12": "VOC AP, all points",
    "miou": "mIoU",
    "accuracy": "pixel accuracy",
    "iou": "IoU",
    "share": "share of the pixels",
    "pck": "PCK",
    "oks_ap": "OKS AP",
}
NOUNS = {
    "detect": "A detector",
    "segment": "A network for segmentation",
    "keypoints": "A network that finds the keypoints of a person",
}
MOST_CURVES = 24


def word(key: str) -> str:
    """A figure's name for people."""
    return WORDS.get(key, key.replace("_", " "))


def figures_of(run: RunRecords) -> list[tuple[str, float]]:
    """The scores of the whole set, fractions of 1, the main ones first; of an unfinished run, of its best epoch."""
    scores = [(word(key), value) for key in run.scores if isinstance(value := run.scores[key], float)]
    if scores or not run.epochs:
        return scores
    best = max(run.epochs, key=lambda row: main_of(row) or 0.0)
    return [(word(key.removeprefix("val_")), best[key]) for key in best if key.startswith("val_")]


def main_of(row: Record) -> float | None:
    """The first score of an epoch."""
    return next((number(row, key) for key in row if key.startswith("val_")), None)


def tiles(run: RunRecords) -> list[str]:
    """The two main figures, large."""
    return [tile(name, percent(value), "validation images") for name, value in figures_of(run)[:2]]


def scores_table(run: RunRecords) -> str:
    """Every figure of the whole set."""
    rows = [[words(name), figure_cell(percent(value), value)] for name, value in figures_of(run)]
    return table([("", False), ("value", True)], rows, css="small", label="scores") if rows else ""


def classes_table(run: RunRecords) -> str:
    """Every class, or joint, with its figures."""
    recorded = objects(run.scores.get("per_class"))
    if not recorded:
        return ""
    keys = [key for key in recorded[0] if key != "name"]
    head = [("class", False), *((word(key), True) for key in keys)]
    rows = [
        [words(one.get("name")), *(figure_cell(_shown(one, key), number(one, key)) for key in keys)] for one in recorded
    ]
    return "<h3>By class</h3>" + table(head, rows, css="small", label="by class")


def class_cells(run: RunRecords) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the same as text."""
    recorded = objects(run.scores.get("per_class"))
    keys = [key for key in recorded[0] if key != "name"] if recorded else []
    rows = [[str(one.get("name", "")), *(_shown(one, key) for key in keys)] for one in recorded]
    return ["class", *map(word, keys)], rows


def _shown(one: Record, key: str) -> str:
    value = one.get(key)
    if number(one, key) is None:
        return NOTHING
    return f"{value:,}" if isinstance(value, int) else percent(number(one, key))


def precision_recall(run: RunRecords, prefix: str, figures: Figures) -> str:
    """Precision over recall of each class of a detector, at IoU 0.5; of many, the first ones."""
    curves = run.scores.get("curves")
    if not isinstance(curves, dict) or not curves:
        return ""
    figure = new_figure(
        420,
        xaxis=axis("recall", tickformat=".0%", range=[0, 1]),
        yaxis=axis("precision at IoU 0.5", tickformat=".0%", range=[0, 1.02]),
        showlegend=True,
    )
    for place, (name, values) in enumerate(list(curves.items())[:MOST_CURVES]):
        figure.add_trace(
            plotly().Scatter(
                x=[i / (len(values) - 1) for i in range(len(values))],
                y=values,
                mode="lines",
                name=safe(short(name, 32)),
                line={"color": SERIES[place % len(SERIES)], "width": 2},
                hovertemplate=f"{safe(name)}<br>recall %{{x:.0%}}, precision %{{y:.1%}}<extra></extra>",
            )
        )
    more = f" {len(curves) - MOST_CURVES} more classes are in the table." if len(curves) > MOST_CURVES else ""
    return keep_plot(figures, f"{prefix}-curves", figure, f"Precision that is still reached at each recall.{more}")


def pictures(run: RunRecords) -> str:
    """What the network finds beside the truth."""
    shown = [one for one in run.predictions if "found" in one]
    if not shown:
        return ""
    cells = "".join(_pair(one) for one in shown)
    lead = "Validation images, evenly spaced in the set. Left: what the network finds; right: the truth."
    return f'<p class="lead">{esc(lead)}</p><div class="pairs">{cells}</div>'


def _pair(one: Record) -> str:
    name = str(one.get("name", "?"))
    both = "".join(thumbnail(one.get(key), f"{name}: {said}") for key, said in (("found", "found"), ("truth", "truth")))
    return f'<figure class="pair" title="{esc(name)}">{both}<figcaption>{esc(name)}</figcaption></figure>'


def score_columns(runs: Sequence[RunRecords]) -> list[tuple[str, str]]:
    """Columns of metrics.csv that hold scores of dense tasks: key and title."""
    keys = dict.fromkeys(
        key for run in runs if run.dense for row in run.epochs for key in row if key.startswith("val_")
    )
    return [(key, word(key.removeprefix("val_"))) for key in keys]


def use(run: RunRecords) -> str:
    """What the network is, for the card."""
    noun: str = NOUNS.get(run.task, "A network")
    what = {"keypoints": "joints"}.get(run.task, "classes")
    return f"{noun} of {len(run.classes)} {what}" if run.classes else noun


def best_of(run: RunRecords) -> tuple[str, Any]:
    """Name and value of the main figure; "" and None where there is none."""
    found = figures_of(run)
    return found[0] if found else ("", None)
