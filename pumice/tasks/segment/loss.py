"""The loss of segmentation: cross-entropy over the pixels that are not void."""

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from pumice.data.masks import VOID

Weights = Literal["none", "enet", "balanced"]


def class_weights(kind: Weights, pixels: NDArray[np.int64], enet_c: float) -> NDArray[np.float64] | None:
    """(classes,) weights of the loss; None where all are 1.

    "enet": 1 / ln(c + p) for the share p of the training pixels that a class has (Paszke et al., "ENet", 2016, section
    5.2; ESPNet has c = 1.10).  "balanced": 1 / p, scaled to a mean of 1 over the classes that occur; 0 for the others.

    pixels: (classes,) training pixels of each class.
    """
    if kind == "none":
        return None
    shares = pixels / max(1, pixels.sum())
    if kind == "enet":
        return 1 / np.log(enet_c + shares)
    inverse = np.where(pixels > 0, 1 / np.maximum(shares, 1e-12), 0.0)
    return inverse / max(1e-12, inverse[pixels > 0].mean()) if inverse.any() else np.ones(len(pixels))


class PixelLoss(nn.Module):
    """Mean cross-entropy over the pixels that are not void, each weighted as its class; 0 where all are void.

    weights: (classes,), or None for equal ones.
    """

    weights: Tensor | None

    def __init__(self, weights: NDArray[np.float64] | None = None) -> None:
        super().__init__()
        self.register_buffer(
            "weights", None if weights is None else torch.tensor(weights, dtype=torch.float32), persistent=False
        )

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(N, classes, h, w) and (N, H, W) uint8 -> scalar.

        Where a net answers at a lower resolution than its input's, the masks are resized to it (nearest pixel).
        """
        if outputs.shape[2:] != targets.shape[1:]:
            targets = F.interpolate(targets[:, None].float(), outputs.shape[2:], mode="nearest")[:, 0]
        targets = targets.long()
        # Summed here: on a GPU the loss's own sum adds in an order that differs from run to run.
        total = F.cross_entropy(outputs.float(), targets, self.weights, ignore_index=VOID, reduction="none").sum()
        learnt = targets != VOID
        if self.weights is None:
            return total / learnt.sum().clamp(min=1)
        mass = self.weights[torch.where(learnt, targets, 0)] * learnt
        return total / mass.sum().clamp(min=torch.finfo(torch.float32).tiny)
