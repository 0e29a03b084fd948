"""The loss leaves void out, weighs classes as said, and teaches a net to segment."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from pumice.data.masks import VOID, MaskSet
from pumice.data.preprocess import Preprocess
from pumice.models.create import create_model
from pumice.tasks.segment.loss import PixelLoss, class_weights
from pumice.tasks.segment.task import Segment, SegmentOptions


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(2, 4, 6, 8, generator=generator, requires_grad=True)
    targets = torch.randint(0, 4, (2, 6, 8), generator=generator, dtype=torch.uint8)
    targets[:, :2] = VOID
    return outputs, targets


def test_void_is_neither_counted_nor_learnt():
    outputs, targets = batch()
    loss = PixelLoss()(outputs, targets)
    expected = F.cross_entropy(outputs[:, :, 2:].permute(0, 2, 3, 1).reshape(-1, 4), targets[:, 2:].long().flatten())
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert (outputs.grad[:, :, :2] == 0).all()
    assert (outputs.grad[:, :, 2:] != 0).all()


@pytest.mark.parametrize("weights", [None, np.ones(4)])
def test_all_void_is_no_loss(weights):
    outputs, targets = batch()
    loss = PixelLoss(weights)(outputs, torch.full_like(targets, VOID))
    loss.backward()
    assert loss == 0
    assert (outputs.grad == 0).all()


def test_weights_are_torchs():
    outputs, targets = batch()
    weights = np.array([0.5, 1.0, 3.0, 0.0])
    expected = F.cross_entropy(outputs, targets.long(), torch.tensor(weights).float(), ignore_index=VOID)
    torch.testing.assert_close(PixelLoss(weights)(outputs, targets), expected)


def test_masks_are_brought_to_the_size_of_the_answers():
    outputs, targets = batch()
    small = outputs[:, :, ::2, ::2]
    torch.testing.assert_close(PixelLoss()(small, targets), PixelLoss()(small, targets[:, ::2, ::2]))


def test_kinds_of_weights():
    pixels = np.array([900, 100, 0])
    assert class_weights("none", pixels, 1.02) is None
    np.testing.assert_allclose(class_weights("enet", pixels, 1.02), 1 / np.log([1.92, 1.12, 1.02]))
    np.testing.assert_allclose(class_weights("balanced", pixels, 1.02), [0.2, 1.8, 0])  # 10/9 and 10 over their mean


def scenes(count: int) -> MaskSet:
    """Squares and bars of four shades on grey, which is class 0; the uppermost rows are void."""
    images, masks = [], []
    for i in range(count):
        mask = np.zeros((48, 48), np.uint8)
        mask[8 + 2 * i : 24 + 2 * i, 6:22] = 1
        mask[20 - 2 * i : 36 - 2 * i, 26:42] = 2
        mask[40:46] = 3
        mask[2:6, 10:] = 4
        images.append(Image.fromarray(np.array([128, 220, 30, 75, 175], np.uint8)[mask]).convert("RGB"))
        mask[:2] = VOID
        masks.append(mask)
    loaders = tuple(lambda image=image: image for image in images)
    return MaskSet(
        ("ground", "white", "black", "dark", "light"),
        tuple(map(str, range(count))),
        loaders,
        tuple(lambda m=m: m for m in masks),
    )


def test_weights_come_from_what_is_learnt():
    samples, preprocess = scenes(2), Preprocess(size=(48, 48), resize="stretch")
    task = Segment(SegmentOptions(weights="enet", enet_c=1.1))
    with pytest.raises(ValueError, match="training_set"):
        task.criterion(torch.nn.Identity(), preprocess)
    task.training_set(samples, preprocess, 0)
    counts = sum(np.bincount(samples.mask(i).ravel(), minlength=256)[:5] for i in range(2))
    expected = 1 / np.log(1.1 + counts / counts.sum())
    np.testing.assert_allclose(task.criterion(torch.nn.Identity(), preprocess).weights, expected, rtol=1e-6)
    assert Segment().criterion(torch.nn.Identity(), preprocess).weights is None


def test_a_net_learns_four_scenes():
    torch.manual_seed(0)
    samples, preprocess = scenes(4), Preprocess(size=(48, 48), resize="stretch")
    task = Segment(SegmentOptions(scale=(0.8, 1.25), color_jitter=0.1))
    net = create_model("espnet_p2_q3", num_classes=task.outputs(samples.classes))
    learn = task.training_set(samples, preprocess, seed=0)
    criterion = task.criterion(net, preprocess)
    optimizer = torch.optim.AdamW(net.parameters(), 5e-3)

    def miou() -> float:
        net.eval()
        judged, judge = task.judging_set(samples, preprocess), task.judge(samples, preprocess, {})
        with torch.no_grad():
            judge.add(range(4), net(torch.stack([judged[i] for i in range(4)])).numpy())
        net.train()
        return judge.scores().miou

    assert miou() < 0.5
    for step in range(90):
        inputs, targets = task.collate([learn[(step, i)] for i in range(4)])
        loss = criterion(net(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert miou() > 0.9
