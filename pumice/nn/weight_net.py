"""WeightNet: Ma et al., "WeightNet: Revisiting the Design Space of Weight Networks", ECCV 2020, arXiv:2007.11823.

From the authors' release (github.com/megvii-model/WeightNet): the sigmoid, the squeeze without activation and the
depthwise form.  Every sample has kernels of its own, so a batch is folded into groups of one convolution, and the
number of groups in an exported program is that of the batch it was exported with.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from pumice.errors import BadInput


def sample_conv2d(
    x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1
) -> Tensor:
    """y[n] = conv(x[n], weight[n]): (N, C, H, W), (N, O, C / groups, k, k) -> (N, O, H', W')."""
    n, c, h, w = x.shape
    folded = x.reshape(1, n * c, h, w)
    y = F.conv2d(folded, weight.flatten(0, 1), None, stride, padding, dilation, n * groups)
    return y.reshape(n, weight.shape[1], *y.shape[2:])


class BlockSqueeze(nn.Module):
    """s = W mean_hw(x) + b: (N, C, H, W) -> (N, r, 1, 1), r = max(16, C / 16); all WeightNets of a block read it.

    >>> BlockSqueeze(24)(torch.rand(2, 24, 56, 56)).shape
    torch.Size([2, 16, 1, 1])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.width = max(16, channels // 16)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, self.width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, r, 1, 1)."""
        return self.reduce(self.pool(x))


class WeightNetConv(nn.Module):
    """A convolution whose kernels follow from a vector: (N, C, H, W), (N, r, 1, 1) -> (N, O, ceil(H/s), ceil(W/s)).

    a = sigmoid(W1 s + b1)        r -> M * O
    K = reshape(W2 a)             M * O -> O * (C / groups) * k * k, W2 in G * O groups
    y[n] = conv(x[n], K[n])

    M = G = 1 is squeeze-and-excitation: a_o scales the static kernel of output o.  With G = 1 and rows of W1 that
    repeat for every output it is CondConv with M experts.  M / G scales the weights of W2, which for M = G are as many
    as those of a static convolution.

    groups: of the convolution itself.

    >>> WeightNetConv(24, 48, 3, squeeze=16, m=2, g=2)(torch.rand(2, 24, 56, 56), torch.rand(2, 16, 1, 1)).shape
    torch.Size([2, 48, 56, 56])
    """

    channel_rule = "made kernel"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        *,
        squeeze: int,
        m: int = 2,
        g: int = 2,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        entries = in_channels // groups * kernel_size**2
        if m < 1 or g < 1 or m % g or entries % g:
            raise BadInput(
                f"a WeightNet with m {m} and g {g} cannot make kernels of {entries} weights; "
                "g must divide m and those weights"
            )
        self.m, self.g = m, g
        self.shape = (out_channels, in_channels // groups, kernel_size, kernel_size)
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.padding = dilation * (kernel_size // 2)
        self.attend = nn.Conv2d(squeeze, m * out_channels, 1)
        self.gate = nn.Sigmoid()
        self.generate = nn.Conv2d(m * out_channels, out_channels * entries, 1, groups=g * out_channels, bias=False)
        nn.init.normal_(self.generate.weight, 0.0, g / entries)

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        """(N, C, H, W), (N, r, 1, 1) -> (N, O, H', W')."""
        kernels = self.generate(self.gate(self.attend(s)))
        kernels = kernels.reshape(x.shape[0], *self.shape)
        return sample_conv2d(x, kernels, self.stride, self.padding, self.dilation, self.groups)

    def narrow(self, stays: Tensor, made: Tensor) -> None:
        """Take the sizes of the weights, which have been sliced."""
        sigmoids = self.attend.weight.shape[0]
        outs, inputs = sigmoids // self.m, int(stays.sum())
        self.groups = outs if self.groups > 1 else 1
        self.shape = (outs, inputs // self.groups, *self.shape[2:])
        self.generate.in_channels, self.generate.groups = sigmoids, self.g * outs
        self.generate.out_channels = self.generate.weight.shape[0]


class WeightNetDepthwise(WeightNetConv):
    """The depthwise form: (N, C, H, W), (N, r, 1, 1) -> (N, C, ceil(H/s), ceil(W/s)).

    a = sigmoid(W1 s + b1)        r -> (M / G) * C
    K = reshape(W2 a)             (M / G) * C -> C * k * k, W2 in C groups

    >>> WeightNetDepthwise(24, 3, 2, squeeze=16)(torch.rand(2, 24, 56, 56), torch.rand(2, 16, 1, 1)).shape
    torch.Size([2, 24, 28, 28])
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        stride: int = 1,
        *,
        squeeze: int,
        m: int = 2,
        g: int = 2,
        dilation: int = 1,
    ) -> None:
        if m < 1 or g < 1 or m % g:
            raise BadInput(f"a depthwise WeightNet cannot have m {m} and g {g}; g must divide m")
        super().__init__(
            *(channels, channels, kernel_size, stride),
            squeeze=squeeze,
            m=m // g,
            g=1,
            dilation=dilation,
            groups=channels,
        )
