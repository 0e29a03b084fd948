"""Four pictures to learn by heart, and a detector that does."""

from collections.abc import Callable
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
from pumice.tasks.detect.scores import DetectScores
from pumice.tasks.detect.task import Detect, DetectOptions

SIDE = 96


@pytest.fixture
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


@pytest.fixture
def learnt(pictures: BoxSet) -> Callable[..., DetectScores]:
    """Scores on the pictures after so many steps of Adam on all four as they are, through every part of the task."""

    def learn(name: str, steps: int, rate: float, **options) -> DetectScores:
        task = Detect(DetectOptions(crop=False, zoom_out_prob=0.0, hflip=0.0, distort=0.0))
        torch.manual_seed(0)
        net = create_model(name, num_classes=task.outputs(pictures.classes), **options)
        set_norm(net, momentum=0.1)
        preprocess = replace(preprocess_of(net), size=(SIDE, SIDE))
        data, judged = task.training_set(pictures, preprocess, seed=0), task.judging_set(pictures, preprocess)
        inputs, targets = task.collate([data[0, i] for i in range(4)])
        criterion = task.criterion(net, preprocess)
        optimizer = torch.optim.Adam(net.parameters(), rate)
        for _ in range(steps):
            loss = criterion(net(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
            optimizer.step()
        judge = task.judge(pictures, preprocess, decoding_of(net, SIDE, SIDE))
        with torch.no_grad():
            judge.add(range(4), net.eval()(torch.stack([judged[i] for i in range(4)])).numpy())
        return judge.scores()

    return learn
