"""Detections from outputs, against torchvision's."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pumice.errors import BadInput
from pumice.models.dense.boxes import level, prior_boxes
from pumice.tasks.detect.decode import Decoder, suppress
from pumice.tasks.detect.priors import corners, priors_of

LEVELS = [level((6, 8), [[0.2, 0.2], [0.3, 0.15]]), level((2, 2), [[0.6, 0.6], [0.9, 0.4], [0.4, 0.9]])]
COUNT, CLASSES = 6 * 8 * 2 + 2 * 2 * 3, 4


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"score": 0.2, "nms": 0.3, "candidates": 400, "keep": 200},
        {"score": 0.001, "nms": 0.55, "candidates": 20, "keep": 10},  # the last limit cuts
        {"score": 0.001, "nms": 0.9, "candidates": 5, "keep": 200},  # the first limit cuts
    ],
)
def test_they_are_torchvisions(seed, settings):
    detection = pytest.importorskip("torchvision.models.detection")
    decode = prior_boxes(LEVELS, **settings)
    torch.manual_seed(seed)
    output = torch.randn(COUNT, 4 + CLASSES)
    height, width = 480, 640
    anchors = corners(priors_of(decode)) * np.array([width, height] * 2)
    (theirs,) = detection.ssd.SSD.postprocess_detections(
        SimpleNamespace(
            box_coder=detection._utils.BoxCoder(weights=(10.0, 10.0, 5.0, 5.0)),
            score_thresh=decode["score"],
            nms_thresh=decode["nms"],
            topk_candidates=decode["candidates"],
            detections_per_img=decode["keep"],
        ),
        {"bbox_regression": output[None, :, :4], "cls_logits": output[None, :, 4:]},
        [torch.from_numpy(anchors).float()],
        [(height, width)],
    )
    boxes, scores, labels = Decoder(decode)(output.numpy(), height, width)
    assert len(scores) > 5
    assert np.abs(boxes - theirs["boxes"].numpy()).max() < 1e-6 * width  # theirs are single precision
    assert np.abs(scores - theirs["scores"].numpy()).max() < 1e-6
    assert labels.tolist() == [label - 1 for label in theirs["labels"].tolist()]


@pytest.mark.parametrize("seed", range(20))
def test_suppression_is_torchvisions(seed):
    ops = pytest.importorskip("torchvision.ops")
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.6, (200, 2))
    boxes = np.concatenate((low, low + rng.uniform(0.05, 0.4, (200, 2))), axis=1)
    labels, scores = rng.integers(0, 3, 200), np.sort(rng.random(200))[::-1].copy()
    theirs = ops.batched_nms(*map(torch.from_numpy, (boxes, scores, labels)), 0.45).tolist()
    assert 10 < len(theirs) < 190
    assert suppress(boxes, labels, 0.45, 1000).tolist() == theirs
    assert suppress(boxes, labels, 0.45, 7).tolist() == theirs[:7]


def test_boxes_end_at_the_image_and_equals_keep_their_order():
    decode = prior_boxes([level((1, 2), [[0.5, 1.0]])], nms=0.5)
    output = np.zeros((2, 4 + 3), np.float32)
    output[0, 2] = 50.0  # ten times as wide
    boxes, scores, labels = Decoder(decode)(output, 10, 20)
    assert boxes.tolist() == [[0, 0, 20, 10], [10, 0, 20, 10]] * 2
    assert labels.tolist() == [0, 0, 1, 1]
    assert scores == pytest.approx([1 / 3] * 4)
    output[0, :2] = 1e6, 0  # wholly outside
    assert len(Decoder(decode)(output, 10, 20)[1]) == 2


def test_what_is_no_number_or_nonsense():
    decode = prior_boxes([level((1, 2), [[0.5, 1.0]])])
    output = np.zeros((2, 4 + 3), np.float32)
    output[1, 5] = np.nan
    assert np.isnan(Decoder(decode)(output, 10, 20)[1]).all()
    output[1] = [0, 0, 3e38, 3e38, 0, 9, 0]
    with np.errstate(all="raise"):
        boxes, _, _ = Decoder(decode)(output, 10, 20)
    assert boxes.max() == 20
    with pytest.raises(BadInput, match="levels is missing"):
        Decoder({"joints": 17})


def test_nothing_found():
    decode = prior_boxes(LEVELS, score=0.9)
    boxes, scores, labels = Decoder(decode)(np.zeros((COUNT, 4 + CLASSES), np.float32), 10, 20)
    assert (boxes.shape, scores.shape, labels.shape) == ((0, 4), (0,), (0,))
