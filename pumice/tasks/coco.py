"""COCO's evaluation, of boxes and of keypoints, by faster-coco-eval: precision at 101 recalls, and recall.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014, arXiv:1405.0312; https://cocodataset.org/#detection-eval.
The figures equal those of pycocotools but for the last bit: that one adds an epsilon to a divisor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pumice.errors import BadInput

RECALLS = 101  # 0, 0.01, ..., 1
AREAS = ("all", "small", "medium", "large")
RANGES = {"small": [0, 32**2], "medium": [32**2, 96**2], "large": [96**2, 1e5**2]}  # square pixels, both ends included

Record = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What COCO's evaluation accumulates; -1 where a class has no object of a range to find.

    ious: (T,), thresholds of IoU or OKS: 0.5, 0.55, ..., 0.95.
    areas: names of the A ranges.
    limits: (M,), how many detections of an image count, those of the highest score.
    precision: (T, 101, K, A, M), the best precision at this recall or a higher one, of K classes.
    scores: (T, 101, K, A, M), the score at which it is reached.
    recall: (T, K, A, M).
    """

    ious: NDArray[np.float64]
    areas: tuple[str, ...]
    limits: tuple[int, ...]
    precision: NDArray[np.float64]
    scores: NDArray[np.float64]
    recall: NDArray[np.float64]

    def ap(self, iou: float | None = None, area: str = "all", label: int | None = None) -> float | None:
        """Average precision, a fraction, over thresholds (or at one), classes (or of one) and recalls.

        None where there is nothing to find.
        """
        part = self.precision[:, :, :, self.areas.index(area), -1]
        part = part if iou is None else part[[self._place(iou)]]
        return _mean(part if label is None else part[:, :, [label]])

    def ar(self, limit: int | None = None, iou: float | None = None, area: str = "all") -> float | None:
        """Average recall, a fraction, over thresholds (or at one) and classes, of `limit` detections an image.

        None where there is nothing to find.
        """
        place = -1 if limit is None else self.limits.index(limit)
        part = self.recall[:, :, self.areas.index(area), place]
        return _mean(part if iou is None else part[[self._place(iou)]])

    def curve(self, label: int, iou: float = 0.5) -> list[float] | None:
        """Precision of a class at the recalls 0, 0.01, ..., 1; None where there is nothing to find."""
        part = self.precision[self._place(iou), :, label, 0, -1]
        return None if part.min() < 0 else part.tolist()

    def _place(self, iou: float) -> int:
        return int(np.flatnonzero(np.isclose(self.ious, iou))[0])


def evaluate(
    truth: Sequence[Record],
    found: Sequence[Record],
    *,
    images: int,
    classes: int,
    kind: Literal["bbox", "keypoints"] = "bbox",
    sigmas: Sequence[float] | None = None,
) -> Evaluation:
    """Evaluate detections as COCO does.

    Of detections of equal score, those of earlier images are first, and of one image the earlier of `found`.

    Args:
        truth: annotations in COCO's words, without `id`: `image_id` in 0 ... images - 1, `category_id` in
            0 ... classes - 1, `bbox` [x, y, width, height], `area`, `iscrowd`, and `keypoints`, `num_keypoints`.
        found: detections: `image_id`, `category_id`, `bbox` or `keypoints` (then `bbox` and `area` may be left out),
            `score`.
        images: how many there are, those without boxes included.
        classes: how many there are.
        kind: "bbox" judges by IoU (limits 1, 10, 100), "keypoints" by OKS (limit 20, no small objects).
        sigmas: of OKS, per joint; None for those of COCO's 17.

    Raises:
        BadInput: faster-coco-eval is not installed.
    """
    try:
        from faster_coco_eval.core.coco import COCO
        from faster_coco_eval.core.faster_eval_api import COCOeval_faster
    except ImportError as error:
        raise BadInput(
            "judging detections needs faster-coco-eval; install it with `pip install 'pumice[train]'`"
        ) from error

    def data(records: Sequence[Mapping[str, Any]]) -> Any:
        # Ids from 1: in the results 0 means that nothing was matched.
        return COCO(
            {
                "images": [{"id": i} for i in range(images)],
                "categories": [{"id": i} for i in range(classes)],
                "annotations": [{**record, "id": i} for i, record in enumerate(records, 1)],
            }
        )

    judge = COCOeval_faster(
        data(truth),
        data([_sized(record, kind) for record in found]),
        kind,
        ranges=RANGES,
        kpt_oks_sigmas=None if sigmas is None else np.asarray(sigmas, np.float64),
    )
    judge.params.catIds = list(range(classes))
    judge.evaluate()
    judge.accumulate()
    params, result = judge.params, judge.eval
    shape = len(params.iouThrs), RECALLS, classes, len(params.areaRngLbl), len(params.maxDets)
    return Evaluation(
        np.asarray(params.iouThrs),
        tuple(params.areaRngLbl),
        tuple(params.maxDets),
        np.asarray(result["precision"]).reshape(shape),
        np.asarray(result["scores"]).reshape(shape),
        np.asarray(result["recall"]).reshape(shape[0], *shape[2:]),
    )


def _sized(record: Record, kind: str) -> Record:
    """With the area by which a detection that hits nothing is sorted into the ranges."""
    if kind == "keypoints" and "bbox" not in record:
        x, y = record["keypoints"][0::3], record["keypoints"][1::3]
        record = {**record, "bbox": [min(x), min(y), max(x) - min(x), max(y) - min(y)]}
    return {"area": record["bbox"][2] * record["bbox"][3], **record}


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[values > -1]
    return float(known.mean()) if known.size else None
