"""What a row is, and the two plain rows that every family shares."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Self

from torch import nn

from pumice.nn.activation import Activation
from pumice.nn.conv import ConvNormAct


class Strided(ABC):
    """What a chain asks of its rows.  Apart from `Row`, so that each row places its own `stride` column."""

    stride: int

    @abstractmethod
    def width(self, in_channels: int) -> int:
        """Output channels, given the input channels."""

    @abstractmethod
    def build(self, in_channels: int) -> nn.Module:
        """The module: (N, in_channels, H, W) -> (N, width, ceil(H / stride), ceil(W / stride))."""


@dataclass(frozen=True)
class Row(Strided):
    """One line of a paper's table: a frozen record of JSON values that builds its own module.

    dilation: set by `NetSpec.dilated` for dense tasks; no paper's table has the column.
    """

    dilation: int = field(default=1, kw_only=True)

    def dilated(self, dilation: int, stride: int | None = None) -> Self:
        """The same row with another dilation and, when given, another stride."""
        return replace(self, dilation=dilation, **({} if stride is None else {"stride": stride}))


@dataclass(frozen=True)
class Conv(Row):
    """A convolution with batch norm and activation.  bias: of the convolution."""

    kernel_size: int
    out_channels: int
    stride: int
    act: Activation
    bias: bool = False

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """conv-norm-act."""
        return ConvNormAct(
            *(in_channels, self.out_channels, self.kernel_size, self.stride),
            dilation=self.dilation,
            bias=self.bias,
            act=self.act,
        )


@dataclass(frozen=True)
class MaxPool(Row):
    """Max pooling."""

    kernel_size: int
    stride: int
    padding: int = 0
    ceil: bool = False

    def width(self, in_channels: int) -> int:
        """in_channels."""
        return in_channels

    def build(self, in_channels: int) -> nn.Module:
        """nn.MaxPool2d; without its stride it pads, so that a dense task keeps the size of the map."""
        if self.stride == 1:
            margin = self.dilation * (self.kernel_size // 2)  # MaxPool2d itself pads no dilated kernel
            pool = nn.MaxPool2d(self.kernel_size, 1, dilation=self.dilation)
            return nn.Sequential(nn.ConstantPad2d(margin, -math.inf), pool)
        return nn.MaxPool2d(self.kernel_size, self.stride, self.padding, ceil_mode=self.ceil)
