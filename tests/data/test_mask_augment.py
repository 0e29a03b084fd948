"""Random changes keep image and mask together, and are functions of seed, epoch and index."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from pumice.data.mask_augment import MaskAugment, change, cut, place, recolour
from pumice.data.mask_pipeline import MaskJudging, MaskTraining
from pumice.data.masks import VOID, MaskSet
from pumice.data.preprocess import Preprocess
from pumice.data.tiles import TilePlan, tile_pixels, tiles
from pumice.errors import BadInput
from pumice.tasks.segment.task import Segment, SegmentOptions

PLAIN = MaskAugment(scale=(1, 1), ratio=(1, 1), hflip=0, color_jitter=0)
INPUT = Preprocess(size=(48, 64), interpolation="nearest", resize="stretch", mean=(0.2, 0.4, 0.6), std=(1, 1, 1))
MEAN = (51, 102, 153)


def chart(height: int, width: int) -> tuple[Image.Image, np.ndarray]:
    """An image whose red is 10 times the class of each pixel, in blocks of 4 x 4 that differ from their neighbours."""
    y, x = np.mgrid[:height, :width] // 4
    mask = ((5 * y + 3 * x) % 19).astype(np.uint8)
    return Image.fromarray(np.stack([mask * 10, np.zeros_like(mask), mask], -1)), mask


def chart_set(count: int = 3, height: int = 60, width: int = 90) -> MaskSet:
    image, mask = chart(height, width)
    return MaskSet(
        tuple(f"c{i}" for i in range(19)),
        tuple(map(str, range(count))),
        tuple(lambda i=i: image.rotate(0).crop((i, 0, width, height)) for i in range(count)),
        tuple(lambda i=i: mask[:, i:].copy() for i in range(count)),
    )


@pytest.mark.parametrize("stretch", [True, False])
@pytest.mark.parametrize("augment", [MaskAugment(color_jitter=0), MaskAugment((0.2, 0.4), color_jitter=0), PLAIN])
def test_the_mask_goes_where_the_image_goes(augment, stretch):
    image, mask = chart(70, 90)
    shown = []
    for seed in range(40):
        pixels, target = change(image, mask, INPUT, augment, np.random.default_rng(seed), stretch=stretch)
        assert (pixels.shape, target.shape) == ((48, 64, 3), (48, 64))
        void = target == VOID
        assert (pixels[void] == MEAN).all()
        np.testing.assert_array_equal(pixels[~void][:, 2], target[~void])
        shown.append(1 - void.mean())
    # A scale of s shows about s^2 of the input; of 1 and more, all of it.
    if augment.scale[1] < 1 and stretch:
        assert 0.04 * 0.9 < min(shown) < max(shown) < 0.16 * 1.1
    if augment is PLAIN:
        assert min(shown) == 1


def test_scale_ratio_place_and_mirror_are_as_asked():
    rng = np.random.default_rng(0)
    augment = MaskAugment(scale=(0.5, 2.0), ratio=(0.8, 1.25))
    windows = [place((90, 70), (64, 48), augment, rng, stretch=True) for _ in range(4000)]
    across = np.array([(w.right - w.left) / (w.box[2] - w.box[0]) * 90 / 64 for w in windows])
    down = np.array([(w.bottom - w.top) / (w.box[3] - w.box[1]) * 70 / 48 for w in windows])
    scale, slant = np.sqrt(across * down), across / down
    # Rounding to whole pixels moves each by up to a pixel in 24.
    assert 0.47 < scale.min() < 0.55
    assert 1.9 < scale.max() < 2.06
    assert abs(scale.mean() - 1.25) < 0.03
    assert 0.76 < slant.min() < 0.85
    assert 1.18 < slant.max() < 1.32
    small = [w for w, s in zip(windows, scale, strict=True) if s < 0.6]
    assert {w.left == 0 for w in small} == {True, False}
    assert all(w.box[0] < 1.6 and w.box[2] > 88.4 for w in small)  # all of it, but for half a pixel of the input
    large = [w for w, s in zip(windows, scale, strict=True) if s > 1.5]
    assert all((w.left, w.right) == (0, 64) for w in large)
    assert min(w.box[0] for w in large) < 3
    assert max(w.box[2] for w in large) > 87


def test_mirror_images_are_as_many_as_asked():
    image, mask = chart(48, 64)
    mirrored = []
    for seed in range(300):
        augment = MaskAugment((1, 1), (1, 1), hflip=0.3, color_jitter=0)
        _, target = change(image, mask, INPUT, augment, np.random.default_rng(seed))
        mirrored.append(np.array_equal(target, mask[:, ::-1]))
        assert mirrored[-1] or np.array_equal(target, mask)
    assert 0.2 < np.mean(mirrored) < 0.4


def test_a_cut_is_what_scaling_first_would_give():
    # Twice the size, then the middle: the nearest pixel of each is the same one.
    image, mask = chart(48, 64)
    window = place((64, 48), (64, 48), MaskAugment((2, 2), (1, 1)), np.random.default_rng(5), stretch=True)
    left, top = round(window.box[0] * 2), round(window.box[1] * 2)
    assert left > 0 < top
    _, target = cut(image, mask, window, INPUT)
    whole = mask.repeat(2, 0).repeat(2, 1)[top : top + 48, left : left + 64]
    assert (target == whole).mean() > 0.85  # the cut may begin between pixels


def test_pieces_are_shown_at_their_own_size():
    image, mask = chart(70, 90)
    samples = MaskSet(tuple(f"c{i}" for i in range(19)), ("a",), (lambda: image,), (lambda: mask,))
    task = Segment(SegmentOptions(scale=(1, 1), ratio=(1, 1), hflip=0, color_jitter=0, tiles=True))
    pieces = {mask[y : y + 48, x : x + 64].tobytes() for y in range(23) for x in range(27)}
    learnt = task.training_set(samples, INPUT, seed=0)
    seen = {learnt[(epoch, 0)][1].numpy().tobytes() for epoch in range(20)}
    assert seen <= pieces
    assert len(seen) > 10


def test_colours():
    rng = np.random.default_rng(0)
    pixels = rng.integers(90, 160, (20, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(recolour(pixels, 0.0, rng), pixels)
    means, spreads, tints = [], [], []
    for _ in range(300):
        changed = recolour(pixels, 0.3, rng).astype(float)
        means.append(changed.mean() / pixels.mean())
        spreads.append(changed.mean(-1).std() / pixels.astype(float).mean(-1).std())
        tints.append(changed.std(-1).mean() / pixels.astype(float).std(-1).mean())
    assert 0.69 < min(means) < 0.75
    assert 1.25 < max(means) < 1.31
    assert 0.45 < min(spreads) < 0.6
    assert 1.45 < max(spreads) < 1.7
    assert np.corrcoef(spreads, tints)[0, 1] < 0.95  # saturation changes tints alone


def test_without_changes_training_sees_what_judging_sees():
    samples = chart_set()
    for interpolation in ("bilinear", "bicubic"):
        preprocess = Preprocess(size=(48, 64), resize="stretch", interpolation=interpolation)
        judged = MaskJudging(samples, preprocess)
        trained = MaskTraining(samples, preprocess, PLAIN, seed=0)
        for i in range(3):
            assert torch.equal(trained[(0, i)][0], judged[i])
            assert trained[(0, i)][1].shape == (48, 64)


def test_a_sample_is_a_function_of_seed_epoch_and_index():
    samples, preprocess = chart_set(), Preprocess(size=(48, 64), resize="stretch")
    one, other = (MaskTraining(samples, preprocess, MaskAugment(), seed=7) for _ in range(2))
    before = torch.get_rng_state()
    first = one[(2, 1)]
    one[(0, 0)], one[(2, 2)]
    again = other[(2, 1)]
    assert all(map(torch.equal, first, again))
    assert first[1].dtype == torch.uint8
    assert torch.equal(before, torch.get_rng_state())
    for key, seed in (((1, 1), 7), ((2, 0), 7), ((2, 1), 8)):
        assert not torch.equal(MaskTraining(samples, preprocess, MaskAugment(), seed)[key][0], first[0])


@pytest.mark.parametrize(
    ("image", "size", "overlap"),
    [((100, 150), (48, 64), 0.25), ((48, 64), (48, 64), 0.5), ((30, 200), (48, 64), 0), ((49, 65), (48, 64), 0.9)],
)
def test_tiles_answer_for_each_pixel_once(image, size, overlap):
    counts = np.zeros(image, int)
    margin = int(overlap * size[0]) // 2
    cover = tiles(image, size, overlap)
    for tile in cover:
        tile.of(counts)[:] += 1
        assert tile.answer(np.zeros(size)).shape == tile.of(counts).shape
        assert tile.rows[0] == 0 or tile.rows[0] - tile.top >= margin  # rows near its edges lack context
        assert tile.rows[1] == image[0] or tile.top + size[0] - tile.rows[1] >= margin
        assert tile.top + size[0] <= max(image[0], size[0])
        assert tile.left + size[1] <= max(image[1], size[1])
    assert (counts == 1).all()
    tops = sorted({tile.top for tile in cover})
    assert all(low + size[0] - high >= int(overlap * size[0]) for low, high in pairwise(tops))


def test_tiles_show_the_image_at_its_own_size():
    samples = chart_set()
    plan = TilePlan([(60, 90 - i) for i in range(3)], (48, 64), 0.25)
    judged = MaskJudging(samples, INPUT, plan)
    assert len(judged) == len(plan) == 3 * 4
    for number in (0, 3, 7):
        index, tile = plan[number]
        pixels = np.asarray(samples.image(index))[tile.top : tile.top + 48, tile.left : tile.left + 64]
        np.testing.assert_array_equal(judged[number].numpy(), INPUT.normalise(pixels))
    small = tile_pixels(Image.new("RGB", (20, 10)), tiles((10, 20), (48, 64), 0.5)[0], INPUT)
    assert (small[:10, :20] == 0).all()
    assert (small[10:] == MEAN).all()
    assert (small[:, 20:] == MEAN).all()
    assert Preprocess(channels="BGR", mean=(0.2, 0.4, 0.6)).mean_colour() == MEAN[::-1]


@pytest.mark.parametrize("wrong", [{"scale": (2, 1)}, {"scale": (0, 1)}, {"ratio": (0, 1)}, {"hflip": 2}])
def test_impossible_changes_are_refused(wrong):
    with pytest.raises(BadInput, match=next(iter(wrong))):
        MaskAugment(**wrong)
