"""Detections of a whole set, scored."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pumice.data.boxes import BoxSet
from pumice.errors import BadInput, CheckFailed
from pumice.tasks.detect.average_precision import Detections
from pumice.tasks.detect.decode import Decoder
from pumice.tasks.detect.scores import DetectScores, score
from pumice.tasks.task import Judge


class DetectJudge(Judge):
    """Decodes outputs as they come and keeps the detections, in pixels of the images.

    decode: `Manifest.decode` of the network.
    """

    def __init__(self, samples: BoxSet, decode: Mapping[str, Any]) -> None:
        self.samples, self.decoder = samples, Decoder(decode)
        self.found: dict[int, Detections] = {}

    def add(self, indices: Sequence[int], outputs: NDArray[np.float32]) -> None:
        """outputs: (N, B, 4 + classes).

        Raises:
            BadInput: they are of another number of boxes or classes.
        """
        expected = (len(indices), self.decoder.count, 5 + len(self.samples.classes))
        if outputs.shape != expected:
            raise BadInput(
                f"the network gave outputs of shape {outputs.shape} where {len(self.samples.classes)} classes and its "
                f"boxes make {expected}; use a detector made for these classes and this size"
            )
        for index, output in zip(indices, outputs, strict=True):
            if index not in self.found:
                self.found[index] = self.decoder(output, *self.samples.sizes[index])

    def answers(self) -> list[Any]:
        """Of each sample None or its boxes, scores and labels."""
        found = (self.found.get(i) for i in range(len(self.samples)))
        return [None if one is None else [part.tolist() for part in one] for one in found]

    def take(self, answers: list[Any]) -> None:
        """What this one has itself stays."""
        for index, answer in enumerate(answers):
            if answer is not None and index not in self.found:
                boxes, scores, labels = answer
                corners = np.asarray(boxes, np.float64).reshape(-1, 4)
                self.found[index] = (corners, np.asarray(scores, np.float64), np.asarray(labels, np.int64))

    def scores(self) -> DetectScores:
        """Average precision over the samples that were added.

        Raises:
            BadInput: none were, or they hold no box.
            CheckFailed: an output was no finite number.
        """
        if any(np.isnan(scores).any() for _, scores, _ in self.found.values()):
            raise CheckFailed("the network's outputs are not finite numbers, so they cannot be scored")
        order = sorted(self.found)
        return score([self.found[i] for i in order], [self.samples.targets[i] for i in order], self.samples.classes)
