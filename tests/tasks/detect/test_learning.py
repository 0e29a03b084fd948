"""A small SSDLite learns four pictures by heart, through loss, decoding and average precision."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from pumice.data.boxes import Boxes, BoxSet
from pumice.models.create import create_model
from pumice.models.dense.decoding import decoding_of
from pumice.models.described import preprocess_of
from pumice.nn.conv import set_norm
from pumice.tasks.detect.task import Detect, DetectOptions

SIDE = 96
AS_THEY_ARE = DetectOptions(crop=False, zoom_out_prob=0.0, hflip=0.0, distort=0.0)


def pictures() -> BoxSet:
    """Red and blue rectangles on noise, 160 x 120."""
    rng = np.random.default_rng(0)
    images, targets = [], []
    for _ in range(4):
        pixels, boxes, labels = rng.integers(0, 90, (120, 160, 3), dtype=np.uint8), [], []
        for _ in range(3):
            w, h = rng.integers(25, 60, 2).tolist()
            x, y = int(rng.integers(0, 160 - w)), int(rng.integers(0, 120 - h))
            if all(x >= b[2] or y >= b[3] or x + w <= b[0] or y + h <= b[1] for b in boxes):
                labels.append(int(rng.integers(2)))
                pixels[y : y + h, x : x + w] = (230, 60, 60) if labels[-1] else (60, 60, 230)
                boxes.append((x, y, x + w, y + h))
        images.append(Image.fromarray(pixels))
        targets.append(Boxes.of(boxes, labels))
    loaders = tuple(lambda image=image: image for image in images)
    return BoxSet(("blue", "red"), tuple("abcd"), loaders, tuple(targets), ((120, 160),) * 4)


def learnt(task: Detect, samples: BoxSet, steps: int):
    """Scores after so many steps on all four, always the same."""
    torch.manual_seed(0)
    net = create_model("ssdlite:mobilenetv3_small_050", num_classes=task.outputs(samples.classes))
    set_norm(net, momentum=0.1)
    preprocess = replace(preprocess_of(net), size=(SIDE, SIDE))
    data = task.training_set(samples, preprocess, seed=0)
    inputs, targets = task.collate([data[0, i] for i in range(4)])
    criterion = task.criterion(net, preprocess)
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(steps):
        loss = criterion(net(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    judge = task.judge(samples, preprocess, decoding_of(net, SIDE, SIDE))
    judged = task.judging_set(samples, preprocess)
    with torch.no_grad():
        judge.add(range(4), net.eval()(torch.stack([judged[i] for i in range(4)])).numpy())
    return judge.scores()


def test_it_learns_four_pictures():
    scores = learnt(Detect(AS_THEY_ARE), pictures(), steps=90)
    assert scores.ap50 > 0.95
    assert scores.ap > 0.7


def drifting(right):
    """Every step another prior."""
    return lambda *arguments: (found := right(*arguments))[torch.randperm(len(found))]


def shifted(right):
    """The prior seven rows later: its offsets can be learnt, but it looks elsewhere."""
    return lambda *arguments: right(*arguments).roll(7)


@pytest.mark.slow
@pytest.mark.parametrize(("broken", "limits"), [(drifting, (0.1, 0.1)), (shifted, (1.0, 0.6))])
def test_with_a_broken_matching_it_does_not(monkeypatch, broken, limits):
    from pumice.tasks.detect import loss

    monkeypatch.setattr(loss, "match", broken(loss.match))
    scores = learnt(Detect(AS_THEY_ARE), pictures(), steps=90)
    assert (scores.ap50 <= limits[0], scores.ap <= limits[1]) == (True, True), scores.sentence()
