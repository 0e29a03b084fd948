"""A judge of detectors: what it collects, hands on and refuses."""

import json

import numpy as np
import pytest

from pumice.data.boxes import Boxes, BoxSet
from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput, CheckFailed
from pumice.models.dense.boxes import level, prior_boxes
from pumice.tasks.detect.task import Detect, DetectOptions

DECODE = prior_boxes([level((2, 2), [[0.5, 0.5]])])
PREPROCESS = Preprocess(size=(32, 32), resize="stretch")


def samples(count: int = 3) -> BoxSet:
    """Image i is 20 x 40 and has a box of class i % 2 in place i of four."""
    corners = [(0, 0), (20, 0), (0, 10), (20, 10)]
    boxes = [Boxes.of([(x, y, x + 20, y + 10)], [i % 2]) for i, (x, y) in enumerate(corners[:count])]
    names = tuple(f"{i}.png" for i in range(count))
    return BoxSet(("cat", "dog"), names, (None,) * count, tuple(boxes), ((20, 40),) * count)


def outputs(count: int = 3) -> np.ndarray:
    """What finds them."""
    y = np.zeros((count, 4, 4 + 3), np.float32)
    y[:, :, 4] = 9
    for i in range(count):
        y[i, i, 5 + i % 2] = 20
    return y


def test_boxes_are_scored_in_pixels_of_the_image():
    judge = Detect().judge(samples(), PREPROCESS, DECODE)
    y = outputs()
    judge.add([2, 0], y[[2, 0]])
    judge.add([1, 0], y[[1, 1]])  # sample 0 again: ignored
    scores = judge.scores()
    assert (scores.ap, scores.ap50, scores.count) == (1.0, 1.0, 3)
    assert [one["boxes"] for one in scores.per_class] == [2, 1]
    boxes, _, labels = judge.found[1]
    assert (boxes.tolist(), labels.tolist()) == ([[20, 0, 40, 10]], [1])


def test_only_what_was_added_counts():
    judge = Detect().judge(samples(), PREPROCESS, DECODE)
    with pytest.raises(BadInput, match="no images to score"):
        judge.scores()
    judge.add([1], outputs()[[1]])
    assert judge.scores().count == 1
    judge.add([0], outputs()[[1]])  # a dog where there is a cat elsewhere
    assert judge.scores().ap50 < 0.6


def test_answers_of_another_process():
    whole, one, other = (Detect().judge(samples(), PREPROCESS, DECODE) for _ in range(3))
    y = outputs()
    whole.add([0, 1, 2], y)
    one.add([0, 2], y[[0, 2]])
    other.add([1], y[[1]])
    assert one.answers()[1] is None
    one.take(json.loads(json.dumps(other.answers())))
    assert one.scores() == whole.scores()
    assert one.answers() == whole.answers()


def test_options_choose_and_travel():
    task = Detect(DetectOptions(nms=0.7, keep=1))
    carried = task.carried(samples())
    assert carried == {"chosen": {"nms": 0.7, "keep": 1}}
    assert Detect().carried(samples()) == {}
    in_file = Detect().judge(samples(), PREPROCESS, {**DECODE, **carried}).decoder
    assert (in_file.nms, in_file.keep, in_file.score) == (0.7, 1, 0.01)
    over = Detect(DetectOptions(keep=5)).judge(samples(), PREPROCESS, {**DECODE, **carried}).decoder
    assert (over.nms, over.keep) == (0.7, 5)


def test_what_cannot_be_scored():
    judge = Detect().judge(samples(), PREPROCESS, DECODE)
    with pytest.raises(BadInput, match=r"2 classes and its boxes make \(1, 4, 7\)"):
        judge.add([0], np.zeros((1, 4, 8), np.float32))
    y = outputs()
    y[1, 2, 3] = np.inf
    judge.add([0, 1], y[:2])
    with pytest.raises(CheckFailed, match="not finite numbers"):
        judge.scores()
    with pytest.raises(BadInput, match="levels is missing"):
        Detect().judge(samples(), PREPROCESS, {})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"nms": 1.5}, "task.nms=1.5 is impossible; give 0 to 1"),
        ({"negatives": -1.0}, "task.negatives=-1.0 is impossible"),
        ({"hflip": 2.0}, "hflip=2.0 is no probability"),
    ],
)
def test_impossible_options(options, said):
    with pytest.raises(BadInput, match=said):
        DetectOptions(**options)
