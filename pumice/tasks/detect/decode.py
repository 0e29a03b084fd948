"""From the outputs of a detector to detections, in numpy."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pumice.tasks.detect.average_precision import Detections
from pumice.tasks.detect.priors import priors_of, restored


class Decoder:
    """outputs (B, 4 + classes) of one image -> its detections, the best first.

    Softmax over the classes, the background first; what scores above the threshold, at most `candidates` of each class;
    of these, class by class, only what overlaps no better one by more than `nms`; and of what is left the best `keep`.

    decode: `Manifest.decode` of the network; what its `chosen` holds stands above the rest.
    """

    def __init__(self, decode: Mapping[str, Any]) -> None:
        self.priors = priors_of(decode)
        self.refined = "proposals" in decode  # such a network gives boxes as they are, corners as fractions
        self.count = int(decode["proposals"]) if self.refined else len(self.priors)
        self.variances = list(decode["variances"])
        settings = {**decode, **decode.get("chosen", {})}
        self.score, self.nms = float(settings["score"]), float(settings["nms"])
        self.candidates, self.keep = int(settings["candidates"]), int(settings["keep"])

    def __call__(self, output: NDArray[np.float32], height: int, width: int) -> Detections:
        """Boxes (n, 4) in pixels of an image of that size and inside it, scores (n,), labels (n,) without background.

        An output that is no finite number gives one detection that is none either, so that judging fails.
        """
        if not np.isfinite(output).all():
            return np.full((1, 4), np.nan), np.full(1, np.nan), np.zeros(1, np.int64)
        logits = output[:, 4:]
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        rows, labels = np.nonzero(shares[:, 1:] > self.score)
        scores = shares[rows, labels + 1]
        order = self.leading(scores, labels)
        rows, labels, scores = rows[order], labels[order], scores[order]
        boxes = output[rows, :4].astype(np.float64)
        if not self.refined:
            boxes = restored(boxes, self.priors[rows], self.variances)
        boxes = boxes.clip(0.0, 1.0)
        there = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        boxes, labels, scores = boxes[there], labels[there], scores[there]
        kept = suppress(boxes, labels, self.nms, self.keep)
        return boxes[kept] * (width, height, width, height), scores[kept].astype(np.float64), labels[kept]

    def leading(self, scores: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """The best candidates of each class, all by score; among equals the first class, then the first row."""
        by_class = np.lexsort((-scores, labels))
        grouped = labels[by_class]
        rank = np.arange(len(grouped)) - np.searchsorted(grouped, grouped)
        by_class = by_class[rank < self.candidates]
        return by_class[np.argsort(-scores[by_class], kind="stable")]


def suppress(boxes: NDArray[np.float64], labels: NDArray[np.int64], threshold: float, most: int) -> NDArray[np.int64]:
    """Indices of the boxes, given by falling score, that overlap no earlier kept one of their class by a greater IoU.

    It ends with the first `most` of them: what comes later scores less.
    """
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    left, stands, kept = np.arange(len(boxes)), np.ones(len(boxes), np.bool_), list[int]()
    while len(left) and len(kept) < most:
        one, left = int(left[0]), left[1:]
        kept.append(one)
        same = left[labels[left] == labels[one]]
        low = np.maximum(boxes[same, :2], boxes[one, :2])
        shared = np.clip(np.minimum(boxes[same, 2:], boxes[one, 2:]) - low, 0, None).prod(axis=1)
        stands[same[shared > threshold * (areas[same] + areas[one] - shared)]] = False
        left = left[stands[left]]
    return np.asarray(kept, np.int64)
