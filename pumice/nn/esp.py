"""The efficient spatial pyramid: Mehta et al., "ESPNet: Efficient Spatial Pyramid of Dilated Convolutions for Semantic
Segmentation", ECCV 2018, arXiv:1803.06815, section 3.

The release (github.com/sacmehta/ESPNet) is followed: its fusion begins at the second branch, because the first may be
wider than the others, and there is neither norm nor activation before the concatenation.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pumice.nn.drop_path import DropPath


def fuse(maps: Sequence[Tensor], hff: bool = True) -> Tensor:
    """Hierarchical feature fusion: maps of growing dilation, added up one after another, then concatenated.

    h_1 = y_1, h_k = h_(k-1) + y_k: every h sees the pixels between those of its own sparse kernel.

    hff: False only concatenates, so that the kernels' holes show (gridding, docs/figures/gridding.png).
    """
    fused = [maps[0]]
    for y in maps[1:]:
        fused.append(fused[-1] + y if hff else y)
    return torch.cat(fused, dim=1)


class ESP(nn.Module):
    """Reduce, split, transform, merge.  (N, C, H, W) -> (N, O, ceil(H/s), ceil(W/s)).

    r = reduce(x)                       C -> n = floor(O / K); 1x1, or 3x3,s in the strided form
    y_k = conv_3x3, dilation 2^(k-1)(r) k = 1..K; n -> n, the first n -> O - (K - 1) n
    z = concat(y_1, HFF(y_2, .., y_K))
    return PReLU(norm(x + z if residual else z))

    residual: needs s == 1 and C == O.  hff: False leaves the fusion out.

    >>> ESP(64, 64, residual=True)(torch.rand(1, 64, 28, 28)).shape
    torch.Size([1, 64, 28, 28])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        *,
        branches: int = 5,
        residual: bool = False,
        hff: bool = True,
    ) -> None:
        super().__init__()
        n = out_channels // branches
        first = out_channels - (branches - 1) * n
        kernel = 1 if stride == 1 else 3
        self.hff = hff
        self.reduce = nn.Conv2d(in_channels, n, kernel, stride, kernel // 2, bias=False)
        self.branches = nn.ModuleList(
            nn.Conv2d(n, n if k else first, 3, padding=2**k, dilation=2**k, bias=False) for k in range(branches)
        )
        self.drop_path = DropPath() if residual else None
        self.norm = nn.BatchNorm2d(out_channels)
        self.act = nn.PReLU(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        r = self.reduce(x)
        first, *others = (branch(r) for branch in self.branches)
        z = torch.cat((first, fuse(others, self.hff)), dim=1)
        return self.act(self.norm(z if self.drop_path is None else x + self.drop_path(z)))

    def extra_repr(self) -> str:
        """hff."""
        return f"hff={self.hff}"
