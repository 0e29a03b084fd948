"""What runs said of each validation image: predictions.csv, read, scored, and compared between runs."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """Of one image: its name, its class, the class that was predicted, and the probabilities of the two."""

    name: str
    truth: str
    prediction: str
    p_truth: float
    p_pred: float

    @property
    def wrong(self) -> bool:
        """Whether another class was predicted."""
        return self.truth != self.prediction


def read_answers(path: Path) -> tuple[Answer, ...]:
    """The rows of predictions.csv; one that is cut short or holds no number is left out."""
    rows = []
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        for row in csv.DictReader(file):
            try:
                one = Answer(row["name"], row["truth"], row["prediction"], float(row["p_truth"]), float(row["p_pred"]))
            except (KeyError, TypeError, ValueError):
                continue
            if 0 <= one.p_truth <= 1 and 0 <= one.p_pred <= 1:
                rows.append(one)
    return tuple(rows)


def scores_of(answers: Sequence[Answer], classes: Sequence[str]) -> dict[str, Any]:
    """The scores that metrics.json will hold, but top-5; empty without answers, or when they are of other classes."""
    place = {name: i for i, name in enumerate(classes)}
    if not answers or any(one.truth not in place or one.prediction not in place for one in answers):
        return {}
    confusion = [[0] * len(classes) for _ in classes]
    for one in answers:
        confusion[place[one.truth]][place[one.prediction]] += 1
    given = [sum(column) for column in zip(*confusion, strict=True)]
    per_class = [
        {
            "name": name,
            "recall": row[i] / sum(row) if sum(row) else None,
            "precision": row[i] / given[i] if given[i] else None,
            "support": sum(row),
        }
        for i, (name, row) in enumerate(zip(classes, confusion, strict=True))
    ]
    recalls = [row[i] / sum(row) for i, row in enumerate(confusion) if sum(row)]
    return {
        "top1": sum(row[i] for i, row in enumerate(confusion)) / len(answers),
        "balanced_accuracy": sum(recalls) / len(recalls),
        "loss": -sum(math.log(max(one.p_truth, 1e-45)) for one in answers) / len(answers),
        "confusion": confusion,
        "per_class": per_class,
        "count": len(answers),
    }


def judged_by_all(runs: Sequence[Sequence[Answer]]) -> list[tuple[Answer, ...]]:
    """The images that every run answered for, with the same true class: an answer of each run, in the first's order."""
    others = [{(one.name, one.truth): one for one in run} for run in runs[1:]]
    keys = [(one.name, one.truth) for one in runs[0]]
    return [
        (one, *(other[key] for other in others))
        for one, key in zip(runs[0], keys, strict=True)
        if all(key in other for other in others)
    ]
