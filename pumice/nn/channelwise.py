"""Channel-wise convolutions: Gao, Wang and Ji, "ChannelNets: Compact and Efficient Convolutional Neural Networks via
Channel-Wise Convolutions", NeurIPS 2018, arXiv:1809.01330.

A channel-wise convolution slides one short kernel along the channels, the same at every pixel: a map is taken for
(N, 1, C, H, W) and meets an nn.Conv3d whose kernel is one pixel wide.  It costs its outputs times its kernel's length.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class ChannelwiseConv(nn.Module):
    """y_c = sum_i w_i x_(c + i - before): (N, C, H, W) -> the same shape, zeros beyond the channels.

    kernel_size: k weights; TensorFlow's SAME padding, (k - 1) // 2 before and k // 2 after.

    >>> ChannelwiseConv(64)(torch.rand(1, 256, 7, 7)).shape
    torch.Size([1, 256, 7, 7])
    """

    channel_rule = "freeze"

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.padding = (0, 0, 0, 0, (kernel_size - 1) // 2, kernel_size // 2)
        self.conv = nn.Conv3d(1, 1, (kernel_size, 1, 1), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        return self.conv(F.pad(x.unsqueeze(1), self.padding)).squeeze(1)


class GroupChannelwiseConv(nn.Module):
    """g kernels of 4g weights that step over g channels: (N, C, H, W) -> the same shape.

    y_(j C/g + c) = sum_i w_ji x_(g c + i - before)    group j holds what kernel j saw of the whole input

    Between grouped convolutions it mixes the groups.  SAME padding: 3g // 2 before, the rest of 3g after.

    >>> GroupChannelwiseConv(2)(torch.rand(1, 512, 14, 14)).shape
    torch.Size([1, 512, 14, 14])
    """

    channel_rule = "freeze"

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.padding = (0, 0, 0, 0, 3 * groups // 2, 3 * groups - 3 * groups // 2)
        self.conv = nn.Conv3d(1, groups, (4 * groups, 1, 1), (groups, 1, 1), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        return self.conv(F.pad(x.unsqueeze(1), self.padding)).flatten(1, 2)


class DepthwiseSeparableChannelwise(nn.Module):
    """channelwise_k(depthwise_3x3(x)): (N, C, H, W) -> the same shape, for 9C + k weights.

    >>> DepthwiseSeparableChannelwise(256, 64)(torch.rand(1, 256, 7, 7)).shape
    torch.Size([1, 256, 7, 7])
    """

    def __init__(self, channels: int, kernel_size: int, *, dilation: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, 1, dilation, dilation, groups=channels, bias=False)
        self.channelwise = ChannelwiseConv(kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        return self.channelwise(self.depthwise(x))


class ConvClassifier(nn.Conv3d):
    """The convolutional classification layer.  (N, C, size, size) -> (N, classes), without padding.

    y_j = sum_i,h,w W_ihw x_(j + i),h,w     W: (C - classes + 1, size, size), shared by all classes

    Class j looks at channels j to j + C - classes, so the order of the classes matters.  A larger map is classified
    wherever the kernel fits, and the answers are averaged.

    >>> ConvClassifier(1024, 1000, 7)(torch.rand(1, 1024, 7, 7)).shape
    torch.Size([1, 1000])
    """

    channel_rule = "freeze"

    def __init__(self, channels: int, classes: int, size: int) -> None:
        super().__init__(1, 1, (channels - classes + 1, size, size), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, classes)."""
        return super().forward(x.unsqueeze(1)).mean((1, 3, 4))
