"""SSD's loss: Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, arXiv:1512.02325, equations 1 to 3."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.tasks.detect.match import match, offsets
from pumice.tasks.detect.priors import corners, priors_of


class BoxLoss(nn.Module):
    """(cross-entropy + weight * smooth L1) / matched priors.

    Smooth L1 is of the offsets of matched priors, cross-entropy of those and of the `negatives` times as many other
    priors of the same image whose own is greatest.  Matched priors are counted over the batch, at least 1.

    decode: `Manifest.decode` of the network, which has the priors and their threshold of matching.
    size: height and width of the input, pixels.
    """

    priors: Tensor
    corners: Tensor
    sides: Tensor

    def __init__(
        self, decode: Mapping[str, Any], size: tuple[int, int], *, negatives: float = 3.0, box_weight: float = 1.0
    ) -> None:
        super().__init__()
        priors = priors_of(decode)
        self.threshold, self.variances = float(decode["match"]), list(decode["variances"])
        self.negatives, self.box_weight = negatives, box_weight
        self.register_buffer("priors", torch.from_numpy(priors.astype(np.float32)), persistent=False)
        self.register_buffer("corners", torch.from_numpy(corners(priors).astype(np.float32)), persistent=False)
        height, width = size
        self.register_buffer("sides", torch.tensor([width, height, width, height]), persistent=False)

    def forward(self, outputs: Tensor, targets: Sequence[Mapping[str, Tensor]]) -> Tensor:
        """outputs: (N, B, 4 + classes).

        targets: of each image `boxes` (n, 4), left, top, right, bottom in pixels of the input, and `labels` (n,),
            classes without the background.
        """
        said, logits = outputs.float().split((4, outputs.shape[2] - 4), dim=2)
        labels, goals = self.targets(targets)
        matched = labels > 0
        surprise = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape)
        wanted = (self.negatives * matched.sum(dim=1)).floor()
        chosen = matched | hardest(surprise.detach(), ~matched, wanted)
        boxes = F.smooth_l1_loss(said[matched], goals[matched], reduction="sum")
        return ((surprise * chosen).sum() + self.box_weight * boxes) / matched.sum().clamp(min=1)

    @torch.no_grad()
    def targets(self, targets: Sequence[Mapping[str, Tensor]]) -> tuple[Tensor, Tensor]:
        """Classes (N, B), 0 for the background, and offsets (N, B, 4)."""
        labels, goals = [], []
        for target in targets:
            boxes = target["boxes"].to(self.priors) / self.sides
            found = match(boxes, self.corners, self.threshold)
            label, goal = torch.zeros_like(found), torch.zeros_like(self.priors)
            places = (found >= 0).nonzero().squeeze(1)
            label[places] = target["labels"].to(found)[found[places]] + 1
            goal[places] = offsets(boxes[found[places]], self.priors[places], self.variances)
            labels.append(label)
            goals.append(goal)
        return torch.stack(labels), torch.stack(goals)


def hardest(surprise: Tensor, others: Tensor, wanted: Tensor) -> Tensor:
    """(N, B) which of `others` (N, B) are among the `wanted` (N,) of greatest surprise (N, B) of their image."""
    order = surprise.masked_fill(~others, -1).argsort(dim=1, descending=True, stable=True)
    return (order.argsort(dim=1) < wanted.unsqueeze(1)) & others
