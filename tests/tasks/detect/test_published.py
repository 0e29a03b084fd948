"""The detectors that have their own heads learn, and are judged, by the same classes as SSDLite."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from pumice.data.boxes import Boxes, BoxSet
from pumice.models.checkpoint import manifest_of
from pumice.models.create import create_model
from pumice.models.described import describe, preprocess_of
from pumice.tasks.detect.task import Detect, DetectOptions

UNCHANGED = DetectOptions(crop=False, zoom_out_prob=0.0, hflip=0.0, distort=0.0)


def picture() -> BoxSet:
    pixels = np.full((100, 140, 3), 40, np.uint8)
    pixels[20:60, 30:110] = (200, 220, 30)
    image = Image.fromarray(pixels)
    return BoxSet(("box", "other"), ("one",), (lambda: image,), (Boxes.of([(30, 20, 110, 60)], [0]),), ((100, 140),))


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("pelee_voc", {}, (304, 257)),
        ("pelee_coco", {}, (257, 257)),
        ("espnetv2_ssd_200_voc", {"width": 0.5}, (160, 128)),
        ("ssd:squeezenet1_1", {}, (64, 96)),
    ],
)
def test_loss_and_judge_read_its_boxes_alike(name, options, size):
    torch.manual_seed(0)
    task, samples = Detect(UNCHANGED), picture()
    net = create_model(name, num_classes=3, **options).eval()  # norms as in use: one picture has no variance
    preprocess = replace(preprocess_of(net), size=size)
    describe(net, preprocess=preprocess)
    inputs, targets = task.collate([task.training_set(samples, preprocess, 0)[0, 0]])
    criterion = task.criterion(net, preprocess)
    outputs = net(inputs)
    loss = criterion(outputs, targets)
    loss.backward()
    assert loss.item() > 1
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)
    assert sum(p.grad.abs().sum().item() > 0 for p in net.head.parameters() if p.grad is not None) > 8
    # What the loss asks for is what the judge wants.
    labels, goals = criterion.targets(targets)
    wanted = torch.cat((goals, 50.0 * torch.nn.functional.one_hot(labels, 3)), dim=2)
    judge = task.judge(samples, preprocess, manifest_of(net).decode)
    judge.add([0], wanted.numpy())
    boxes, _, labels = judge.found[0]
    assert len(boxes) == 1
    assert np.abs(boxes - (30, 20, 110, 60)).max() < 1e-3
    assert judge.scores().ap == 1.0
