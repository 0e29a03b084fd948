"""What a classifier says of every validation image: `predictions.csv`, and `predictions.json` with pictures of a few.

The first is complete and compact, so that runs can be compared image by image; the second is a sheet for people: the
worst mistakes, which are the wrong answers given with the highest probability, and some right answers.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pumice.data.image import BadImage, data_uri
from pumice.data.images import ImageSet
from pumice.files import write_text

COLUMNS = ("name", "truth", "prediction", "p_truth", "p_pred")
WRONG, RIGHT = 24, 8  # pictures of the sheet
AT_ONCE = 4096  # images: the logits of ImageNet's in float64 would take 400 MB
SIDE = 96  # pixels of a picture, at most


class Answer(NamedTuple):
    """Of one image: its name, its class, the class of the highest logit, and the probabilities of the two."""

    name: str
    truth: str
    prediction: str
    p_truth: float
    p_pred: float


def answers(images: ImageSet, logits: NDArray[Any]) -> list[Answer]:
    """What (images, classes) logits say, in order of the images."""
    rows: list[Answer] = []
    for start in range(0, len(images), AT_ONCE):
        part = np.asarray(logits[start : start + AT_ONCE], np.float64)
        powers = np.exp(part - part.max(axis=1, keepdims=True))
        chances = powers / powers.sum(axis=1, keepdims=True)
        for place, (row, guess) in enumerate(zip(chances, chances.argmax(axis=1), strict=True), start):
            truth = images.labels[place]
            names = images.names[place], images.classes[truth], images.classes[guess]
            rows.append(Answer(*names, float(row[truth]), float(row[guess])))
    return rows


def write_answers(path: str | Path, rows: Sequence[Answer]) -> None:
    """Write predictions.csv."""
    write_text(path, answers_text(rows))


def answers_text(rows: Sequence[Answer]) -> str:
    """Content of predictions.csv.  A name that is no UTF-8 gets a replacement character for each odd byte."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((*row[:3], f"{row.p_truth:.6g}", f"{row.p_pred:.6g}") for row in rows)
    return text.getvalue().encode(errors="surrogateescape").decode(errors="replace")


def read_answers(path: str | Path) -> list[Answer]:
    """Inverse of `write_answers`, but for names that were no UTF-8."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        return [
            Answer(row["name"], row["truth"], row["prediction"], float(row["p_truth"]), float(row["p_pred"]))
            for row in csv.DictReader(file)
        ]


def sheet(images: ImageSet, rows: Sequence[Answer]) -> list[dict[str, Any]]:
    """The JSON values of predictions.json: the worst mistakes, the worst first, then right answers, evenly spaced.

    rows: an answer per image, in order.
    """
    wrong = [i for i, row in enumerate(rows) if row.truth != row.prediction]
    right = [i for i, row in enumerate(rows) if row.truth == row.prediction]
    worst = sorted(wrong, key=lambda i: (-rows[i].p_pred, i))[:WRONG]
    some = [right[i * len(right) // RIGHT] for i in range(RIGHT)] if len(right) > RIGHT else right
    return [{**rows[i]._asdict(), "image": _picture(images, i)} for i in (*worst, *some)]


def _picture(images: ImageSet, index: int) -> str | None:
    """A small JPEG as data URI; None where the file has gone since it was judged."""
    try:
        image = images.image(index)
    except BadImage:
        return None
    return data_uri(image, SIDE, "JPEG")
