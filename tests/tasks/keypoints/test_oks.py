"""OKS and its average precision, against COCO's rules written out once more, on cases made to be difficult."""

from dataclasses import replace

import numpy as np
import pytest
from reference_oks import Found, evaluated, oks

from pumice.data.poses import Pose
from pumice.data.skeleton import COCO_SIGMAS, Skeleton, skeleton_of
from pumice.tasks.keypoints.oks import oks_evaluation, similarity, without_doubles

pytest.importorskip("faster_coco_eval")

COCO = skeleton_of(tuple(COCO_SIGMAS))
THREE = skeleton_of(("a", "b", "c"), sigmas=[0.05, 0.1, 0.2])


def person(skeleton: Skeleton, random: np.random.Generator, image: str, number: int, labelled: float = 0.7) -> Pose:
    left, top = random.uniform(0, 300, 2)
    width, height = random.uniform(20, 200, 2)
    count = len(skeleton.joints)
    joints = np.column_stack(
        [random.uniform(left, left + width, count), random.uniform(top, top + height, count), np.zeros(count)]
    )
    joints[:, 2] = np.where(random.random(count) < labelled, random.integers(1, 3, count), 0)
    joints[joints[:, 2] == 0] = 0
    return Pose(image, (left, top, left + width, top + height), joints.round(2), width * height / 2, number)


def near(pose: Pose, random: np.random.Generator, noise: float) -> np.ndarray:
    side = np.sqrt(pose.area)
    return pose.joints[:, :2] + random.normal(0, noise * side, (len(pose.joints), 2))


def world(skeleton: Skeleton, seed: int, images: int = 8) -> tuple[list[Found], list[Pose]]:
    """Persons of every kind, and poses good, bad, doubled, missing and in the wrong place, with scores that tie."""
    random = np.random.default_rng(seed)
    truth: list[Pose] = []
    found: list[Found] = []
    for i in range(images):
        image = f"{i}.jpg"
        for _ in range(random.integers(0, 5)):
            pose = person(skeleton, random, image, len(truth), random.choice([0.0, 0.4, 1.0]))
            truth.append(replace(pose, crowd=bool(random.random() < 0.2)))
        for pose in [p for p in truth if p.image == image]:
            for _ in range(random.integers(0, 3)):
                score = float(random.choice([0.3, 0.5, 0.9, random.random()]))
                found.append((image, near(pose, random, random.choice([0.0, 0.02, 0.1])), score))
        stray = random.integers(0, 3)
        found += [(image, near(person(skeleton, random, image, 0), random, 0.0), 0.5) for _ in range(stray)]
    return found, truth


def check(found: list[Found], truth: list[Pose], skeleton: Skeleton) -> None:
    got, wanted = oks_evaluation(found, truth, skeleton), evaluated(found, truth, skeleton.sigmas)
    ours = {
        "ap_all": got.ap(),
        "ap_medium": got.ap(area="medium"),
        "ap_large": got.ap(area="large"),
        "ar_all": got.ar(),
        "ar_medium": got.ar(area="medium"),
        "ar_large": got.ar(area="large"),
        "ap50": got.ap(0.5),
        "ap75": got.ap(0.75),
    }
    for key, value in ours.items():
        other = wanted.get(key)
        assert (value is None) == (other is None), key
        assert value is None or value == pytest.approx(other, abs=1e-12), key


@pytest.mark.parametrize("skeleton", [COCO, THREE], ids=["coco", "three joints"])
@pytest.mark.parametrize("seed", range(12))
def test_average_precision_is_coco_s(skeleton: Skeleton, seed: int) -> None:
    check(*world(skeleton, seed), skeleton)


def test_nothing_found_or_nobody_there() -> None:
    found, truth = world(COCO, 1)
    check([], truth, COCO)
    assert oks_evaluation([], truth, COCO).ap() == 0
    nobody = [replace(p, joints=np.zeros_like(p.joints)) for p in truth]
    check(found, nobody, COCO)
    assert oks_evaluation(found, nobody, COCO).ap() is None
    crowds = [replace(p, crowd=True) for p in truth]
    check(found, crowds, COCO)


def test_poses_on_a_crowd_are_no_false_alarms() -> None:
    random = np.random.default_rng(0)
    one, crowd = (replace(person(COCO, random, "a", i, 1.0), area=1e4) for i in range(2))
    crowd = replace(crowd, crowd=True)
    found = [
        ("a", near(crowd, random, 0.0), 0.9),
        ("a", near(crowd, random, 0.0), 0.9),
        ("a", near(one, random, 0), 0.1),
    ]
    assert oks_evaluation(found, [one, crowd], COCO).ap() == pytest.approx(1.0)
    assert oks_evaluation(found, [one], COCO).ap() == pytest.approx(1 / 3, abs=1e-9)
    check(found, [one, crowd], COCO)


def test_more_than_twenty_poses_of_an_image() -> None:
    random = np.random.default_rng(0)
    truth = [person(COCO, random, "a", i, 1.0) for i in range(24)]
    check([("a", near(p, random, 0.0), 0.5 + i / 100) for i, p in enumerate(truth)], truth, COCO)


def test_ties_go_to_the_earlier() -> None:
    random = np.random.default_rng(0)
    pose = person(COCO, random, "a", 0, 1.0)
    right, wrong = ("a", near(pose, random, 0.0), 0.5), ("a", near(pose, random, 9.0), 0.5)
    assert oks_evaluation([right, wrong], [pose], COCO).ap() == pytest.approx(1.0)
    assert oks_evaluation([wrong, right], [pose], COCO).ap() == pytest.approx(0.5)
    check([wrong, right], [pose], COCO)


def test_similarity_is_coco_s() -> None:
    random = np.random.default_rng(5)
    for i in range(10):
        pose = person(COCO, random, "a", i, 0.6)
        poses = np.stack([near(pose, random, noise) for noise in (0.0, 0.05, 0.5)])
        got = similarity(poses, pose.joints, pose.area, COCO.sigmas)
        assert got == pytest.approx([oks(p, pose, COCO.sigmas) for p in poses], abs=1e-12)
        assert got[0] == 1.0
    assert similarity(poses, np.zeros((17, 3)), 100.0, COCO.sigmas).tolist() == [0, 0, 0]


def test_doubles_are_left_out() -> None:
    random = np.random.default_rng(2)
    first, second = (np.column_stack([person(COCO, random, "a", i, 1.0).joints[:, :2], np.ones(17)]) for i in range(2))
    double = first + np.array([0.1, 0.1, 0])
    joints, scores = np.stack([double, second, first]), np.array([0.4, 0.5, 0.9])
    assert without_doubles(joints, scores, [1e4] * 3, COCO.sigmas, 0.9) == [2, 1]
    assert without_doubles(joints, scores, [1e4] * 3, COCO.sigmas, 1.0) == [2, 1, 0]
