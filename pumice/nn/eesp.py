"""The efficient spatial pyramid with depthwise branches: Mehta et al., "ESPNetv2: A Light-weight, Power Efficient, and
General Purpose Convolutional Neural Network", CVPR 2019, arXiv:1811.11431, section 3.

The releases (github.com/sacmehta/ESPNetv2 and EdgeNets) are followed: the fusion begins at the first branch and adds
branches of equal dilation too.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pumice.nn.conv import ConvNormAct
from pumice.nn.drop_path import DropPath
from pumice.nn.esp import fuse


class DepthwisePyramid(nn.Module):
    """What both units share.  (N, C, H, W) -> (N, O, ceil(H/s), ceil(W/s)).

    r = PReLU(norm(reduce_1x1(x)))      C -> n = O / K, in K groups
    y_k = depthwise_3x3,s, dilation d_k(r)
    return norm(merge_1x1(PReLU(norm(HFF(y_1, .., y_K)))))      K n = O -> O, in K groups

    K 1x1 convolutions, one for each fused map, are one convolution in K groups: it runs as one.

    dilations: d_1 <= .. <= d_K.  K divides C, n and O.  hff: False leaves the fusion out.

    >>> DepthwisePyramid(64, 128, (1, 2, 3, 4), stride=2)(torch.rand(1, 64, 28, 28)).shape
    torch.Size([1, 128, 14, 14])
    """

    def __init__(
        self, in_channels: int, out_channels: int, dilations: Sequence[int], stride: int = 1, *, hff: bool = True
    ) -> None:
        super().__init__()
        k, o = len(dilations), out_channels
        n = o // k
        self.hff = hff
        self.reduce = ConvNormAct(in_channels, n, groups=k, act="PR")
        self.branches = nn.ModuleList(
            nn.Conv2d(n, n, 3, stride, padding=d, dilation=d, groups=n, bias=False) for d in dilations
        )
        self.norm = nn.BatchNorm2d(o)
        self.act = nn.PReLU(o)
        self.merge = ConvNormAct(o, o, groups=k)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        r = self.reduce(x)
        z = fuse([branch(r) for branch in self.branches], self.hff)
        return self.merge(self.act(self.norm(z)))

    def extra_repr(self) -> str:
        """hff."""
        return f"hff={self.hff}"


class EESP(nn.Module):
    """Figure 1c.  (N, C, H, W) -> (N, O, H, W).

    return PReLU(x + pyramid(x) if C == O else pyramid(x))

    >>> EESP(64, 64, (1, 2, 3, 4))(torch.rand(1, 64, 28, 28)).shape
    torch.Size([1, 64, 28, 28])
    """

    def __init__(self, in_channels: int, out_channels: int, dilations: Sequence[int], *, hff: bool = True) -> None:
        super().__init__()
        self.pyramid = DepthwisePyramid(in_channels, out_channels, dilations, hff=hff)
        self.drop_path = DropPath() if in_channels == out_channels else None
        self.act = nn.PReLU(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H, W)."""
        z = self.pyramid(x)
        return self.act(z if self.drop_path is None else x + self.drop_path(z))


class StridedEESP(nn.Module):
    """Figure 2: halve the map, and look at the image again.  (N, C, H, W), image -> (N, O, ceil(H/2), ceil(W/2)).

    z = concat(mean_3x3,2(x), pyramid_s=2(x))                                       C + (O - C)
    i = norm(conv_1x1(PReLU(norm(conv_3x3(image)))))                                I -> I -> O
    return PReLU(z + i)

    image_channels: I; 0 leaves the image out.  The image comes at the size of the result.

    >>> StridedEESP(64, 128, (1, 2, 3, 4), 3)(torch.rand(1, 64, 28, 28), torch.rand(1, 3, 14, 14)).shape
    torch.Size([1, 128, 14, 14])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dilations: Sequence[int],
        image_channels: int = 0,
        *,
        hff: bool = True,
    ) -> None:
        super().__init__()
        c, o, i = in_channels, out_channels, image_channels
        self.pool = nn.AvgPool2d(3, 2, 1)
        self.pyramid = DepthwisePyramid(c, o - c, dilations, 2, hff=hff)
        self.image = nn.Sequential(ConvNormAct(i, i, 3, act="PR"), ConvNormAct(i, o)) if i else None
        self.act = nn.PReLU(o)

    def forward(self, x: Tensor, image: Tensor | None = None) -> Tensor:
        """(N, C, H, W), image of the result's size -> (N, O, H/2, W/2)."""
        z = torch.cat((self.pool(x), self.pyramid(x)), dim=1)
        return self.act(z if self.image is None else z + self.image(image))
