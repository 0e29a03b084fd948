"""Percentage of correct keypoints: Yang and Ramanan, "Articulated Human Detection with Flexible Mixtures of Parts",
PAMI 2013.  What is near enough is measured by the person: the box's longer side (theirs), the torso or the head."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pumice.data.poses import Pose
from pumice.data.skeleton import Skeleton
from pumice.errors import BadInput

By = Literal["box", "torso", "head"]
# The ends of what is measured, by name; torso: from a shoulder to the hip of the other side.
ENDS = {"torso": ("left_shoulder", "right_hip"), "head": ("neck", "head_top")}


def scale_of(pose: Pose, skeleton: Skeleton, by: By) -> float:
    """Pixels by which the distances of a person are divided; nan where they are not labelled.

    Raises:
        BadInput: the skeleton lacks the joints that are measured.
    """
    if by == "box":
        left, top, right, bottom = pose.box
        return max(right - left, bottom - top)
    ends = ENDS[by]
    if missing := [name for name in ends if name not in skeleton.joints]:
        raise BadInput(f"task.pck_by={by} measures {' to '.join(ends)}, and the data have no {missing[0]}; choose box")
    a, b = (pose.joints[skeleton.joints.index(name)] for name in ends)
    length = float(np.hypot(*(a - b)[:2]))
    return length if a[2] > 0 and b[2] > 0 and length > 0 else float("nan")


def correct(
    found: Sequence[NDArray[np.float64] | None], truth: Sequence[Pose], skeleton: Skeleton, threshold: float, by: By
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labelled joints that were found within threshold * scale, and all labelled ones: (J,) each.

    found: (J, 2 or 3) per person in pixels of the image; None of a person whom nobody found, whose joints all count as
        wrong.  Persons without a scale count nowhere.

    Raises:
        BadInput: see `scale_of`; `by` is unknown.
    """
    if by not in get_args(By):
        raise BadInput(f"task.pck_by={by!r} is unknown; choose {', '.join(get_args(By))}")
    right, labelled = np.zeros((2, len(skeleton.joints)), np.int64)
    for joints, pose in zip(found, truth, strict=True):
        scale = scale_of(pose, skeleton, by)
        if np.isnan(scale):
            continue
        there = pose.joints[:, 2] > 0
        labelled += there
        if joints is not None:
            distance = np.hypot(*(joints[:, :2] - pose.joints[:, :2]).T)
            right += there & (distance <= threshold * scale)
    return right, labelled
