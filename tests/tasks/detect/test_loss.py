"""SSD's loss against torchvision's and against sums written out."""

from types import SimpleNamespace

import pytest
import torch

from pumice.models.dense.boxes import level, prior_boxes
from pumice.tasks.detect.loss import BoxLoss, hardest
from pumice.tasks.detect.match import match

LEVELS = [level((6, 8), [[0.2, 0.2], [0.3, 0.15]]), level((2, 2), [[0.6, 0.6], [0.9, 0.4], [0.4, 0.9]])]
DECODE = prior_boxes(LEVELS)
COUNT, CLASSES = 6 * 8 * 2 + 2 * 2 * 3, 4
SIZE = (90, 120)


def targets(seed: int, counts: tuple[int, ...] = (3, 0, 5)) -> list[dict]:
    """Boxes in pixels of 120 x 90."""
    torch.manual_seed(seed)
    result = []
    for n in counts:
        low = torch.rand(n, 2) * torch.tensor([70.0, 50])
        result.append(
            {
                "boxes": torch.cat((low, low + 8 + torch.rand(n, 2) * torch.tensor([40.0, 30])), dim=1),
                "labels": torch.randint(0, CLASSES - 1, (n,)),
            }
        )
    return result


@pytest.mark.parametrize("seed", range(5))
def test_it_is_torchvisions(seed):
    detection = pytest.importorskip("torchvision.models.detection")
    loss = BoxLoss(DECODE, SIZE)
    given = targets(seed, (2, 0, 3))
    # Where negatives run out theirs counts matched priors twice.
    assert 4 * (loss.targets(given)[0] > 0).sum(dim=1).max() <= COUNT
    outputs = torch.randn(3, COUNT, 4 + CLASSES)
    scaled = loss.corners * loss.sides
    theirs = detection.ssd.SSD.compute_loss(
        SimpleNamespace(box_coder=detection._utils.BoxCoder(weights=(10.0, 10.0, 5.0, 5.0)), neg_to_pos_ratio=3),
        [{"boxes": t["boxes"], "labels": t["labels"] + 1} for t in given],
        {"bbox_regression": outputs[..., :4], "cls_logits": outputs[..., 4:]},
        [scaled] * 3,
        [match(t["boxes"], scaled, 0.5) for t in given],
    )
    assert loss(outputs, given).item() == pytest.approx(sum(theirs.values()).item(), rel=1e-5)
    heavier = BoxLoss(DECODE, SIZE, box_weight=2.0)(outputs, given)
    assert (heavier - loss(outputs, given)).item() == pytest.approx(theirs["bbox_regression"].item(), rel=1e-4)


def test_negatives_are_the_hardest_of_their_image():
    others = torch.tensor([[False, True, True, True, True], [True] * 5])
    surprise = torch.tensor([[9.0, 1, 4, 3, 2], [5, 6, 7, 8, 9]])
    found = hardest(surprise, others, torch.tensor([2, 0]))
    assert found.tolist() == [[False, False, True, True, False], [False] * 5]
    assert torch.equal(hardest(surprise, others, torch.tensor([9, 9])), others)


def test_a_perfect_answer_costs_nothing_and_a_batch_without_boxes_neither():
    loss = BoxLoss(DECODE, SIZE)
    given = targets(0)
    labels, goals = loss.targets(given)
    assert (labels > 0).sum() >= 8
    certain = 50.0 * torch.nn.functional.one_hot(labels, CLASSES)
    assert loss(torch.cat((goals, certain), dim=2), given).item() < 1e-6
    outputs = torch.randn(2, COUNT, 4 + CLASSES, requires_grad=True)
    nothing = loss(outputs, targets(0, (0, 0)))
    nothing.backward()
    assert nothing.item() == 0
    assert torch.isfinite(outputs.grad).all()


def test_half_precision_is_summed_in_single():
    loss = BoxLoss(DECODE, SIZE)
    outputs, given = torch.randn(3, COUNT, 4 + CLASSES), targets(1)
    half = loss(outputs.bfloat16(), given)
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(loss(outputs, given).item(), rel=0.02)
