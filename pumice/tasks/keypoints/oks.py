"""Object keypoint similarity: https://cocodataset.org/#keypoints-eval."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pumice.data.poses import Pose
from pumice.data.skeleton import Skeleton
from pumice.tasks.coco import Evaluation, evaluate


def similarity(
    found: NDArray[np.float64], truth: NDArray[np.float64], area: float, sigmas: Sequence[float]
) -> NDArray[np.float64]:
    """Mean over the labelled joints of exp(-d^2 / (8 sigma^2 area)): poses (N, J, 2 or 3) -> (N,); 0 without any.

    truth: (J, 3), its last column above 0 where a joint is labelled.  area: of the person, square pixels.
    """
    labelled = truth[:, 2] > 0
    if not labelled.any():
        return np.zeros(len(found))
    squared = ((found[:, labelled, :2] - truth[labelled, :2]) ** 2).sum(axis=2)
    spread = 2 * (2 * np.asarray(sigmas)[labelled]) ** 2 * (area + np.spacing(1))
    return np.exp(-squared / spread).mean(axis=1)


def without_doubles(
    joints: NDArray[np.float64],
    scores: NDArray[np.float64],
    areas: Sequence[float],
    sigmas: Sequence[float],
    most: float,
) -> list[int]:
    """Indices of the poses of one image to keep, the best first: less similar than `most` to every better one.

    joints: (N, J, 3).  areas: of the persons, square pixels; of two poses the mean is taken.
    """
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable").tolist():
        everywhere = np.concatenate([joints[i, :, :2], np.ones((joints.shape[1], 1))], axis=1)
        same = (similarity(joints[[k]], everywhere, (areas[i] + areas[k]) / 2, sigmas)[0] for k in kept)
        if all(one < most for one in same):
            kept.append(i)
    return kept


def oks_evaluation(
    found: Sequence[tuple[str, NDArray[np.float64], float]], truth: Sequence[Pose], skeleton: Skeleton
) -> Evaluation:
    """COCO's evaluation of poses.

    found: of each pose its image, joints (J, 2 or 3) in pixels of the image, and score.
    truth: everyone who is annotated in the images.

    Raises:
        BadInput: faster-coco-eval is not installed.
    """
    images = {name: i for i, name in enumerate(dict.fromkeys([*(p.image for p in truth), *(one[0] for one in found)]))}
    return evaluate(
        [_annotation(pose, images[pose.image]) for pose in truth],
        [
            {
                "image_id": images[image],
                "category_id": 0,
                "keypoints": np.column_stack([joints[:, :2], np.ones(len(joints))]).flatten().tolist(),
                "score": score,
            }
            for image, joints, score in found
        ],
        images=len(images),
        classes=1,
        kind="keypoints",
        sigmas=skeleton.sigmas,
    )


def _annotation(pose: Pose, image: int) -> dict[str, Any]:
    left, top, right, bottom = pose.box
    return {
        "image_id": image,
        "category_id": 0,
        "bbox": [left, top, right - left, bottom - top],
        "area": pose.area,
        "iscrowd": int(pose.crowd),
        "keypoints": pose.joints.flatten().tolist(),
        "num_keypoints": pose.labelled,
    }
