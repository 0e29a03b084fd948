"""Convolution, batch norm and activation as one module, and the two rules of padding."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from pumice.nn.activation import Activation, activation

Size = int | tuple[int, int]


def pair(size: Size) -> tuple[int, int]:
    """3 -> (3, 3)."""
    return size if isinstance(size, tuple) else (size, size)


class ConvNormAct(nn.Module):
    """act(norm(conv(x))): (N, C, H, W) -> (N, O, ceil(H/s), ceil(W/s)) for odd kernels.

    padding: None pads (k - 1) / 2 on either side, so that stride 1 keeps the size.
    bias: of the convolution; the norm makes it redundant, but some releases have it.

    >>> ConvNormAct(3, 16, 3, stride=2, act="HS")(torch.rand(1, 3, 224, 224)).shape
    torch.Size([1, 16, 112, 112])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size = 1,
        stride: Size = 1,
        *,
        padding: Size | None = None,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        act: Activation = "",
    ) -> None:
        super().__init__()
        kernel = pair(kernel_size)
        if padding is None:
            padding = (dilation * (kernel[0] - 1) // 2, dilation * (kernel[1] - 1) // 2)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, groups, bias=bias)
        self.norm = nn.BatchNorm2d(out_channels)
        self.act = activation(act, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H', W')."""
        return self.act(self.norm(self.conv(x)))


class Conv2dSame(nn.Conv2d):
    """TensorFlow's SAME padding: just enough for ceil(H / stride) outputs, the odd pixel after.

    What is padded depends on the size of the input, so no fixed padding replaces it: a 5 x 5 stride 2 convolution pads
    1 before and 2 after on an even map, 2 and 2 on an odd one.

    >>> Conv2dSame(3, 8, 5, stride=2)(torch.rand(1, 3, 15, 15)).shape
    torch.Size([1, 8, 8, 8])
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, ceil(H/s), ceil(W/s))."""
        vertical, horizontal = (
            max(0, (math.ceil(size / s) - 1) * s + d * (k - 1) + 1 - size)
            for size, k, s, d in zip(x.shape[-2:], self.kernel_size, self.stride, self.dilation, strict=True)
        )
        x = F.pad(x, (horizontal // 2, horizontal - horizontal // 2, vertical // 2, vertical - vertical // 2))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def set_padding(model: nn.Module, padding: str) -> None:
    """Give every strided convolution wider than one pixel "same" or "symmetric" padding, in place.

    At stride 1 both rules agree, so those layers stay as they are.  Weights are kept.

    Raises:
        ValueError: another word.
    """
    if padding not in ("same", "symmetric"):
        raise ValueError(f"padding {padding!r} is unknown; choose 'same' or 'symmetric'")
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and max(module.stride) > 1 and max(module.kernel_size) > 1:
            module.__class__ = Conv2dSame if padding == "same" else nn.Conv2d


def set_norm(model: nn.Module, *, eps: float | None = None, momentum: float | None = None) -> None:
    """Set eps and momentum (torch's: the weight of the new batch) of every batch norm, in place."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eps = module.eps if eps is None else eps
            module.momentum = module.momentum if momentum is None else momentum
