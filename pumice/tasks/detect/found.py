"""Detections of one image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pumice.data.boxes import BoxSet
from pumice.errors import CheckFailed
from pumice.tasks.detect.decode import Decoder
from pumice.tasks.drawing import with_boxes
from pumice.tasks.found import Box, Found, Reader

if TYPE_CHECKING:
    from PIL import Image

SURE = 0.4  # score from which a detection is told and drawn; what ranks below it counts in average precision alone


@dataclass(frozen=True, eq=False)
class FoundBoxes(Found):
    """Boxes (n, 4) in pixels of the image, classes (n,), scores (n,), the best first; None of annotations."""

    classes: tuple[str, ...]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64] | None

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        boxes = [
            {"class": self.classes[label], "box": [round(side, 2) for side in box]}
            for box, label in zip(self.boxes.tolist(), self.labels.tolist(), strict=True)
        ]
        if self.scores is not None:
            for one, score in zip(boxes, self.scores.tolist(), strict=True):
                one["score"] = round(score, 4)
        return {"boxes": boxes}

    def rows(self) -> list[list[str]]:
        """Class, score and corners of each box."""
        told = self.to_json()["boxes"]
        return [[b["class"], f"{b.get('score', 1):.2f}", " ".join(f"{side:.0f}" for side in b["box"])] for b in told]

    def drawn(self, image: "Image.Image") -> "Image.Image":
        """Frames with class and score."""
        words = [self.classes[label] for label in self.labels.tolist()]
        if self.scores is not None:
            words = [f"{word} {score:.2f}" for word, score in zip(words, self.scores.tolist(), strict=True)]
        return with_boxes(image, self.boxes.tolist(), self.labels.tolist(), words)


class DetectReader(Reader):
    """Decodes what a detector answers; only detections of a score above `SURE` are told."""

    columns = ("class", ">score", "left top right bottom")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.decoder = Decoder(self.decode)

    def read(self, outputs: NDArray[np.float32], image: "Image.Image", boxes: Sequence[Box]) -> FoundBoxes:
        """See `Reader.read`."""
        corners, scores, labels = self.decoder(outputs[0], image.height, image.width)
        if np.isnan(scores).any():
            raise CheckFailed("the network's outputs are not finite numbers, so there is nothing to read in them")
        sure = scores > SURE
        return FoundBoxes(self._named(outputs.shape[2] - 5), corners[sure], labels[sure], scores[sure])

    def truth(self, samples: BoxSet, index: int) -> FoundBoxes:
        """The boxes that are learnt."""
        target = samples.targets[index]
        kept = ~target.crowd
        return FoundBoxes(samples.classes, target.boxes[kept], target.labels[kept], None)

    def _named(self, count: int) -> tuple[str, ...]:
        return self.classes or tuple(map(str, range(count)))
