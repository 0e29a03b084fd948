"""The loss of a detector with proposals."""

from dataclasses import replace

import torch
from torchvision.ops import box_iou

from pumice.models.create import create_model
from pumice.models.dense.boxes import level, prior_boxes
from pumice.models.described import preprocess_of
from pumice.tasks.detect.task import Detect
from pumice.tasks.detect.two_stage import TwoStageLoss

PLACES, PROPOSALS, CLASSES = 4 * 5, 6, 3
DECODE = {**prior_boxes([level((4, 5), [[0.25, 0.25], [0.5, 0.3]])]), "proposals": PROPOSALS}
SIZE = (80, 100)
TARGETS = [
    {"boxes": torch.tensor([[10.0, 10, 40, 30], [50, 20, 95, 60]]), "labels": torch.tensor([1, 0])},
    {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
]


def wanted(loss: TwoStageLoss) -> torch.Tensor:
    """What costs nothing: the proposals of the first image are its objects, moved a little."""
    truth = TARGETS[0]["boxes"] / loss.sides
    own = torch.tensor([0.4, 0.6, 0.5, 0.8]).repeat(2, PROPOSALS, 1)
    own[0, :2] = truth + 0.01
    y = torch.zeros(2, PROPOSALS + 2 * PLACES, 8 + CLASSES)
    y[:, :PROPOSALS, 4] = 50
    y[0, 0, 6], y[0, 1, 5] = 100, 100
    boxes = torch.cat(((own[0, :2, :2] + own[0, :2, 2:]) / 2, own[0, :2, 2:] - own[0, :2, :2]), dim=1)
    y[0, :2, :4] = loss.goals(truth, torch.tensor([0, 1]), boxes)
    y[:, :PROPOSALS, 4 + CLASSES :] = own
    found = torch.stack([_first(loss, t["boxes"] / loss.sides) for t in TARGETS])
    y[:, PROPOSALS:, 4] = torch.where(found >= 0, 50.0, -50.0)
    y[0, PROPOSALS:, :4] = loss.goals(truth, found[0], loss.priors)
    return y


def _first(loss: TwoStageLoss, truth: torch.Tensor) -> torch.Tensor:
    from pumice.tasks.detect.match import match

    return match(truth, loss.corners, 0.7)


def test_what_it_asks_for_costs_nothing():
    loss = TwoStageLoss(DECODE, SIZE)
    right = wanted(loss)
    assert loss(right, TARGETS).item() < 1e-6
    # Each part costs something when it is wrong.
    found = _first(loss, TARGETS[0]["boxes"] / loss.sides)
    hit = PROPOSALS + int((found >= 0).nonzero()[0, 0])
    for image, row, column, value in (
        (0, 0, 0, 3.0),  # the offset of a proposal
        (0, 0, 6, 0.0),  # its class
        (0, 5, 5, 100.0),  # an object where there is none
        (1, 3, 5, 100.0),  # and in an image without any
        (0, hit, 4, -50.0),  # an object that no box proposes
        (0, hit, 1, 9.0),  # or with another offset
    ):
        wrong = right.clone()
        wrong[image, row, column] += value if column < 4 else value - wrong[image, row, column]
        assert loss(wrong, TARGETS).item() > 0.5, (image, row, column)


def test_boxes_that_half_fit_learn_nothing():
    loss = TwoStageLoss(DECODE, SIZE)
    right = wanted(loss)
    iou = box_iou(TARGETS[0]["boxes"] / loss.sides, loss.corners).amax(dim=0)
    found = _first(loss, TARGETS[0]["boxes"] / loss.sides)
    between = ((iou > 0.3) & (iou < 0.7) & (found < 0)).nonzero()
    assert len(between)
    right[0, PROPOSALS + between[0], 4] = 50
    assert loss(right, TARGETS).item() < 1e-6


def test_gradients_reach_offsets_and_logits_alone():
    loss = TwoStageLoss(DECODE, SIZE)
    y = wanted(loss)
    y[..., :4] += 0.1
    y.requires_grad_()
    loss(y, TARGETS).backward()
    assert y.grad[:, :PROPOSALS, 4 + CLASSES :].abs().sum() == 0  # proposals are where they are
    assert y.grad[:, PROPOSALS:, 5:].abs().sum() == 0
    assert y.grad[0, :2, :4].abs().min() > 0
    nothing = loss(y.detach(), [TARGETS[1]] * 2)
    assert torch.isfinite(nothing)


def test_the_task_chooses_it():
    net = create_model("lighthead:shufflenetv2_050", num_classes=3, proposals=10)
    preprocess = replace(preprocess_of(net), size=(64, 96))
    criterion = Detect().criterion(net, preprocess)
    assert isinstance(criterion, TwoStageLoss)
    loss = criterion(net(torch.rand(2, 3, 64, 96)), TARGETS)
    loss.backward()
    without = [name for name, p in net.named_parameters() if p.grad is None]
    assert without == []
