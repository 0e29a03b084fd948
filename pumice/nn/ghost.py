"""Ghost module and bottleneck: Han et al., "GhostNet: More Features from Cheap Operations", CVPR 2020,
arXiv:1911.11907, sections 3.1 and 3.2."""

import math

import torch
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.nn.activation import Activation
from pumice.nn.conv import ConvNormAct
from pumice.nn.drop_path import DropPath


class GhostModule(nn.Module):
    """A convolution whose outputs are mostly cheap copies.  (N, C, H, W) -> (N, O, ceil(H/s), ceil(W/s)).

    p = act(norm(conv_k,s(x)))         C -> I = ceil(O / ratio), the intrinsic maps
    g = act(norm(depthwise_d(p)))      I -> I * (ratio - 1), the ghosts
    y = concat(p, g), its first O channels

    ratio: the paper's s; 1 leaves a plain convolution.  cheap_kernel: the paper's d, odd.

    >>> GhostModule(16, 24, ratio=2, act="RE")(torch.rand(1, 16, 56, 56)).shape
    torch.Size([1, 24, 56, 56])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        *,
        ratio: int = 2,
        cheap_kernel: int = 3,
        dilation: int = 1,
        act: Activation = "",
    ) -> None:
        super().__init__()
        if ratio < 1:
            raise BadInput(f"a ghost module cannot have ratio {ratio}; give 1 (no ghosts) or more")
        if cheap_kernel % 2 == 0:
            raise BadInput(f"cheap_kernel {cheap_kernel} is even; give an odd kernel, which keeps the size of the map")
        intrinsic = math.ceil(out_channels / ratio)
        ghosts = intrinsic * (ratio - 1)
        self.out_channels = out_channels
        self.spare = intrinsic + ghosts - out_channels
        self.primary = ConvNormAct(in_channels, intrinsic, kernel_size, stride, dilation=dilation, act=act)
        self.cheap = (
            ConvNormAct(intrinsic, ghosts, cheap_kernel, dilation=dilation, groups=intrinsic, act=act)
            if ghosts
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        primary = self.primary(x)
        if self.cheap is None:
            return primary
        y = torch.cat((primary, self.cheap(primary)), dim=1)
        return y[:, : self.out_channels] if self.spare else y


class GhostBottleneck(nn.Module):
    """Figure 3.  (N, C, H, W) -> (N, O, H/s, W/s).

    h = ghost(x)                                   C -> hidden, with ReLU
    h = norm(depthwise_k,s(h)) if down else h
    y = ghost(SE(h))                               hidden -> O, no activation
    return y + (norm(conv_1x1(norm(depthwise_k,s(x)))) if down or C != O else x)

    se: the gate on h, built by the family, whose rule for its width it follows.
    down: None means s > 1; a dense task that takes the stride away keeps the convolutions.

    >>> GhostBottleneck(16, 48, 24, 3, 2)(torch.rand(1, 16, 112, 112)).shape
    torch.Size([1, 24, 56, 56])
    """

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        *,
        se: nn.Module | None = None,
        down: bool | None = None,
        ratio: int = 2,
        cheap_kernel: int = 3,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        c, o = in_channels, out_channels
        strides = stride > 1 if down is None else down
        self.ghost1 = GhostModule(c, hidden, ratio=ratio, cheap_kernel=cheap_kernel, dilation=dilation, act="RE")
        self.depthwise = (
            ConvNormAct(hidden, hidden, kernel_size, stride, dilation=dilation, groups=hidden)
            if strides
            else nn.Identity()
        )
        self.se = nn.Identity() if se is None else se
        self.ghost2 = GhostModule(hidden, o, ratio=ratio, cheap_kernel=cheap_kernel, dilation=dilation)
        self.drop_path = DropPath()
        self.shortcut = (
            nn.Sequential(ConvNormAct(c, c, kernel_size, stride, dilation=dilation, groups=c), ConvNormAct(c, o))
            if strides or c != o
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        y = self.drop_path(self.ghost2(self.se(self.depthwise(self.ghost1(x)))))
        return y + self.shortcut(x)
