"""The loss of a detector with proposals: Ren et al., "Faster R-CNN", NIPS 2015, arXiv:1506.01497, equation 1, of each
stage.

Ours: where the paper draws negatives at random, those of greatest loss are learnt (as SSD does, and as Light-Head R-CNN
chooses among proposals), so that a step has no randomness of its own; objects are no proposals.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_iou

from pumice.tasks.detect.loss import hardest
from pumice.tasks.detect.match import match, offsets
from pumice.tasks.detect.priors import corners, priors_of

OBJECT, NOTHING = 0.7, 0.3  # IoU: a box proposes an object from the one on, nothing below the other
LEAST_NEGATIVES = 16  # proposals of the background that every image learns


class TwoStageLoss(nn.Module):
    """Objectness and offsets of the boxes that proposals start from, then classes and offsets of the proposals.

    Each stage: (cross-entropy + weight * smooth L1) / matched boxes.  See BoxLoss for the arguments.
    """

    priors: Tensor
    corners: Tensor
    sides: Tensor

    def __init__(
        self, decode: Mapping[str, Any], size: tuple[int, int], *, negatives: float = 3.0, box_weight: float = 1.0
    ) -> None:
        super().__init__()
        priors = priors_of(decode)
        self.proposals, self.threshold = int(decode["proposals"]), float(decode["match"])
        self.variances, self.negatives, self.box_weight = list(decode["variances"]), negatives, box_weight
        self.register_buffer("priors", torch.from_numpy(priors.astype(np.float32)), persistent=False)
        self.register_buffer("corners", torch.from_numpy(corners(priors).astype(np.float32)), persistent=False)
        height, width = size
        self.register_buffer("sides", torch.tensor([width, height, width, height]), persistent=False)

    def forward(self, outputs: Tensor, targets: Sequence[Mapping[str, Tensor]]) -> Tensor:
        """outputs: (N, proposals + B, 8 + classes), a LightHead's in training.  targets: as BoxLoss takes them."""
        rows = outputs.float()
        refined, first = rows[:, : self.proposals], rows[:, self.proposals :]
        truths = [target["boxes"].to(self.priors) / self.sides for target in targets]
        objects = self.first(first[..., :4], first[..., 4], truths)
        labels = [target["labels"].to(rows.device) for target in targets]
        classes = outputs.shape[2] - 8
        said, logits, own = refined.split((4, classes, 4), dim=2)
        return objects + self.second(said, logits, own.detach(), truths, labels)

    def first(self, said: Tensor, objectness: Tensor, truths: Sequence[Tensor]) -> Tensor:
        """Of offsets (N, B, 4) and logits (N, B)."""
        found = torch.stack([match(truth, self.corners, OBJECT) for truth in truths])
        matched = found >= 0
        near = torch.stack([_nearest(truth, self.corners) for truth in truths])
        surprise = F.binary_cross_entropy_with_logits(objectness, matched.float(), reduction="none")
        goals = torch.stack([self.goals(truth, one, self.priors) for truth, one in zip(truths, found, strict=True)])
        return self.stage(surprise, matched, ~matched & (near < NOTHING), said, goals, least=0)

    def second(
        self, said: Tensor, logits: Tensor, own: Tensor, truths: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> Tensor:
        """Of offsets (N, P, 4) and logits (N, P, classes) of proposals (N, P, 4), corners."""
        found = torch.stack(
            [match(truth, boxes, self.threshold, each=False) for truth, boxes in zip(truths, own, strict=True)]
        )
        matched = found >= 0
        classes = torch.zeros_like(found)
        for one, label, where in zip(classes, labels, found, strict=True):
            one[where >= 0] = label[where[where >= 0]] + 1
        surprise = F.cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="none").view(classes.shape)
        boxes = torch.cat(((own[..., :2] + own[..., 2:]) / 2, own[..., 2:] - own[..., :2]), dim=2)
        goals = torch.stack([self.goals(*one) for one in zip(truths, found, boxes, strict=True)])
        return self.stage(surprise, matched, ~matched, said, goals, least=LEAST_NEGATIVES)

    def goals(self, truth: Tensor, found: Tensor, boxes: Tensor) -> Tensor:
        """(B, 4) offsets of boxes (centre and sides) that found an object."""
        goals = torch.zeros_like(boxes)
        places = (found >= 0).nonzero().squeeze(1)
        goals[places] = offsets(truth[found[places]], boxes[places], self.variances)
        return goals

    def stage(
        self, surprise: Tensor, matched: Tensor, others: Tensor, said: Tensor, goals: Tensor, least: int
    ) -> Tensor:
        """The loss of one stage; `others` may be learnt as background, at least so many an image."""
        wanted = (self.negatives * matched.sum(dim=1)).floor().clamp(min=least)
        chosen = matched | hardest(surprise.detach(), others, wanted)
        boxes = F.smooth_l1_loss(said[matched], goals[matched], reduction="sum")
        return ((surprise * chosen).sum() + self.box_weight * boxes) / matched.sum().clamp(min=1)


def _nearest(truth: Tensor, boxes: Tensor) -> Tensor:
    """(B,) the greatest IoU of each box with an object, 0 without any."""
    if not len(truth):
        return torch.zeros(len(boxes), device=boxes.device)
    return box_iou(truth, boxes).amax(dim=0)
