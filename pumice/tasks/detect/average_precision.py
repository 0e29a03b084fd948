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
    label: int,
    *,
    iou: float = 0.5,
    rule: Literal["11 points", "all points"] = "all points",
) -> float | None:
    """Average precision of one class by the rules of Pascal VOC, a fraction; None where there is nothing to find.

    In order of score over all images, a detection hits if its IoU with the box of the class that it overlaps most is
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
    of_class = [boxes.labels == label for boxes in truth]
    wanted = sum(int((mine & ~boxes.crowd).sum()) for mine, boxes in zip(of_class, truth, strict=True))
    if not wanted:
        return None
    scores, hits = [np.zeros(0)], [np.zeros(0, np.int64)]  # 1 a hit, 0 a false alarm, -1 what does not count
    for (boxes, score, labels), mine, target in zip(found, of_class, truth, strict=True):
        chosen = np.flatnonzero(np.asarray(labels) == label)
        chosen = chosen[np.argsort(-np.asarray(score)[chosen], kind="stable")]
        scores.append(np.asarray(score, np.float64)[chosen])
        hits.append(_hits(np.asarray(boxes, np.float64)[chosen], target.boxes[mine], target.crowd[mine], iou))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    ordered = np.concatenate(hits)[order]
    ordered = ordered[ordered >= 0]
    right = np.cumsum(ordered == 1)
    recall, precision = right / wanted, right / np.arange(1, len(ordered) + 1)
    if rule == "11 points":
        return float(np.mean([precision[recall >= k / 10].max(initial=0) for k in range(11)]))
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0) * best).sum())


def overlaps(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, m) intersection over union of boxes (n, 4) and others (m, 4), corners; 0 of two empty ones."""
    corner = np.maximum(boxes[:, None, :2], others[None, :, :2])
    shared = np.clip(np.minimum(boxes[:, None, 2:], others[None, :, 2:]) - corner, 0, None).prod(axis=2)
    area, other = ((b[:, 2:] - b[:, :2]).prod(axis=1) for b in (boxes, others))
    union = area[:, None] + other[None] - shared
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)


def _hits(
    boxes: NDArray[np.float64], truth: NDArray[np.float64], difficult: NDArray[np.bool_], iou: float
) -> NDArray[np.int64]:
    """1, 0 or -1 for detections of one image and class, the best first."""
    result = np.zeros(len(boxes), np.int64)
    if not len(truth) or not len(boxes):
        return result
    shared = overlaps(boxes, truth)
    nearest = shared.argmax(axis=1)
    taken: set[int] = set()
    for place, one in enumerate(nearest.tolist()):
        if shared[place, one] >= iou:
            result[place] = -1 if difficult[one] else one not in taken
            taken.add(one)
    return result


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
