"""Crops around persons, their joints and heatmaps: where points go, what is random, and what it costs."""

import random
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pumice.data.pose_crop import Region, cut, moved, region_of, to_image, to_input
from pumice.data.pose_samples import PoseChanges, PoseJudging, PoseTraining, heatmaps
from pumice.data.poses import Pose, PoseSet, boxed
from pumice.data.preprocess import Preprocess
from pumice.data.skeleton import skeleton_of
from pumice.errors import BadInput

SIZE = (64, 48)
PREPROCESS = Preprocess(SIZE, 1.0, "bilinear", (0.0,) * 3, (1.0,) * 3, resize="stretch")
SKELETON = skeleton_of(("head", "left_hand", "right_hand", "left_hip", "right_hip", "left_foot", "right_foot"))
COLOURS = [(255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255), (255, 0, 255)]
JOINTS = np.array([[60, 30, 2], [40, 50, 2], [80, 50, 2], [52, 80, 2], [68, 80, 2], [50, 110, 1], [70, 110, 2]], float)
NONE = PoseChanges(rotate=0, rotate_prob=0, scale=0, hflip=0, half_body=0)


def dots(joints: NDArray[np.float64] = JOINTS, size: tuple[int, int] = (160, 140)) -> Image.Image:
    """A dot of its colour at every joint, on grey."""
    image = Image.new("RGB", size, (40, 40, 40))
    draw = ImageDraw.Draw(image)
    for (x, y, _), colour in zip(joints, COLOURS, strict=True):
        # Pillow's circles lie on pixels, whose middles are at half numbers.
        draw.ellipse([x - 4.5, y - 4.5, x + 3.5, y + 3.5], fill=colour)
    return image


def one(joints: NDArray[np.float64] = JOINTS, box: tuple[float, ...] = (36, 24, 84, 116)) -> PoseSet:
    pose = Pose("a.png", (box[0], box[1], box[2], box[3]), joints, 2000.0, 1)
    return PoseSet(SKELETON, ("a.png#1",), (dots,), (pose,))


def test_region_has_the_shape_of_the_input_and_a_margin() -> None:
    tall = region_of((10, 20, 20, 60), SIZE)
    assert tall == Region(15, 40, 1.25 * 30, 1.25 * 40)
    wide = region_of((10, 20, 70, 30), SIZE)
    assert wide == Region(40, 25, 1.25 * 60, 1.25 * 80)


@pytest.mark.parametrize("angle", [0.0, 30.0, -100.0])
@pytest.mark.parametrize("mirrored", [False, True])
def test_points_go_there_and_back(angle: float, mirrored: bool) -> None:
    region = Region(30, 40, 24, 32, angle, mirrored)
    there = moved([[30, 40], [10, 7.5]], to_input(region, SIZE))
    assert there[0] == pytest.approx((24, 32), abs=1e-9)
    assert moved(there, to_image(region, SIZE)) == pytest.approx(np.array([[30, 40], [10, 7.5]]), abs=1e-9)
    # The upper left corner of the input, by hand: half the sides from the middle, mirrored, then turned clockwise.
    turn = np.radians(angle)
    dx, dy = (12 if mirrored else -12), -16
    corner = 30 + np.cos(turn) * dx - np.sin(turn) * dy, 40 + np.sin(turn) * dx + np.cos(turn) * dy
    assert moved([0, 0], to_image(region, SIZE)) == pytest.approx(corner, abs=1e-9)


def test_a_cut_of_the_whole_image_is_the_image() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    image = Image.fromarray(pixels)
    assert (cut(image, Region(24, 32, 48, 64), SIZE) == pixels).all()
    assert (cut(image, Region(24, 32, 48, 64, mirrored=True), SIZE) == pixels[:, ::-1]).all()
    turned = cut(image, Region(24, 32, 48, 64, angle=180), SIZE)  # sin(180) is not quite 0, and the edge not quite in
    assert np.abs(turned.astype(int) - pixels[::-1, ::-1])[1:-1, 1:-1].max() <= 1
    shifted = cut(image, Region(24 + 5, 32, 48, 64), SIZE)
    assert (shifted[:, :-5] == pixels[:, 5:]).all()
    assert (shifted[:, -5:] == 0).all()


def test_a_large_image_is_averaged_not_picked() -> None:
    checks = np.indices((512, 384)).sum(axis=0) % 2 * 255
    image = Image.fromarray(np.repeat(checks[:, :, None], 3, 2).astype(np.uint8))
    small = cut(image, Region(192, 256, 384, 512), SIZE)
    assert abs(small.astype(int) - 127).max() <= 1
    # And it lies where it lay.
    ramp = np.tile(np.linspace(0, 255, 384)[None, :, None], (512, 1, 3)).astype(np.uint8)
    small = cut(Image.fromarray(ramp), Region(192, 256, 384, 512), SIZE)
    assert np.abs(small[0, :, 0] - np.linspace(0, 255, 49)[:-1] - 255 / 96).max() < 2


@pytest.mark.parametrize("epoch", range(12))
def test_heatmaps_lie_on_the_joints(epoch: int) -> None:
    """Whatever the changes: at the peak of each joint's heatmap the input has its colour, or its mirror image's."""
    sharp = PREPROCESS.size[0] * 2, PREPROCESS.size[1] * 2
    data = PoseTraining(one(), replace(PREPROCESS, size=sharp), 3, PoseChanges(half_body=0.5))
    image, target = data[epoch, 0]
    maps, weights = target["heatmaps"].numpy(), target["weights"].numpy()
    assert maps.shape == (7, sharp[0] // 4, sharp[1] // 4)
    assert weights.sum() >= 3
    mirrored = data.region(data.poses.poses[0], np.random.default_rng(_seed(3, epoch))).mirrored
    for j, one_map in enumerate(maps):
        if not weights[j]:
            assert not one_map.any()
            continue
        y, x = np.unravel_index(one_map.argmax(), one_map.shape)
        seen = image[:, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4].amax((1, 2)).numpy() * 255
        wanted = np.array(COLOURS[SKELETON.flip[j] if mirrored else j])
        assert abs(seen - wanted).max() < 110, (j, seen, wanted)


def _seed(seed: int, epoch: int) -> int:
    from pumice.data.order import mix

    return mix(seed, epoch, 0)


def test_without_changes_training_sees_what_is_judged() -> None:
    image, target = PoseTraining(one(), PREPROCESS, 0, NONE)[5, 0]
    assert torch.equal(image, PoseJudging(one(), PREPROCESS)[0])
    assert target["weights"].tolist() == [1] * 7


def test_a_heatmap_by_hand() -> None:
    maps = heatmaps(np.array([[10.0, 6.0]]), SIZE, 8.0)
    assert maps.shape == (1, 16, 12)
    assert maps[0, 1, 2] == pytest.approx(1.0)  # the pixel whose middle is (10, 6)
    assert maps[0, 1, 4] == pytest.approx(np.exp(-0.5))  # 8 pixels to the right
    assert maps[0, 5, 2] == pytest.approx(np.exp(-2.0))  # 16 below
    between = heatmaps(np.array([[12.0, 6.0]]), SIZE, 8.0)
    assert between[0, 1, 2] == between[0, 1, 3] < 1
    assert not heatmaps(np.array([[1e6, 6.0]]), SIZE, 8.0).any()


def test_spread_grows_with_the_input() -> None:
    narrow, wide = (
        PoseTraining(one(), replace(PREPROCESS, size=size), 0, NONE)[0, 0][1]["heatmaps"].numpy().max(axis=0)
        for size in (SIZE, (128, 96))
    )
    assert narrow.mean() == pytest.approx(wide.mean(), rel=0.03)  # the same share of the map


def test_joints_without_label_or_beyond_the_input_weigh_nothing() -> None:
    joints = JOINTS.copy()
    joints[1, 2] = 0
    joints[2, :2] = 500, 50
    _, target = PoseTraining(one(joints), PREPROCESS, 0, NONE)[0, 0]
    assert target["weights"].tolist() == [1, 0, 0, 1, 1, 1, 1]
    assert not target["heatmaps"][1:3].any()


def test_a_sample_is_a_function_of_seed_epoch_and_index() -> None:
    data = PoseTraining(one(), PREPROCESS, 1)
    states = random.getstate(), torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = data[2, 0]
    data[3, 0]
    again = PoseTraining(one(), PREPROCESS, 1)[2, 0]
    assert torch.equal(first[0], again[0])
    assert all(torch.equal(first[1][key], again[1][key]) for key in first[1])
    assert not torch.equal(first[0], data[3, 0][0])
    assert not torch.equal(first[0], PoseTraining(one(), PREPROCESS, 2)[2, 0][0])
    assert random.getstate() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])
    assert (np.random.get_state()[1] == states[2]).all()  # noqa: NPY002


def test_changes_have_the_ranges_that_they_say() -> None:
    data = PoseTraining(one(), PREPROCESS, 0, PoseChanges(half_body=0))
    whole = region_of(data.poses.poses[0].box, SIZE)
    drawn = [data.region(data.poses.poses[0], np.random.default_rng(i)) for i in range(2000)]
    angles = np.array([r.angle for r in drawn])
    scales = np.array([r.width / whole.width for r in drawn])
    assert (abs(angles) <= 45).all()
    assert angles.max() > 40 > -40 > angles.min()
    assert (angles == 0).mean() == pytest.approx(0.4, abs=0.04)
    assert 0.65 <= scales.min() < 0.67
    assert 1.33 < scales.max() <= 1.35
    assert np.mean([r.mirrored for r in drawn]) == pytest.approx(0.5, abs=0.04)
    assert {(r.x, r.y) for r in drawn} == {(whole.x, whole.y)}


def test_half_bodies() -> None:
    always = PoseTraining(one(), PREPROCESS, 0, PoseChanges(half_body=1, scale=0))
    pose = always.poses.poses[0]
    drawn = {always.region(pose, np.random.default_rng(i))[:4] for i in range(30)}
    upper = region_of((40, 30, 80, 50), SIZE, 1.5)[:4]
    lower = region_of((50, 80, 70, 110), SIZE, 1.5)[:4]
    assert drawn == {upper, lower}
    few = replace(pose, joints=np.where(np.arange(7)[:, None] < 3, JOINTS, JOINTS * [1, 1, 0]))
    assert always.half(few, True) is None, "with three of seven joints labelled the whole is shown"
    legs = replace(pose, joints=np.where(np.arange(7)[:, None] < 2, JOINTS * [1, 1, 0], JOINTS))
    assert always.half(legs, True) == region_of((50, 80, 70, 110), SIZE, 1.5), "of the upper half one joint is left"


def test_a_picture_to_predict() -> None:
    load = partial(dots, JOINTS)
    whole = boxed(SKELETON, "p.png", load, [])
    assert [(p.box, p.score, p.labelled) for p in whole.poses] == [((0, 0, 160, 140), 1.0, 0)]
    two = boxed(SKELETON, "p.png", load, [(1, 2, 3, 4, 0.5), (5, 6, 7, 9)])
    assert two.names == ("p.png#0", "p.png#1")
    assert [(p.box, p.score) for p in two.poses] == [((1, 2, 3, 4), 0.5), ((5, 6, 7, 9), 1.0)]


def test_a_size_without_quarters_is_refused() -> None:
    with pytest.raises(BadInput, match="multiples of 4"):
        PoseTraining(one(), replace(PREPROCESS, size=(62, 48)), 0)


def test_a_sample_is_cheap() -> None:
    data = PoseTraining(one(), replace(PREPROCESS, size=(256, 192)), 0)
    best = 1.0
    for epoch in range(20):
        start = time.process_time()
        data[epoch, 0]
        best = min(best, time.process_time() - start)
    assert best < 0.008
