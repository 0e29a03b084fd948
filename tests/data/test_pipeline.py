import contextlib
import pickle
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from pumice.data.augment import Augment
from pumice.data.images import ImageSet, Splits
from pumice.data.memory import Kept, fill, keep_decoded
from pumice.data.open import open_data
from pumice.data.order import EpochSampler, mix
from pumice.data.pipeline import EvalImages, TrainImages, make_loaders, seeded
from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput

SMALL = Preprocess(size=(24, 32), crop_pct=0.9)
STRONG = Augment(auto_augment="rand-m9-mstd0.5-inc1", re_prob=0.5, vflip=0.3)


class Reads:
    """A loader that counts, and whose pictures all differ."""

    def __init__(self, index: int) -> None:
        self.index, self.count = index, 0

    def __call__(self) -> Image.Image:
        self.count += 1
        rng = np.random.default_rng(self.index)
        return Image.fromarray(rng.integers(0, 255, (30, 40, 3), dtype=np.uint8))


def image_set(count: int, first: int = 0) -> ImageSet:
    each = range(first, first + count)
    return ImageSet(("a", "b"), tuple(i % 2 for i in each), tuple(map(str, each)), tuple(map(Reads, each)))


def splits(count: int = 22) -> Splits:
    return Splits("test", image_set(count), image_set(7, 100))


def same(a: list[list[torch.Tensor]], b: list[list[torch.Tensor]]) -> bool:
    return len(a) == len(b) and all(torch.equal(x, y) for p, q in zip(a, b, strict=True) for x, y in zip(p, q))  # noqa: B905


@pytest.mark.parametrize("augment", [Augment(), STRONG])
def test_a_sample_depends_on_seed_epoch_and_index_alone(augment: Augment):
    data = TrainImages(image_set(4), SMALL, augment, seed=1)
    first = data[2, 3][0]
    for disturb in (random.random, np.random.rand, lambda: torch.rand(3), lambda: data[0, 0]):
        disturb()
        assert torch.equal(data[2, 3][0], first)
    assert first.shape == (3, 24, 32)
    assert first.dtype == torch.float32
    assert not torch.equal(data[3, 3][0], first)
    assert not torch.equal(TrainImages(image_set(4), SMALL, augment, seed=2)[2, 3][0], first)
    assert data[2, 3][1] == 1


def test_global_generators_are_put_back():
    def draws() -> list[float]:
        # Normal draws come in pairs, whose second half is remembered beside the generator; three need both.
        return [
            draw()
            for draw in (lambda: random.gauss(0, 1), np.random.normal, lambda: torch.randn(1).item())
            for _ in range(3)
        ]

    def start() -> None:
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)
        draws()

    start()
    expected = draws()
    start()
    TrainImages(image_set(2), SMALL, STRONG, seed=0)[0, 0]
    make_loaders(splits(), SMALL, batch_size=4)
    assert draws() == expected
    start()
    with contextlib.suppress(ZeroDivisionError), seeded(1, numpy_too=True):
        draws()
        raise ZeroDivisionError
    assert draws() == expected
    start()
    train, val = make_loaders(splits(), SMALL, batch_size=4)
    assert len(list(train)) == len(list(val)) + 3
    assert draws() == expected


def test_seeding_is_cheap():
    def once() -> float:
        start = time.perf_counter()
        for epoch in range(50):
            with seeded(mix(0, epoch, 0), numpy_too=False):
                pass
        return (time.perf_counter() - start) / 50

    # 20 us measured; the best of many, since other programs share the machine.
    assert min(once() for _ in range(40)) < 100e-6


def test_workers_change_nothing():
    data = splits()
    ways = []
    for workers in (0, 2):
        train, val = make_loaders(data, SMALL, batch_size=4, seed=5, workers=workers, augment=STRONG)
        batches = []
        for epoch in (0, 1):
            train.sampler.set_epoch(epoch)
            batches.append([list(batch) for batch in train])
        ways.append((batches, [list(batch) for batch in val], [list(batch) for batch in val]))
    (zero, val_zero, again), (two, val_two, again_two) = ways
    assert same(zero[0], two[0])
    assert same(zero[1], two[1])
    assert not same(zero[0], zero[1])
    assert same(val_zero, val_two)
    assert same(val_zero, again)
    assert same(val_zero, again_two)


@pytest.mark.parametrize("workers", [0, 2])
def test_resume_in_the_middle_of_an_epoch(workers: int):
    def loader() -> torch.utils.data.DataLoader:
        return make_loaders(splits(), SMALL, batch_size=4, seed=5, workers=workers, augment=STRONG)[0]

    whole = loader()
    whole.sampler.set_epoch(3)
    expected = [list(batch) for batch in whole]
    resumed = loader()
    resumed.sampler.start_at(3, 2)
    resumed.sampler.set_epoch(3)  # as Lightning calls it, on the epoch that is already set
    assert len(resumed) == len(expected) == 5
    assert same([list(batch) for batch in resumed], expected[2:])
    resumed.sampler.set_epoch(4)
    whole.sampler.set_epoch(4)
    assert same([list(batch) for batch in resumed], [list(batch) for batch in whole])


def test_sampler_shows_every_image_once():
    sampler = EpochSampler(50, 10, seed=0)
    sampler.set_epoch(7)
    keys = list(sampler)
    assert sorted(keys) == [(7, i) for i in range(50)]
    assert keys != sorted(keys)
    assert list(EpochSampler(50, 10, seed=1)) != list(EpochSampler(50, 10, seed=0))


@pytest.mark.parametrize(("world", "accumulate"), [(2, 1), (1, 2), (2, 2), (4, 1)])
def test_processes_and_parts_share_each_step(world: int, accumulate: int):
    def shown(rank: int, world: int, accumulate: int) -> list[Counter]:
        """What each step shows, from the second on."""
        split = splits(19)
        train, _ = make_loaders(
            *(split, SMALL), batch_size=8, augment=STRONG, rank=rank, world=world, accumulate=accumulate
        )
        train.sampler.start_at(3, 1)
        assert len(train) == 2 * accumulate
        batches = [[image.numpy().tobytes() for image in images] for images, _ in train]
        assert {len(batch) for batch in batches} == {8 // world // accumulate}
        steps = [batches[i : i + accumulate] for i in range(0, len(batches), accumulate)]
        return [Counter(image for batch in step for image in batch) for step in steps]

    each = [shown(rank, world, accumulate) for rank in range(world)]
    assert [sum(step, Counter()) for step in zip(*each, strict=True)] == shown(0, 1, 1)
    assert len(each[0]) == 1


@pytest.mark.parametrize("world", [2, 3, 5, 8])
def test_processes_judge_every_image_and_equally_many(world: int):
    names = []
    for rank in range(world):
        _, val = make_loaders(splits(), SMALL, batch_size=8, rank=rank, world=world)
        names.append(list(val.sampler))
    assert {len(part) for part in names} == {-(-7 // world)}
    assert [i for turn in zip(*names, strict=True) for i in turn][:7] == list(range(7))


def test_too_few_images_for_the_parts_of_a_step():
    with pytest.raises(BadInput, match="3 training images are too few for a step in 4 parts"):
        make_loaders(splits(3), SMALL, batch_size=8, world=2, accumulate=2)


@pytest.mark.parametrize(("count", "sizes"), [(10, [4, 4]), (4, [4]), (3, [3]), (8, [4, 4])])
def test_last_batch(count: int, sizes: list[int]):
    train, val = make_loaders(splits(count), SMALL, batch_size=4, augment="none")
    assert [len(labels) for _, labels in train] == sizes
    assert len(train) == len(sizes)
    assert [len(labels) for _, labels in val] == [4, 3]
    assert torch.cat([labels for _, labels in val]).tolist() == [0, 1, 0, 1, 0, 1, 0]


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_values_are_those_of_preprocess(channels: str):
    preprocess = replace(SMALL, channels=channels, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    images = image_set(3)
    expected = torch.stack([torch.from_numpy(preprocess(images.image(i))) for i in range(3)])
    for cache in (0, 10**6):
        data = EvalImages(images, preprocess, cache)
        for _ in range(2):
            assert torch.equal(torch.stack([data[i][0] for i in range(3)]), expected)
    plain = TrainImages(images, preprocess, "none", seed=0)
    assert torch.equal(torch.stack([plain[9, i][0] for i in range(3)]), expected)


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_augmented_values_have_the_right_channels(channels: str):
    # One colour, so that no crop or flip changes it; no change of colour.
    image = Image.new("RGB", (20, 20), (200, 100, 50))
    images = ImageSet(("a",), (0,), ("x",), (lambda: image,))
    preprocess = replace(SMALL, channels=channels, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    got = TrainImages(images, preprocess, Augment(color_jitter=0), seed=0)[0, 0][0]
    np.testing.assert_allclose(got.numpy(), preprocess(image), atol=1e-6)


def test_augmentation_does_what_it_says():
    # Dark on the left, light on the right: no crop changes which side is which, only a mirror does.
    ramp = Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))).convert("RGB")
    images = ImageSet(("a",), (0,), ("x",), (lambda: ramp,))

    def mirrored(**options: float) -> float:
        data = TrainImages(images, Preprocess(size=(16, 16)), Augment(color_jitter=0, **options), seed=0)
        samples = [data[epoch, 0][0] for epoch in range(60)]
        return float(np.mean([(s[:, :, 0].mean() > s[:, :, -1].mean()).item() for s in samples]))

    assert mirrored(hflip=0) == 0
    assert mirrored(hflip=1) == 1
    assert 0.25 < mirrored(hflip=0.5) < 0.75

    whole = TrainImages(images, Preprocess(size=(64, 64)), Augment((1, 1), (1, 1), 0, 0, 0), seed=0)[0, 0][0]
    np.testing.assert_allclose(whole.numpy(), Preprocess(size=(64, 64)).normalise(np.asarray(ramp)), atol=1e-6)
    erased = TrainImages(images, Preprocess(size=(64, 64)), Augment((1, 1), (1, 1), 0, 0, 0, None, 1), seed=0)[0, 0][0]
    assert 0.01 < (erased != whole).float().mean() < 0.4


def test_shifted_images_move_by_at_most_the_margin_and_black_moves_in():
    # Every pixel says where it is: red its column, green its row.
    place = np.zeros((32, 32, 3), np.uint8)
    place[..., 0], place[..., 1], place[..., 2] = np.arange(32) + 1, np.arange(32)[:, None] + 1, 255
    images = ImageSet(("a",), (0,), ("x",), (lambda: Image.fromarray(place),))
    plain = Preprocess(size=(32, 32), mean=(0.0, 0.0, 0.0), std=(1 / 255,) * 3)
    data = TrainImages(images, plain, Augment(hflip=0, color_jitter=0, pad=4), seed=0)
    seen = set()
    for epoch in range(300):
        sample = np.rint(data[epoch, 0][0].numpy()).astype(int)
        inside = sample[2] > 0
        rows, columns = np.nonzero(inside)
        dx, dy = (set(sample[c][inside] - at - 1) for c, at in ((0, columns), (1, rows)))
        assert len(dx) == len(dy) == 1
        seen.add((dx.pop(), dy.pop()))
        assert sample[:, ~inside].sum() == 0
    assert {x for x, _ in seen} == {y for _, y in seen} == set(range(-4, 5))


def test_colours_change_one_by_one():
    image = Image.new("RGB", (20, 20), (200, 100, 50))
    images = ImageSet(("a",), (0,), ("x",), (lambda: image,))
    plain = Preprocess(size=(16, 16), mean=(0.0, 0.0, 0.0), std=(1 / 255,) * 3)

    def colours(jitter: tuple[float, ...]) -> NDArray[np.float64]:
        data = TrainImages(images, plain, Augment(color_jitter=jitter), seed=0)
        return np.stack([data[epoch, 0][0].numpy()[:, 0, 0] for epoch in range(40)]).astype(float)

    assert np.ptp(colours((0, 0, 0)), axis=0).max() == 0
    bright = colours((0.1, 0, 0))
    np.testing.assert_allclose(bright / [200, 100, 50], (bright[:, :1] / 200) * np.ones(3), atol=0.02)  # in proportion
    assert 8 < np.ptp(bright[:, 0]) <= 41
    grey = colours((0, 0, 0.5)) @ [0.299, 0.587, 0.114]  # saturation leaves the luma
    assert np.ptp(grey) < 2
    hue = colours((0, 0, 0, 0.2))
    assert np.ptp(hue.max(1)) <= 2 < np.ptp(hue[:, 1])  # and hue the largest of the three


def test_decoded_images_are_kept_within_the_limit():
    images = image_set(10)
    bytes_each = 30 * 40 * 3
    kept = keep_decoded(images, limit_bytes=4 * bytes_each + 1)
    assert keep_decoded(images) is kept
    before = [np.asarray(kept.image(i)) for i in range(10)]
    after = [np.asarray(kept.image(i)) for i in range(10)]
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    assert [load.count for load in images.loaders] == [1] * 4 + [2] * 6
    kept.image(0).paste("red", (0, 0, 40, 30))  # the caller's own: the memory does not change
    assert (np.asarray(kept.image(0)) == before[0]).all()


def test_filling_reads_each_once():
    images = image_set(70)
    kept = keep_decoded(images)
    fill(kept)
    fill(kept)
    assert all(load.full for load in kept.loaders)
    assert {load.count for load in images.loaders} == {1}
    empty = pickle.loads(pickle.dumps(kept.loaders[0]))
    assert isinstance(empty, Kept)
    assert not empty.full
    assert empty().size == (40, 30)


def test_validation_images_are_resized_once():
    images = image_set(3)
    data = EvalImages(images, SMALL)
    values = [data[i % 3][0] for i in range(9)]
    assert [load.count for load in images.loaders] == [1, 1, 1]
    values[0].zero_()  # the caller's own
    assert not torch.equal(data[0][0], values[0])
    other = pickle.loads(pickle.dumps(data))
    assert torch.equal(other[1][0], values[1])
    uncached = EvalImages(images, SMALL, cache_bytes=3 * 24 * 32 * 3 - 1)
    assert [torch.equal(uncached[1][0], values[1]) for _ in range(2)] == [True, True]
    assert images.loaders[1].count == 3


def test_digits_end_to_end():
    train, val = make_loaders(
        open_data("digits"), Preprocess(size=(16, 16), crop_pct=1.0), batch_size=64, augment=Augment(hflip=0)
    )
    x, y = next(iter(train))
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((64, 3, 16, 16), torch.float32, (64,), torch.int64)
    assert sum(len(labels) for _, labels in val) == 359
    assert len(train) == 1438 // 64


def test_folders_end_to_end(tmp_path: Path, add: Callable[..., None], colour_of: Callable[[str], tuple[int, int, int]]):
    for name in "ab":
        add(tmp_path / name, 4)
    data = open_data(tmp_path)
    _, val = make_loaders(data, SMALL, batch_size=2)
    x, y = next(iter(val))
    for got, label, name in zip(x, y, data.val.names, strict=False):
        colour = np.array(colour_of(name), np.float32) / 255
        np.testing.assert_allclose(got[:, 5, 5], (colour - SMALL.mean) / SMALL.std, atol=1e-5)
        assert data.classes[label] == name[0]


@pytest.mark.parametrize(
    "options",
    [
        {"hflip": 1.5},
        {"re_prob": -0.1},
        {"scale": (0.5, 0.2)},
        {"scale": (0, 1)},
        {"ratio": (2, 1)},
        {"color_jitter": -1},
    ],
)
def test_impossible_augmentation(options: dict[str, float]):
    with pytest.raises(BadInput, match=next(iter(options))):
        Augment(**options)


def test_augment_from_json():
    assert Augment(scale=[0.5, 1]) == Augment(scale=(0.5, 1))


@pytest.mark.parametrize("policy", ["nonsense", "v9"])
def test_unknown_policy(policy: str):
    with pytest.raises(BadInput, match="knows no augmentation"):
        TrainImages(image_set(1), SMALL, Augment(auto_augment=policy), seed=0)


def test_other_refusals(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(BadInput, match="batch of 0"):
        make_loaders(splits(), SMALL, batch_size=0)
    monkeypatch.setitem(__import__("sys").modules, "timm.data", None)
    with pytest.raises(BadInput, match=r"pip install 'pumice\[train\]'"):
        TrainImages(image_set(1), SMALL, Augment(), seed=0)
    TrainImages(image_set(1), SMALL, "none", seed=0)  # needs no timm


def test_balanced_classes():
    labels = [0] * 70 + [1] * 25 + [2] * 4 + [4]  # class 3 has none
    sampler = EpochSampler(100, 10, seed=3, labels=labels)
    epochs = []
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        keys = list(sampler)
        assert len(keys) == len(sampler) == 100
        shown = np.bincount([index for _, index in keys], minlength=100)
        assert [shown[[i for i in range(100) if labels[i] == c]].sum() for c in (0, 1, 2, 4)] == [25] * 4
        assert set(shown[:70]) == {0, 1}  # of a large class some, none twice
        assert set(shown[70:95]) == {1}
        assert set(shown[95:99]) == {6, 7}  # of a small class all, evenly
        epochs.append(keys)
    assert [i for _, i in epochs[0]] != [i for _, i in epochs[1]]
    again = EpochSampler(100, 10, seed=3, labels=labels)
    again.start_at(1, 4)
    assert list(again) == epochs[1][40:]
    parts = [EpochSampler(100, 11, 3, rank, 3, labels) for rank in range(3)]
    shared = [[index for _, index in part] for part in parts]
    assert [len(part) for part in shared] == [33] * 3
    assert [index for trio in zip(*shared, strict=True) for index in trio] == [index for _, index in epochs[0]][:99]
    uneven = EpochSampler(10, 10, seed=0, labels=[0] * 8 + [1, 2])
    assert sorted(np.bincount([([0] * 8 + [1, 2])[i] for _, i in uneven])) == [3, 3, 4]


def test_balanced_loader():
    data = Splits("test", image_set(12).subset([0, 2, 4, 6, 8, 10, 11, 1]), image_set(2))
    train, _ = make_loaders(data, SMALL, batch_size=8, augment="none", balanced=True)
    (labels,) = [labels.tolist() for _, labels in train]
    assert sorted(labels) == [0] * 4 + [1] * 4


def test_a_policy_may_come_to_no_bits():
    data = TrainImages(image_set(1), SMALL, Augment(auto_augment="rand-m10-n8-inc1"), seed=0)
    for epoch in range(20):  # 1 - (14/15) ** 160 of 1 that one of them posterises
        assert data[epoch, 0][0].isfinite().all()
