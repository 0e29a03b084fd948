"""How well masks agree: pixels by true and predicted class, and what follows from them.  numpy alone.

IoU of a class: |truth and prediction| / |truth or prediction|, over the pixels whose truth is not void (Everingham et
al., "The PASCAL visual object classes challenge", 2010, section 4.3; Cityscapes' script computes the same).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pumice.errors import BadInput
from pumice.tasks.task import TaskScores


def confusion(truth: NDArray[np.uint8], predicted: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """(classes, classes) pixels by true (row) and predicted (column) class, void ones left out.

    truth: indices of classes, or above, which is void.  predicted: indices of classes, of the same shape.
    """
    cells = truth.ravel() * np.int64(classes) + predicted.ravel()
    return np.bincount(cells, minlength=256 * classes)[: classes * classes].reshape(classes, classes)


def ious(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """(classes,) IoU of each class; NaN where it is neither there nor predicted."""
    hits = matrix.diagonal()
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - hits
    return np.where(union > 0, hits / np.maximum(union, 1), np.nan)


@dataclass(frozen=True)
class SegmentScores(TaskScores):
    """How well a network does on one set of masks.  Every figure is a fraction in [0, 1].

    miou: mean IoU of the classes that occur in the truth or the predictions; the main figure.
    accuracy: share of the pixels that are right.
    confusion: pixels by true (row) and predicted class (column), void ones left out.
    per_class: for each class its name, iou, recall, precision (None where nothing is there to divide by) and its share
        of the pixels.
    """

    miou: float
    accuracy: float
    confusion: list[list[int]]
    per_class: list[dict[str, Any]]
    count: int

    @property
    def main(self) -> float:  # type: ignore[override]
        """mIoU."""
        return self.miou

    def columns(self) -> dict[str, float]:
        """Columns of metrics.csv."""
        return {"miou": self.miou, "accuracy": self.accuracy}

    def sentence(self) -> str:
        """In words."""
        return f"mIoU {self.miou:.1%}, pixel accuracy {self.accuracy:.1%}".replace("%", " %")

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return dict(vars(self))


def scores_of(matrix: NDArray[np.int64], classes: tuple[str, ...], count: int) -> SegmentScores:
    """Scores of a confusion matrix of `count` images.

    Raises:
        BadInput: it is empty.
    """
    total = int(matrix.sum())
    if not total:
        raise BadInput("every pixel of the masks is void, so there is nothing to judge; check the class numbers")
    each = ious(matrix)
    hits, there, said = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    return SegmentScores(
        miou=float(np.nanmean(each)),
        accuracy=float(hits.sum() / total),
        confusion=matrix.tolist(),
        per_class=[
            {
                "name": name,
                "iou": None if np.isnan(each[i]) else float(each[i]),
                "recall": float(hits[i] / there[i]) if there[i] else None,
                "precision": float(hits[i] / said[i]) if said[i] else None,
                "share": float(there[i] / total),
            }
            for i, name in enumerate(classes)
        ],
        count=count,
    )
