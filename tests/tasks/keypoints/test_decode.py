"""Heatmaps to joints: by hand, there and back, and mirrored."""

import numpy as np
import pytest

from pumice.data.pose_crop import moved, region_of, to_input
from pumice.data.pose_samples import heatmaps
from pumice.tasks.keypoints.decode import flip_tested, joints_in_image, peaks

SIZE = (64, 48)


def test_peaks_by_hand() -> None:
    maps = np.zeros((1, 4, 5, 6), np.float32)
    maps[0, 0, 2, 3] = 2.0
    maps[0, 0, 2, 4], maps[0, 0, 1, 3] = 1.0, 0.5  # higher to the right and above
    maps[0, 1, 0, 5] = 1.0  # a corner: nothing to compare
    maps[0, 1, 1, 5] = 0.5
    maps[0, 3] = -1.0
    maps[0, 3, 3, 1] = -0.5
    found = peaks(maps, 4)
    assert found[0, 0].tolist() == [(3.5 + 0.25) * 4, (2.5 - 0.25) * 4, 2.0]
    assert found[0, 1].tolist() == [5.5 * 4, 0.5 * 4, 1.0]
    assert found[0, 2].tolist() == [2.0, 2.0, 0.0], "of equals the first, in the middle of its pixel"
    assert found[0, 3].tolist() == [6.0, 14.0, -0.5], "the highest, even below 0"


def test_joints_come_back_from_their_heatmaps() -> None:
    """The quarter offset leaves at most a quarter of a pixel of the heatmap, and less than none would."""
    random = np.random.default_rng(0)
    boxes = [(10.0, 20.0, 60.0, 140.0), (0.0, 0.0, 90.0, 30.0)]
    offsets = []
    for box in boxes:
        region = region_of(box, SIZE)
        joints = np.column_stack([random.uniform(box[0], box[2], 40), random.uniform(box[1], box[3], 40)])
        maps = heatmaps(moved(joints, to_input(region, SIZE)), SIZE, 6.0)[None]
        found = joints_in_image(maps, [box], SIZE, 4)[0]
        pixel = np.array([region.width / 48, region.height / 64]) * 4
        offsets.append(np.abs(found[:, :2] - joints) / pixel)
        assert (found[:, 2] > 0.8).all()
    assert np.max(offsets) <= 0.25 + 1e-6
    assert np.mean(offsets) == pytest.approx(0.125, abs=0.02)


def test_flip_test_is_the_mean_of_both() -> None:
    """A network that marks pixels: what it says of the mirror image comes back to the same place and the other side."""
    seen = []

    def run(batch: np.ndarray) -> np.ndarray:
        seen.append(batch.copy())
        left, right = batch[:, 0], 2 * batch[:, 0]
        return np.stack([left, right], 1).astype(np.float32)

    image = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
    both = flip_tested(run, [1, 0])(image)
    assert (seen[1] == image[..., ::-1]).all()
    assert both.dtype == np.float32
    # straight: (x, 2x); mirrored back and with sides exchanged: (2x, x).
    assert np.allclose(both, np.stack([1.5 * image[:, 0], 1.5 * image[:, 0]], 1))


def test_flip_test_moves_nothing() -> None:
    """A network that answers exactly is not changed by it: mirrored maps fall on each other."""
    random = np.random.default_rng(1)
    joints = random.uniform(4, 44, (2, 2))

    def run(batch: np.ndarray) -> np.ndarray:
        mirrored = batch[0, 0, 0, 0] == 1
        places = np.column_stack([48 - joints[[1, 0], 0], joints[[1, 0], 1]]) if mirrored else joints
        return heatmaps(places, SIZE, 6.0)[None]

    image = np.zeros((1, 1, *SIZE), np.float32)
    image[..., -1] = 1
    assert np.abs(flip_tested(run, [1, 0])(image) - heatmaps(joints, SIZE, 6.0)).max() < 1e-6
