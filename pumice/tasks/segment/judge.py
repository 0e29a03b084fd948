"""Collects what a segmentation net answers and scores it at each image's own size."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pumice.data.masks import MaskSet
from pumice.data.tiles import TilePlan
from pumice.errors import BadInput, CheckFailed
from pumice.tasks.segment.decode import class_map
from pumice.tasks.segment.iou import SegmentScores, confusion, scores_of
from pumice.tasks.task import Judge


class SegmentJudge(Judge):
    """Keeps of each sample, or tile of a sample, its pixels by true and predicted class.

    Args:
        samples: the truth.
        plan: the tiles that the indices of `add` mean; None where they mean samples.
        size: height and width of the network's input.
    """

    def __init__(self, samples: MaskSet, size: tuple[int, int], plan: TilePlan | None = None) -> None:
        self.samples, self.size, self.plan = samples, size, plan
        # Index -> cells of the confusion matrix that are not empty, and their pixels; None after a wrong number.
        self._kept: dict[int, tuple[list[int], list[int]] | None] = {}
        self._truth: tuple[int, NDArray[np.uint8]] | None = None

    def add(self, indices: Sequence[int], outputs: NDArray[np.float32]) -> None:
        """Take logits (N, classes, h, w).

        Raises:
            BadInput: the network has another number of classes.
        """
        classes = len(self.samples.classes)
        if outputs.ndim != 4 or outputs.shape[1] != classes:
            raise BadInput(
                f"the network gave outputs of shape {outputs.shape} for images of {classes} classes; "
                "use a network made for these classes"
            )
        for index, logits in zip(indices, outputs, strict=True):
            if index in self._kept:
                continue
            if not np.isfinite(logits).all():
                self._kept[index] = None
                continue
            matrix = confusion(*self._masks(index, logits), classes).ravel()
            cells = np.flatnonzero(matrix)
            self._kept[index] = cells.tolist(), matrix[cells].tolist()

    def answers(self) -> list[Any]:
        """[index, cells, pixels] of each sample or tile."""
        return [[index, *(kept or (None, None))] for index, kept in sorted(self._kept.items())]

    def take(self, answers: list[Any]) -> None:
        """Add another judge's answers."""
        for index, cells, pixels in answers:
            self._kept.setdefault(index, None if cells is None else (cells, pixels))

    def scores(self) -> SegmentScores:
        """Score everything that was added; see `Judge.scores`."""
        classes = self.samples.classes
        if not self._kept:
            raise BadInput("there are no images to score; give at least one")
        matrix = np.zeros(len(classes) ** 2, np.int64)
        for kept in self._kept.values():
            if kept is None:
                raise CheckFailed("the network's outputs are not finite numbers, so they cannot be scored")
            np.add.at(matrix, *(np.asarray(part, np.int64) for part in kept))
        images = self._kept if self.plan is None else {self.plan[index][0] for index in self._kept}
        return scores_of(matrix.reshape(len(classes), -1), classes, len(images))

    def _masks(self, index: int, logits: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Truth and prediction of a sample or tile, of one shape."""
        if self.plan is None:
            truth = self.samples.mask(index)
            return truth, class_map(logits, (truth.shape[0], truth.shape[1]))
        sample, tile = self.plan[index]
        if self._truth is None or self._truth[0] != sample:
            self._truth = sample, self.samples.mask(sample)  # the tiles of an image come one after another
        return tile.of(self._truth[1]), tile.answer(class_map(logits, self.size))
