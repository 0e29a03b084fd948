"""Average precision of detections, as COCO and as Pascal VOC define it."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pumice.data.boxes import Boxes
from pumice.errors import BadInput, CheckFailed
from pumice.tasks.coco import Evaluation, evaluate

# Of one image: boxes (n, 4) left, top, right, bottom in its pixels, scores (n,), labels (n,).
Detections = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


def coco_evaluation(found: Sequence[Detections], truth: Sequence[Boxes], classes: int) -> Evaluation:
    """COCO's evaluation of the detections of every image, see `pumice.tasks.coco`.

    Raises:
        BadInput: there are no images, or more or fewer of them in `found`; faster-coco-eval is not installed.
        CheckFailed: a box or score is no finite number.
    """
    _check(found, truth)
    return evaluate(
        [
            {
                "image_id": image,
                "category_id": int(boxes.labels[i]),
                "bbox": _corner_and_size(boxes.boxes[i]),
                "area": float(boxes.areas[i]),
                "iscrowd": int(boxes.crowd[i]),
            }
            for image, boxes in enumerate(truth)
            for i in range(len(boxes))
        ],
        [
            {
                "image_id": image,
                "category_id": int(label),
                "bbox": _corner_and_size(box),
                "score": float(score),
            }
            for image, detections in enumerate(found)
            for box, score, label in zip(*detections, strict=True)
        ],
        images=len(truth),
        classes=classes,
    )


def voc_ap(
    found: Sequence[Detections],
    truth: Sequence[Boxes],
    classes: int,
    *,
    iou: float = 0.5,
    rule: Literal["11 points", "all points"] = "all points",
) -> list[float | None]:
    """Average precision of each class by the rules of Pascal VOC, a fraction; None where there is nothing to find.

    In order of score over all images, a detection hits if its IoU with the box of its class that it overlaps most is
    at least `iou` and nothing before has hit that box; one whose box is difficult (`crowd`) does not count.

    Everingham et al., "The Pascal Visual Object Classes Challenge: A Retrospective", IJCV 2015, and the development
    kits: "11 points" is the mean of the best precision at the recalls 0, 0.1, ..., 1 (until 2009, the figure of most
    papers on VOC 2007), "all points" the area under the curve of the best precision at each recall or a higher one.
    The kits count a box from its first to its last pixel; ours end behind the last one, so nothing is added to a side.

    Raises:
        BadInput: there are no images, or more or fewer of them in `found`.
        CheckFailed: a box or score is no finite number.
    """
    _check(found, truth)
    scores = np.concatenate([np.asarray(score, np.float64) for _, score, _ in found])
    labels = np.concatenate([np.asarray(label, np.int64) for _, _, label in found])
    hits = np.concatenate([_hits(one, target, iou) for one, target in zip(found, truth, strict=True)])
    wanted = np.concatenate([target.labels[~target.crowd] for target in truth])
    order = np.argsort(-scores, kind="stable")
    order = order[hits[order] >= 0]
    return [_area(hits[order[labels[order] == k]], int((wanted == k).sum()), rule) for k in range(classes)]


def overlaps(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, m) intersection over union of boxes (n, 4) and others (m, 4), corners; 0 of two empty ones."""
    corner = np.maximum(boxes[:, None, :2], others[None, :, :2])
    shared = np.clip(np.minimum(boxes[:, None, 2:], others[None, :, 2:]) - corner, 0, None).prod(axis=2)
    area, other = ((b[:, 2:] - b[:, :2]).prod(axis=1) for b in (boxes, others))
    union = area[:, None] + other[None] - shared
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)


def _hits(found: Detections, truth: Boxes, iou: float) -> NDArray[np.int64]:
    """Of each detection of an image 1 for a hit, 0 for a false alarm, -1 for what does not count."""
    boxes, scores, labels = found
    result = np.zeros(len(scores), np.int64)
    if not len(truth) or not len(scores):
        return result
    shared = overlaps(np.asarray(boxes, np.float64), truth.boxes)
    shared[np.asarray(labels)[:, None] != truth.labels] = -1
    nearest = shared.argmax(axis=1)
    near = shared.max(axis=1) >= iou
    taken: set[int] = set()
    for place in np.argsort(-np.asarray(scores), kind="stable"):
        if near[place]:
            one = int(nearest[place])
            result[place] = -1 if truth.crowd[one] else one not in taken
            taken.add(one)
    return result


def _area(hits: NDArray[np.int64], wanted: int, rule: str) -> float | None:
    """Average precision of hits and false alarms, the best first."""
    if not wanted:
        return None
    right = np.cumsum(hits)
    recall, precision = right / wanted, right / np.arange(1, len(hits) + 1)
    if rule == "11 points":
        return float(np.mean([precision[recall >= k / 10].max(initial=0) for k in range(11)]))
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0) * best).sum())


def _check(found: Sequence[Detections], truth: Sequence[Boxes]) -> None:
    if not len(truth):
        raise BadInput("there are no images to score; give at least one")
    if len(found) != len(truth):
        raise BadInput(f"there are detections of {len(found)} images for {len(truth)} images; give those of each")
    if not all(np.isfinite(boxes).all() and np.isfinite(scores).all() for boxes, scores, _ in found):
        raise CheckFailed("a detected box or its score is no finite number, so they cannot be scored")


def _corner_and_size(box: NDArray[Any]) -> list[float]:
    left, top, right, bottom = map(float, box)
    return [left, top, right - left, bottom - top]
