"""What is done with logits: resized as torch does, scored at the truth's size, in any order and in parts."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from pumice.data.masks import VOID, MaskSet
from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput, CheckFailed
from pumice.tasks.segment.decode import class_map, resized
from pumice.tasks.segment.iou import confusion
from pumice.tasks.segment.task import Segment, SegmentOptions

INPUT = Preprocess(size=(24, 32), resize="stretch")


def sets(*shapes: tuple[int, int], classes: int = 4) -> MaskSet:
    rng = np.random.default_rng(0)
    masks = [rng.integers(0, classes + 1, shape).astype(np.uint8) for shape in shapes]
    for mask in masks:
        mask[mask == classes] = VOID
    return MaskSet(
        tuple(f"c{i}" for i in range(classes)),
        tuple(map(str, range(len(shapes)))),
        tuple(lambda m=m: Image.fromarray(m).convert("RGB") for m in masks),
        tuple(lambda m=m: m for m in masks),
    )


def logits(count: int, classes: int = 4, size: tuple[int, int] = (24, 32)) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, classes, *size)).astype(np.float32)


@pytest.mark.parametrize("size", [(24, 32), (48, 64), (37, 90), (100, 33), (12, 16), (7, 50)])
def test_resizing_is_torchs(size):
    maps = logits(1)[0]
    exact = torch.from_numpy(maps)[None].double()  # in float32 its own weights are off by 1e-6
    theirs = F.interpolate(exact, size=size, mode="bilinear", antialias=True)[0].numpy()
    ours = np.stack([resized(plane, size) for plane in maps])
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    clear = np.sort(theirs, axis=0)[-1] - np.sort(theirs, axis=0)[-2] > 1e-5
    np.testing.assert_array_equal(class_map(maps, size)[clear], theirs.argmax(axis=0)[clear])


def test_among_equals_the_lower_class_is_first():
    assert class_map(np.zeros((3, 2, 2), np.float32), (2, 2)).tolist() == [[0, 0], [0, 0]]
    assert class_map(np.array([[[0.0]], [[1.0]], [[1.0]]], np.float32), (1, 1)).tolist() == [[1]]


def test_images_are_scored_at_their_own_size():
    samples = sets((24, 32), (50, 40), (9, 70))
    outputs = logits(3)
    judge = Segment().judge(samples, INPUT, {})
    judge.add([0, 1], outputs[:2])
    judge.add([2], outputs[2:])
    expected = sum(
        confusion(samples.mask(i), class_map(outputs[i], samples.mask(i).shape), 4) for i in range(len(samples))
    )
    assert judge.scores().confusion == expected.tolist()
    assert judge.scores().count == 3


def test_order_repeats_and_other_processes_change_nothing():
    samples = sets((24, 32), (50, 40), (9, 70))
    outputs = logits(3)
    whole = Segment().judge(samples, INPUT, {})
    whole.add([0, 1, 2], outputs)
    first, second = (Segment().judge(samples, INPUT, {}) for _ in range(2))
    first.add([2, 0], outputs[[2, 0]])
    second.add([1, 0], outputs[[1, 0]])
    second.add([1], outputs[[2]])  # comes again: ignored
    first.take(json.loads(json.dumps(second.answers())))
    assert first.scores() == whole.scores()
    assert first.answers() == whole.answers()


def test_what_cannot_be_scored():
    samples = sets((24, 32), (50, 40))
    judge = Segment().judge(samples, INPUT, {})
    with pytest.raises(BadInput, match="no images to score"):
        judge.scores()
    with pytest.raises(BadInput, match=r"outputs of shape \(2, 5, 24, 32\) for images of 4 classes"):
        judge.add([0, 1], logits(2, classes=5))
    outputs = logits(2)
    outputs[1, 0, 3, 3] = np.nan
    judge.add([0, 1], outputs)
    other = Segment().judge(samples, INPUT, {})
    other.take(json.loads(json.dumps(judge.answers())))
    for one in (judge, other):
        with pytest.raises(CheckFailed, match="not finite"):
            one.scores()


def test_tiles_together_judge_each_pixel_once():
    samples = sets((50, 70), (20, 40))
    task = Segment(SegmentOptions(tiles=True, overlap=0.5))
    judged = task.judging_set(samples, INPUT)
    judge = task.judge(samples, INPUT, {})
    right = []  # logits that say each tile's own truth
    for number in range(len(judged)):
        index, tile = judge.plan[number]
        piece = np.zeros(INPUT.size, np.uint8)
        part = samples.mask(index)[tile.top : tile.top + 24, tile.left : tile.left + 32]
        piece[: part.shape[0], : part.shape[1]] = np.where(part == VOID, 0, part)
        right.append(np.eye(4, dtype=np.float32)[piece].transpose(2, 0, 1))
    order = np.random.default_rng(0).permutation(len(judged))
    judge.add(order.tolist(), np.stack(right)[order])
    scores = judge.scores()
    assert (scores.miou, scores.accuracy, scores.count) == (1, 1, 2)
    assert np.sum(scores.confusion) == sum((samples.mask(i) != VOID).sum() for i in range(2))


def test_options_from_json_and_impossible_ones():
    assert SegmentOptions(scale=[1, 2], ratio=[1, 1]) == SegmentOptions(scale=(1, 2), ratio=(1, 1))
    for wrong in ({"enet_c": 1.0}, {"overlap": 1.0}, {"color_jitter": 1.0}, {"scale": (2, 1)}):
        with pytest.raises(BadInput, match=next(iter(wrong))):
            SegmentOptions(**wrong)
