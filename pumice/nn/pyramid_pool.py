"""The efficient pyramid pool of EdgeNets (github.com/sacmehta/EdgeNets), with which ESPNetV2 (Mehta et al., CVPR 2019,
arXiv:1811.11431) segments and detects.

From the authors' code: no paper draws it.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.nn.conv import ConvNormAct
from pumice.nn.shuffle import ChannelShuffle

LEAST = 5  # pixels a side of a map that is resized
Sides = tuple[int, int]


def resize(x: Tensor, size: Sides) -> Tensor:
    """Bilinear, corner pixels on corner pixels: (N, C, H, W) -> (N, C, *size)."""
    return F.interpolate(x, size, mode="bilinear", align_corners=True)


class PyramidPool(nn.Module):
    """One map, convolved at several sizes.  (N, C, H, W) -> (N, O, H, W), S scales.

    p = PReLU(norm(conv_1x1(x)))                                    C -> O
    y_s = back(depthwise_3x3(to(p)))                                to: bilinear up, back: mean pool      s > 1
          depthwise_3x3(p)                                                                                s = 1
          back(depthwise_3x3(to(p)))                                to: mean pool, back: bilinear up      s < 1
    z = S(PReLU(norm(concat_s(y_s))))                               S O, shuffled so that each group holds all scales
    return PReLU(norm(conv_3x3(z)))                                 S O -> O, in O groups

    scales: of the sides, rounded up, never under 5 pixels.

    >>> PyramidPool(64, 10)(torch.rand(1, 64, 16, 32)).shape
    torch.Size([1, 10, 16, 32])
    """

    def __init__(
        self, in_channels: int, out_channels: int, scales: Sequence[float] = (2.0, 1.5, 1.0, 0.5, 0.1)
    ) -> None:
        super().__init__()
        o, s = out_channels, len(scales)
        self.scales = tuple(scales)
        self.reduce = ConvNormAct(in_channels, o, act="PR")
        self.branches = nn.ModuleList(nn.Conv2d(o, o, 3, padding=1, groups=o, bias=False) for _ in scales)
        self.norm = nn.BatchNorm2d(s * o)
        self.act = nn.PReLU(s * o)
        self.shuffle = ChannelShuffle(s)
        self.merge = ConvNormAct(s * o, o, 3, groups=o, act="PR")

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H, W)."""
        p = self.reduce(x)
        maps = [self.at(p, scale, branch) for scale, branch in zip(self.scales, self.branches, strict=True)]
        return self.merge(self.shuffle(self.act(self.norm(torch.cat(maps, dim=1)))))

    def at(self, p: Tensor, scale: float, branch: nn.Module) -> Tensor:
        """The branch at one scale, brought back: (N, O, H, W) -> the same shape."""
        h, w = p.shape[2:]
        size = (max(LEAST, math.ceil(h * scale)), max(LEAST, math.ceil(w * scale)))
        if scale > 1:
            return F.adaptive_avg_pool2d(branch(resize(p, size)), (h, w))
        if scale < 1:
            return resize(branch(F.adaptive_avg_pool2d(p, size)), (h, w))
        return branch(p)

    def extra_repr(self) -> str:
        """scales."""
        return f"scales={self.scales}"
