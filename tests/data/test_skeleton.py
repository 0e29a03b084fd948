"""Skeletons: sides by name, what a file says, and what cannot be one."""

from typing import Any

import pytest

from pumice.data.skeleton import COCO_SIGMAS, OTHER_SIGMA, Skeleton, mirrored, skeleton_of
from pumice.errors import BadInput


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("left_hip", "right_hip"),
        ("RightFoot", "LeftFoot"),
        ("EYE LEFT", "EYE RIGHT"),
        ("l_ear", "r_ear"),
        ("L ear", "R ear"),
        ("RKnee", "LKnee"),
        ("ankle_r", "ankle_l"),
        ("hipL", "hipR"),
        ("neck", "neck"),
        ("tail", "tail"),
        ("ball", "ball"),
        ("upper_lip", "upper_lip"),
    ],
)
def test_the_other_side(name: str, other: str) -> None:
    assert (mirrored(name), mirrored(other)) == (other, name)


def test_coco() -> None:
    skeleton = skeleton_of(tuple(COCO_SIGMAS), edges=[[16, 14], ["nose", "left_eye"]])
    assert skeleton.flip == (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
    assert skeleton.sigmas == tuple(COCO_SIGMAS.values())
    assert skeleton.measured
    assert skeleton.edges == ((15, 13), (0, 1))
    assert skeleton.lower == (11, 12, 13, 14, 15, 16)


def test_joints_that_coco_does_not_have() -> None:
    skeleton = skeleton_of(("left_hip", "tail", "right_hip"))
    assert skeleton.flip == (2, 1, 0)
    assert skeleton.sigmas == (0.107, OTHER_SIGMA, 0.107)
    assert not skeleton.measured
    told = skeleton_of(("a", "b", "c"), pairs=[["a", "c"]], sigmas=[0.1, 0.2, 0.3])
    assert (told.flip, told.sigmas, told.measured) == ((2, 1, 0), (0.1, 0.2, 0.3), True)
    assert skeleton_of(("a", "b"), pairs=[[1, 2]]).flip == (1, 0)
    assert skeleton_of(("left_a", "right_a"), pairs=[]).flip == (0, 1), "what the file says goes before the names"


def test_json_round_trip() -> None:
    skeleton = skeleton_of(("left_a", "tail", "right_a"), sigmas=[0.1, 0.2, 0.1], edges=[[1, 2]])
    assert Skeleton.from_json(skeleton.joints, skeleton.to_json()) == skeleton
    assert Skeleton.from_json(("left_a", "right_a"), {}).flip == (1, 0)


@pytest.mark.parametrize(
    ("joints", "given", "said"),
    [
        ((), {}, "at least one"),
        (("a", "a"), {}, "each of another name"),
        (("a", "b"), {"pairs": [[0, 1]]}, r"\[0, 1\].* from 1 to 2"),
        (("a", "b"), {"pairs": [["a", "c"]]}, "by name, or by number"),
        (("a", "b", "c"), {"pairs": [[1, 2], [2, 3]]}, "names b or c twice"),
        (("a", "b"), {"pairs": [[1, 1]]}, "twice"),
        (("a", "b"), {"sigmas": [0.1]}, "2 numbers above 0"),
        (("a", "b"), {"sigmas": [0.1, 0]}, "above 0"),
        (("a", "b"), {"sigmas": [0.1, "x"]}, "above 0"),
        (("a", "b"), {"edges": [[1, 3]]}, "skeleton holds"),
    ],
)
def test_bad_skeletons(joints: tuple[str, ...], given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        skeleton_of(joints, **given)
