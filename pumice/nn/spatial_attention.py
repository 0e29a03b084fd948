"""Spatial attention: Chen et al., "Dynamic ReLU", ECCV 2020, arXiv:2003.10027, section 3.3 (form C), for dense tasks.

The paper multiplies the slopes and offsets of Dynamic ReLU by the map.  As the map is never negative, that is its
output times the map; the same holds for Dynamic Shift-Max.  So one operator serves them all.
"""

import torch
from torch import Tensor, nn


class SpatialAttention(nn.Module):
    """pi_hw = min(HW / 3 * softmax_hw(z / tau), 1), z = conv_1x1(x), one channel: (N, C, H, W) -> (N, 1, H, W).

    At z = 0 every pixel has 1 / 3.  The convolution has no bias, which the softmax would ignore.

    temperature: tau, 10 in the paper.  share: 1 / 3 in the paper, the pi of a map that is the same everywhere.

    >>> x = torch.rand(1, 64, 14, 14)
    >>> (x * SpatialAttention(64)(x)).shape
    torch.Size([1, 64, 14, 14])
    """

    def __init__(self, channels: int, temperature: float = 10.0, share: float = 1 / 3) -> None:
        super().__init__()
        self.temperature, self.share = temperature, share
        self.conv = nn.Conv2d(channels, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 1, H, W)."""
        z = self.conv(x)
        pi = torch.softmax(z.flatten(2) / self.temperature, dim=2).view_as(z)
        return (pi * (z.shape[2] * z.shape[3] * self.share)).clamp(max=1)

    def extra_repr(self) -> str:
        """tau, share."""
        return f"temperature={self.temperature}, share={self.share:.3g}"
