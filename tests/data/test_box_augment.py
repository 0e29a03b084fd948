"""Boxes follow their objects, and a sample is a function of seed, epoch and index."""

import numpy as np
import pytest
import torch
from PIL import Image

from pumice.data.box_augment import BoxAugment, Window, _crop, _overlaps, _window, augmented
from pumice.data.box_pipeline import UNCHANGED, BoxJudging, BoxTraining, collate_boxes
from pumice.data.boxes import Boxes, BoxSet
from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput

COLOURS = ((250, 20, 20), (20, 250, 20), (20, 20, 250))
GREY = (110, 110, 110)
FILL = (200, 200, 40)
PLACES = np.array([[10, 20, 90, 70], [120, 15, 190, 140], [30, 100, 100, 150]], np.float64)


def picture() -> Image.Image:
    """Three rectangles of one colour each on grey, 200 x 160."""
    image = Image.new("RGB", (200, 160), GREY)
    for colour, place in zip(COLOURS, PLACES, strict=True):
        image.paste(colour, tuple(map(int, place)))
    return image


def no_distortion(**options: object) -> BoxAugment:
    return BoxAugment(**{"distort": 0.0, **options})


def draw(augment: BoxAugment, seed: int, size: tuple[int, int] = (120, 150)):
    return augmented(picture(), PLACES, size, augment, np.random.default_rng(seed), FILL, "nearest")


@pytest.mark.parametrize(
    "options", [{}, {"crop": False}, {"zoom_out_prob": 0.0}, {"vflip": 0.5}, {"crop": False, "scale": [0.5, 2]}]
)
def test_boxes_follow_their_objects(options: dict):
    seen = 0
    for seed in range(60):
        pixels, boxes, kept = draw(no_distortion(**options), seed)
        assert pixels.shape == (120, 150, 3)
        assert pixels.dtype == np.uint8
        for box, index in zip(boxes, kept, strict=True):
            mine = (pixels == COLOURS[index]).all(axis=2)
            rows, columns = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
            extent = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
            np.testing.assert_allclose(extent, box, atol=1.01)
            seen += 1
    assert seen > 60


def test_nothing_changes_with_all_probabilities_zero():
    pixels, boxes, kept = draw(UNCHANGED, 0, (160, 200))
    np.testing.assert_array_equal(pixels, np.asarray(picture()))
    np.testing.assert_array_equal(boxes, PLACES)
    assert kept.tolist() == [0, 1, 2]


def test_mirror_images():
    for seed in range(5):
        pixels, boxes, _ = draw(BoxAugment(crop=False, zoom_out_prob=0, distort=0, hflip=1), seed, (160, 200))
        np.testing.assert_array_equal(pixels, np.asarray(picture())[:, ::-1])
        np.testing.assert_array_equal(boxes[0], [110, 20, 190, 70])
        pixels, boxes, _ = draw(BoxAugment(crop=False, zoom_out_prob=0, distort=0, hflip=0, vflip=1), seed, (160, 200))
        np.testing.assert_array_equal(pixels, np.asarray(picture())[::-1])
        np.testing.assert_array_equal(boxes[0], [10, 90, 90, 140])


def test_zoom_out_shows_the_whole_image_on_the_fill_colour():
    filled = []
    for seed in range(40):
        pixels, boxes, kept = draw(no_distortion(crop=False, zoom_out_prob=1, hflip=0), seed)
        assert kept.tolist() == [0, 1, 2]
        factor = 80 * 150 / 200 / (boxes[0, 2] - boxes[0, 0])
        assert 1 <= factor <= 4
        filled.append(float((pixels == FILL).all(axis=2).mean()))
        assert filled[-1] == pytest.approx(1 - factor**-2, abs=0.03)
    assert min(filled) < 0.5 < 0.9 < max(filled)


def test_crops_obey_their_kind():
    window = Window(-5.0, -8.0, 215.0, 168.0)
    augment = BoxAugment(overlaps=(0.5,))
    generator = np.random.default_rng(0)
    whole, ratios, scales, best = 0, [], [], []
    for _ in range(600):
        crop = np.array(_crop(window, PLACES, augment, generator))
        if tuple(crop) == window:
            whole += 1
            continue
        assert (crop[:2] >= window[:2]).all()
        assert (crop[2:] <= np.array(window[2:]) + 1e-9).all()
        wide, high = (crop[2] - crop[0]) / 220, (crop[3] - crop[1]) / 176
        ratios.append(wide / high)
        scales.append(np.sqrt(wide * high))
        best.append(_overlaps(crop[None], PLACES).max())
        centres = (PLACES[:, :2] + PLACES[:, 2:]) / 2
        assert ((crop[:2] < centres) & (centres < crop[2:])).all(axis=1).any()
    # Three kinds, whole, any crop and IoU 0.5, each a third of the time where a crop is found.
    assert 160 <= whole <= 240
    assert min(ratios) >= 0.5 - 1e-9
    assert max(ratios) <= 2 + 1e-9
    assert 0.3 <= min(scales) < 0.35
    assert 0.85 < max(scales) <= 1
    assert 160 <= sum(value >= 0.5 for value in best) <= 280
    only = [np.array(_crop(window, PLACES, augment, np.random.default_rng(seed))) for seed in range(50)]
    assert all(np.isfinite(crop).all() for crop in only)


def test_a_crop_that_cannot_be_found_is_left_out():
    augment = BoxAugment(overlaps=(1.0,) * 30)
    window = Window(0.0, 0.0, 200.0, 160.0)
    kinds = [_crop(window, PLACES, augment, np.random.default_rng(seed)) == window for seed in range(100)]
    assert 25 <= sum(kinds) <= 75  # the whole image or any crop


def test_boxes_at_the_edge():
    # The centre decides; what is left of a box is cut; less than a pixel of it does not count.
    boxes = np.array([[-1, 0, 2, 4], [-3, 0, 2, 4], [0, 0, 0.4, 4], [198, 150, 206, 166]], np.float64)
    _, moved, kept = augmented(
        Image.new("RGB", (200, 160)), boxes, (80, 100), UNCHANGED, np.random.default_rng(0), FILL
    )
    assert kept.tolist() == [0]
    np.testing.assert_array_equal(moved, [[0, 0, 1, 2]])


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (500, 2)])
def test_tiny_images_and_far_zooms(size: tuple[int, int]):
    image = Image.new("RGB", size, COLOURS[0])
    boxes = np.array([[0, 0, *size]], np.float64)
    augment = BoxAugment(zoom_out=5000.0, scale=(0.01, 50), distort=1)
    for seed in range(30):
        pixels, moved, _ = augmented(image, boxes, (24, 32), augment, np.random.default_rng(seed), FILL)
        assert pixels.shape == (24, 32, 3)
        assert np.isfinite(moved).all()
        assert augmented(image, boxes[:0], (24, 32), augment, np.random.default_rng(seed), FILL)[1].shape == (0, 4)


def test_distortion_of_one_kind():
    def changed(seed: int, **options: float) -> np.ndarray:
        off = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0, **options}
        augment = BoxAugment(crop=False, zoom_out_prob=0, hflip=0, distort=1, **off)
        return draw(augment, seed, (160, 200))[0].astype(int)

    plain = np.asarray(picture()).astype(int)
    for seed in range(20):
        shift = changed(seed, brightness=32.0)[0, 0] - GREY
        assert len(set(shift.tolist())) == 1
        assert abs(shift[0]) <= 32
        # The shift is no whole number.
        np.testing.assert_allclose(changed(seed, brightness=32.0), np.clip(plain + shift[0], 0, 255), atol=1)
        factor = changed(seed, contrast=0.5)[0, 0, 0] / GREY[0]
        assert 0.5 - 0.01 <= factor <= 1.5 + 0.01
        # Grey has no hue and no saturation; the grey of a colour's brightest channel stays.
        for kind in ({"saturation": 0.5}, {"hue": 0.1}):
            pixels = changed(seed, **kind)
            assert np.abs(pixels[0, 0] - GREY).max() <= 1
            assert np.abs(pixels.max(axis=2) - plain.max(axis=2)).max() <= 1
    strengths = [changed(seed, brightness=32.0)[0, 0, 0] - GREY[0] for seed in range(20)]
    assert min(strengths) < -10
    assert max(strengths) > 10
    # A tenth of a turn makes red at most as yellow or purple as 6 tenths of its difference.
    reds = np.array([changed(seed, hue=0.1)[40, 50] for seed in range(20)])
    assert (reds[:, 0] >= 248).all()
    assert 60 < reds[:, 1:].max() <= 20 + 230 * 0.6 + 8


def sample_set(count: int = 6) -> BoxSet:
    targets = tuple(Boxes.of(PLACES, [0, 1, 2], crowd=[False, i % 2 == 1, False]) for i in range(count))
    names = tuple(map(str, range(count)))
    return BoxSet(("red", "green", "blue"), names, (picture,) * count, targets, ((160, 200),) * count)


PREPROCESS = Preprocess((64, 80), resize="stretch", interpolation="bilinear", mean=(0.1, 0.5, 0.9))


def test_a_sample_is_a_function_of_seed_epoch_and_index():
    first, again = (BoxTraining(sample_set(), PREPROCESS, BoxAugment(), 3) for _ in range(2))
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    backwards = {key: again[key] for key in reversed([(e, i) for e in range(2) for i in range(6)])}
    state = torch.get_rng_state()
    for key, (pixels, target) in backwards.items():
        assert torch.equal(first[key][0], pixels)
        assert torch.equal(first[key][1]["boxes"], target["boxes"])
        assert torch.equal(first[key][1]["labels"], target["labels"])
    assert torch.equal(torch.get_rng_state(), state)
    # Images are equal, so that all differences come from the key and the seed.
    other = BoxTraining(sample_set(), PREPROCESS, BoxAugment(), 4)
    inputs = [first[0, 0][0], first[1, 0][0], first[0, 2][0], other[0, 0][0]]
    assert not any(torch.equal(a, b) for i, a in enumerate(inputs) for b in inputs[:i])


def test_training_without_augmentation_is_judging():
    samples = sample_set()
    plain, judging = BoxTraining(samples, PREPROCESS, "none", 0), BoxJudging(samples, PREPROCESS)
    pixels, target = plain[7, 1]
    assert torch.equal(pixels, judging[1])
    assert torch.equal(pixels, torch.from_numpy(PREPROCESS(picture())))
    assert (pixels.dtype, target["boxes"].dtype, target["labels"].dtype) == (torch.float32, torch.float32, torch.int64)
    np.testing.assert_allclose(target["boxes"], PLACES[[0, 2]] * 0.4, rtol=1e-6)  # the crowd is left out
    assert target["labels"].tolist() == [0, 2]
    inputs, targets = collate_boxes([plain[0, 0], plain[0, 1]])
    assert inputs.shape == (2, 3, 64, 80)
    assert [len(target["labels"]) for target in targets] == [3, 2]


def test_labels_stay_with_their_boxes():
    data = BoxTraining(sample_set(), PREPROCESS, no_distortion(), 0)
    seen = 0
    for key in [(epoch, index) for epoch in range(20) for index in range(6)]:
        pixels, target = data[key]
        for box, label in zip(target["boxes"], target["labels"], strict=True):
            x, y = ((box[:2] + box[2:]) / 2).int().tolist()
            colour = pixels[:, y, x] * torch.tensor(PREPROCESS.std) + torch.tensor(PREPROCESS.mean)
            assert colour.argmax() == label
            seen += len(target["labels"]) < 3 - key[1] % 2
    assert seen > 30  # from samples that lost a box
    assert {int(label) for epoch in range(20) for label in data[epoch, 0][1]["labels"]} == {0, 1, 2}


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_the_fill_colour_is_zero_for_the_network(channels: str):
    preprocess = Preprocess((64, 80), resize="stretch", mean=(0.1, 0.5, 0.9), channels=channels)
    augment = BoxAugment(crop=False, zoom_out=4.0, zoom_out_prob=1.0)
    pixels, _ = BoxTraining(sample_set(), preprocess, augment, 0)[0, 3]
    nothing = (pixels.abs() < 0.02).all(dim=0).float().mean()
    assert nothing > 0.3


def test_workers_change_nothing():
    data = BoxTraining(sample_set(), PREPROCESS, BoxAugment(), 3)
    keys = [(0, i) for i in range(6)]
    loader = torch.utils.data.DataLoader(data, 2, sampler=keys, num_workers=1, collate_fn=collate_boxes)
    for start, (inputs, targets) in zip((0, 2, 4), loader, strict=True):
        assert torch.equal(inputs, torch.stack([data[0, start][0], data[0, start + 1][0]]))
        assert torch.equal(targets[1]["boxes"], data[0, start + 1][1]["boxes"])


@pytest.mark.parametrize(
    "options",
    ["hflip 2", "crop_scale .5 2", "crop_ratio 2 1", "scale 0 1", "scale 1", "overlaps 2", "trials 0", "hue -1"],
)
def test_refusals(options: str):
    name, *values = options.split()
    numbers = list(map(float, values))
    several = name in ("crop_scale", "crop_ratio", "scale", "overlaps")
    with pytest.raises(BadInput, match=r"augmentation .* give "):
        BoxAugment(**{name: numbers if several else numbers[0]})


def test_preprocessing_that_crops_is_refused():
    with pytest.raises(BadInput, match="stretch"):
        BoxJudging(sample_set(), Preprocess())


def test_a_window_without_boxes():
    augment = no_distortion(zoom_out_prob=0, crop=True)
    assert _window((200, 160), PLACES[:0], augment, np.random.default_rng(0)) == (0, 0, 200, 160)
